"""Relative pose of two views: from matches, its errors, and the true epipolar geometry."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.cameras import invert_rigid, rays, rotation_angle_deg

Floats = NDArray[np.float64]

#: The five-point solver needs as many.
MIN_MATCHES = 5
MIN_ITERATIONS = 1_000
MAX_ITERATIONS = 5_000
SUCCESS_PROBABILITY = 0.9999


@dataclass(frozen=True)
class PoseEstimate:
    """Rotation [3, 3] and direction of translation [3] of b_from_a, and the inliers, bool [M]."""

    rotation: Tensor
    translation: Tensor
    inliers: Tensor


@dataclass(frozen=True)
class PoseError:
    """Errors in degrees; translation_deg is NaN where the true baseline is zero."""

    rotation_deg: float
    translation_deg: float

    @property
    def worst_deg(self) -> float:
        return math.nan if math.isnan(self.translation_deg) else max(vars(self).values())


def relative_pose(camera_from_world_a: Tensor, camera_from_world_b: Tensor) -> Tensor:
    """b_from_a [4, 4] in float64."""
    world_from_a = invert_rigid(camera_from_world_a.to(torch.float64))
    return camera_from_world_b.to(torch.float64) @ world_from_a


def estimate_pose(
    pixels_a: Tensor,
    pixels_b: Tensor,
    intrinsics_a: Tensor,
    intrinsics_b: Tensor,
    threshold_px: float,
    seed: int,
) -> PoseEstimate | None:
    """Relative pose of calibrated views by LO-RANSAC on the five-point solver (PoseLib).

    Args:
        pixels_a, pixels_b: matched image coordinates [M, 2].
        threshold_px: largest Sampson error of an inlier.

    Returns:
        None where the solver finds no pose.

    Raises:
        BenchError: PoseLib is not installed.
    """
    try:
        import poselib
    except ImportError as error:
        raise BenchError(
            "Relative poses need PoseLib.", "Run `pip install 'bench3d[pose]'`."
        ) from error
    if len(pixels_a) < MIN_MATCHES:
        return None
    points, cameras = [], []
    for pixels, intrinsics in ((pixels_a, intrinsics_a), (pixels_b, intrinsics_b)):
        K = intrinsics.to(torch.float64)
        focal = float((K[0, 0] * K[1, 1]).sqrt())
        # Rays times the focal length: any camera matrix, skew included, as a simple pinhole.
        points.append((rays(pixels.to(torch.float64), K)[:, :2] * focal).numpy())
        cameras.append(
            {"model": "SIMPLE_PINHOLE", "width": 0, "height": 0, "params": [focal, 0.0, 0.0]}
        )
    ransac = {
        "max_epipolar_error": threshold_px,
        "seed": seed,
        "min_iterations": MIN_ITERATIONS,
        "max_iterations": MAX_ITERATIONS,
        "success_prob": SUCCESS_PROBABILITY,
    }
    pose, info = poselib.estimate_relative_pose(*points, *cameras, ransac, {})
    rotation = torch.from_numpy(np.array(pose.R))
    translation = torch.from_numpy(np.array(pose.t))
    solved = info["num_inliers"] >= MIN_MATCHES and float(translation.norm()) > 0
    if not solved or not torch.isfinite(rotation).all():
        return None
    return PoseEstimate(rotation, translation, torch.tensor(info["inliers"]))


def pose_error(estimate: PoseEstimate, b_from_a: Tensor, min_baseline: float = 0.0) -> PoseError:
    """Angle of the rotation error, and angle between directions of translation in [0, 180].

    The sign of the translation counts: a backward motion is not a forward one.

    Args:
        b_from_a: true pose [4, 4].
        min_baseline: at or below it the true direction has no meaning and scores NaN.
    """
    rotation = rotation_angle_deg(estimate.rotation @ b_from_a[:3, :3].T)
    true = b_from_a[:3, 3]
    if float(true.norm()) <= min_baseline:
        return PoseError(float(rotation), math.nan)
    cosine = torch.nn.functional.cosine_similarity(estimate.translation, true, dim=0)
    return PoseError(float(rotation), float(torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))))


def fundamental_matrix(b_from_a: Tensor, intrinsics_a: Tensor, intrinsics_b: Tensor) -> Tensor:
    """F [3, 3] with x_b^T F x_a = 0 for homogeneous image coordinates of one point."""
    x, y, z = b_from_a[:3, 3].tolist()
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)
    inverse_a, inverse_b = (
        torch.linalg.inv(K.to(torch.float64)) for K in (intrinsics_a, intrinsics_b)
    )
    fundamental: Tensor = inverse_b.T @ cross @ b_from_a[:3, :3] @ inverse_a
    return fundamental


def sampson_errors(pixels_a: Tensor, pixels_b: Tensor, fundamental: Tensor) -> Tensor:
    """First-order distance in pixels [M] of matches [M, 2] to an epipolar geometry.

    |x'Fx| / sqrt((Fx)_1^2 + (Fx)_2^2 + (F'x')_1^2 + (F'x')_2^2); NaN where F is zero.
    """
    a, b = (
        torch.nn.functional.pad(pixels.to(torch.float64), (0, 1), value=1.0)
        for pixels in (pixels_a, pixels_b)
    )
    line_b, line_a = a @ fundamental.T, b @ fundamental
    gradient = line_b[:, :2].square().sum(1) + line_a[:, :2].square().sum(1)
    distance: Tensor = (b * line_b).sum(1).abs() / gradient.sqrt()
    return distance


def chance_pose_area(limit_deg: float) -> float:
    """Expected mean(max(0, 1 - e / limit)) of a uniformly random rotation and direction.

    P(e <= x) = (x - sin x) / pi * (1 - cos x) / 2 for the larger of both errors; the area is the
    integral of that up to the limit, divided by it.
    """
    x = np.radians(np.linspace(0, limit_deg, 2001))
    below: Floats = (x - np.sin(x)) / np.pi * (1 - np.cos(x)) / 2
    return float(np.trapezoid(below, x) / math.radians(limit_deg))
