"""One 3D point per patch, from a map of points per pixel. NaN marks a patch without a point."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.geometry.grid import patch_centres, split_into_patches
from bench.types import PatchGrid


def centre_points(points: Tensor, grid: PatchGrid) -> Tensor:
    """Point of the pixel under each patch's centre: [H, W, 3] -> [rows, cols, 3]."""
    height, width = points.shape[:2]
    x, y = patch_centres(grid).floor().long().unbind(-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = points[y.clamp(0, height - 1), x.clamp(0, width - 1)]
    return torch.where(inside[..., None], found, torch.nan)


def masked_mean_points(points: Tensor, grid: PatchGrid, min_valid: float) -> Tensor:
    """Mean of each patch's known points: [H, W, 3] -> [rows, cols, 3].

    A patch needs at least the share `min_valid` of its pixels known; padding is unknown.
    """
    pixels = split_into_patches(points, grid, fill=torch.nan)
    share = pixels[..., 0].isfinite().to(points.dtype).mean(-1)
    return torch.where((share >= min_valid)[..., None], pixels.nanmean(2), torch.nan)


def pooled_points(
    points: Tensor, grid: PatchGrid, unknown_point: Tensor, min_valid: float = 0.5
) -> Tensor:
    """Mean of all of a patch's points, unknown ones included: [H, W, 3] -> [rows, cols, 3].

    3DFeatProbe's pooling, kept to compare with its numbers: windows start at the image's top left
    corner whatever the model padded, border windows are divided by the pixels they have, and
    unknown pixels count as `unknown_point` [3] (the camera's centre, where zero depth unprojects
    to). A patch needs the share `min_valid` of its pixels known.
    """
    from_top_left = replace(grid, pad_top=0, pad_left=0)
    known = points.isfinite().all(-1)
    filled = torch.where(known[..., None], points, unknown_point)
    mean = split_into_patches(filled, from_top_left, fill=torch.nan).nanmean(2)
    share = split_into_patches(known.to(points.dtype), from_top_left, fill=torch.nan).nanmean(2)
    return torch.where((share >= min_valid)[..., None], mean, torch.nan)


def depth_gaps(depth: Tensor, grid: PatchGrid) -> Tensor:
    """Widest gap between a patch's depths in sorted order: [H, W] -> [rows, cols].

    Depths of one surface, however slanted, leave no wide gap; two surfaces do, even where the
    pixels between them are unknown. Unknown depths are NaN; a patch with fewer than two known
    depths has gap 0.
    """
    gaps = split_into_patches(depth, grid, fill=torch.nan).sort(dim=-1).values.diff(dim=-1)
    return gaps.nan_to_num(nan=0.0).amax(-1)
