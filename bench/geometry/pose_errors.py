"""Errors of predicted camera poses: of pairs of views, and of the whole trajectory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.geometry.alignment import align_rigid, camera_centres
from bench.geometry.cameras import invert_rigid, transform

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairErrors:
    """Errors in degrees [P] of all unordered pairs of views, in the order of `combinations`."""

    rotation_deg: Floats
    translation_deg: Floats

    @property
    def worst_deg(self) -> Floats:
        """The larger of both; NaN where either is."""
        return np.maximum(self.rotation_deg, self.translation_deg)


def pair_errors(predicted: Tensor, true: Tensor, min_baseline: float) -> PairErrors:
    """Rotation and direction of translation of b_from_a for all pairs a < b.

    Directions are compared with their sign, in [0, 180]. NaN: the true pose is unknown, or the true
    baseline is at most `min_baseline`, so that it has no direction. Infinite: no such prediction.

    Args:
        predicted, true: camera_from_world [S, 4, 4]; no common world or scale is needed.
    """
    ours, theirs = _relative_poses(predicted), _relative_poses(true)
    baseline = theirs[:, :3, 3].norm(dim=-1)
    unscored = ~theirs.isfinite().flatten(1).all(1) | (baseline <= min_baseline)
    angles = (
        _rotation_between_deg(ours, theirs),
        unit_angle_deg(_unit(ours[:, :3, 3]), _unit(theirs[:, :3, 3])),
    )
    rotation, translation = (
        angle.nan_to_num(math.inf).masked_fill(unscored, math.nan).numpy() for angle in angles
    )
    return PairErrors(rotation, translation)


def published_pair_errors(predicted: Tensor, true: Tensor) -> PairErrors:
    """The same as VGGT and MapAnything publish it, where a backward motion is a forward one.

    Directions are compared up to their sign, in [0, 90], and 90 degrees apart where either baseline
    is zero.
    """
    ours, theirs = _relative_poses(predicted), _relative_poses(true)
    directions = (torch.nn.functional.normalize(pose[:, :3, 3], dim=-1) for pose in (ours, theirs))
    cosine = torch.mul(*directions).sum(-1).abs().clamp(max=1)
    return PairErrors(
        _rotation_between_deg(ours, theirs).numpy(), torch.rad2deg(torch.arccos(cosine)).numpy()
    )


def histogram_area(errors_deg: Floats, limit_deg: int) -> float:
    """Area under the recall curve as published: the mean of the recalls at 1, 2, ..., `limit_deg`.

    Larger than the exact area (`bench.geometry.recall.recall_area`) by about recall / (2 limit),
    since every error is credited to the lower edge of its 1-degree bin. NaN without a pair.
    """
    if not len(errors_deg):
        return math.nan
    counts, _ = np.histogram(errors_deg, bins=np.arange(limit_deg + 1))
    return float((counts.cumsum() / len(errors_deg)).mean())


def trajectory_errors(predicted: Tensor, true: Tensor) -> Tensor:
    """Distances [N] of camera centres after the true ones are moved rigidly onto the predicted.

    Nothing is scaled. Views whose true or predicted pose [S, 4, 4] is not finite are left out.
    """
    known = (predicted.isfinite() & true.isfinite()).flatten(1).all(1)
    if not known.any():
        return torch.empty(0, dtype=torch.float64)
    ours, theirs = camera_centres(predicted[known]), camera_centres(true[known])
    distances: Tensor = (transform(align_rigid(theirs, ours), theirs) - ours).norm(dim=-1)
    return distances


def unit_angle_deg(a: Tensor, b: Tensor) -> Tensor:
    """Angle in degrees [...] between unit vectors [..., 3].

    Through the chord, which keeps its digits at small angles where the cosine loses them.
    """
    return torch.rad2deg(2 * torch.arcsin(((a - b).norm(dim=-1) / 2).clamp(max=1)))


def _relative_poses(camera_from_world: Tensor) -> Tensor:
    """b_from_a [P, 4, 4] for all a < b."""
    pairs = torch.tensor(list(combinations(range(len(camera_from_world)), 2)), dtype=torch.long)
    a, b = pairs.reshape(-1, 2).unbind(1)
    return camera_from_world[b] @ invert_rigid(camera_from_world[a])


def _rotation_between_deg(a: Tensor, b: Tensor) -> Tensor:
    """Angle in degrees between rotations [..., >= 3, >= 3]; ||A - B|| = sqrt(8) sin(angle / 2)."""
    chord = (a[..., :3, :3] - b[..., :3, :3]).flatten(-2).norm(dim=-1)
    return torch.rad2deg(2 * torch.arcsin((chord / math.sqrt(8)).clamp(max=1)))


def _unit(vectors: Tensor) -> Tensor:
    """Directions [..., 3]; NaN where there is none."""
    directions: Tensor = vectors / vectors.norm(dim=-1, keepdim=True)
    return directions
