"""Frames and scales brought together before two reconstructions are compared."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.geometry.cameras import invert_rigid


def from_first_camera(camera_from_world: Tensor) -> Tensor:
    """camera_from_first [S, 4, 4]: the same poses with the first camera's frame as the world."""
    return camera_from_world @ invert_rigid(camera_from_world[0])


def camera_centres(camera_from_world: Tensor) -> Tensor:
    """Camera centres [S, 3] in the world."""
    return invert_rigid(camera_from_world)[..., :3, 3]


def align_rigid(source: Tensor, target: Tensor) -> Tensor:
    """target_from_source [4, 4]: rotation and translation with the least squared error.

    Args:
        source, target: points [N, 3] that belong together; N >= 1. Fewer than three, or points on a
            line, leave the rotation about that line free; any of the best is returned.

    Source: Arun, Huang and Blostein 1987, with the sign of Umeyama 1991.
    """
    source_mean, target_mean = source.mean(0), target.mean(0)
    u, _, vh = torch.linalg.svd((target - target_mean).T @ (source - source_mean))
    # A mirror image fits points in a plane just as well; only a rotation is a motion.
    sign = torch.ones(3, dtype=source.dtype)
    sign[2] = torch.det(u @ vh).sign()
    motion = torch.eye(4, dtype=source.dtype)
    motion[:3, :3] = (u * sign) @ vh
    motion[:3, 3] = target_mean - motion[:3, :3] @ source_mean
    return motion
