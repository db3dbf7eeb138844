"""What is compared in time and memory computes the same numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bench.geometry.correspondence import pair_sums
from bench.geometry.nearest import nearest
from bench.geometry.voxel_groups import VoxelGroups
from tests.perf.room import shared, tokens, without_dead_zone
from tests.perf.vggt_memory import compare
from tests.perf.voxel_means import DIM, Masks, by_index, by_number, linear_means, pairwise_means

GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("groups", "masks"),
    [(lambda device: shared(device).groups, by_index), (without_dead_zone, by_number)],
    ids=["dead zone", "no dead zone"],
)
def test_voxel_means(
    groups: Callable[[str], VoxelGroups], masks: Callable[[str], Masks], device: str
) -> None:
    features, own = tokens(DIM, device), groups(device)
    sums = linear_means(features, own)
    ones = torch.ones(len(shared(device).patches), 1, dtype=torch.float64, device=device)
    count = pair_sums(ones, own)
    means = (sums.same / count.same, sums.far / count.far)
    assert means == pytest.approx(pairwise_means(features, masks(device)), abs=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_nearest(device: str) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(1369, 384, generator=generator).to(device) for _ in range(2))
    unit = torch.nn.functional.normalize
    cosine = unit(a.double()) @ unit(b.double()).T
    assert nearest(a, b).index.equal(cosine.argmax(1))


def test_vggt_predictions() -> None:
    _, lean, full = compare(scale=8, side=140)
    assert lean.keys() == full.keys()
    for name in lean.keys() - {"pose_enc_list"}:
        torch.testing.assert_close(lean[name], full[name], atol=1e-6, rtol=1e-6)
