"""What a runtime runs, from files: a pack with its backbone, a bundle, a portable export, or a bare backbone.

It does not transcribe. No torch here.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.builds import BUILDS
from lect.engine.contract.errors import BackboneError, PackError, TextError, UsageError
from lect.engine.contract.files import read_json
from lect.engine.contract.run_request import WHISPER
from lect.engine.contract.tensor_names import EMBEDDING, OWN_VOCABULARY
from lect.engine.decoding.language_model import LanguageModel
from lect.engine.decoding.search import DecodeOptions
from lect.engine.model.backbone import Backbone, backbone_folders, open_backbone
from lect.engine.model.eight_bits import described, restored
from lect.engine.text.rules import TextRules
from lect.engine.text.vocabulary import Vocabulary

from .graph_files import ENCODER, GraphFiles, graph_files
from .onnx_network import BACKBONE_SHA256, Adapted, Network
from .pack import LANGUAGE_MODEL, MANIFEST, RULES, VOCABULARY, Pack, check_fits, read_pack
from .pack_tensors import Tensor
from .recognition import OnnxRecogniser
from .whisper_decoding import WhisperDecoding

MAX_WINDOW_SECONDS = 60.0  # more would only eat the memory of whoever opens the pack
BUNDLED_BACKBONE, BUNDLED_PACK = "backbone", "pack.lect"  # a bundle is a folder with these two


@dataclass(frozen=True)
class Opened:
    """A loaded network and what is plugged into it."""

    recogniser: OnnxRecogniser
    backbone: Backbone | None  # None: the network has its adaptation inside, and takes no packs
    language: str = ""  # as the pack states
    rules: TextRules = field(default_factory=lambda: TextRules("keep", "keep"))


@dataclass(frozen=True)
class Settings:
    """How graphs are run."""

    device: str = "auto"  # auto, cpu or cuda
    compute_type: str = "float32"  # or int8; a portable export has only its own
    threads: int | None = None  # None: as many as there are cores
    options: DecodeOptions = field(default_factory=DecodeOptions)

    def __post_init__(self) -> None:
        if self.compute_type not in BUILDS:
            raise UsageError(f"Compute type {self.compute_type!r} is not known: use float32 or int8.")


def open_source(source: Path | str | None, backbone: Path | str | None, settings: Settings) -> Opened:
    """What is in `source`; backbone: a pack's, where it is not to be found by its hash among the installed ones.

    Without a source the backbone itself, in its own vocabulary. Raises UsageError, PackError or BackboneError.
    """
    if source is None:
        return _open_bare(_writer_of_text(backbone), settings)
    path = Path(source)
    if is_portable(path):
        return _open_portable(path, settings)
    if (path / BUNDLED_PACK).is_file():
        path, backbone = path / BUNDLED_PACK, (path / BUNDLED_BACKBONE).resolve()
    if not path.is_file():
        return _open_bare(open_backbone(str(source)), settings)
    pack = read_pack(path)
    found = backbone_of(pack, backbone)
    check_fits(pack, found)
    return _plugged(found, _network(found, settings, own=EMBEDDING not in pack.tensors), settings.options, pack)


def with_pack(opened: Opened, source: Pack | Path | str) -> Opened:
    """The same loaded network with another pack. Raises PackError, or UsageError where it takes none."""
    backbone, recogniser = opened.backbone, opened.recogniser
    if backbone is None:
        raise UsageError("A portable export has its adaptation inside and takes no packs: open its backbone instead.")
    pack = source if isinstance(source, Pack) else read_pack(Path(source))
    check_fits(pack, backbone)
    return _plugged(backbone, recogniser.network, recogniser.options, pack)


def spelling(source: Path) -> tuple[Vocabulary, TextRules]:
    """The vocabulary and text rules of a pack, bundle, portable export or backbone's folder; no network is loaded.

    Raises PackError, BackboneError, or UsageError where there is none.
    """
    if is_portable(source):
        return _portable_vocabulary(source), _portable_rules(source)
    path = source / BUNDLED_PACK if (source / BUNDLED_PACK).is_file() else source
    if path.is_file():
        pack = read_pack(path)
        return pack.vocabulary, pack.rules
    return open_backbone(str(source)).vocabulary, TextRules("keep", "keep")


def is_portable(folder: Path) -> bool:
    """Whether a folder is a portable export: graphs with their own vocabulary beside them."""
    return (folder / VOCABULARY).is_file() and (folder / ENCODER).is_file()


def checked_graphs(backbone: Backbone, build: str) -> GraphFiles:
    """The backbone's graphs of a build. Raises BackboneError where it has none."""
    files = graph_files(backbone.folder, build)
    if not files.are_there:
        raise BackboneError(
            f"The backbone {backbone.name!r} has no graphs: run `lect export --backbone {backbone.name}`."
        )
    return files


def _plugged(backbone: Backbone, network: Network, options: DecodeOptions, pack: Pack) -> Opened:
    adapted = _with_method(network.adapt(_own_vocabulary(backbone, network) | pack.tensors), pack.manifest.method)
    # Hotwords are spelled in the former one's tokens.
    options = replace(options, hotwords=None, language_model=pack.language_model)
    recogniser = OnnxRecogniser(network, adapted, pack.vocabulary, options)
    return Opened(recogniser, backbone, pack.manifest.language, pack.rules)


