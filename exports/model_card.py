"""The model card of an export: what a stranger or a model hub reads first. It knows figures, no people and no paths."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lect.engine.decoding.language_model import ORDER
from lect.engine.scoring.recommendation import rival

# Read by Hugging Face's hub and its tools; values are written as JSON strings, which YAML reads as they are.
_HEADER = """\
---
base_model: {base_model}
base_model_relation: {relation}
pipeline_tag: automatic-speech-recognition
library_name: lect
license: {licence}
language:
- {language}
model-index:
- name: {name}
  results:{results}
---
"""
_RESULT = """
  - task:
      type: automatic-speech-recognition
    dataset:
      name: {language} recordings of the pack's maker
      type: private
      split: {split}
    metrics:
    - type: cer
      value: {cer}
    - type: wer
      value: {wer}"""
_BODY = """\
# {name}

## What it is
{about}

## Data
{data}

## Scores
{scores}{advice}

## How to use it
{use}

## Limits
It was trained on the recordings counted above and is likely to do worse on other voices, microphones, noise and topics.
It writes only symbols of its vocabulary. Silence and music may come out as words. Check the text before you rely on it.
"""
_ADVICE = {
    "": "",
    "backbone": """

**Not recommended**: on the dev clips the model without it makes no more errors. Use that one alone.""",
    "guesser": """

**Not recommended**: it learnt from labels that its maker's run {run} guessed, and on the dev clips that run makes no
more errors. Use the pack of that one.""",
}
_LANGUAGE_MODEL = """

Its search uses shallow fusion with an n-gram language model: {ngrams:,} n-grams of up to {order} symbols of its maker's
texts and how often each occurs. Whole texts are not inside, but short or rare ones can be pieced together: do not share
it where they must stay private."""


@dataclass(frozen=True)
class Kind:
    """What differs between the cards of different exports."""

    relation: str  # to the base model, in the hub's terms
    about: str
    use: str


PACK = Kind(
    "adapter",
    """\
A lect pack: what was learnt on top of the frozen speech model `{backbone}` to transcribe **{language}**.
It holds {tensors} tensors ({parameters:,} parameters, method `{method}`), a vocabulary of {symbols} symbols and the
text rules `{normalisation}`, and fits only the model whose weights have the SHA-256
`{backbone_sha256}`.""",
    """\
```
lect transcribe recording.wav --pack pack.lect
```
It runs offline, on a CPU. `lect pack verify pack.lect` checks that no byte was changed.""",
)
PORTABLE = Kind(
    "finetune",
    """\
A portable lect export: the speech model `{backbone}` with what it learnt to transcribe **{language}** inside (method
`{method}`), as two ONNX graphs. It has a vocabulary of {symbols} symbols and the text rules `{normalisation}`. It needs
no other file.""",
    """\
```
lect transcribe recording.wav --pack FOLDER
```
It runs offline, on a CPU. `sha256sum -c SHA256SUMS` checks that no byte was changed.

Any ONNX runtime will do. `encoder_model.onnx` takes `audio` (batch, samples), float32 at 16 kHz, zeros behind shorter
clips, and `lengths` (batch,) in samples. `decoder_model_merged.onnx` writes one token a call: `input_ids` (batch,),
`position_ids` (batch,) counted from 0, the encoder's `encoder_attention_mask`, its `present.*.encoder.*` as
`past_key_values.*.encoder.*`, and the cache, the last call's `present.*.decoder.*` as `past_key_values.*.decoder.*`, of
length 0 at first. The first token is 2, which also ends the text; token 4 is the first of the
symbols in `vocabulary.json`.""",
)
WHISPER = Kind(
    "finetune",
    """\
A Whisper, `{backbone}`, with what it learnt to transcribe **{language}** inside (method `{method}`), as ONNX graphs in
the layout of optimum's exports. It has a vocabulary of {symbols} tokens and the text rules `{normalisation}`.""",
    """\
```python
import onnx_asr

print(onnx_asr.load_model("whisper", "FOLDER").recognize("recording.wav"))
```
The language is inside: none needs to be named. `sha256sum -c SHA256SUMS` checks that no byte was changed.""",
)

SHERPA = Kind(
    "finetune",
    """\
A Whisper, `{backbone}`, with what it learnt to transcribe **{language}** inside (method `{method}`), as ONNX graphs for
sherpa-onnx. It has a vocabulary of {symbols} tokens and the text rules `{normalisation}`.""",
    """\
```python
import sherpa_onnx
import soundfile

recogniser = sherpa_onnx.OfflineRecognizer.from_whisper(
    "FOLDER/encoder.onnx", "FOLDER/decoder.onnx", "FOLDER/tokens.txt"
)
stream = recogniser.create_stream()
samples, rate = soundfile.read("recording.wav", dtype="float32")  # at most 30 s
stream.accept_waveform(rate, samples)
recogniser.decode_stream(stream)
print(stream.result.text)
```
The language is inside: none needs to be named. `sha256sum -c SHA256SUMS` checks that no byte was changed.""",
)


