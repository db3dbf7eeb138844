"""The sparse structure by which means over pairs of patches are linear in the number of patches."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from bench.geometry.voxels import DEAD_ZONE, VoxelPatches


@dataclass(frozen=True)
class VoxelGroups:
    """Which patches share a voxel and which voxels are close: all that exact means need.

    Each row stands for the sum of some patches. There is a row for every (view, voxel) that holds a
    patch, view by view, then one for every voxel that several views see.

    Attributes:
        members, member_offsets: patches of each row, one list after the other.
        near, near_offsets, near_weights: for each row, the rows whose products with it add up, so
            weighted, to the products of patches of different views in different voxels within the
            dead zone.
        sign: float64 [rows]; the squared rows, so weighted, add up to twice the products of patches
            of different views in the same voxel.
        view_rows: where each view's rows start; the last entry is the first row of all views.
    """

    members: Tensor
    member_offsets: Tensor
    near: Tensor
    near_offsets: Tensor
    near_weights: Tensor
    sign: Tensor
    view_rows: tuple[int, ...]


def group_by_voxel(patches: VoxelPatches, dead_zone: int = DEAD_ZONE) -> VoxelGroups:
    """Rows and neighbourhoods of `patches`; with ``dead_zone=0`` no two voxels are close."""
    voxels, voxel = torch.unique(patches.index, dim=0, return_inverse=True)
    row_of = torch.full((patches.num_views, len(voxels)), -1)
    row_of[patches.view, voxel] = 0
    seen = row_of >= 0
    num_view_rows = int(seen.sum())
    row_of[seen] = torch.arange(num_view_rows)

    # The row of a voxel over all views; a voxel of a single view needs no other row than that one.
    shared = seen.sum(0) > 1
    whole = row_of.amax(0)
    whole[shared] = num_view_rows + torch.arange(int(shared.sum()))
    num_rows = num_view_rows + int(shared.sum())

    in_shared = shared[voxel].nonzero()[:, 0]
    rows = torch.cat([row_of[patches.view, voxel], whole[voxel[in_shared]]])
    members = torch.cat([torch.arange(len(patches)), in_shared])
    (members,), member_offsets = _lists(rows, num_rows, members)

    first, second, weight = _cross_view_products(row_of, whole, _close_pairs(voxels, dead_zone))
    (near, near_weights), near_offsets = _lists(first, num_rows, second, weight)

    sign = torch.zeros(num_rows, dtype=torch.float64)
    sign[num_view_rows:] = 1
    sign[row_of[:, shared][seen[:, shared]]] = -1
    view_rows = (0, *seen.sum(1).cumsum(0).tolist())
    return VoxelGroups(members, member_offsets, near, near_offsets, near_weights, sign, view_rows)


def _cross_view_products(
    row_of: Tensor, whole: Tensor, pairs: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows to multiply, and weights, for the products of different views over pairs of voxels.

    row_of: [S, U], -1 where a view does not see a voxel; whole: [U]; pairs: [E, 2]. A pair takes
    whichever is less work: each view of one voxel with each other view of the other, or all views
    with all views less each view with itself.
    """
    first, second = row_of[:, pairs[:, 0]], row_of[:, pairs[:, 1]]
    seen_first, seen_second = first >= 0, second >= 0
    both = seen_first & seen_second
    crossings = seen_first.sum(0) * seen_second.sum(0) - both.sum(0)
    direct = crossings <= 1 + both.sum(0)

    firsts, seconds = [whole[pairs[~direct, 0]]], [whole[pairs[~direct, 1]]]
    weights = [torch.ones(len(firsts[0]))]
    for a, b in product(range(len(row_of)), repeat=2):
        chosen = both[a] & ~direct if a == b else seen_first[a] & seen_second[b] & direct
        firsts.append(first[a, chosen])
        seconds.append(second[b, chosen])
        weights.append(torch.full((len(firsts[-1]),), -1.0 if a == b else 1.0))
    return torch.cat(firsts), torch.cat(seconds), torch.cat(weights)


def _close_pairs(voxels: Tensor, dead_zone: int) -> Tensor:
    """Unordered pairs [E, 2] of different voxels [U, 3] at most `dead_zone` apart."""
    if not dead_zone or not len(voxels):
        return torch.empty(0, 2, dtype=torch.long)
    tree = cKDTree(voxels.numpy().astype(np.float64))
    pairs = tree.query_pairs(dead_zone + 0.5, p=np.inf, output_type="ndarray")
    return torch.from_numpy(pairs.astype(np.int64))


def _lists(owner: Tensor, num_owners: int, *values: Tensor) -> tuple[list[Tensor], Tensor]:
    """Values grouped by owner, one list after the other, and where each owner's list starts."""
    counts = torch.bincount(owner, minlength=num_owners)
    order = owner.argsort(stable=True)
    return [value[order] for value in values], counts.cumsum(0) - counts
