"""Predicted cameras and points of a view set against the true ones, up to one scale.

Both are expressed in the frame of their own first camera, and their unit of length is the mean
distance of their points from it (MapAnything's `avg_dis`), so that a model without metric scale
is scored for what it can know. Nothing is aligned beyond that, but for the camera centres, which
are moved rigidly.

Preset ``legacy`` repeats the metrics of MapAnything and 3DFeatProbe, under their names:

- inliers compare distances from the first camera alone: a cloud turned about it is perfect;
- errors are relative to that distance, so pixels that see a place near the first camera count most;
- a backward motion is as good as a forward one, and two views without a baseline are 90 degrees
  wrong;
- `pose_auc_*` is the mean of a histogram with bins of 1 degree, larger than the area;
- `pose_ate_rmse` is a mean, not the root of a mean square;
- one view without depth makes its whole view set NaN.

Its points are at the pixels' centres, where the published code can be half a pixel off.

Preset ``v1`` mends each of them: errors are vectors, relative to the distance from the camera that
sees the point; directions of translation have a sign, pairs without a baseline are unscored and
counted, and so are views without depth and pixels without a finite prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from bench.geometry.pose import chance_pose_area
from bench.geometry.pose_errors import (
    histogram_area,
    pair_errors,
    published_pair_errors,
    trajectory_errors,
)
from bench.geometry.recall import recall_area
from bench.geometry.reconstruction import Reconstruction, norm_ratio
from bench.options import parse_options
from bench.tasks import tasks
from bench.tasks._per_view_set import PerViewSet
from bench.tasks._predictions import (
    PUBLISHED_RAY_ERROR,
    RAY_ERROR,
    predicted_reconstruction,
    true_reconstruction,
    view_ray_errors_deg,
)
from bench.types import ItemScore, Metric, Split, TaskContext, TaskItem

#: Entries of the predictions that hold points in the world.
POINTS = {"depth": "world_points_from_depth", "point_head": "world_points"}
#: Thresholds of the published inliers: MapAnything's and 3DFeatProbe's.
RATIOS = {"103": 1.03, "105": 1.05}
PUBLISHED_LIMITS_DEG = (5, 30)


class DenseOptions(BaseModel):
    """Options of ``dense_reconstruction``; ``legacy`` fixes all but `points`.

    preset: ``v1``, or ``legacy`` as MapAnything and 3DFeatProbe publish it.
    points: depth unprojected through the predicted cameras, or the model's point head.
    inliers_pct: largest relative error of an inlier, in per cent; the first is the headline.
    limits_deg: of the areas under the curve of pose errors.
    min_baseline: a pair whose true baseline is a smaller share of the scene scale is unscored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["v1", "legacy"] = "v1"
    points: Literal["depth", "point_head"] = "depth"
    inliers_pct: tuple[float, ...] = Field((3.0, 5.0), min_length=1)
    limits_deg: tuple[float, ...] = Field((5.0, 30.0), min_length=1)
    min_baseline: float = Field(0.01, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> DenseOptions:
        own = self.model_fields_set - {"preset", "points"}
        if self.preset == "legacy" and own:
            raise ValueError(f"preset legacy fixes {', '.join(sorted(own))}; use v1")
        for name in ("inliers_pct", "limits_deg"):
            values = (0.0, *getattr(self, name))
            if any(low >= high for low, high in pairwise(values)):
                raise ValueError(f"{name} must rise from above 0")
        return self


@tasks.register("dense_reconstruction")
class DenseReconstruction(PerViewSet):
    """Points, depth, poses and rays that a full model predicts for a view set, up to scale.

    Preset ``legacy`` follows MapAnything (Keetha et al. 2025) and 3DFeatProbe with their defects,
    to compare with published numbers; ``v1`` is the same without them.
    """

    Options: ClassVar[type[BaseModel]] = DenseOptions
    name: ClassVar[str] = "dense_reconstruction"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"predictions", "depth", "poses"})
    layers: ClassVar[Literal["each", "group"]] = "each"
    splits: ClassVar[tuple[Split, ...]] = ("val", "test")

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(DenseOptions, config, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        legacy = self.options.preset == "legacy"
        return LEGACY_METRICS if legacy else tuple(_v1_metrics(self.options))

    @torch.inference_mode()
    def score(self, state: TaskContext, item: TaskItem) -> list[ItemScore]:
        own, view_set = self.options, item.view_set
        ours = predicted_reconstruction(item, POINTS[own.points])
        theirs = item.memo.get(self.name, lambda: true_reconstruction(view_set.views))
        rays = view_ray_errors_deg(item)
        if own.preset == "legacy":
            values = score_legacy(ours, theirs) | {PUBLISHED_RAY_ERROR.key: float(rays.mean())}
        else:
            min_baseline = own.min_baseline * (view_set.scene_scale or 0)
            values = score_v1(ours, theirs, own, min_baseline)
            values[RAY_ERROR.key] = float(rays.nanmean())
        return [ItemScore(view_set.scene, view_set.set_id, view_set.split, values)]


def score_v1(
    ours: Reconstruction, theirs: Reconstruction, own: DenseOptions, min_baseline: float
) -> dict[str, float]:
    """All v1 metrics but the rays', of a predicted and a true reconstruction."""
    pairs = pair_errors(ours.camera_from_world, theirs.camera_from_world, min_baseline).worst_deg
    ours, theirs = ours.in_first_camera(), theirs.in_first_camera()
    known = theirs.known
    both = known & ours.known
    ours, theirs = ours.in_mean_distances(both), theirs.in_mean_distances(both)
    errors = {
        "pointmap": (ours.points - theirs.points).norm(dim=-1) / theirs.distance,
        "depth": (ours.camera_depth - theirs.camera_depth).abs() / theirs.camera_depth,
    }
    values: dict[str, float] = {}
    for name, error in errors.items():
        values[f"{name}_abs_rel"] = float(_per_view(error, both).nanmean())
        for pct in own.inliers_pct:
            # A pixel without a prediction has no error (NaN), and is not an inlier either.
            inliers = (error <= pct / 100).double()
            values[f"{name}_inliers@{pct:g}pct"] = float(_per_view(inliers, known).nanmean())
    for limit in own.limits_deg:
        values[f"pose_auc@{limit:g}deg"] = recall_area(pairs, limit)
    centres = trajectory_errors(ours.camera_from_world, theirs.camera_from_world)
    enough = len(centres) > 1
    values["pose_ate"] = float(centres.square().mean().sqrt()) if enough else math.nan
    counts = {
        "num_views": len(known),
        "num_unscored_views": int((~known.flatten(1).any(1)).sum()),
        "num_pairs": len(pairs),
        "num_unscored_pairs": int(np.isnan(pairs).sum()),
        "num_unscored_pixels": int((known & ~both).sum()),
    }
    return values | {key: float(count) for key, count in counts.items()}


def score_legacy(ours: Reconstruction, theirs: Reconstruction) -> dict[str, float]:
    """The published metrics but the rays'; NaN wherever one view has no pixel to score."""
    pairs = published_pair_errors(ours.camera_from_world, theirs.camera_from_world).worst_deg
    ours, theirs = ours.in_first_camera(), theirs.in_first_camera()
    known = theirs.known & (theirs.points.norm(dim=-1) > 0)
    ours, theirs = ours.in_mean_distances(theirs.known), theirs.in_mean_distances(theirs.known)
    values: dict[str, float] = {}
    for name, p, t in (
        ("pointmaps", ours.points, theirs.points),
        ("z_depth", ours.camera_depth[..., None], theirs.camera_depth[..., None]),
    ):
        error = (p - t).norm(dim=-1) / t.norm(dim=-1)
        values[f"{name}_abs_rel"] = float(_per_view(error, known).mean())
        for suffix, limit in RATIOS.items():
            inliers = (norm_ratio(p, t) < limit).double()
            values[f"{name}_inlier_{suffix}"] = float(_per_view(inliers, known).mean())
    centres = trajectory_errors(ours.camera_from_world, theirs.camera_from_world)
    values["pose_ate_rmse"] = float(centres.mean())
    for degrees in PUBLISHED_LIMITS_DEG:
        values[f"pose_auc_{degrees}"] = 100 * histogram_area(pairs, degrees)
    return values


def _per_view(values: Tensor, mask: Tensor) -> Tensor:
    """Means [S] of values [S, H, W] in the mask of each view; NaN for an empty one."""
    return torch.stack([own[chosen].mean() for own, chosen in zip(values, mask, strict=True)])


def _v1_metrics(own: DenseOptions) -> Iterator[Metric]:
    about = {
        "pointmap": "Distance of a predicted from the true point, relative to the true point's"
        " distance from the camera that sees it",
        "depth": "Difference of a predicted from the true z-depth, relative to it",
    }
    for name, text in about.items():
        for pct in own.inliers_pct:
            headline = name == "pointmap" and pct == own.inliers_pct[0]
            key, limit = f"{name}_inliers@{pct:g}pct", f"at most {pct:g} %"
            yield Metric(
                key, f"Share of pixels with an error of {limit}. {text}", headline=headline
            )
        yield Metric(f"{name}_abs_rel", f"{text}; mean over pixels", higher_is_better=False)
    for limit_deg in own.limits_deg:
        yield Metric(
            f"pose_auc@{limit_deg:g}deg",
            "Area under the recall curve of pose errors (the larger of rotation and direction of"
            f" translation, pairs of views) up to {limit_deg:g} degrees",
            chance=chance_pose_area(limit_deg),
        )
    yield Metric(
        "pose_ate",
        "Root mean square distance of the camera centres after rigid alignment, in mean distances"
        " of the scene's points from the first camera; of two views, half the error in their"
        " baseline",
        higher_is_better=False,
    )
    yield RAY_ERROR
    counts = {
        "num_views": "Views",
        "num_unscored_views": "Views without depth or pose",
        "num_pairs": "Pairs of views",
        "num_unscored_pairs": "Pairs without a baseline or a pose",
        "num_unscored_pixels": "Pixels with depth but without a finite prediction",
    }
    for key, text in counts.items():
        yield Metric(key, text, higher_is_better=None)


LEGACY_METRICS = (
    Metric("pointmaps_abs_rel", "Mean of |p - t| / |t| of points", higher_is_better=False),
    Metric("pointmaps_inlier_103", "Share with norms of p and t within a factor of 1.03"),
    Metric(
        "pointmaps_inlier_105", "Share with norms of p and t within a factor of 1.05", headline=True
    ),
    Metric("z_depth_abs_rel", "Mean of |p - t| / |t| of z-depths", higher_is_better=False),
    Metric("z_depth_inlier_103", "Share with |z-depths| within a factor of 1.03"),
    Metric("z_depth_inlier_105", "Share with |z-depths| within a factor of 1.05"),
    Metric(
        "pose_ate_rmse",
        "Mean distance of camera centres after rigid alignment, in mean distances of the points"
        " (no root mean square, in spite of its published name)",
        higher_is_better=False,
    ),
    *(
        Metric(f"pose_auc_{degrees}", f"Mean recall of pose errors at 1 to {degrees} degrees", "%")
        for degrees in PUBLISHED_LIMITS_DEG
    ),
    PUBLISHED_RAY_ERROR,
)
