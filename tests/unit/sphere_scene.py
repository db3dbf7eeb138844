"""Exact views of a sphere in front of a wall, and view sets and feature maps made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.geometry.cameras import invert_rigid, pixel_centres, rays
from bench.geometry.grid import patch_centres
from bench.geometry.matching import lift
from bench.models.preprocessing import padded_grid
from bench.types import FeatureMap, PatchGrid, TaskContext, TaskItem, View, ViewSet

WALL_Z = 3.0
CENTRE = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64)
RADIUS = 0.4


def camera_at(angle_deg: float, distance: float = 2.0) -> Tensor:
    """camera_from_world of a camera on a circle around the sphere, looking at it; 0 is in front."""
    angle = math.radians(angle_deg)
    c, s = math.cos(angle), math.sin(angle)
    rotation = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float64)
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = torch.tensor([0, 0, distance], dtype=torch.float64) - rotation @ CENTRE
    return matrix


def view_of(camera_from_world: Tensor, height: int = 112, width: int = 140, name: str = "") -> View:
    """A view with exact depth and normals; colours are a smooth function of the world point."""
    focal = 0.9 * width
    intrinsics = torch.tensor(
        [[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], dtype=torch.float64
    )
    directions = rays(pixel_centres(height, width), intrinsics)
    world_from_camera = invert_rigid(camera_from_world)
    origin = world_from_camera[:3, 3]
    d = directions @ world_from_camera[:3, :3].T
    wall = (WALL_Z - origin[2]) / d[..., 2]
    wall = torch.where(wall > 0, wall, torch.inf)
    offset = origin - CENTRE
    b, c = (d * offset).sum(-1), offset @ offset - RADIUS**2
    a = (d * d).sum(-1)
    root = b**2 - a * c
    ball = torch.where(root > 0, (-b - root.clamp(min=0).sqrt()) / a, torch.inf)
    on_ball = ball < wall
    z = torch.minimum(wall, ball)
    depth = torch.where(torch.isfinite(z), z, 0.0)
    points = origin + d * depth[..., None]
    wall_normal = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64).expand_as(points)
    normals = torch.where(on_ball[..., None], (points - CENTRE) / RADIUS, wall_normal)
    normals = normals @ camera_from_world[:3, :3].T
    colour = (0.5 + 0.5 * torch.sin(7 * points)) * 255
    return View(
        name=name,
        image=colour.permute(2, 0, 1).to(torch.uint8),
        depth=depth.float(),
        intrinsics=intrinsics,
        camera_from_world=camera_from_world,
        normals=normals.permute(2, 0, 1).float(),
        mask=on_ball,
    )


def view_set_of(
    angles_deg: Sequence[float],
    scene: str = "sphere",
    height: int = 112,
    width: int = 140,
    metric: bool = True,
) -> ViewSet:
    """Views from angles on the circle around the sphere."""
    views = tuple(view_of(camera_at(a), height, width, f"{a:g}") for a in angles_deg)
    depths = torch.cat([view.depth.flatten() for view in views if view.depth is not None])
    scale = float(depths[depths > 0].median())
    return ViewSet("spheres", scene, "0", "test", views, metric, scale)


def grids_of(view_set: ViewSet, patch: int) -> tuple[PatchGrid, ...]:
    """Grids of a model with this patch size that pads centrally."""
    return tuple(padded_grid(*view.size, patch, patch) for view in view_set.views)


def feature_map_of(
    tokens: Sequence[Tensor], grids: Sequence[PatchGrid], layer: str = "layer"
) -> FeatureMap:
    return FeatureMap(layer, tuple(tokens), tuple(grids))


def item_of(
    view_set: ViewSet, tokens: Sequence[Tensor], grids: Sequence[PatchGrid], layer: str = "layer"
) -> TaskItem:
    return TaskItem(view_set, {layer: feature_map_of(tokens, grids, layer)})


def oracle_tokens(
    view_set: ViewSet, grids: Sequence[PatchGrid], scale_m: float = 4.0
) -> list[Tensor]:
    """World points under the patch centres on a sphere of that radius; zero where unknown.

    The inverse stereographic projection keeps the order of distances nearly exactly, so the nearest
    by cosine is the nearest in space.
    """
    tokens = []
    for view, grid in zip(view_set.views, grids, strict=True):
        x = (lift(view, patch_centres(grid).flatten(0, 1)).world - CENTRE) / scale_m
        square = x.square().sum(-1, keepdim=True)
        features = torch.cat([2 * x, 1 - square], dim=1) / (1 + square)
        tokens.append(features.nan_to_num(0.0).reshape(grid.rows, grid.cols, 4).float())
    return tokens


def noise_tokens(grids: Sequence[PatchGrid], seed: int = 0, dim: int = 32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(g.rows, g.cols, dim, generator=generator) for g in grids]


def context(
    folder: Path, layers: tuple[str, ...] = ("layer",), model: str = "model"
) -> TaskContext:
    return TaskContext(model, layers, "spheres", 0, "cpu", folder)
