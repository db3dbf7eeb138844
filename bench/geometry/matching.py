"""Where views are sampled for matching, where the samples truly lie in the other view, and errors.

Error and limits are per query, so that recalls, their ceiling (the best any matcher could do with
the candidates it has) and chance (a random candidate) are read from the same queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from bench.geometry.cameras import (
    invert_rigid,
    project,
    relative_rotation_deg,
    transform,
    unproject,
)
from bench.geometry.grid import sample_bilinear
from bench.geometry.visibility import inside_image, values_at, visible
from bench.types import PatchGrid, View

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Samples of one view.

    pixels: image coordinates, float64 [N, 2]; world: world points, float64 [N, 3], NaN where depth,
    intrinsics or the pose is unknown.
    """

    pixels: Tensor
    world: Tensor

    @property
    def known(self) -> Tensor:
        """Samples whose 3D point is known, bool [N]."""
        return torch.isfinite(self.world).all(-1)


@dataclass(frozen=True)
class Queries:
    """Samples of view a with a known 3D point, and where those points lie in view b.

    index: rows of a's samples, int64 [Q]; targets: image coordinates in b, float64 [Q, 2], NaN
    behind the camera; world: float64 [Q, 3]; visible: bool [Q]; angle_deg: viewpoint change.
    """

    index: Tensor
    targets: Tensor
    world: Tensor
    visible: Tensor
    angle_deg: float


@dataclass(frozen=True)
class Errors:
    """Distance from match to truth per query: pixels of view b, and units of the world.

    Infinite where a match cannot be right (no match, or no known 3D point to compare); NaN where a
    query is unscored.
    """

    pixels: Floats
    world: Floats


def lattice(grid: PatchGrid, per_patch: int) -> Tensor:
    """Image coordinates [N, 2] of per_patch x per_patch samples in every cell, raster order.

    Samples in the padding are left out. One per patch is the patch centre.
    """
    step = grid.stride / per_patch
    x = (torch.arange(grid.cols * per_patch, dtype=torch.float64) + 0.5) * step - grid.pad_left
    y = (torch.arange(grid.rows * per_patch, dtype=torch.float64) + 0.5) * step - grid.pad_top
    pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)
    return pixels[inside_image(pixels, grid.image_height, grid.image_width)]


def features_at(tokens: Tensor, pixels: Tensor, grid: PatchGrid, per_patch: int) -> Tensor:
    """Features [N, D] at the samples of ``lattice``: the tokens themselves, or bilinear between."""
    if per_patch > 1:
        return sample_bilinear(tokens, pixels.to(tokens.device), grid)
    offset = torch.tensor([grid.pad_left, grid.pad_top], dtype=pixels.dtype)
    cols, rows = ((pixels + offset) / grid.stride).floor().long().to(tokens.device).unbind(-1)
    return tokens[rows, cols]


def lift(view: View, pixels: Tensor) -> Points:
    """Samples of a view with their world points, from the depth of the pixel that holds each."""
    if view.depth is None or view.intrinsics is None or view.camera_from_world is None:
        return Points(pixels, torch.full((len(pixels), 3), torch.nan, dtype=torch.float64))
    camera = unproject(pixels, values_at(view.depth, pixels), view.intrinsics.to(torch.float64))
    world_from_camera = invert_rigid(view.camera_from_world.to(torch.float64))
    return Points(pixels, transform(world_from_camera, camera))


def find_queries(a: View, b: View, points: Points, metric: bool, occlusion: bool) -> Queries:
    """Queries from view a to view b.

    Args:
        points: samples of a.
        metric: depths are in metres.
        occlusion: a query is visible where the depth of b agrees; without it, or where b has no
            depth map, wherever it falls into b's image.
    """
    index = points.known.nonzero()[:, 0]
    world = points.world[index]
    if a.camera_from_world is None or b.intrinsics is None or b.camera_from_world is None:
        return no_queries()
    camera = transform(b.camera_from_world.to(torch.float64), world)
    targets, z = project(camera, b.intrinsics.to(torch.float64))
    if occlusion and b.depth is not None:
        seen = visible(targets, z, b.depth, metric)
    else:
        seen = inside_image(targets, *b.size)
    angle = relative_rotation_deg(a.camera_from_world, b.camera_from_world)
    return Queries(index, targets, world, seen, angle)


