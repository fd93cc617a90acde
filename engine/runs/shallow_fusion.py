"""An n-gram language model of a run's texts, and the weight of its shallow fusion that does best on dev."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..audio.reading import Samples
from ..contract.files import write_bytes
from ..contract.run_files import RunFiles
from ..decoding.language_model import LanguageModel
from ..decoding.recogniser import Recogniser
from ..decoding.search import DecodeOptions
from ..scoring.edit_distance import character_error_rate
from .preparation import RunData, learnt_rules

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4)  # of which the one is taken that does best on dev
CTC_WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8)  # where CTC alone decides, which knows less of what letters follow each other
OWN_WEIGHTS = (0.0, 0.05, 0.1, 0.2)  # in a Whisper's own tokens, whose decoder has read far more
WEIGHING_CLIPS = 100  # of dev, at most


def language_model(run: RunData, files: RunFiles, weight: float) -> LanguageModel:
    """Counted over the training labels and the texts that the run was given beside them."""
    lines = files.texts.read_text(encoding="utf-8").splitlines() if files.texts.exists() else []
    more = filter(None, map(learnt_rules(run.project.rules, run.vocabulary).apply, lines))
    tokens = [*(example.tokens for example in run.labelled("train")), *map(run.vocabulary.encode, more)]
    return LanguageModel.of(tokens, len(run.vocabulary), weight)


def decode_dev(run: RunData, files: RunFiles, recogniser: Recogniser, waveforms: Sequence[Samples]) -> list[str]:
    """The texts of dev with the language model that does best on it, which is left in the run's folder.

    None is kept where weight 0 does best, or was asked for. In a Whisper's own tokens the labels alone only harm, so
    there further texts are what asks for one. recogniser: of the run's result, without a language model; waveforms: of
    the dev clips.
    """
    files.language_model.unlink(missing_ok=True)
    asked = files.request().language_model_weight
    weights = _usual_weights(run, files, recogniser) if asked is None else (asked,)
    if weights == (0.0,):
        return recogniser.texts(waveforms)
    model = language_model(run, files, max(weights))
    weighed = waveforms[: WEIGHING_CLIPS if len(weights) > 1 else 0]
    prefer = max if files.request().vocabulary == "words" else min
    weight, texts = _best(recogniser, weighed, run, model, weights, prefer)
    options = _fused(recogniser.options, model, weight)
    if options.language_model is not None:
        write_bytes(files.language_model, options.language_model.to_bytes())
    return [*texts, *recogniser.with_options(options).texts(waveforms[len(weighed) :])]


def _usual_weights(run: RunData, files: RunFiles, recogniser: Recogniser) -> tuple[float, ...]:
    if run.vocabulary.kind == "bytes":
        return OWN_WEIGHTS if files.texts.exists() else (0.0,)
    return CTC_WEIGHTS if recogniser.options.ctc_weight == 1 else WEIGHTS


def _best(
    recogniser: Recogniser,
    waveforms: Sequence[Samples],
    run: RunData,
    model: LanguageModel,
    weights: Sequence[float],
    prefer: Callable[[list[float]], float],
) -> tuple[float, list[str]]:
    """The preferred of the weights with the fewest wrong characters in the first clips of dev, and the texts it gives.

    Where nothing but the labels is ever said, the highest is: dev, which is soon without an error, cannot tell.
    """
    if not waveforms:
        return weights[0], []
    batches = recogniser.batches(waveforms)
    encoded = [recogniser.encode([waveforms[index] for index in batch]) for batch in batches]
    order = [index for batch in batches for index in batch]
    found = {}
    for weight in weights:
        fused = recogniser.with_options(_fused(recogniser.options, model, weight))
        texts = [text for frames in encoded for text in fused.texts_of(frames)]
        found[weight] = [text for _, text in sorted(zip(order, texts, strict=True))]
    labels, rules = run.texts("dev")[: len(waveforms)], run.project.rules
    normalised = {weight: [rules.apply(text) for text in texts] for weight, texts in found.items()}
    wrong = {weight: character_error_rate(texts, labels) for weight, texts in normalised.items()}
    best = prefer([weight for weight in weights if wrong[weight] == min(wrong.values())])
    return best, found[best]


def _fused(options: DecodeOptions, model: LanguageModel, weight: float) -> DecodeOptions:
    return replace(options, language_model=model.weighted(weight) if weight else None)
