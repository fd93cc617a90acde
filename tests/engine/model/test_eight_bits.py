"""Weights in 8 bits: what is read back is near what was stored, row by row, and every reader reads the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numbers
from safetensors.numpy import load_file

from lect.engine.contract.errors import BackboneError
from lect.engine.model.backbone import open_backbone
from lect.engine.model.eight_bits import LARGEST, quantised, restored, scale_name
from lect.engine.model.handles import NO_HANDLES
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_model, load_shared_prompt, save_backbone, save_tensors
from tests.conftest import PHONES, TINY

MATRICES = numbers.arrays(
    np.float32, numbers.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-1e6, 1e6, width=32)
)


@given(MATRICES)
def test_no_number_is_off_by_more_than_half_a_step(matrix: np.ndarray) -> None:
    integers, scales = quantised(matrix)
    assert integers.dtype == np.int8 and integers.shape == matrix.shape[::-1]
    assert np.abs(integers.astype(int)).max(initial=0) <= LARGEST
    back = restored({"w": integers, scale_name("w"): scales})["w"]
    assert (np.abs(back - matrix) <= 0.5001 * scales[:, None] + 1e-12).all()


@torch.no_grad()
def test_a_backbone_in_8_bits_is_smaller_and_nearly_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = EncoderDecoder(TINY).eval()
    prompt = {"encoder.0.prompt.key": torch.randn(4, TINY.dim)}
    sizes = {}
    for bits in (8, 16):
        folder = tmp_path / str(bits)
        save_backbone(folder, "b", model, PHONES, languages=(), licence="CC0-1.0", shared_prompt=prompt, bits=bits)
        sizes[bits] = (folder / "model.safetensors").stat().st_size
    loaded = load_model(open_backbone(str(tmp_path / "8")))
    audio, lengths = torch.randn(1, 8000), torch.tensor([8000])
    encoded = [each.encoder(each.encoder.embed(audio, lengths), NO_HANDLES).values for each in (model, loaded)]
    assert 0 < float((encoded[0] - encoded[1]).abs().max()) < 0.05 * float(encoded[0].abs().max())
    assert sizes[8] < 0.75 * sizes[16]  # tiny matrices beside many names
    kept = load_shared_prompt(open_backbone(str(tmp_path / "8")))["encoder.0.prompt.key"]
    torch.testing.assert_close(kept, prompt["encoder.0.prompt.key"], atol=0.03, rtol=0)
    stored = load_file(tmp_path / "8" / "model.safetensors")
    assert stored["decoder.embedding"].dtype == np.int8 and stored["encoder.norm.weight"].dtype == np.float16


def test_integers_without_scales_are_refused(tmp_path: Path) -> None:
    save_backbone(tmp_path / "b", "b", EncoderDecoder(TINY), PHONES, languages=(), licence="CC0-1.0", bits=8)
    weights = tmp_path / "b" / "model.safetensors"
    tensors = {name: torch.from_numpy(array) for name, array in load_file(weights).items()}
    del tensors[scale_name("decoder.embedding")]
    save_tensors(weights, tensors)
    with pytest.raises(BackboneError, match="cannot be read: install it again"):
        load_model(open_backbone(str(tmp_path / "b")))
