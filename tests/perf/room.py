"""What the voxel and matching measures work on: four views of a room, 37 x 37 patches each."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from bench.geometry.voxel_groups import VoxelGroups, group_by_voxel
from bench.tasks._voxel_geometry import Geometry, geometry, moved
from bench.tasks._voxel_options import Options
from bench.types import FeatureMap, PatchGrid, View, ViewSet
from tests.rooms import RoomView, camera, look, shoot

NUM_VIEWS, PATCHES, STRIDE = 4, 37, 14
SIDE = PATCHES * STRIDE
GRIDS = (PatchGrid(PATCHES, PATCHES, STRIDE, SIDE, SIDE),) * NUM_VIEWS


@cache
def views() -> ViewSet:
    shots = [
        shoot(
            str(i),
            look(18.0 * i, (0.3 * i - 0.4, 0.1 * i, 0.2 * i)),
            camera((SIDE, SIDE), 450),
            (SIDE, SIDE),
        )
        for i in range(NUM_VIEWS)
    ]
    return ViewSet("room", "box", "0", "test", tuple(map(_view, shots)), scene_scale=2.5)


def _view(shot: RoomView) -> View:
    return View(
        shot.name,
        torch.from_numpy(shot.image).permute(2, 0, 1),
        torch.from_numpy(shot.depth).float(),
        torch.from_numpy(shot.intrinsics),
        torch.from_numpy(shot.camera_from_world),
    )


@cache
def images(device: str) -> Tensor:
    """[S, 3, H, W] in [0, 1]."""
    return torch.stack([view.image for view in views().views]).to(device).float() / 255


@cache
def shared(device: str) -> Geometry:
    """Voxels and pairs of the views, as v1 has them."""
    return moved(geometry(views(), GRIDS, Options(), seed=0), torch.device(device))


@cache
def without_dead_zone(device: str) -> VoxelGroups:
    """The groups of v1 without a dead zone, as 3DFeatProbe has none."""
    return moved(group_by_voxel(shared("cpu").patches, dead_zone=0), torch.device(device))


def tokens(dim: int, device: str) -> tuple[Tensor, ...]:
    """float16 [rows, cols, D] per view."""
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(PATCHES, PATCHES, dim, generator=generator).half().to(device)
        for _ in range(NUM_VIEWS)
    )


def feature_map(dim: int, device: str) -> FeatureMap:
    return FeatureMap("random", tokens(dim, device), GRIDS)