def homography_queries(
    points: Points, b_from_a: Tensor, size_a: tuple[int, int], size_b: tuple[int, int]
) -> Queries:
    """Every sample of view a, where a homography puts it in view b.

    A sample is visible where it falls into b, and lies on the same side of the horizon as the
    middle of a. World points and the viewpoint change are unknown (NaN).

    Args:
        points: samples of a.
        b_from_a: pixels of a to pixels of b, [3, 3].
        size_a, size_b: (height, width) in pixels.
    """
    middle = torch.tensor([[size_a[1] / 2, size_a[0] / 2]], dtype=torch.float64)
    mapped, side = (
        torch.nn.functional.pad(pixels.to(torch.float64), (0, 1), value=1.0) @ b_from_a.T
        for pixels in (points.pixels, middle)
    )
    in_front = mapped[:, 2] * side[0, 2] > 0
    targets = torch.where(in_front[:, None], mapped[:, :2] / mapped[:, 2:], torch.nan)
    return Queries(
        index=torch.arange(len(targets)),
        targets=targets,
        world=torch.full((len(targets), 3), torch.nan, dtype=torch.float64),
        visible=inside_image(targets, *size_b),
        angle_deg=float("nan"),
    )


def no_queries() -> Queries:
    """Nothing to ask, for a pair of views of which too little is known."""
    nowhere = torch.zeros(0, 3, dtype=torch.float64)
    nothing = torch.zeros(0, dtype=torch.long)
    return Queries(nothing, nowhere[:, :2], nowhere, nothing.bool(), float("nan"))


def match_errors(queries: Queries, candidates: Points, matches: Tensor) -> Errors:
    """Errors of matches, rows of b's samples [Q]; -1 is no match, hence an infinite error."""
    matched = (matches >= 0).numpy()
    row = matches.clamp(min=0)
    pixels = torch.full((len(matches),), torch.inf, dtype=torch.float64)
    world = pixels.clone()
    if len(candidates.pixels):
        pixels = (candidates.pixels[row] - queries.targets).norm(dim=1)
        world = (candidates.world[row] - queries.world).norm(dim=1)
    return Errors(_or_infinite(pixels, matched), _or_infinite(world, matched))


def best_errors(queries: Queries, candidates: Points) -> Errors:
    """The smallest errors that any choice of candidates could reach: the ceiling of recall."""
    return Errors(
        _closest(queries.targets, candidates.pixels), _closest(queries.world, candidates.world)
    )


def chance_recall(queries: Tensor, candidates: Tensor, thresholds: tuple[float, ...]) -> Floats:
    """Expected recall of candidates [M, k] drawn at random, over queries [Q, k], per threshold.

    Candidates that are not known count, and are never right. NaN without queries.
    """
    total = len(queries) * len(candidates)
    if not total:
        return np.full(len(thresholds), np.nan)
    hits = np.zeros(len(thresholds))
    known = _finite(candidates), _finite(queries)
    if all(len(points) for points in known):
        counts = KDTree(known[0]).count_neighbors(KDTree(known[1]), np.asarray(thresholds))
        hits = np.asarray(counts, dtype=np.float64)
    return hits / total


def _or_infinite(distance: Tensor, possible: NDArray[np.bool_]) -> Floats:
    values: Floats = distance.numpy()
    return np.where(possible & np.isfinite(values), values, np.inf)


def _closest(targets: Tensor, candidates: Tensor) -> Floats:
    found = np.full(len(targets), np.inf)
    tree_points = _finite(candidates)
    known = torch.isfinite(targets).all(-1).numpy()
    if len(tree_points) and known.any():
        found[known] = KDTree(tree_points).query(targets.numpy()[known])[0]
    return found


def _finite(points: Tensor) -> Floats:
    values: Floats = points[torch.isfinite(points).all(-1)].numpy()
    return values
