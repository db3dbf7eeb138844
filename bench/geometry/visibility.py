"""Which points of one view can be seen in another (covisibility by depth)."""

from __future__ import annotations

import torch
from torch import Tensor

#: A point is visible if its depth differs from the surface there by less than the larger of these
#: (the first only where depth is in metres).
TOLERANCE_M = 0.05
TOLERANCE_SHARE = 0.02


def values_at(values: Tensor, pixels: Tensor) -> Tensor:
    """Values [N] of a map [H, W] at the pixels that contain image coordinates [N, 2].

    NaN outside of the image, and where the map is not finite or not positive (unknown depth).
    """
    height, width = values.shape
    x, y = torch.nan_to_num(pixels, nan=-1.0).floor().long().unbind(-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = values[y.clamp(0, height - 1), x.clamp(0, width - 1)].to(torch.float64)
    known = inside & torch.isfinite(found) & (found > 0)
    return torch.where(known, found, torch.nan)


def inside_image(pixels: Tensor, height: int, width: int) -> Tensor:
    """Which image coordinates [N, 2] lie in the image; NaN does not."""
    x, y = pixels.unbind(-1)
    return (x >= 0) & (x < width) & (y >= 0) & (y < height)


def surface_depth(depth: Tensor, pixels: Tensor) -> Tensor:
    """Smallest known depth [N] among the four pixel centres around image coordinates [N, 2].

    The smallest, so that a point just behind an edge counts as hidden. NaN where none is known.
    """
    corners = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])
    around = torch.stack([values_at(depth, pixels + corner) for corner in corners.to(pixels.dtype)])
    closest = torch.nan_to_num(around, nan=torch.inf).amin(0)
    return torch.where(torch.isfinite(closest), closest, torch.nan)


def visible(pixels: Tensor, z: Tensor, depth: Tensor, metric: bool) -> Tensor:
    """Which points are seen by a camera, bool [N].

    Args:
        pixels: image coordinates [N, 2] of the points in that camera, NaN behind it.
        z: their z-depths [N] there.
        depth: z-depth of the surface [H, W] that the camera sees, 0 = unknown.
        metric: depths are in metres.

    A point is visible inside the image where |z - surface| < max(0.05 m, 0.02 z), or 0.02 z without
    metres. A surface of unknown depth shows nothing.
    """
    tolerance = TOLERANCE_SHARE * z
    if metric:
        tolerance = tolerance.clamp(min=TOLERANCE_M)
    close = (z - surface_depth(depth, pixels)).abs() < tolerance
    return inside_image(pixels, *depth.shape) & close
