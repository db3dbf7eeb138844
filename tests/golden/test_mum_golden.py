"""The MuM encoder against the numbers of its authors' implementation, and its state dict.

The rotary embedding rounds to bfloat16, so that two exact implementations differ by a few 1e-4 if
queries differ in their last bit. The tolerance is for features of unit standard deviation;
``x_prenorm`` has up to five.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bench.models.mum.encoder import MuMEncoder
from tests.golden.reference import fill_state, largest_difference, read_golden, read_keys

TOLERANCE = 5e-4


def check(model: MuMEncoder, batch: int, golden: dict[str, Any]) -> None:
    fill_state(model)
    images = np.random.RandomState(99).uniform(-2, 2, (batch, 3, 64, 96)).astype(np.float32)
    with torch.inference_mode():
        found = model.eval()(torch.from_numpy(images))
    assert found.keys() == golden.keys() - {"state"}
    for name, tensor in found.items():
        scale = max(1.0, golden[name]["std"])
        assert largest_difference(tensor, golden[name]) <= TOLERANCE * scale, name


def test_tiny_encoder() -> None:
    golden = read_golden("tiny")["mum_tiny"]
    model = MuMEncoder(embed_dim=192, depth=4, num_heads=3)
    assert len(model.state_dict()) == golden["state"]["n_tensors"]
    check(model, 2, golden)


def test_every_key_and_shape_of_the_published_weights() -> None:
    with torch.device("meta"):
        model = MuMEncoder()
    assert {k: list(v.shape) for k, v in model.state_dict().items()} == read_keys("mum")
    assert sum(p.numel() for p in model.parameters()) == 303_099_904


@pytest.mark.slow
def test_full_size() -> None:
    """MuM ViT-L/16; about a minute."""
    check(MuMEncoder(), 1, read_golden("full")["mum"])
