"""Surface normals from depth, and scores of predicted normals."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bench.geometry.cameras import pixel_centres, unproject

#: A neighbour whose depth differs by a larger share lies on another surface.
MAX_STEP = 0.05
THRESHOLDS_DEG = (11.25, 22.5, 30.0)


def normals_from_depth(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Unit normals [3, H, W] (float32) towards the camera, in camera axes; 0 where unknown.

    The cross product of central differences of unprojected pixels; unknown at the image's border,
    where any of the five pixels is unknown, and across steps of more than 5 % of the depth.
    """
    z = depth.to(torch.float64)
    z = torch.where(torch.isfinite(z) & (z > 0), z, torch.nan)
    points = unproject(pixel_centres(*z.shape), z, intrinsics.to(torch.float64))
    across = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    normal = torch.linalg.cross(across, down, dim=-1)
    normal = normal / normal.norm(dim=-1, keepdim=True)
    centre = points[1:-1, 1:-1]
    away = (normal * centre).sum(-1, keepdim=True) > 0
    normal = torch.where(away, -normal, normal)
    inner = z[1:-1, 1:-1]
    around = torch.stack([z[1:-1, 2:], z[1:-1, :-2], z[2:, 1:-1], z[:-2, 1:-1]])
    smooth = ((around - inner).abs() <= MAX_STEP * inner).all(0)
    known = smooth & torch.isfinite(normal).all(-1)
    found = torch.zeros(*z.shape, 3, dtype=torch.float32)
    found[1:-1, 1:-1] = torch.where(known[..., None], normal, 0.0).float()
    return found.permute(2, 0, 1).contiguous()


def angles_deg(predicted: Tensor, true: Tensor) -> Tensor:
    """Angle in degrees between vectors [..., 3]; 90 where the prediction has no direction."""
    cosine = torch.nn.functional.cosine_similarity(
        predicted.to(torch.float64), true.to(torch.float64), dim=-1
    )
    return torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))


def normal_scores(angles: Tensor) -> Mapping[str, float]:
    """Scores of angular errors [N] in degrees; empty without pixels."""
    if not len(angles):
        return {}
    scores = {
        f"within_{limit:g}deg": float((angles < limit).double().mean()) for limit in THRESHOLDS_DEG
    }
    scores["rmse_deg"] = float(angles.square().mean().sqrt())
    scores["mean_deg"] = float(angles.mean())
    scores["median_deg"] = float(angles.median())
    return scores
