"""Voxels: which patches of which views see the same piece of space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
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
        """Features of the patches, float32 [N, D], from tokens [rows, cols, D] per view."""
        rows = tokens[0].new_empty(len(self), tokens[0].shape[-1], dtype=torch.float32)
        for view, (start, stop) in enumerate(zip(self.starts, self.starts[1:], strict=False)):
            rows[start:stop] = tokens[view].flatten(0, 1).index_select(0, self.cell[start:stop])
        return rows


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