def _open_bare(backbone: Backbone, settings: Settings) -> Opened:
    network = _network(backbone, settings, own=True)
    adapted, vocabulary = network.adapt(_own_vocabulary(backbone, network)), backbone.vocabulary
    whisper = WhisperDecoding() if vocabulary.kind == "bytes" and not backbone.config.ctc else None
    return Opened(OnnxRecogniser(network, adapted, vocabulary, settings.options, whisper), backbone)


def _network(backbone: Backbone, settings: Settings, own: bool) -> Network:
    files = checked_graphs(backbone, settings.compute_type)
    network = Network.open(files, settings.device, settings.threads, own=own)
    if network.facts.get(BACKBONE_SHA256) != backbone.sha256:
        raise BackboneError(f"The graphs of backbone {backbone.name!r} were made of other weights: export it again.")
    return network


def _writer_of_text(name: Path | str | None) -> Backbone:
    """The backbone of this name, else the Whisper, for transcribing without a pack."""
    backbone = open_backbone(str(name or WHISPER))
    if backbone.vocabulary.kind == "phone":
        raise UsageError(f"The backbone {backbone.name!r} writes phones, not text: use --phones, or name a pack.")
    return backbone


def _open_portable(folder: Path, settings: Settings) -> Opened:
    options = replace(settings.options, language_model=_portable_language_model(folder))
    network, manifest = Network.open(graph_files(folder), settings.device, settings.threads), _portable_manifest(folder)
    adapted = _with_method(network.adapt({}), manifest.get("method"))
    recogniser = OnnxRecogniser(network, adapted, _portable_vocabulary(folder), options)
    return Opened(recogniser, None, str(manifest.get("language", "")), _portable_rules(folder))


def backbone_of(pack: Pack, given: Path | str | None) -> Backbone:
    """The backbone that was named; else the installed one with the hash that the pack names, and with graphs if any."""
    wanted = pack.manifest.backbone_sha256
    if given is not None:
        return open_backbone(str(given))
    installed = [backbone for backbone in map(_intact, backbone_folders()) if backbone and backbone.sha256 == wanted]
    if installed:
        return min(installed, key=lambda backbone: not graph_files(backbone.folder).are_there)
    raise PackError(
        f"The pack {pack.manifest.name!r} needs the backbone {pack.manifest.backbone!r} ({wanted[:12]}), which is not "
        "installed here: install it, or ask for a bundle."
    )


def _intact(folder: Path) -> Backbone | None:
    try:
        return open_backbone(str(folder))
    except BackboneError:
        return None  # a damaged one must not keep the others from being found


def own_vocabulary(backbone: Backbone) -> dict[str, Tensor]:
    """A backbone's own matrices as an adaptation's, in float32. Raises BackboneError."""
    try:
        with safe_open(backbone.weights, framework="numpy") as file:
            own = set(OWN_VOCABULARY.values())
            stored = {name: file.get_tensor(name) for name in file.keys() if described(name) in own}
            found = restored(stored)
            return {name: found[own] for name, own in OWN_VOCABULARY.items() if own in found}
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise BackboneError(f"The weights of backbone {backbone.name!r} cannot be read: install it again.") from error


def _own_vocabulary(backbone: Backbone, network: Network) -> dict[str, Tensor]:
    """What a network without an own decoder is fed, where nothing else is."""
    return {} if network.has_own_decoder else own_vocabulary(backbone)


def _portable_vocabulary(folder: Path) -> Vocabulary:
    try:
        return Vocabulary.from_json(read_json(folder / VOCABULARY))
    except (OSError, ValueError) as error:
        raise BackboneError(f"The vocabulary in {folder} cannot be read: export it again.") from error


def _portable_rules(folder: Path) -> TextRules:
    try:
        return TextRules.from_json(read_json(folder / RULES))
    except (OSError, ValueError, TextError) as error:
        raise BackboneError(f"The text rules in {folder} cannot be read: export it again.") from error


def _portable_language_model(folder: Path) -> LanguageModel | None:
    if not (path := folder / LANGUAGE_MODEL).is_file():
        return None
    try:
        return LanguageModel.from_bytes(path.read_bytes(), len(_portable_vocabulary(folder)))
    except (OSError, TextError) as error:
        raise BackboneError(f"The language model in {folder} cannot be read: export it again.") from error


def _portable_manifest(folder: Path) -> dict[str, Any]:
    try:
        return dict(read_json(folder / MANIFEST))
    except (OSError, ValueError, TypeError):
        return {}  # a folder without a manifest still transcribes


def _with_method(adapted: Adapted, method: Any) -> Adapted:
    """In the window that it was trained in, searched with the pack's weight of CTC: at 0 and at 1 one part is mute."""
    if not isinstance(method, dict):
        return adapted
    weight, window = method.get("ctc_weight"), method.get("window_seconds")
    share = weight if isinstance(weight, int | float) and 0 <= weight <= 1 else None
    seconds = window if isinstance(window, int | float) and 0 <= window <= MAX_WINDOW_SECONDS else None
    return replace(
        adapted,
        uses_ctc=adapted.uses_ctc and share != 0,
        ctc_weight=share,
        window_samples=adapted.window_samples if seconds is None else round(seconds * SAMPLE_RATE),
    )
