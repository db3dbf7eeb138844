"""What a full model said of a view set, checked and brought to the form of the truth."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.cameras import world_points
from bench.geometry.reconstruction import Reconstruction, ray_errors_deg
from bench.types import Metric, TaskItem, View

RAY_ERROR = Metric(
    "ray_error_deg",
    "Angle between the predicted and the true ray of a pixel; mean over pixels and views",
    "deg",
    higher_is_better=False,
)
PUBLISHED_RAY_ERROR = Metric(
    "ray_dirs_err_deg",
    "Mean angle between predicted and true rays, over pixels and views",
    "deg",
    higher_is_better=False,
)


def predicted(item: TaskItem, name: str, *shape: int) -> Tensor:
    """An entry of the predictions as float64 [S, *shape] on the CPU.

    Raises:
        BenchError: the model has no such output, or one that does not fit the views.
    """
    found = (item.predictions or {}).get(name)
    if found is None:
        said = ", ".join(sorted(item.predictions or {})) or "nothing"
        raise BenchError(
            f"The model predicts no {name}; it predicts {said}.",
            "Switch on the head that gives it, for example enable_point: true.",
        )
    expected = [len(item.view_set), *shape]
    if list(found.shape) != expected:
        raise BenchError(
            f"Predicted {name} has shape {list(found.shape)}, not {expected}.",
            "Predictions are one per view, at the size of the views.",
        )
    return found.detach().to("cpu", torch.float64)


def predicted_reconstruction(item: TaskItem, points: str) -> Reconstruction:
    """Predicted points (the entry of that name) and cameras."""
    size = item.view_set.views[0].size
    return Reconstruction(
        predicted(item, points, *size, 3), predicted(item, "camera_from_world", 4, 4)
    )


def true_reconstruction(views: tuple[View, ...]) -> Reconstruction:
    """Points of known depth and known cameras of views of one size; NaN where unknown."""
    poses = torch.stack([_or_nan(view.camera_from_world, 4, 4) for view in views])
    points = [
        world_points(
            torch.zeros(view.size) if view.depth is None else view.depth,
            true_intrinsics(view),
            pose,
        )
        for view, pose in zip(views, poses, strict=True)
    ]
    return Reconstruction(torch.stack(points), poses)


def true_intrinsics(view: View) -> Tensor:
    """Intrinsics [3, 3]; NaN where unknown."""
    return _or_nan(view.intrinsics, 3, 3)


def view_ray_errors_deg(item: TaskItem) -> Tensor:
    """Mean angle in degrees [S] between predicted and true rays; NaN without intrinsics."""
    pairs = zip(predicted(item, "intrinsics", 3, 3), item.view_set.views, strict=True)
    errors = [ray_errors_deg(ours, true_intrinsics(view), view.size) for ours, view in pairs]
    return torch.stack([error.mean() for error in errors])


def _or_nan(values: Tensor | None, *shape: int) -> Tensor:
    if values is None:
        return torch.full(shape, torch.nan, dtype=torch.float64)
    return values.to(torch.float64)
