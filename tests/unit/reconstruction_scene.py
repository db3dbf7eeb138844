"""Perfect predictions of the sphere in front of a wall, and ways to spoil them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from bench.geometry.cameras import invert_rigid, transform, world_points
from bench.types import Task, TaskItem, View, ViewSet
from tests.unit.sphere_scene import context, view_set_of

Predictions = dict[str, Tensor]


def scene(*angles_deg: float) -> ViewSet:
    """Small views, with a few pixels of unknown depth."""
    view_set = view_set_of(angles_deg, height=24, width=32)
    views = tuple(_with_holes(view) for view in view_set.views)
    return replace(view_set, views=views)


def perfect(view_set: ViewSet) -> Predictions:
    """The truth in the form of predictions: the first camera is the world, the unit is arbitrary,
    and every pixel has a point."""
    first = view_set.views[0].camera_from_world
    assert first is not None
    poses, points, intrinsics = [], [], []
    for view in view_set_of([float(v.name) for v in view_set.views], height=24, width=32).views:
        assert view.depth is not None and view.intrinsics is not None
        assert view.camera_from_world is not None
        found = world_points(view.depth, view.intrinsics, view.camera_from_world)
        points.append(transform(first, found))
        poses.append(view.camera_from_world @ invert_rigid(first))
        intrinsics.append(view.intrinsics)
    return scaled(
        {
            "world_points_from_depth": torch.stack(points),
            "camera_from_world": torch.stack(poses),
            "intrinsics": torch.stack(intrinsics),
        },
        0.3,
    )


def scaled(predictions: Predictions, factor: float) -> Predictions:
    """The same world in another unit."""
    poses = predictions["camera_from_world"].clone()
    poses[:, :3, 3] *= factor
    points = predictions["world_points_from_depth"] * factor
    return {**predictions, "camera_from_world": poses, "world_points_from_depth": points}


def moved_world(predictions: Predictions, motion: Tensor) -> Predictions:
    """The same cameras and points in a world that `motion` [4, 4] maps the old one to."""
    return {
        **predictions,
        "camera_from_world": predictions["camera_from_world"] @ invert_rigid(motion),
        "world_points_from_depth": transform(motion, predictions["world_points_from_depth"]),
    }


def as_float32(predictions: Predictions) -> Predictions:
    return {name: values.float() for name, values in predictions.items()}


def motion(
    angle_deg: float = 0.0,
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Tensor:
    """A rotation about a unit axis, then a shift [4, 4]."""
    matrix = torch.eye(4, dtype=torch.float64)
    turned = Rotation.from_rotvec([math.radians(angle_deg) * part for part in axis])
    matrix[:3, :3] = torch.from_numpy(turned.as_matrix())
    matrix[:3, 3] = torch.tensor(shift, dtype=torch.float64)
    return matrix


def scores(task: Task, view_set: ViewSet, predictions: Mapping[str, Tensor]) -> dict[str, float]:
    """What a task makes of one view set; it must answer for all of its metrics."""
    state: Any = task.prepare(context(Path("unused"), ("output",)))
    (score,) = task.score(state, TaskItem(view_set, predictions=predictions))
    assert set(score.values) == {metric.key for metric in task.metrics}
    assert (score.scene, score.set_id, score.split) == (view_set.scene, "0", "test")
    return dict(score.values)


def _with_holes(view: View) -> View:
    assert view.depth is not None
    depth = view.depth.clone()
    depth[3:6, 4:9] = 0
    return replace(view, depth=depth)
