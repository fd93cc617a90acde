"""Packs: one `.lect` file with everything an adaptation needs beside its backbone, checked before anything is used.

Reading needs neither torch nor onnxruntime, executes nothing and trusts nothing: a pack may come from a stranger. The
same contents give the same bytes. It does not know how graphs are run.
"""

import importlib.metadata
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors.numpy

from lect.engine.contract.errors import PackError, TextError
from lect.engine.contract.files import write_bytes
from lect.engine.contract.tensor_names import CTC_WEIGHT, EMBEDDING
from lect.engine.contract.tensor_names import VOCABULARY as VOCABULARY_TENSORS
from lect.engine.decoding.language_model import LanguageModel
from lect.engine.model.backbone import Backbone
from lect.engine.text.rules import TextRules
from lect.engine.text.vocabulary import Vocabulary

from .model_card import PACK, Kind, SplitFacts, model_card
from .pack_archive import Archive, check_sums, opened, sums, zipped
from .pack_manifest import Manifest, manifest_of
from .pack_tensors import Tensor, Tensors, facts, halved, load, misfit, parameters

FORMAT_VERSION = 3  # 1 had no language model, 2 no rights; where none are stated, 2 is written still
MANIFEST = "manifest.json"
ADAPTER_CONFIG = "adapter_config.json"
TENSORS = "adapter_model.safetensors"
VOCABULARY = "vocabulary.json"
RULES = "text_rules.json"
SCORES = "eval_results.json"
PREDICTIONS = "predictions.tsv"
CARD = "README.md"
LANGUAGE_MODEL = "language_model.safetensors"  # not in every pack
SUMS = "SHA256SUMS"
FILES = (MANIFEST, ADAPTER_CONFIG, TENSORS, VOCABULARY, RULES, SCORES, PREDICTIONS, CARD, SUMS)

MAX_TENSORS_BYTES = 128 << 20  # 16 times what the largest prompts and vocabularies in use need
MAX_TEXT_BYTES = 32 << 20  # any other file
NO_PREDICTIONS = "id\treference\thypothesis\twer\tcer\n"


@dataclass(frozen=True)
class PackContents:
    """What goes into a pack."""

    name: str
    language: str  # BCP-47, or what the user calls it
    backbone: Backbone
    method: Mapping[str, Any]  # the adaptation's spec as JSON
    tensors: Tensors  # float32, by graph input name
    vocabulary: Vocabulary
    rules: TextRules
    language_model: LanguageModel | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)  # split -> `Scores.to_json(rows=False)`
    predictions: str = NO_PREDICTIONS  # as `write_predictions` writes them
    data: Mapping[str, SplitFacts] = field(default_factory=dict)  # split -> what it was made of
    licence: str = "other"
    notes: str = ""  # what its maker adds to the model card
    rights: Mapping[str, Any] = field(default_factory=dict)  # what community and speakers allow, see `consent.rights`


@dataclass(frozen=True)
class Pack:
    """An opened pack, checked."""

    manifest: Manifest
    tensors: dict[str, Tensor]
    vocabulary: Vocabulary
    rules: TextRules
    language_model: LanguageModel | None = None


@dataclass(frozen=True)
class VerifyReport:
    """What `verify_pack` found, all of it well."""

    manifest: Manifest
    bytes: int  # of the file
    files: int  # inside, each with the right checksum
    parameters: int  # in all tensors
    fits: bool  # whether it was also checked against a backbone
    language_model_weight: float  # 0: it has none


def write_pack(path: Path, contents: PackContents) -> None:
    """Writes a pack atomically, its tensors in half precision.

    Raises PackError when it could not be read again or does not fit its backbone.
    """
    data = zipped(_files(replace(contents, tensors=halved(contents.tensors))))
    check_fits(_read(io.BytesIO(data), len(data), path.name), contents.backbone)
    write_bytes(path, data)


