"""Predicted against true intrinsics: the angle between the rays of every pixel.

A model that puts the principal point at the image's centre (VGGT) pays for every image whose true
one lies elsewhere; `fov_error_deg` leaves that out. Published numbers are of single images: use
view sets of one view to compare with them, since with several the model can compare views.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from bench.options import parse_options
from bench.tasks import tasks
from bench.tasks._per_view_set import PerViewSet
from bench.tasks._predictions import (
    PUBLISHED_RAY_ERROR,
    RAY_ERROR,
    predicted,
    true_intrinsics,
    view_ray_errors_deg,
)
from bench.types import ItemScore, Metric, Split, TaskContext, TaskItem


class CalibrationOptions(BaseModel):
    """preset: ``v1``; or ``legacy``, which is MapAnything's ray error alone, and in which a view
    without intrinsics makes its view set NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["v1", "legacy"] = "v1"


LEGACY_METRICS = (replace(PUBLISHED_RAY_ERROR, headline=True),)
V1_METRICS = (
    replace(RAY_ERROR, headline=True),
    Metric(
        "fov_error_deg",
        "Error of the field of view of a camera centred on the image; mean over width, height and"
        " views",
        "deg",
        higher_is_better=False,
    ),
    Metric("num_views", "Views", higher_is_better=None),
    Metric("num_unscored_views", "Views without intrinsics", higher_is_better=None),
)


@tasks.register("calibration")
class Calibration(PerViewSet):
    """How well a full model knows the intrinsics of the cameras, from the images alone."""

    Options: ClassVar[type[BaseModel]] = CalibrationOptions
    name: ClassVar[str] = "calibration"
    version: ClassVar[int] = 1
    #: Intrinsics come with poses.
    needs: ClassVar[frozenset[str]] = frozenset({"predictions", "poses"})
    layers: ClassVar[Literal["each", "group"]] = "each"
    splits: ClassVar[tuple[Split, ...]] = ("val", "test")

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(CalibrationOptions, config, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return LEGACY_METRICS if self.options.preset == "legacy" else V1_METRICS

    @torch.inference_mode()
    def score(self, state: TaskContext, item: TaskItem) -> list[ItemScore]:
        view_set = item.view_set
        rays = view_ray_errors_deg(item)
        if self.options.preset == "legacy":
            values = {"ray_dirs_err_deg": float(rays.mean())}
        else:
            values = {
                "ray_error_deg": float(rays.nanmean()),
                "fov_error_deg": float(_fov_errors_deg(item).nanmean()),
                "num_views": float(len(rays)),
                "num_unscored_views": float(rays.isnan().sum()),
            }
        return [ItemScore(view_set.scene, view_set.set_id, view_set.split, values)]


def _fov_errors_deg(item: TaskItem) -> Tensor:
    """Errors [S, 2] of the horizontal and vertical field of view."""
    views = item.view_set.views
    ours = predicted(item, "intrinsics", 3, 3)
    theirs = torch.stack([true_intrinsics(view) for view in views])
    sides = torch.tensor([view.size[::-1] for view in views], dtype=torch.float64)
    found, true = (
        2 * torch.atan(sides / 2 / K.diagonal(dim1=-2, dim2=-1)[:, :2]) for K in (ours, theirs)
    )
    return torch.rad2deg((found - true).abs())