@dataclass(frozen=True)
class SplitFacts:
    """The size of one part of the data."""

    clips: int
    seconds: float  # of audio
    speakers: int  # 0 where unknown


def model_card(
    manifest: Mapping[str, Any],
    data: Mapping[str, SplitFacts],
    licence: str,
    symbols: int,
    kind: Kind = PACK,
    notes: str = "",
    ngrams: int = 0,
) -> str:
    """Markdown with the hub's header; `manifest` as in the pack; notes: its maker's own words; ngrams: of a language
    model, if there is one.
    """
    scores = manifest["scores"]
    body = _BODY.format(
        name=manifest["name"],
        about=_about(manifest, symbols, kind, ngrams),
        use=kind.use,
        data="\n".join(_data_line(split, facts) for split, facts in data.items()) or "Not stated.",
        scores="\n".join(_score_line(split, rates) for split, rates in scores.items()) or "Not measured.",
        advice=_ADVICE[rival(scores)].format(run=scores.get("dev", {}).get("guesser", {}).get("run")),
    )
    own = f"\n## Notes of its maker\n{notes.strip()}\n" if notes.strip() else ""
    return _header(manifest, licence, kind) + "\n" + body + _rights(manifest.get("rights", {})) + own


def _rights(stated: Mapping[str, Any]) -> str:
    """What the community and its speakers allow, where anything was stated."""
    lines = [f"- community: {stated['community']}"] if stated.get("community") else []
    lines += [f"- {name}: {stated[name]}" for name in ("licence", "consent") if stated.get(name)]
    lines += [f"- Local Contexts labels: {', '.join(stated['labels'])}"] if stated.get("labels") else []
    lines += [f"- {use}: {answer}" for use, answer in stated.get("uses", {}).items() if answer]
    if agreed := stated.get("speakers_agreed"):
        lines += [f"- speakers who agreed to {use}: {count} of {stated['speakers']}" for use, count in agreed.items()]
    return "\n## Rights\n" + "\n".join(lines) + "\n" if lines else ""


def _header(manifest: Mapping[str, Any], licence: str, kind: Kind) -> str:
    results = [
        _RESULT.format(
            language=manifest["language"],
            split=split,
            cer=round(100 * rates["cer"], 2),
            wer=round(100 * rates["wer"], 2),
        )
        for split, rates in manifest["scores"].items()
    ]
    values = {"base_model": manifest["backbone"], "licence": licence}
    values |= {key: manifest[key] for key in ("language", "name")}
    quoted = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    return _HEADER.format(relation=kind.relation, results="".join(results) or " []", **quoted)


def _about(manifest: Mapping[str, Any], symbols: int, kind: Kind, ngrams: int) -> str:
    about = kind.about.format(
        backbone=manifest["backbone"],
        backbone_sha256=manifest["backbone_sha256"],
        language=manifest["language"],
        tensors=len(manifest["tensors"]),
        parameters=sum(math.prod(tensor["shape"]) for tensor in manifest["tensors"].values()),
        method=manifest["method"].get("method", "unknown"),
        symbols=symbols,
        normalisation=manifest["normalisation"],
    )
    return about + (_LANGUAGE_MODEL.format(ngrams=ngrams, order=ORDER) if ngrams else "")


def _data_line(split: str, facts: SplitFacts) -> str:
    speakers = f"{facts.speakers} speakers" if facts.speakers else "speakers not stated"
    return f"- {split}: {facts.clips} clips, {facts.seconds / 60:.1f} minutes, {speakers}"


def _score_line(split: str, rates: Mapping[str, Any]) -> str:
    line = f"- {split}: CER {_rate(rates, 'cer')}, WER {_rate(rates, 'wer')}"
    if baseline := rates.get("baseline"):
        line += f" (before adaptation: CER {baseline['cer']:.1%}, WER {baseline['wer']:.1%})"
    if conditions := rates.get("conditions"):
        line += f"; {conditions['clips']} clips, {conditions['seconds']:.0f} s"
        line += f", {conditions['speakers']} speakers" if conditions["speakers"] else ""
    return line + (f"; normalisation {rates['normalisation']}" if "normalisation" in rates else "")


def _rate(rates: Mapping[str, Any], name: str) -> str:
    interval = rates.get(f"{name}_interval")
    return f"{rates[name]:.1%}" + (f" (95% interval {interval[0]:.1%} to {interval[1]:.1%})" if interval else "")
