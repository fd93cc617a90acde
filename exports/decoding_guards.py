"""When a Whisper's text is not to be trusted: no speech in the clip, a text that repeats itself, improbable tokens.

After Radford et al. 2022 (arXiv 2212.04356), section 4.5, with the thresholds of openai/whisper's `transcribe.py`. A
text that repeats itself is searched once more with another beam rather than by sampling at rising temperatures, so a
recording gives the same text every time. An improbable one is only marked: greedy search finds none that is more
probable than a beam's. It knows neither audio, nor graphs, nor vocabularies.
"""

import zlib
from dataclasses import replace

from lect.engine.decoding.search import DecodeOptions

from .transcript import Doubt

NO_SPEECH_PROBABILITY = 0.6  # of a clip without speech; see `is_silence`
LEAST_LOG_PROB = -1.0  # mean over the tokens, natural logarithm; below it a text is unsure
MOST_COMPRESSION = 2.4  # bytes of the text over those of its zlib form; above it a text repeats itself
OTHER_BEAM = 4  # instead of greedy search
OTHER_REPEATS = 2  # a loop ends sooner in the second search


def compression_ratio(text: str) -> float:
    """Bytes of UTF-8 over those of their zlib form."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def doubt_about(text: str, log_prob: float) -> Doubt:
    """What speaks against a text with this mean log-probability, if anything."""
    if compression_ratio(text) > MOST_COMPRESSION:
        return "repeats"
    return "unsure" if log_prob < LEAST_LOG_PROB else ""


def is_silence(no_speech: float, log_prob: float) -> bool:
    """Whether a clip has no speech; no_speech: the probability of that token after the start-of-transcript token.

    Beyond the line through the published pair of thresholds, of which the one may make up for the other. Asking for
    both lets Whisper-base write into most clips of noise (probabilities of 0.1 to 0.65, texts of -1.3 to -3.2) and
    into digital silence (0.93, -0.98). 96 clips of speech in eight languages that it knows all stay below the line.
    """
    return no_speech - log_prob > NO_SPEECH_PROBABILITY - LEAST_LOG_PROB


def other_search(options: DecodeOptions) -> DecodeOptions:
    """How a clip whose text repeats itself is searched again: greedily after a beam, else with one."""
    return replace(options, beam_size=1 if options.beam_size > 1 else OTHER_BEAM, max_repeats=OTHER_REPEATS)
