"""Whispers from the Hugging Face hub: the one place that opens a connection, and only when it is asked to.

Downloads go to the hub's own cache, where an interrupted one is resumed, with a progress bar on the terminal.
"""

import errno
from dataclasses import dataclass
from pathlib import Path

from lect.engine.contract.errors import BackboneError, LectError, UsageError, os_sentence
from lect.engine.contract.files import sha256_file

WEIGHTS = "model.bin"
CONVERTED = ("config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.*", WEIGHTS)
WANTED = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "vocab.json",
    "added_tokens.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
)


@dataclass(frozen=True)
class Published:
    """A conversion of OpenAI's weights to CTranslate2's float16, half the size of the hub's float32 ones. MIT."""

    repository: str
    revision: str
    sha256: str | None  # of its model.bin; None where only the revision vouches for it


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


def fetch(name: str) -> Path:
    """The folder of a model such as openai/whisper-small, in the hub's cache. Raises UsageError or BackboneError."""
    return _download(name, None, WANTED)


def fetch_published(name: str) -> Path:
    """The folder of a published Whisper (whisper-small), which is the one that it should be.

    Raises UsageError for an unknown name, BackboneError where it cannot be fetched or is another file.
    """
    name = name.removeprefix("openai/")
    name = name if name.startswith("whisper-") else f"whisper-{name}"
    if name not in PUBLISHED:
        raise UsageError(f"There is no published {name!r}: choose one of {', '.join(PUBLISHED)}.")
    published = PUBLISHED[name]
    folder = _download(published.repository, published.revision, CONVERTED)
    weights = folder / WEIGHTS
    if published.sha256 is not None and sha256_file(weights) != published.sha256:
        weights.resolve().unlink()  # else the hub would take it for done, and never fetch it again
        raise BackboneError(f"What arrived as {name} is not the published file: it was deleted, get it again.")
    return folder


def _download(repository: str, revision: str | None, wanted: tuple[str, ...]) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UsageError("Fetching needs the training extra: run pip install 'lect[train]'.") from error
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(wanted)))
    except Exception as error:  # of its own classes, of its client's, or of the system
        raise _failure(repository, error) from error


def _failure(repository: str, error: Exception) -> LectError:
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return UsageError(f"The hub has no model {repository!r}: check its name.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
        return BackboneError(os_sentence(error))
    return BackboneError(
        f"{repository} cannot be fetched from the hub ({type(error).__name__}): check the connection and do it again, "
        "what has arrived is kept."
    )
