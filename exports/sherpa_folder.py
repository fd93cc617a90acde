"""A Whisper run as a folder that sherpa-onnx opens: two graphs and the bytes of each token.

It is a gate like every export: the graphs must give what PyTorch gives, to the token, on `clips`. What the run starts
with is fixed in the encoder's facts, as if it were a Whisper of one language.
"""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from lect.engine.audio.reading import Samples
from lect.engine.model.network import EncoderDecoder
from lect.engine.text.byte_pairs import unlettered
from lect.engine.text.vocabulary import BOS, CONTROL, EOS, PAD, Vocabulary

from .backbone_graphs import save_graph
from .export_folders import whole_folder
from .model_card import SHERPA, model_card
from .onnx_sessions import open_session
from .pack import CARD, MANIFEST, PackContents, describe, dumped
from .parity import TOLERANCE, own_vocabulary
from .sherpa_graphs import CROSS, OWN, PARTS, sherpa_decoder, sherpa_encoder
from .whisper_folder import NAMES, STEPS, Steps, check_whisper, difference, token_names

ENCODER, DECODER, TOKENS = "encoder.onnx", "decoder.onnx", "tokens.txt"


def write_sherpa_folder(
    folder: Path, contents: PackContents, model: EncoderDecoder, waveforms: Sequence[Samples]
) -> float:
    """Writes the folder atomically; arguments, result and errors as of `write_whisper_folder`."""
    vocabulary = contents.vocabulary
    check_whisper(model, vocabulary)
    constants = {
        name: torch.from_numpy(tensor).float()
        for name, tensor in (own_vocabulary(model) | dict(contents.tensors)).items()
    }
    with whole_folder(folder, MANIFEST) as made:
        save_graph(sherpa_encoder(model, constants), made / ENCODER, _facts(model, vocabulary))
        save_graph(sherpa_decoder(model, constants, vocabulary), made / DECODER, {})
        (made / TOKENS).write_bytes(_tokens(vocabulary))
        worst = difference(model, constants, waveforms, _steps(made, model, vocabulary))
        manifest = describe(contents) | {"parity": {"difference": worst, "tolerance": TOLERANCE}}
        card = model_card(manifest, contents.data, contents.licence, len(vocabulary), SHERPA)
        (made / MANIFEST).write_bytes(dumped(manifest))
        (made / CARD).write_bytes(card.encode())
    return worst


def _facts(model: EncoderDecoder, vocabulary: Vocabulary) -> dict[str, str]:
    """Those that sherpa-onnx asks for. A run names its language by its start, so there is nothing to choose from."""
    config, (*start, no_timestamps) = model.config, vocabulary.start
    facts = {
        "model_type": "whisper",
        "n_mels": config.mels,
        "n_text_layer": config.decoder_layers,
        "n_text_ctx": config.decoder_positions,
        "n_text_state": config.dim,
        "n_vocab": len(vocabulary),
        "sot": BOS,
        "eot": EOS,
        "no_speech": PAD,
        "sot_sequence": ",".join(map(str, start)),
        "no_timestamps": no_timestamps,
        "is_multilingual": 0,
        # Never read where there is one language, but asked for.
        **dict.fromkeys(("blank_id", "translate", "transcribe"), EOS),
    }
    return {name: str(value) for name, value in facts.items()}


def _tokens(vocabulary: Vocabulary) -> bytes:
    """A line for each token that is text: its bytes, in base64, and its number."""
    names = {name: index for name, index in token_names(vocabulary).items() if index not in NAMES}
    written = {index: unlettered(name) for name, index in names.items() if not CONTROL.fullmatch(name)}
    return b"".join(base64.b64encode(text) + b" %d\n" % index for index, text in written.items() if text)


def _steps(folder: Path, model: EncoderDecoder, vocabulary: Vocabulary) -> Steps:
    encoder, decoder = (open_session(folder / name, cuda=False, threads=None) for name in (ENCODER, DECODER))
    config = model.config
    empty = np.zeros((config.decoder_layers, 1, config.decoder_positions, config.dim), np.float32)

    def steps(heard: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        cross = dict(zip((f"{CROSS}_{part}" for part in PARTS), encoder.run(None, {"mel": heard}), strict=True))
        tokens, read, caches = np.array([vocabulary.start]), 0, [empty, empty]
        for _ in range(STEPS):
            own = {f"in_{OWN}_{part}_cache": cache for part, cache in zip(PARTS, caches, strict=True)}
            feeds = {"tokens": tokens[:, read:], "offset": np.array([read]), **own, **cross}
            logits, *caches = decoder.run(None, feeds)
            yield tokens, logits[0, -1]
            read = tokens.shape[1]
            tokens = np.concatenate([tokens, logits[:, -1:].argmax(-1)], axis=1)

    return steps
