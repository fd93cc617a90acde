"""Whisper folders from the Hugging Face hub: the one place that opens a connection, and only when it is asked to."""

from pathlib import Path

from ...contract.errors import BackboneError, UsageError

WANTED = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "vocab.json",
    "added_tokens.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
    "model.bin",  # of CTranslate2
    "vocabulary.*",
    "weights.*",  # of MLX
)


def fetch(name: str) -> Path:
    """The folder of a model such as openai/whisper-small, in the hub's cache. Raises UsageError or BackboneError."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UsageError("Fetching needs the training extra: run pip install 'lect[train]'.") from error
    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED)))
    except Exception as error:  # of its own classes, of httpx's, or of the system
        raise BackboneError(
            f"{name} cannot be fetched from the hub ({type(error).__name__}): check its name and the connection."
        ) from error
