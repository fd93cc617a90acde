"""Labels to phones with espeak-ng: one universal symbol set, the characters of the IPA.

A label becomes the base characters and combining marks of its transcription, without stress and tone digits; words
are kept apart by a space. It does not know which languages a corpus holds; `VOICES` maps the tags that name a voice
otherwise.
"""

import re
import shutil
import subprocess
import unicodedata

from ..contract.errors import UsageError

# Tags that espeak-ng knows under another name. Its Chinese, Japanese and Thai need dictionaries that it seldom has,
# and spell characters out in English without them, so these have no voice here.
VOICES = {"ga-IE": "ga", "pa-IN": "pa", "sv-SE": "sv", "en": "en-us", "fr": "fr-fr"}
NO_VOICE = {"fy-NL", "ja", "th", "zh-CN", "zh-HK", "zh-TW", "zh", "yue", "cmn"}
_NOT_SOUNDS = re.compile(r"[ˈˌ0-9_|.,;:!?‖\-\u200d\u200c]|\u0361|\u035c")
_SPELLED_OUT = "("  # espeak-ng marks a switch to another voice as "(en)...(de)"


def espeak() -> str:
    """The path of espeak-ng. Raises UsageError when it is not installed."""
    path = shutil.which("espeak-ng")
    if path is None:
        raise UsageError("espeak-ng is not installed: install it with your system's package manager.")
    return path


def available_voices() -> set[str]:
    """The languages that the installed espeak-ng speaks."""
    listing = subprocess.run([espeak(), "--voices"], capture_output=True, text=True, check=True).stdout
    return {line.split()[1] for line in listing.splitlines()[1:] if len(line.split()) > 1}


def voice_for(language: str, available: set[str]) -> str | None:
    """The espeak-ng voice for a language tag, or None."""
    if language in NO_VOICE:
        return None
    voice = VOICES.get(language, language)
    return voice if voice in available else None


def phones(text: str, voice: str) -> str | None:
    """The phones of a label, or None where espeak-ng had to spell something out in another language."""
    command = [espeak(), "-q", "--ipa", "-v", voice, "--stdin"]
    answer = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return None if _SPELLED_OUT in answer else clean_ipa(answer)


def clean_ipa(ipa: str) -> str:
    """IPA as the symbol set writes it: decomposed, without stress, tone digits and tie bars."""
    decomposed = unicodedata.normalize("NFD", ipa).replace("ɡ", "g")
    return " ".join(_NOT_SOUNDS.sub("", decomposed).split())
