"""Exact means over pairs of patches, in linear time, beside plain versions of the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import Tensor

from bench.geometry.correspondence import PairSums, lengths, normalize_, pair_sums
from bench.geometry.voxel_groups import VoxelGroups
from bench.geometry.voxels import DEAD_ZONE
from tests.perf.measure import time_ratio
from tests.perf.room import NUM_VIEWS, PATCHES, shared, tokens, without_dead_zone

DIM = 1024
#: Voxel index, or number, of a patch without a point.
NOWHERE = -(2**40)
#: Of views a and b: pairs of patches in one voxel, and pairs apart; bool [P, P].
Masks = Callable[[int, int], tuple[Tensor, Tensor]]


def linear_means(features: Sequence[Tensor], groups: VoxelGroups) -> PairSums:
    """As the score has them: read, normalise, sum."""
    rows = shared(features[0].device.type).patches.gather(features)
    return pair_sums(normalize_(rows, lengths(rows)), groups)


def read_and_normalize(features: Sequence[Tensor]) -> Tensor:
    rows = torch.cat([view.flatten(0, 1) for view in features]).float()
    return rows.div_(rows.norm(dim=-1, keepdim=True))


def pairwise_means(features: Sequence[Tensor], masks: Masks) -> list[float]:
    """Means in one voxel and apart: similarity and masks of one view pair after the other."""
    rows = read_and_normalize(features).view(NUM_VIEWS, PATCHES**2, -1)
    sums = torch.zeros(2, dtype=torch.float64, device=rows.device)
    counts = torch.zeros_like(sums)
    for a, b in combinations(range(NUM_VIEWS), 2):
        cosine = rows[a] @ rows[b].T
        for kind, mask in enumerate(masks(a, b)):
            sums[kind] += cosine[mask].sum(dtype=torch.float64)
            counts[kind] += mask.sum()
    means: list[float] = (sums / counts).tolist()
    return means


def by_index(device: str) -> Masks:
    """Same voxel, and more than the dead zone apart on some axis, as v1 has it."""
    patches = shared(device).patches
    index = torch.full((NUM_VIEWS, PATCHES**2, 3), NOWHERE, device=device)
    index[patches.view, patches.cell] = patches.index
    known = index[..., 0] != NOWHERE

    def masks(a: int, b: int) -> tuple[Tensor, Tensor]:
        valid = known[a][:, None] & known[b][None]
        apart = torch.zeros_like(valid, dtype=torch.long)
        for axis in range(3):
            steps = (index[a, :, None, axis] - index[b, None, :, axis]).abs()
            apart = torch.maximum(apart, steps)
        return (apart == 0) & valid, (apart > DEAD_ZONE) & valid

    return masks


def by_number(device: str) -> Masks:
    """Same voxel or not, as 3DFeatProbe has it: one number per voxel is enough."""
    patches = shared(device).patches
    number = torch.full((NUM_VIEWS, PATCHES**2), NOWHERE, device=device)
    number[patches.view, patches.cell] = torch.unique(patches.index, dim=0, return_inverse=True)[1]
    known = number != NOWHERE

    def masks(a: int, b: int) -> tuple[Tensor, Tensor]:
        valid = known[a][:, None] & known[b][None]
        same = (number[a][:, None] == number[b][None]) & valid
        return same, valid & ~same

    return masks


def against_pairwise(device: str) -> float:
    """How many times as fast, the dead zone of v1 in both."""
    return _times_as_fast(shared(device).groups, by_index(device), device)


def against_pairwise_without_dead_zone(device: str) -> float:
    """How many times as fast, no dead zone in either."""
    return _times_as_fast(without_dead_zone(device), by_number(device), device)


def _times_as_fast(groups: VoxelGroups, masks: Masks, device: str) -> float:
    features = tokens(DIM, device)
    return 1 / time_ratio(
        lambda: linear_means(features, groups),
        lambda: pairwise_means(features, masks),
        device,
        rounds=5,
    )


def against_reading(device: str) -> float:
    """With the dead zone, against reading and normalising the features once."""
    features, groups = tokens(DIM, device), shared(device).groups
    return time_ratio(
        lambda: linear_means(features, groups),
        lambda: read_and_normalize(features),
        device,
        rounds=60,
    )
