"""NIST's transcript lines, `words (speaker-utterance)`, without what sclite would take for something else."""

# What sclite takes for alternatives, optional words, comments, nothing, or an escape.
TRN_SPECIAL = "%(){}\\;@"


def trn_escaped(text: str, special: str = TRN_SPECIAL) -> str:
    """Percent-encoded, so that nothing is lost and nothing changes meaning."""
    return "".join(f"%{ord(letter):02X}" if letter in special else letter for letter in text)
