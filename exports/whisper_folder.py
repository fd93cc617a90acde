"""A Whisper run as a folder in Hugging Face's layout with optimum's graphs: onnx-asr, among others, opens it.

It is a gate like every export: the graphs must give what PyTorch gives, to the token, on `clips`. The folder knows
nothing of Lect's search: whoever opens it writes greedily, one window of 30 s at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lect.engine.audio.batches import padded
from lect.engine.audio.reading import SAMPLE_RATE, Samples
from lect.engine.contract.errors import UsageError
from lect.engine.model.frontend import MelFrontend
from lect.engine.model.handles import Handles
from lect.engine.model.network import EncoderDecoder
from lect.engine.text.byte_pairs import lettered
from lect.engine.text.vocabulary import BOS, CONTROL, EOS, PAD, UNK, WORD_START, Vocabulary

from .backbone_graphs import save_graph
from .export_folders import whole_folder
from .graph_files import DECODER, ENCODER
from .graphs import Constants
from .model_card import WHISPER, model_card
from .onnx_sessions import Session, open_session
from .pack import CARD, MANIFEST, PackContents, describe, dumped
from .parity import TOLERANCE, ParityError, own_vocabulary, relative_error
from .whisper_graphs import FEATURE_FRAMES, whisper_decoder, whisper_encoder

WINDOW_SAMPLES = FEATURE_FRAMES * SAMPLE_RATE // 100
NAMES = {BOS: "<|startoftranscript|>", EOS: "<|endoftext|>", PAD: "<|nospeech|>", UNK: "<|startoflm|>"}
STEPS = 6  # of the decoder that the gate compares

# Features of a window -> the tokens so far (1, length) and the next one's logits (vocabulary,), step by step, greedily.
Steps = Callable[[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]


def write_whisper_folder(
    folder: Path, contents: PackContents, model: EncoderDecoder, waveforms: Sequence[Samples]
) -> float:
    """Writes the folder atomically; returns the largest relative error, which is below TOLERANCE.

    contents, model: as for `write_portable`. waveforms: clips of at most 30 s. Raises UsageError for a backbone of
    another family, ParityError when the graphs differ.
    """
    check_whisper(model, contents.vocabulary)
    constants = {
        name: torch.from_numpy(tensor).float()
        for name, tensor in (own_vocabulary(model) | dict(contents.tensors)).items()
    }
    with whole_folder(folder, MANIFEST) as made:
        save_graph(whisper_encoder(model, constants), made / ENCODER, {})
        save_graph(whisper_decoder(model, constants, contents.vocabulary), made / DECODER, {})
        worst = difference(model, constants, waveforms, _steps(made, contents.vocabulary))
        manifest = describe(contents) | {"parity": {"difference": worst, "tolerance": TOLERANCE}}
        for name, data in _files(contents, model, manifest).items():
            (made / name).write_bytes(data)
    return worst


def check_whisper(model: EncoderDecoder, vocabulary: Vocabulary) -> None:
    """Raises UsageError unless the layout can hold the model."""
    window = model.encoder.window_samples
    if model.config.mel_normalisation != "range" or window != WINDOW_SAMPLES or len(vocabulary.start) != 4:
        raise UsageError(
            "This layout is for multilingual Whisper backbones with windows of 30 s: use plain --portable."
        )


def token_names(vocabulary: Vocabulary) -> dict[str, int]:
    """Every token as this layout writes it, in letters that stand for bytes, by our ids."""
    names = dict[str, int]()
    for index, token in enumerate(vocabulary.tokens):
        if index in NAMES:
            name = NAMES[index]
        elif vocabulary.kind == "bytes" or CONTROL.fullmatch(token):
            name = token
        else:
            name = lettered(token.replace(WORD_START, " ") if vocabulary.kind == "unigram" else token)
        names[name] = index
    return names


def _files(contents: PackContents, model: EncoderDecoder, manifest: dict[str, Any]) -> dict[str, bytes]:
    names, config = token_names(contents.vocabulary), model.config
    special = {name: index for name, index in names.items() if CONTROL.fullmatch(name) or index in NAMES}
    sizes = {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "vocab_size": len(contents.vocabulary),
        "num_mel_bins": config.mels,
        "d_model": config.dim,
        "encoder_layers": config.encoder_layers,
        "decoder_layers": config.decoder_layers,
        "encoder_attention_heads": config.heads,
        "decoder_attention_heads": config.heads,
        "encoder_ffn_dim": config.ffn_dim,
        "decoder_ffn_dim": config.ffn_dim,
        "max_source_positions": FEATURE_FRAMES // 2,
        "max_target_positions": config.decoder_positions,
        "decoder_start_token_id": BOS,
        "bos_token_id": EOS,
        "eos_token_id": EOS,
        "pad_token_id": EOS,
    }
    return {
        "config.json": dumped(sizes),
        "vocab.json": dumped({name: index for name, index in names.items() if name not in special}),
        "added_tokens.json": dumped(special),
        MANIFEST: dumped(manifest),
        CARD: model_card(manifest, contents.data, contents.licence, len(contents.vocabulary), WHISPER).encode(),
    }


@torch.no_grad()
def difference(model: EncoderDecoder, constants: Constants, waveforms: Sequence[Samples], steps: Steps) -> float:
    """The largest relative error of logits over some greedy steps. Raises ParityError."""
    handles, worst = Handles.from_tensors(constants), 0.0
    for waveform in waveforms[:STEPS]:
        audio, lengths = map(torch.from_numpy, padded([waveform[:WINDOW_SAMPLES]]))
        expected = model.encoder(model.encoder.embed(audio, lengths), handles)
        for written, logits in steps(features(model, waveform)):
            of_torch = model.teacher_forcing(expected, torch.from_numpy(written), handles)[0, -1].numpy()
            allowed = logits > -1e8
            worst = max(worst, relative_error(logits[allowed], of_torch[allowed]))
    if not worst < TOLERANCE:
        raise ParityError(f"The graphs differ from PyTorch by {worst:.1e}: nothing was exported; please report it.")
    return worst


def _steps(folder: Path, vocabulary: Vocabulary) -> Steps:
    encoder, decoder = (open_session(folder / name, cuda=False, threads=None) for name in (ENCODER, DECODER))

    def steps(heard: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        (states,) = encoder.run(["last_hidden_state"], {"input_features": heard})
        return _greedy_steps(decoder, np.array([vocabulary.start]), states)

    return steps


def _greedy_steps(decoder: Session, tokens: np.ndarray, states: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    cache = _empty(decoder)
    for _ in range(STEPS):
        began = any(rows.shape[0] for rows in cache.values())
        feeds = {"input_ids": tokens[:, -1:] if began else tokens, "encoder_hidden_states": states, **cache}
        logits, *grown = decoder.run(None, feeds | {"use_cache_branch": np.array([began])})
        cache = {n: new if new.shape[0] else old for (n, old), new in zip(cache.items(), grown, strict=True)}
        yield tokens, logits[0, -1]
        tokens = np.concatenate([tokens, logits[:, -1:].argmax(-1)], axis=1)


def features(model: EncoderDecoder, waveform: Samples) -> np.ndarray:
    """(1, mels, frames) of a window, as such programs compute them."""
    assert isinstance(model.encoder.frontend, MelFrontend)
    window = np.zeros((1, WINDOW_SAMPLES), np.float32)
    window[0, : len(waveform)] = waveform[:WINDOW_SAMPLES]
    frames = model.encoder.frontend.log_mel(torch.from_numpy(window), torch.tensor([WINDOW_SAMPLES]))
    features: np.ndarray = frames.values.transpose(1, 2).numpy()
    return features


def _empty(decoder: Session) -> dict[str, np.ndarray]:
    ports = [port for port in decoder.get_inputs() if port.name.startswith("past_key_values.")]
    return {port.name: np.zeros((0, port.shape[1], 0, port.shape[3]), np.float32) for port in ports}
