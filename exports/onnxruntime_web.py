"""ONNX Runtime for browsers: the three files of one known version, checked by their hashes.

Too large to ship with Lect. They come from the npm package, as a person has fetched it, and are kept for later exports.
"""

import hashlib
import tarfile
from pathlib import Path

from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import write_bytes
from lect.engine.model.backbone import home

VERSION = "1.30.0"
# Of the build without WebGPU, which is a third of the size of the one with it.
SHA256 = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
FETCHING = f"run `npm pack onnxruntime-web@{VERSION}`, and name the file that it writes with --onnxruntime-web"
MOST_BYTES = 64 << 20  # of one file, which a stranger's archive may state to be endless


def onnxruntime_web(source: Path | None = None) -> dict[str, bytes]:
    """The files by name, from a folder or an npm package (.tgz), else from where they were kept.

    Raises UsageError when they are not there, or are those of another version.
    """
    kept = home() / f"onnxruntime-web-{VERSION}"
    place = source or kept
    if not place.exists():
        raise UsageError(f"A page needs ONNX Runtime Web {VERSION}, once: {FETCHING}.")
    files = _of_folder(place) if place.is_dir() else _of_archive(place)
    if wrong := [name for name, digest in SHA256.items() if hashlib.sha256(files.get(name, b"")).hexdigest() != digest]:
        raise UsageError(f"{place} does not hold ONNX Runtime Web {VERSION} ({', '.join(wrong)}): {FETCHING}.")
    if source is not None:
        for name, data in files.items():
            write_bytes(kept / name, data)
    return files


def _of_folder(folder: Path) -> dict[str, bytes]:
    """From the package unpacked, its `dist`, or any folder with the files side by side."""
    places = (folder, folder / "dist", folder / "package" / "dist")
    found = {name: next((p / name for p in places if (p / name).is_file()), None) for name in SHA256}
    return {name: path.read_bytes() for name, path in found.items() if path is not None}


def _of_archive(path: Path) -> dict[str, bytes]:
    files = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                if folder == "package/dist" and name in SHA256 and member.isfile() and member.size <= MOST_BYTES:
                    stream = archive.extractfile(member)
                    assert stream is not None
                    files[name] = stream.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UsageError(f"{path} is no npm package: {FETCHING}.") from error
    return files
