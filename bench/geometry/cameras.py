"""Pinhole cameras: unprojection, projection, rigid transforms."""

from __future__ import annotations

import torch
from torch import Tensor


def pixel_centres(height: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Image coordinates (x, y) of every pixel's centre, [H, W, 2]; the first is (0.5, 0.5)."""
    y = torch.arange(height, dtype=dtype) + 0.5
    x = torch.arange(width, dtype=dtype) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def invert_rigid(a_from_b: Tensor) -> Tensor:
    """b_from_a of rigid transforms [..., 4, 4] (rotation and translation, no scale)."""
    rotation = a_from_b[..., :3, :3].transpose(-1, -2)
    translation = -rotation @ a_from_b[..., :3, 3:]
    inverse = torch.zeros_like(a_from_b)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3:] = translation
    inverse[..., 3, 3] = 1
    return inverse


def transform(a_from_b: Tensor, points_b: Tensor) -> Tensor:
    """Points [..., 3] of frame b in frame a; a_from_b is one [4, 4] rigid transform."""
    return points_b @ a_from_b[:3, :3].T + a_from_b[:3, 3]


def rays(pixels: Tensor, intrinsics: Tensor) -> Tensor:
    """Directions [..., 3] with z = 1 through image coordinates [..., 2] of a camera [3, 3]."""
    y = (pixels[..., 1] - intrinsics[1, 2]) / intrinsics[1, 1]
    x = (pixels[..., 0] - intrinsics[0, 2] - intrinsics[0, 1] * y) / intrinsics[0, 0]
    return torch.stack([x, y, torch.ones_like(x)], dim=-1)


def unproject(pixels: Tensor, depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Camera-frame points [..., 3] of image coordinates [..., 2] at z-depths [...]."""
    return rays(pixels, intrinsics) * depth[..., None]


def project(points: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Image coordinates [..., 2] and z-depths [...] of camera-frame points [..., 3].

    Points with z <= 0 lie behind the camera; their coordinates are NaN.
    """
    z = points[..., 2]
    safe = torch.where(z > 0, z, torch.nan)
    homogeneous = points @ intrinsics.T
    return homogeneous[..., :2] / safe[..., None], z


def world_points(depth: Tensor, intrinsics: Tensor, camera_from_world: Tensor) -> Tensor:
    """World points [H, W, 3] (float64) of a depth map [H, W]; NaN where depth is unknown."""
    depth = depth.to(torch.float64)
    depth = torch.where(torch.isfinite(depth) & (depth > 0), depth, torch.nan)
    pixels = pixel_centres(*depth.shape[-2:])
    points = unproject(pixels, depth, intrinsics.to(torch.float64))
    return transform(invert_rigid(camera_from_world.to(torch.float64)), points)


def rotation_angle_deg(rotation: Tensor) -> Tensor:
    """Angle in degrees of rotations [..., 3, 3] by the trace formula."""
    trace = rotation.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.rad2deg(torch.arccos(((trace - 1) / 2).clamp(-1, 1)))


def relative_rotation_deg(camera_from_world_a: Tensor, camera_from_world_b: Tensor) -> float:
    """Viewpoint change between two cameras in degrees."""
    a = camera_from_world_a[:3, :3].to(torch.float64)
    b = camera_from_world_b[:3, :3].to(torch.float64)
    return float(rotation_angle_deg(a @ b.T))
