"""Pseudo-labels for speech that nobody has transcribed, as Wav2Seq makes them (arXiv 2205.01086, section 3): frames are
clustered, repeats merged, and the clusters' sequences cut into the pieces of a byte-pair encoding.

The first round clusters log-mel frames, a later one the frames of an encoder that was trained on the round before, as
HuBERT does (arXiv 2106.07447). The result is one more part of a corpus: an index that points into the shards of the
others and says another thing about the same clips. It does not know how training uses it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from tokenizers import Tokenizer, models, trainers

from ..contract.errors import UsageError
from ..contract.files import atomic_path, sha256_file
from ..model.device import Device
from ..model.frontend import LogMel
from ..model.handles import NO_HANDLES
from ..model.network import EncoderDecoder
from .corpus import INDEX, Corpus, Utterance, write_index

UNITS = "units"  # their language and source, so that this task has other prompts than spelling has
FRAMES_PER_PIECE = 4  # log-mel frames averaged, 40 ms, the rate of the starter's encoder
MOST_FRAMES = 400_000  # that clustering looks at, whatever the corpus: 130 MB of log-mel
MOST_TEXTS = 20_000  # that the pieces are learnt from
FIRST_CLUSTER = 0x4E00  # any alphabet will do while pieces are learnt
FIRST_UNIT = 0xF0000  # a private character for each piece, so that units are text like phones

Waveform = np.ndarray
FrameSource = Callable[[Waveform], np.ndarray]  # (samples,) float32 at 16 kHz -> (frames, dim) float32


@dataclass(frozen=True)
class UnitSettings:
    """Wav2Seq's, scaled from its 960 hours to tens."""

    clusters: int = 100  # theirs: 500
    pieces: int = 1_000  # theirs: 30,000
    share: float = 0.1  # of the clips that are clustered
    seed: int = 0


def mel_frames(waveform: Waveform) -> np.ndarray:
    """(samples,) -> (frames, 80), 25 a second: what the first round clusters."""
    with torch.no_grad():
        frames = _LOG_MEL(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)])).values
    count = frames.shape[1] // FRAMES_PER_PIECE
    pooled: np.ndarray = frames[0, : count * FRAMES_PER_PIECE].unflatten(0, (count, -1)).mean(1).numpy()
    return pooled


def encoder_frames(model: EncoderDecoder, layer: int, device: Device) -> FrameSource:
    """What the bare encoder's layer number `layer` (from 1) gives: what a later round clusters.

    Raises UsageError where the encoder has no such layer.
    """
    if not 1 <= layer <= model.config.encoder_layers:
        raise UsageError(f"There is no layer {layer}: this encoder has 1 to {model.config.encoder_layers}.")
    model = model.eval().to(device.torch_device)

    @torch.no_grad()
    def frames(waveform: Waveform) -> np.ndarray:
        audio = torch.from_numpy(waveform)[None].to(device.torch_device)
        embedded = model.encoder.embed(audio, torch.tensor([len(waveform)], device=device.torch_device))
        values: np.ndarray = model.encoder(embedded, NO_HANDLES, 0, layer).values[0].float().cpu().numpy()
        return values

    return frames


def add_units(
    corpus: Corpus,
    frames: FrameSource,
    made_from: str,
    settings: UnitSettings,
    progress: Callable[[], None] = lambda: None,
) -> str:
    """Adds pseudo-labels of the corpus's clips as a part; returns its name, which is the hash of all it depends on.

    made_from: what `frames` is, such as a checkpoint's hash. What was finished before is not done again.
    """
    own = Corpus(corpus.folder, [part for part in corpus.parts if not part.startswith(UNITS)])
    indices = [sha256_file(own.folder / part / INDEX) for part in own.parts]
    described = json.dumps([indices, made_from, asdict(settings)])
    part = f"{UNITS}-{hashlib.sha256(described.encode()).hexdigest()[:12]}"
    folder = own.folder / part
    if not (folder / INDEX).exists():
        centroids = _centroids(own, frames, settings, folder / "centroids.npy")
        texts = []
        for utterance in own.utterances:
            texts.append(
                "".join(chr(FIRST_CLUSTER + unit) for unit in units_of(frames(own.waveform(utterance)), centroids))
            )
            progress()
        write_index(folder / INDEX, _relabelled(own.utterances, _in_pieces(texts, settings)))
    return part


def _centroids(corpus: Corpus, frames: FrameSource, settings: UnitSettings, path: Path) -> np.ndarray:
    """(clusters, dim), kept in a file so that a broken run need not cluster again."""
    if not path.exists():
        rng = np.random.default_rng(settings.seed)
        chosen = rng.permutation(len(corpus.utterances))[: max(50, int(settings.share * len(corpus.utterances)))]
        sample, count = [], 0
        for index in chosen:
            sample.append(frames(corpus.waveform(corpus.utterances[index])))
            count += len(sample[-1])
            if count >= MOST_FRAMES:
                break
        if count < settings.clusters:
            raise UsageError(f"There are {count} frames of speech for {settings.clusters} clusters: add recordings.")
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, clustered(np.concatenate(sample), settings.clusters, settings.seed), allow_pickle=False)
    kept: np.ndarray = np.load(path, allow_pickle=False)
    return kept


def clustered(frames: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """The centroids of k-means: (frames, dim) -> (clusters, dim) float32."""
    clustering = MiniBatchKMeans(clusters, random_state=seed, batch_size=10_000, n_init=3).fit(frames)
    centroids: np.ndarray = clustering.cluster_centers_.astype(np.float32)
    return centroids


def units_of(frames: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The nearest cluster of each frame, repeats merged: (frames, dim), (clusters, dim) -> (units,)."""
    nearest: np.ndarray = ((centroids**2).sum(1) - 2 * frames @ centroids.T).argmin(1)
    units: np.ndarray = nearest[np.diff(nearest, prepend=-1) != 0]
    return units


def _in_pieces(texts: list[str], settings: UnitSettings) -> Iterator[str]:
    """Each text with one private character for each piece of a byte-pair encoding learnt on them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.train_from_iterator(
        texts[:: -(-len(texts) // MOST_TEXTS)],
        trainers.BpeTrainer(
            vocab_size=settings.pieces,
            show_progress=False,
            initial_alphabet=[chr(FIRST_CLUSTER + cluster) for cluster in range(settings.clusters)],
        ),
    )
    for text in texts:
        yield "".join(chr(FIRST_UNIT + piece) for piece in tokenizer.encode(text).ids)


def _relabelled(utterances: list[Utterance], labels: Iterator[str]) -> Iterator[Utterance]:
    for utterance, label in zip(utterances, labels, strict=True):
        yield replace(utterance, label=label, language=UNITS, source=UNITS)


_LOG_MEL = LogMel(80)
