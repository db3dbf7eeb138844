"""Pairs of patches of different views: enumerated, sampled, and grouped by view pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from bench.geometry.voxels import DEAD_ZONE, VoxelPatches


@dataclass(frozen=True)
class ViewPairSlice:
    """Pairs `start` to `stop` of a list join patches of view a and of view b.

    rows_a, rows_b: where the patches of the two views lie among all patches.
    """

    start: int
    stop: int
    rows_a: tuple[int, int]
    rows_b: tuple[int, int]


@dataclass(frozen=True)
class PairList:
    """Pairs of patches, grouped by view pair so that one pair of views is visited at a time.

    first, second: int64 [M], rows of ``VoxelPatches``; first is in the earlier view.
    """

    first: Tensor
    second: Tensor
    slices: tuple[ViewPairSlice, ...]


def list_pairs(
    patches: VoxelPatches, pairs: Sequence[tuple[Tensor, Tensor]]
) -> tuple[PairList, list[Tensor]]:
    """Several sets of pairs as one list, and for each set the places of its pairs in the list.

    The two patches of a pair are of different views, in any order.
    """
    first = torch.cat([a for a, _ in pairs])
    second = torch.cat([b for _, b in pairs])
    # Patches are sorted by view, so the smaller row is in the earlier view.
    first, second = torch.minimum(first, second), torch.maximum(first, second)
    view_pair = patches.view[first] * patches.num_views + patches.view[second]
    order = view_pair.argsort(stable=True)
    counts = torch.bincount(view_pair, minlength=patches.num_views**2)
    stops = counts.cumsum(0).tolist()
    spans = list(zip(patches.starts, patches.starts[1:], strict=False))
    slices = tuple(
        ViewPairSlice(stop - int(count), stop, spans[pair // len(spans)], spans[pair % len(spans)])
        for pair, (stop, count) in enumerate(zip(stops, counts, strict=True))
        if count
    )
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    places = list(torch.split(place, [len(a) for a, _ in pairs]))
    return PairList(first[order], second[order], slices), places


def same_voxel_pairs(patches: VoxelPatches) -> tuple[Tensor, Tensor]:
    """All pairs of patches of different views in the same voxel; the first in the earlier view."""
    voxel = torch.unique(patches.index, dim=0, return_inverse=True)[1]
    firsts, seconds = [], []
    spans = zip(patches.starts, patches.starts[1:], strict=False)
    for (start_a, stop_a), (start_b, stop_b) in combinations(spans, 2):
        sorted_b, order_b = voxel[start_b:stop_b].sort()
        low = torch.searchsorted(sorted_b, voxel[start_a:stop_a])
        partners = torch.searchsorted(sorted_b, voxel[start_a:stop_a], right=True) - low
        owner = torch.arange(len(low)).repeat_interleave(partners)
        rank = torch.arange(len(owner)) - (partners.cumsum(0) - partners)[owner]
        firsts.append(owner + start_a)
        seconds.append(order_b[low[owner] + rank] + start_b)
    nothing = torch.empty(0, dtype=torch.long)
    return torch.cat([nothing, *firsts]), torch.cat([nothing, *seconds])


def are_far(patches: VoxelPatches, first: Tensor, second: Tensor) -> Tensor:
    """Whether the points of two patches are more than ``DEAD_ZONE`` voxels apart.

    So are all patches outside each other's neighbourhood of voxels, and some inside it.
    """
    between = patches.point[first] - patches.point[second]
    return between.square().sum(-1) > DEAD_ZONE**2


def sample_far_pairs(
    patches: VoxelPatches, at_least: int, limit: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """At most `limit` far pairs of different views, uniformly, none twice.

    at_least: how many far pairs there are at least, known exactly in voxel indices from
    ``pair_sums``. Where far pairs are rarer than one in a hundred, some may be missed.
    """
    sizes = np.diff(patches.starts)
    view_pairs = np.array(list(combinations(range(patches.num_views), 2)), dtype=int).reshape(-1, 2)
    blocks = sizes[view_pairs[:, 0]] * sizes[view_pairs[:, 1]]
    total = int(blocks.sum())
    # Drawing without regard to distance and then dropping near pairs keeps the sample uniform; a
    # fifth more than needed makes a short draw all but impossible.
    tries = min(1.2 * total / max(at_least, 1), 100) * limit + 1000
    number = rng.choice(total, min(total, math.ceil(tries)), replace=False)
    block = np.searchsorted(blocks.cumsum(), number, side="right")
    inside = number - (blocks.cumsum() - blocks)[block]
    a, b = view_pairs[block].T
    starts = np.asarray(patches.starts)
    first = torch.from_numpy(starts[a] + inside // np.maximum(sizes[b], 1))
    second = torch.from_numpy(starts[b] + inside % np.maximum(sizes[b], 1))
    far = are_far(patches, first, second).nonzero()[:limit, 0]
    return first[far], second[far]
