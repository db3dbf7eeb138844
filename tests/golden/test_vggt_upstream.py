"""VGGT beside a clone of the authors' code, on the same weights: ``pytest -m upstream``.

``git clone https://github.com/facebookresearch/vggt external/vggt``; the track head needs einops.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bench.models.vggt import VGGT
from tests.golden.reference import fill_state, uniform

CLONE = Path(__file__).parents[2] / "external" / "vggt"
#: Tracks amplify rounding; see ``test_tracker`` in test_vggt_golden.py.
TOLERANCES = {"track": 0.4, "vis": 0.05, "conf": 0.05}

pytestmark = [
    pytest.mark.upstream,
    pytest.mark.skipif(
        not CLONE.is_dir(), reason="there is no clone of the authors' code in external/vggt"
    ),
]


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """The authors' VGGT-1B with filled weights; 5 GB."""
    sys.path.insert(0, str(CLONE))
    try:
        model: nn.Module = importlib.import_module("vggt.models.vggt").VGGT()
    finally:
        sys.path.remove(str(CLONE))
    fill_state(model)
    return model.eval()


@pytest.fixture(scope="module")
def ours(theirs: nn.Module) -> VGGT:
    """Our VGGT-1B on the very same tensors."""
    with torch.device("meta"):
        model = VGGT(enable_point=True, enable_track=True)
    model.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    return model.eval()


@pytest.mark.parametrize("shape", [(2, 140, 154), (1, 182, 140), (10, 140, 140)])
def test_predictions(theirs: nn.Module, ours: VGGT, shape: tuple[int, int, int]) -> None:
    frames, height, width = shape
    images = uniform(1234, 1, frames, 3, height, width)
    queries = uniform(5678, 1, 3, 2) * torch.tensor([float(width), float(height)])
    with torch.inference_mode():
        expected: dict[str, Any] = theirs(images, queries)
        found = ours(images, queries)
    assert found.keys() == expected.keys()
    for name in found.keys() - {"pose_enc_list"}:
        limit = TOLERANCES.get(name, 2e-5)
        torch.testing.assert_close(found[name], expected[name], atol=limit, rtol=2e-5, msg=name)
    for mine, other in zip(found["pose_enc_list"], expected["pose_enc_list"], strict=True):
        torch.testing.assert_close(mine, other, atol=2e-5, rtol=2e-5)
