"""Voxels: which patches of which views see the same piece of space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

#: Two patches are at different places if they are more than this many voxels apart: in voxel
#: indices (Chebyshev distance), outside each other's 5 x 5 x 5 neighbourhood. What lies between the
#: same voxel and a different place is neither.
DEAD_ZONE = 2


def floor_indices(points: Tensor) -> Tensor:
    """Voxel indices [N, 3] of points [N, 3] in voxels; the first starts at the world's origin."""
    return points.floor().long()


def rounded_indices(points: Tensor, margin: float = 0.1) -> Tensor:
    """Voxel indices [N, 3] as 3DFeatProbe counts them: rounded, from the points' padded box.

    The box is widened by `margin` times its extent on each side. points [N, 3] are in voxels.
    """
    if not len(points):
        return points.long()
    low, high = points.amin(0), points.amax(0)
    return (points - (low - margin * (high - low))).round().long()


@dataclass(frozen=True)
class VoxelPatches:
    """The patches of a view set that have a point, view by view in raster order.

    view, cell: int64 [N], the patch's view and its place in that view's raster; point: float64
    [N, 3], its world point in voxels; index: int64 [N, 3], its voxel.
    """

    num_views: int
    view: Tensor
    cell: Tensor
    point: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.view)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each view's patches start; the last entry is their number."""
        counts = torch.bincount(self.view, minlength=self.num_views)
        return (0, *counts.cumsum(0).tolist())

    def gather(self, tokens: Sequence[Tensor]) -> Tensor:
        """Features [N, D] of the patches from tokens [rows, cols, D] per view."""
        rows = []
        for view, (start, stop) in enumerate(zip(self.starts, self.starts[1:], strict=False)):
            rows.append(tokens[view].flatten(0, 1).index_select(0, self.cell[start:stop]))
        return torch.cat(rows)


def voxelize(
    points: Sequence[Tensor], side: float, rule: Callable[[Tensor], Tensor] = floor_indices
) -> VoxelPatches:
    """Patches with a point among points [rows, cols, 3] per view, NaN where there is none.

    side: of a voxel, in the points' unit. rule: voxel indices of all points together, in voxels.
    """
    flat = [view.reshape(-1, 3) / side for view in points]
    cells = [view.isfinite().all(-1).nonzero()[:, 0] for view in flat]
    views = [torch.full_like(cell, number) for number, cell in enumerate(cells)]
    located = torch.cat([view[cell] for view, cell in zip(flat, cells, strict=True)])
    return VoxelPatches(len(points), torch.cat(views), torch.cat(cells), located, rule(located))


@dataclass(frozen=True)
class VoxelGroups:
    """Which patches share a voxel and which voxels are close: all that exact means need.

    There is a row for every (view, voxel) that holds a patch, view by view, then a row for every
    voxel, over all views.

    Attributes:
        members, member_offsets: patches of each row, one list after the other.
        near, near_offsets: rows of the same view (or of all views together) whose voxels are
            within the dead zone; every unordered pair once, never a row with itself.
        sign: float [rows], -1 for rows of one view and +1 for rows of all views: the signed sum
            of products over rows is the sum over pairs of different views.
        view_rows: where each view's rows start; the last entry is the first row of all views.
    """

    members: Tensor
    member_offsets: Tensor
    near: Tensor
    near_offsets: Tensor
    sign: Tensor
    view_rows: tuple[int, ...]


def group_by_voxel(patches: VoxelPatches, dead_zone: int = DEAD_ZONE) -> VoxelGroups:
    """Rows and neighbourhoods of `patches`; with ``dead_zone=0`` no two voxels are close."""
    voxels, voxel = torch.unique(patches.index, dim=0, return_inverse=True)
    keys, view_row = torch.unique(patches.view * len(voxels) + voxel, return_inverse=True)
    rows_of_views = len(keys)
    view_of_row = keys // max(len(voxels), 1)
    per_view = torch.bincount(view_of_row, minlength=patches.num_views)

    row_of = torch.full((patches.num_views + 1, len(voxels)), -1)
    row_of.view(-1)[keys] = torch.arange(rows_of_views)
    row_of[-1] = rows_of_views + torch.arange(len(voxels))
    first, second = row_of[:, _close_pairs(voxels, dead_zone)].unbind(-1)
    both = (first >= 0) & (second >= 0)

    num_rows = rows_of_views + len(voxels)
    rows = torch.cat([view_row, voxel + rows_of_views])
    members, member_offsets = _lists(rows, torch.arange(len(patches)).repeat(2), num_rows)
    near, near_offsets = _lists(first[both], second[both], num_rows)
    sign = torch.ones(num_rows, dtype=torch.float64)
    sign[:rows_of_views] = -1
    view_rows = (0, *per_view.cumsum(0).tolist())
    return VoxelGroups(members, member_offsets, near, near_offsets, sign, view_rows)


def _close_pairs(voxels: Tensor, dead_zone: int) -> Tensor:
    """Unordered pairs [E, 2] of different voxels [U, 3] at most `dead_zone` apart."""
    if not dead_zone or not len(voxels):
        return torch.empty(0, 2, dtype=torch.long)
    tree = cKDTree(voxels.numpy().astype(np.float64))
    pairs = tree.query_pairs(dead_zone + 0.5, p=np.inf, output_type="ndarray")
    return torch.from_numpy(pairs.astype(np.int64))


def _lists(owner: Tensor, values: Tensor, num_owners: int) -> tuple[Tensor, Tensor]:
    """Values grouped by owner, one list after the other, and where each owner's list starts."""
    counts = torch.bincount(owner, minlength=num_owners)
    return values[owner.argsort(stable=True)], counts.cumsum(0) - counts
