"""Predicted points, depths and rays against true ones, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.geometry.alignment import camera_centres, from_first_camera
from bench.geometry.cameras import pixel_centres, rays, transform
from bench.geometry.pose_errors import unit_angle_deg


@dataclass(frozen=True)
class Reconstruction:
    """Points [S, H, W, 3] and poses [S, 4, 4] of S views in one world, float64; NaN is unknown."""

    points: Tensor
    camera_from_world: Tensor

    @property
    def known(self) -> Tensor:
        """Whether a pixel has a point, bool [S, H, W]."""
        return self.points.isfinite().all(-1)

    @property
    def camera_depth(self) -> Tensor:
        """z-depth [S, H, W] of each view's points in its own camera."""
        pairs = zip(self.camera_from_world, self.points, strict=True)
        return torch.stack([transform(pose, points)[..., 2] for pose, points in pairs])

    @property
    def distance(self) -> Tensor:
        """Distance [S, H, W] of each point from the camera that sees it."""
        centres = camera_centres(self.camera_from_world)[:, None, None]
        distances: Tensor = (self.points - centres).norm(dim=-1)
        return distances

    def in_first_camera(self) -> Reconstruction:
        """The same with the first camera's frame as the world."""
        points = transform(self.camera_from_world[0], self.points)
        return Reconstruction(points, from_first_camera(self.camera_from_world))

    def in_mean_distances(self, mask: Tensor) -> Reconstruction:
        """The same with the mean distance of the points in `mask` [S, H, W] from the world's
        origin as the unit of length; NaN without such points."""
        unit = self.points[mask].norm(dim=-1).mean()
        poses = self.camera_from_world.clone()
        poses[:, :3, 3] /= unit
        return replace(self, points=self.points / unit, camera_from_world=poses)


def norm_ratio(predicted: Tensor, true: Tensor) -> Tensor:
    """max(|p| / |t|, |t| / |p|) of vectors [..., D], blind to where they point."""
    p, t = predicted.norm(dim=-1), true.norm(dim=-1)
    return torch.maximum(p / t, t / p)


def ray_errors_deg(predicted: Tensor, true: Tensor, size: tuple[int, int]) -> Tensor:
    """Angle in degrees [H, W] between the rays of two cameras through every pixel's centre.

    Args:
        predicted, true: intrinsics [3, 3] in pixels.
        size: (height, width) in pixels.
    """
    pixels = pixel_centres(*size)
    ours, theirs = (
        torch.nn.functional.normalize(rays(pixels, intrinsics), dim=-1)
        for intrinsics in (predicted, true)
    )
    return unit_angle_deg(ours, theirs)
