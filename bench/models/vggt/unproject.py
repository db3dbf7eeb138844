"""Predicted depth to points in the world."""

from __future__ import annotations

import torch
from torch import Tensor


def unproject_depth(
    depth: Tensor, camera_from_world: Tensor, intrinsics: Tensor, pixel_centre: float = 0.5
) -> Tensor:
    """World points [..., H, W, 3] of z-depths [..., H, W], for any leading dimensions.

    Args:
        camera_from_world: [..., 3 or 4, 4].
        intrinsics: [..., 3, 3] in pixels, without skew.
        pixel_centre: image coordinate of the first pixel's centre. VGGT's authors use 0, with the
            principal point at half the width and height, which shifts points by half a pixel.
    """
    height, width = depth.shape[-2:]
    v = torch.arange(height, dtype=depth.dtype, device=depth.device)[:, None] + pixel_centre
    u = torch.arange(width, dtype=depth.dtype, device=depth.device)[None, :] + pixel_centre
    focal_x, focal_y, centre_x, centre_y = (
        intrinsics[..., row, col, None, None] for row, col in ((0, 0), (1, 1), (0, 2), (1, 2))
    )
    points = torch.stack(
        [(u - centre_x) / focal_x * depth, (v - centre_y) / focal_y * depth, depth], dim=-1
    )
    rotation = camera_from_world[..., None, :3, :3]
    translation = camera_from_world[..., None, None, :3, 3]
    # The inverse of a rotation is its transpose: rows of (x - t) R are R^T (x - t).
    return (points - translation) @ rotation
