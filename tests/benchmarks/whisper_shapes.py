"""Whisper checkpoints in Hugging Face's layout with the published shapes, random weights, and texts of a fixed length.

The tokenizer has the published ids, but meaningless merges. After TOKENS tokens, the decoder's position embedding
makes it say the end, so that every program does the same work without being told to stop.
"""

import json
from pathlib import Path
from string import ascii_lowercase

import torch

from lect.engine.model import torchaudio_bridge  # noqa: F401  (before transformers, which imports torchaudio)

TOKENS = 40  # said of each clip: 10 s of dense speech
# Width, heads, layers of either stack.
SIZES = {"whisper-tiny": (384, 6, 4), "whisper-base": (512, 8, 6), "whisper-small": (768, 12, 12)}
END, START, LANGUAGES, ROWS = 50257, 50258, 99, 51865
PROMPT = 4  # start, language, task, no timestamps


def write_whisper(folder: Path, size: str) -> Path:
    """Writes a checkpoint that transformers, CTranslate2's converter and Lect read."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    dim, heads, layers = SIZES[size]
    torch.manual_seed(0)
    names = tokens()
    config = WhisperConfig(
        vocab_size=ROWS, d_model=dim, encoder_layers=layers, decoder_layers=layers, encoder_attention_heads=heads,
        decoder_attention_heads=heads, encoder_ffn_dim=4 * dim, decoder_ffn_dim=4 * dim, decoder_start_token_id=START,
        bos_token_id=END, eos_token_id=END, pad_token_id=END, begin_suppress_tokens=None, suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():
        decoder = model.model.decoder
        # Far louder than all that the layers add, and the direction of the end's own row.
        end = decoder.embed_tokens.weight[END].normal_(std=config.init_std)  # it is padding too, and so all zeros
        decoder.embed_positions.weight[PROMPT - 1 + TOKENS] = 1000 * end / end.norm()
    generation = model.generation_config
    generation._from_model_config = False  # or transformers makes it anew when it loads, without what follows
    generation.is_multilingual, generation.no_timestamps_token_id = True, names["<|notimestamps|>"]
    generation.lang_to_id = {name: index for name, index in names.items() if START < index <= START + LANGUAGES}
    generation.task_to_id = {task: names[f"<|{task}|>"] for task in ("translate", "transcribe")}
    generation.alignment_heads = [[layers - 1, 0]]
    generation.begin_suppress_tokens = generation.suppress_tokens = None
    model.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    _write_tokenizer(folder, names)
    return folder


def tokens() -> dict[str, int]:
    """Every token by its id, in the published order; the languages but English are made up."""
    from tokenizers.pre_tokenizers import ByteLevel

    plain = sorted(ByteLevel.alphabet())
    plain += [f"{first}{second}{third}" for first in plain for second in plain[:24] for third in plain[:9]]
    codes = ["en", *(first + second for first in ascii_lowercase for second in "bcdf")][:LANGUAGES]
    languages = [f"<|{code}|>" for code in codes]
    controls = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    names = [*plain[:END], "<|endoftext|>", "<|startoftranscript|>", *languages, *(f"<|{each}|>" for each in controls)]
    names += [f"<|{number * 0.02:.2f}|>" for number in range(ROWS - len(names))]
    return {name: index for index, name in enumerate(names)}


def _write_tokenizer(folder: Path, names: dict[str, int]) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    plain = {name: index for name, index in names.items() if index < END}
    added = {name: index for name, index in names.items() if index >= END}
    tokenizer = Tokenizer(models.BPE(plain, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in added])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", unk_token="<|endoftext|>")
    wrapped.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(plain), encoding="utf-8")
    (folder / "added_tokens.json").write_text(json.dumps(added), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
