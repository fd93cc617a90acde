"""Whisper's tokens as Hugging Face's `tokenizer.json`: GPT-2's byte pairs with their merges, and control tokens."""

from collections.abc import Sequence

from lect.engine.model.foreign.whisper_tokens import TIMESTAMPS, ordinary_tokens
from lect.engine.text.byte_pairs import merges

from .generation import END


def tokenizer_json(tokens: Sequence[str]) -> str:
    """The file; tokens by row."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    ordinary = {token: row for row, token in enumerate(ordinary_tokens(tokens))}
    tokenizer = Tokenizer(models.BPE(vocab=ordinary, merges=merges(ordinary)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    times = set(TIMESTAMPS)
    # They get the ids that follow the ordinary ones'; times are text to such programs, which read them from it.
    tokenizer.add_tokens(
        [AddedToken(token, special=token not in times, normalized=False) for token in tokens[len(ordinary) :]]
    )
    return tokenizer.to_str()


def tokenizer_config(tokens: Sequence[str]) -> dict[str, object]:
    """What transformers reads beside it."""
    return {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "add_prefix_space": False,
        "model_max_length": 1024,
        "errors": "replace",
        **dict.fromkeys(("bos_token", "eos_token", "pad_token", "unk_token"), END),
    }
