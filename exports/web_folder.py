"""A backbone, and a pack of it, as a folder that transcribes in a browser: no server but one for files, no Python.

Graphs leave in 8 bits with their weights inside, each loaded only where a pack calls for it. The page itself lies in
`assets/web` and is copied as it is. It does not know how a browser runs it.
"""

import gzip
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.numpy

from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import ASSETS, sha256_file, write_bytes
from lect.engine.contract.tensor_names import EMBEDDING
from lect.engine.model.backbone import Backbone

from .export_folders import whole_folder
from .onnx_network import CTC_STRIDE, POSITIONS, WINDOW_SECONDS
from .onnxruntime_web import onnxruntime_web
from .opening import checked_graphs, own_vocabulary
from .pack import Pack, check_fits, read_pack
from .vad import SILERO

PAGE = ASSETS / "web"
LEFT_HERE = ("README.md", "onnxruntime.LICENSE")
CONTENTS = "contents.js"  # which files there are; it tells an earlier export
MODEL, RUNTIME, LICENCES = "model", "onnxruntime", "licences"
PACK = "pack.lect"
MOST_BYTES = 1_000_000_000  # of a model: browsers give a page 4 GB at most, and loading takes several copies


@dataclass(frozen=True)
class WebReport:
    """What was written."""

    bytes: int  # of all files
    first_load: int  # that a browser loads before the first text


def write_web(
    folder: Path, backbone: Backbone, pack: Path | None = None, onnxruntime: Path | None = None, build: str = "int8"
) -> WebReport:
    """Writes the folder atomically; onnxruntime: as `onnxruntime_web` takes it; build: float32 or int8.

    Raises UsageError, PackError or BackboneError.
    """
    opened = None if pack is None else read_pack(pack)
    if opened is not None:
        check_fits(opened, backbone)
    if backbone.weights.stat().st_size > MOST_BYTES:
        raise UsageError(f"The backbone {backbone.name!r} is too large for a browser: use a smaller Whisper.")
    runtime = onnxruntime_web(onnxruntime)
    with whole_folder(folder, CONTENTS) as made:
        shutil.copytree(PAGE, made, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*LEFT_HERE))
        for name, data in runtime.items():
            _write_runtime(made / RUNTIME / name, data)
        _write_model(made / MODEL, backbone, build)
        _copy_licences(made / LICENCES, backbone)
        if pack is not None:
            shutil.copyfile(pack, made / PACK)
        first = _first_load(made, opened)
        write_bytes(made / CONTENTS, _contents(made, first, opened))
        sizes = {path: path.stat().st_size for path in made.rglob("*") if path.is_file()}
        return WebReport(sum(sizes.values()), sum(size for path, size in sizes.items() if _counts(path, made, first)))


def _write_runtime(path: Path, data: bytes) -> None:
    # Few file hosts pack WebAssembly by themselves: a quarter of its bytes. The time of packing must not change them.
    is_wasm = path.suffix == ".wasm"
    write_bytes(
        path.with_name(f"{path.name}.gz") if is_wasm else path, gzip.compress(data, mtime=0) if is_wasm else data
    )


def _write_model(folder: Path, backbone: Backbone, build: str) -> None:
    graphs = checked_graphs(backbone, build)
    files = {"encoder": graphs.encoder, "decoder": graphs.decoder, "own_decoder": graphs.own_decoder, "vad": SILERO}
    folder.mkdir(parents=True)
    names = {}
    for name, path in files.items():
        if path.is_file():
            names[name] = f"{MODEL}/{name}.onnx"
            onnx.save(onnx.load(path), folder / f"{name}.onnx")
    if "own_decoder" not in names:
        names["own_vocabulary"] = f"{MODEL}/own_vocabulary.safetensors"
        own = {name: np.ascontiguousarray(tensor) for name, tensor in own_vocabulary(backbone).items()}
        write_bytes(folder / "own_vocabulary.safetensors", safetensors.numpy.save(own))
    write_bytes(folder / "model.json", _json(_facts(backbone, graphs.encoder) | {"files": names}))


def _facts(backbone: Backbone, encoder: Path) -> dict[str, Any]:
    """What the browser's runtime cannot read from graphs."""
    stated = {each.key: each.value for each in onnx.load(encoder, load_external_data=False).metadata_props}
    return {
        "name": backbone.name,
        "sha256": backbone.sha256,
        "ctc": backbone.config.ctc,
        "positions": int(stated.get(POSITIONS, 0)),
        "window_seconds": float(stated.get(WINDOW_SECONDS, 0)),
        "ctc_stride": int(stated.get(CTC_STRIDE, 1)),
        "vocabulary": backbone.vocabulary.to_json(),
    }


def _copy_licences(folder: Path, backbone: Backbone) -> None:
    texts = {
        "onnxruntime.txt": PAGE / "onnxruntime.LICENSE",
        "silero.txt": SILERO.parent / "LICENSE",
        "backbone.txt": backbone.folder / "LICENSE",
        "backbone.md": backbone.folder / "MODEL_CARD.md",
    }
    for name, path in texts.items():
        if path.is_file():
            write_bytes(folder / name, path.read_bytes())


def _first_load(folder: Path, pack: Pack | None) -> list[str]:
    """The files of the model, the runtime and the pack that the first text needs, of which the page shows a share."""
    files = json.loads((folder / MODEL / "model.json").read_text(encoding="utf-8"))["files"]
    unused = "decoder" if (pack is None or EMBEDDING not in pack.tensors) and "own_decoder" in files else "own_decoder"
    model = [path for name, path in files.items() if name != unused]
    runtime = [path.relative_to(folder).as_posix() for path in (folder / RUNTIME).glob("*.gz")]
    return [*runtime, f"{MODEL}/model.json", *model, *([] if pack is None else [PACK])]


def _counts(path: Path, folder: Path, first: list[str]) -> bool:
    name = path.relative_to(folder).as_posix()
    return name in first or not name.startswith((f"{MODEL}/", f"{LICENCES}/"))


def _contents(folder: Path, first: list[str], pack: Pack | None) -> bytes:
    """A script, so that the page and its service worker read the same list."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    files: dict[str, dict[str, Any]] = {
        name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)} for name, path in names.items()
    }
    value = {
        "pack": None if pack is None else PACK,
        "shell": [name for name in files if not name.startswith((f"{MODEL}/", f"{LICENCES}/", PACK))],
        "firstLoad": sum(names[name].stat().st_size for name in first),
        "files": files,
    }
    return b"self.LECT = " + _json(value).rstrip() + b";\n"


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()