def read_pack(path: Path) -> Pack:
    """Opens a pack. Raises PackError, with the reason, when it is damaged, hostile or newer than this program."""
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size, path.name)
    except OSError as error:
        raise PackError(f"The pack {path.name} cannot be read ({error.strerror}): check the path.") from error


def verify_pack(path: Path, backbone: Backbone | None = None) -> VerifyReport:
    """Checks all of a pack and, given a backbone, that it fits. Raises PackError as `read_pack` and `check_fits` do."""
    pack = read_pack(path)
    if backbone is not None:
        check_fits(pack, backbone)
    size, leaning = path.stat().st_size, pack.language_model
    files, weight = (len(FILES) + 1, leaning.weight) if leaning else (len(FILES), 0.0)
    return VerifyReport(pack.manifest, size, files, parameters(pack.tensors), backbone is not None, weight)


def check_fits(pack: Pack, backbone: Backbone) -> None:
    """Raises PackError unless the pack was made for exactly this backbone and has its shapes."""
    name, made_for = pack.manifest.name, pack.manifest.backbone_sha256
    if made_for != backbone.sha256:
        raise PackError(
            f"The pack {name!r} was made for the backbone {pack.manifest.backbone!r} ({made_for[:12]}), not for "
            f"{backbone.name!r} ({backbone.sha256[:12]}): install that backbone, or ask for a bundle."
        )
    if wrong := misfit(pack.tensors, backbone.config):
        raise PackError(f"The tensor {wrong} of the pack {name!r} does not fit its backbone: get the pack again.")
    if 0 < backbone.config.decoder_positions <= len(pack.vocabulary.start):
        raise PackError(f"The pack {name!r} starts with more tokens than its backbone reads: get the pack again.")
    needed = {EMBEDDING, *([CTC_WEIGHT] if backbone.config.ctc else [])}
    own = backbone.vocabulary
    if (pack.vocabulary.kind, pack.vocabulary.symbols) == (own.kind, own.symbols) and not needed & pack.tensors.keys():
        return  # it keeps the backbone's own
    if missing := needed - pack.tensors.keys():
        raise PackError(f"The pack {name!r} lacks a matrix of its vocabulary ({missing.pop()}): export it again.")


def dumped(value: Any) -> bytes:
    """JSON with sorted keys, so that equal values give equal bytes."""
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def describe(contents: PackContents) -> dict[str, Any]:
    """The manifest of a pack."""
    return {
        "format_version": FORMAT_VERSION if contents.rights else FORMAT_VERSION - 1,
        "name": contents.name,
        "language": contents.language,
        "backbone": contents.backbone.name,
        "backbone_sha256": contents.backbone.sha256,
        "method": dict(contents.method),
        "normalisation": contents.rules.name,
        "tensors": facts(contents.tensors),
        "scores": dict(contents.scores),
        "created_by": f"lect {_version()}",
        **({"rights": dict(contents.rights)} if contents.rights else {}),
    }


def _files(contents: PackContents) -> dict[str, bytes]:
    tensors = {name: np.ascontiguousarray(contents.tensors[name]) for name in sorted(contents.tensors)}
    manifest = describe(contents)
    card = card_of(contents, manifest)
    files = {
        MANIFEST: dumped(manifest),
        ADAPTER_CONFIG: dumped(_adapter_config(contents)),
        TENSORS: safetensors.numpy.save(tensors),
        VOCABULARY: dumped(contents.vocabulary.to_json()),
        RULES: dumped(contents.rules.to_json()),
        SCORES: dumped(dict(contents.scores)),
        PREDICTIONS: contents.predictions.encode(),
        CARD: card.encode(),
        **language_model_file(contents),
    }
    return files | {SUMS: sums(files)}


def card_of(contents: PackContents, manifest: Mapping[str, Any], kind: Kind = PACK) -> str:
    """The model card of an export."""
    ngrams = 0 if contents.language_model is None else len(contents.language_model.counts)
    symbols = len(contents.vocabulary)
    return model_card(manifest, contents.data, contents.licence, symbols, kind, contents.notes, ngrams)


