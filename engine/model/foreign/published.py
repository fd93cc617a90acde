"""OpenAI's Whispers by name (`whisper-small`), fetched only when asked: resumed where it broke off, and checked.

They come from the Hugging Face hub as CTranslate2's float16 weights, half the size of the float32 ones there, at pinned
revisions. huggingface_hub begins a file anew in every process, so files are fetched here; HF_ENDPOINT names a mirror.
"""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...contract.errors import BackboneError, UsageError, os_sentence
from ...contract.files import sha256_file
from ..backbone import home

WEIGHTS = "model.bin"
FILES = ("config.json", "tokenizer.json", WEIGHTS)  # the small ones first, so that a wrong address costs little
MOST_BYTES = 8 << 30  # of one file
CHUNK_BYTES = 1 << 20
SILENCE_SECONDS = 30  # after which a connection counts as broken

Report = Callable[[int, int], None]  # bytes of the weights that are here, and of all


@dataclass(frozen=True)
class Published:
    """Where a model lies. MIT, as OpenAI's weights are."""

    repository: str
    revision: str
    sha256: str | None  # of its weights; None where only the revision vouches for them


# The hashes are those that several public projects pin for these revisions; base's was computed from its bytes as well.
PUBLISHED = {
    "whisper-tiny": Published(
        "Systran/faster-whisper-tiny",
        "d90ca5fe260221311c53c58e660288d3deb8d356",
        "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1",
    ),
    "whisper-base": Published(
        "Systran/faster-whisper-base",
        "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
    "whisper-small": Published(
        "Systran/faster-whisper-small",
        "536b0662742c02347bc0e980a01041f333bce120",
        "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671",
    ),
    "whisper-medium": Published(
        "Systran/faster-whisper-medium",
        "08e178d48790749d25932bbc082711ddcfdfbc4f",
        "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae",
    ),
    "whisper-large-v2": Published("Systran/faster-whisper-large-v2", "f0fe81560cb8b68660e564f55dd99207059c092e", None),
    "whisper-large-v3": Published(
        "Systran/faster-whisper-large-v3",
        "edaa852ec7e145841d8ffdb056a99866b5f0a478",
        "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1",
    ),
    "whisper-large-v3-turbo": Published(
        "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        "0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf",
        "e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da",
    ),
}


def published_name(name: str) -> str:
    """The full name of a published Whisper: small, whisper-small or openai/whisper-small. Raises UsageError."""
    name = name.removeprefix("openai/")
    name = name if name.startswith("whisper-") else f"whisper-{name}"
    if name not in PUBLISHED:
        raise UsageError(f"There is no published {name!r:.60}: choose one of {', '.join(PUBLISHED)}.")
    return name


def fetch_published(name: str, report: Report) -> Path:
    """A folder that `read_foreign` reads, among Lect's own downloads: whoever has added it removes it.

    Raises UsageError for an unknown name, BackboneError where it cannot be fetched or is another file.
    """
    name = published_name(name)
    published = PUBLISHED[name]
    folder = home() / "downloads" / f"{name}-{published.revision[:8]}"
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    address = f"{endpoint.rstrip('/')}/{published.repository}/resolve/{published.revision}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            if not (folder / file).is_file():
                _fetch(f"{address}/{file}", folder / file, report if file == WEIGHTS else _silent)
    except urllib.error.HTTPError as error:
        raise BackboneError(f"The hub did not give {name} (it answered {error.code}): try again later.") from error
    except (http.client.HTTPException, TimeoutError, ConnectionError, urllib.error.URLError, ValueError) as error:
        raise BackboneError(
            f"{name} cannot be fetched: check the connection and do it again, what has arrived is kept."
        ) from error
    except OSError as error:
        raise BackboneError(os_sentence(error)) from error
    if published.sha256 is not None and sha256_file(folder / WEIGHTS) != published.sha256:
        (folder / WEIGHTS).unlink()  # else it would count as fetched
        raise BackboneError(f"What arrived as {name} is not the published file: it was deleted, get it again.")
    return folder


def _fetch(address: str, target: Path, report: Report) -> None:
    """Writes a file that is either whole or absent; what has arrived of it lies beside it, and is gone on from."""
    part = target.with_name(f"{target.name}.part")
    here = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={here}-"} if here else {})
    with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            here = 0
        whole = here + int(answer.headers["Content-Length"] or 0)
        if whole > MOST_BYTES:
            raise ValueError("larger than any Whisper")
        with part.open("ab" if here else "wb") as file:
            while chunk := answer.read(CHUNK_BYTES):
                file.write(chunk)
                here += len(chunk)
                report(here, whole)
    if here != whole:
        raise ConnectionError("it ended early")
    part.replace(target)


def _silent(here: int, whole: int) -> None:
    """Small files are not worth a progress bar."""
