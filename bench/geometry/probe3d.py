"""Probe3D's geometric matching as published, defects included (El Banani et al. 2024).

Kept to reproduce published numbers: padding is ignored when features are resized, points are read
at every fourth pixel, and no query is filtered by visibility. For anything else use
``bench.geometry.matching``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from bench.geometry.cameras import invert_rigid, pixel_centres, rays
from bench.geometry.nearest import two_nearest
from bench.types import View

#: Matches kept per pair, by Lowe's ratio.
NUM_MATCHES = 1000
_SCALE = 0.25
_SMALLEST_DISTANCE = 1e-9


@dataclass(frozen=True)
class Samples:
    """Points of one view with known depth: camera frame, float64 [N, 3], and features [N, D]."""

    camera: Tensor
    features: Tensor


@dataclass(frozen=True)
class RatioMatches:
    """The most distinctive matches: rows of the two views [M], most confident first.

    num_unscored: queries that could not be ranked.
    """

    first: Tensor
    second: Tensor
    num_unscored: int


def navi_samples(view: View, tokens: Tensor) -> Samples:
    """Every fourth pixel's point, with the feature map resized bicubically to that raster.

    Points are unprojected at full resolution and then thinned, so they are those of pixels 4i.
    """
    depth, intrinsics = _geometry(view)
    points = rays(pixel_centres(*depth.shape), intrinsics) * depth[..., None]
    thin = points[::4, ::4][: int(depth.shape[0] * _SCALE), : int(depth.shape[1] * _SCALE)]
    planes = tokens.float().permute(2, 0, 1)[None]
    resized = interpolate(planes, size=thin.shape[:2], mode="bicubic", align_corners=False)
    known = thin[..., 2] > 0
    return Samples(thin[known], resized[0].permute(1, 2, 0)[known.to(tokens.device)])


def scannet_samples(view: View, tokens: Tensor) -> Samples:
    """A quarter-resolution raster with the feature map sampled bilinearly at its pixel centres.

    Depth is that of pixel 4i while the raster's pixel centre lies at 4i + 2.
    """
    depth, intrinsics = _geometry(view)
    thin = depth[::4, ::4][: int(depth.shape[0] * _SCALE), : int(depth.shape[1] * _SCALE)]
    pixels = pixel_centres(*thin.shape)
    points = rays(pixels, quarter_intrinsics(intrinsics)) * thin[..., None]
    known = thin > 0
    size = torch.tensor([thin.shape[1], thin.shape[0]], dtype=torch.float64)
    where = (2 * pixels / size - 1)[known].float().to(tokens.device)
    planes = tokens.float().permute(2, 0, 1)[None]
    sampled = grid_sample(planes, where[None, None], mode="bilinear", align_corners=False)
    return Samples(points[known], sampled[0, :, 0].T)


def quarter_intrinsics(intrinsics: Tensor) -> Tensor:
    """Camera matrix [3, 3] of the quarter-resolution raster.

    The protocol takes the principal point of ScanNet's files, which is counted from the first
    pixel's centre, for one that is counted from its corner.
    """
    published = intrinsics.to(torch.float64).clone()
    published[:2, 2] -= 0.5
    published[:2] *= _SCALE
    return published


def centred_intrinsics(intrinsics: Tensor) -> Tensor:
    """diag(f, f, 1): enough for the distance between two projections of one camera."""
    focal = float(intrinsics[0, 0])
    return torch.diag(torch.tensor([focal, focal, 1.0], dtype=torch.float64))


def ratio_matches(first: Tensor, second: Tensor, tile_bytes: int) -> RatioMatches:
    """One-way matches of features [N, D] in [M, D], the best 1000 by Lowe's ratio.

    Confidence is 1 - d1 / d2 with d = 1 - cosine, at least 1e-9. Queries without a direction, or
    without a second neighbour, do not take part.
    """
    best, runner_up = two_nearest(first, second, tile_bytes)
    d1 = (1 - best.cosine).clamp(min=_SMALLEST_DISTANCE)
    d2 = (1 - runner_up).clamp(min=_SMALLEST_DISTANCE)
    confidence = torch.where(best.found & torch.isfinite(d2), 1 - d1 / d2, -torch.inf)
    order = confidence.argsort(descending=True, stable=True)
    ranked = order[torch.isfinite(confidence[order])]
    kept = ranked[:NUM_MATCHES]
    return RatioMatches(kept.cpu(), best.index[kept].cpu(), len(order) - len(ranked))


def match_distances(
    a: View, b: View, points_a: Tensor, points_b: Tensor, intrinsics: Tensor
) -> tuple[Tensor, Tensor]:
    """Distance of matched camera-frame points [M, 3] in b's frame and in its image.

    Args:
        intrinsics: [3, 3]; defines the pixel unit.

    Returns:
        Distances in the set's unit [M], and in pixels [M] (NaN on the camera plane).
    """
    assert a.camera_from_world is not None and b.camera_from_world is not None
    world_from_a = invert_rigid(a.camera_from_world.to(torch.float64))
    b_from_a = b.camera_from_world.to(torch.float64) @ world_from_a
    moved = points_a @ b_from_a[:3, :3].T + b_from_a[:3, 3]
    error_3d = (moved - points_b).norm(dim=1)
    error_2d = (_image(moved, intrinsics) - _image(points_b, intrinsics)).norm(dim=1)
    return error_3d, error_2d


def _image(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Projection without a test for points behind the camera, as in the original."""
    homogeneous = points @ intrinsics.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def _geometry(view: View) -> tuple[Tensor, Tensor]:
    assert view.depth is not None and view.intrinsics is not None
    depth = view.depth.to(torch.float64)
    depth = torch.where(torch.isfinite(depth), depth, 0.0)
    return depth, view.intrinsics.to(torch.float64)