def language_model_file(contents: PackContents) -> dict[str, bytes]:
    """The file of the language model, where there is one."""
    return {} if contents.language_model is None else {LANGUAGE_MODEL: contents.language_model.to_bytes()}


def _adapter_config(contents: PackContents) -> dict[str, Any]:
    """In PEFT's terms, for tools that look for them; what decides is the manifest."""
    config, method = contents.backbone.config, contents.method.get("method", "")
    return {
        "peft_type": {"prompt": "PREFIX_TUNING", "adapter": "BOTTLENECK"}.get(method, method.upper()),
        "task_type": "SEQ_2_SEQ_LM",
        "base_model_name_or_path": contents.backbone.name,
        "inference_mode": True,
        "num_virtual_tokens": contents.method.get("num_virtual_tokens"),
        "token_dim": config.dim,
        "num_attention_heads": config.heads,
        "num_layers": config.encoder_layers + config.decoder_layers,
    }


def _read(file: BinaryIO, size: int, name: str) -> Pack:
    with opened(file, size, MAX_TENSORS_BYTES + MAX_TEXT_BYTES, name) as archive:
        files = _unpacked(archive, name)
    check_sums({entry: data for entry, data in files.items() if entry != SUMS}, files[SUMS], name)
    manifest, tensors = manifest_of(_loaded(files, MANIFEST, name), name), load(files[TENSORS], name)
    if facts(tensors) != manifest.tensors:
        raise PackError(f"{name} holds other tensors than its manifest lists: get the pack again.")
    try:
        vocabulary = Vocabulary.from_json(_loaded(files, VOCABULARY, name))
        rules = TextRules.from_json(_loaded(files, RULES, name))
        stored = files.get(LANGUAGE_MODEL)
        language_model = None if stored is None else LanguageModel.from_bytes(stored, len(vocabulary))
        rules.apply(" ".join(old for old, _ in rules.replace))  # those that feed each other without end are refused
    except TextError as error:
        raise PackError(f"{name} cannot be used: {error}") from error
    if any(len(tensor) != len(vocabulary) for key, tensor in tensors.items() if key in VOCABULARY_TENSORS):
        raise PackError(f"{name} holds matrices for another vocabulary than its own: get the pack again.")
    return Pack(manifest, tensors, vocabulary, rules, language_model)


def _unpacked(archive: Archive, name: str) -> dict[str, bytes]:
    if MANIFEST not in archive.names:
        raise PackError(f"{name} is a zip file but no lect pack: it has no {MANIFEST}.")
    files = {MANIFEST: archive.read(MANIFEST, MAX_TEXT_BYTES)}
    version = _loaded(files, MANIFEST, name).get("format_version")
    # First of all: a newer format may have other files, and they would be no reason for alarm.
    if type(version) is not int or version > FORMAT_VERSION:
        raise PackError(f"{name} was made by a newer lect (format {version}): update lect to use it.")
    if missing := set(FILES) - archive.names:
        raise PackError(f"{name} lacks {', '.join(sorted(missing))}: copy or download the pack again.")
    if unknown := archive.names - {*FILES, LANGUAGE_MODEL}:
        raise PackError(f"{name} holds files that no pack has ({', '.join(sorted(unknown))}): do not use it.")
    for entry in (*FILES[1:-1], *archive.names & {LANGUAGE_MODEL}, SUMS):
        files[entry] = archive.read(entry, MAX_TENSORS_BYTES if entry == TENSORS else MAX_TEXT_BYTES)
    return files


def _loaded(files: Mapping[str, bytes], file: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(files[file])
    except (ValueError, RecursionError) as error:
        raise PackError(f"{name} has a {file} that cannot be read: get the pack again.") from error
    if not isinstance(value, dict):
        raise PackError(f"{name} has a {file} that cannot be understood: get the pack again.")
    return value


def _version() -> str:
    try:
        return importlib.metadata.version("lect")
    except importlib.metadata.PackageNotFoundError:
        return "from source"
