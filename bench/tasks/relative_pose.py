"""Relative camera pose from feature matches: area under the curve of pose errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations, pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from bench.geometry.cameras import relative_rotation_deg
from bench.geometry.matching import features_at, find_queries, lattice, lift
from bench.geometry.nearest import mutual, nearest_both_ways
from bench.geometry.pose import (
    PoseEstimate,
    chance_pose_area,
    estimate_pose,
    fundamental_matrix,
    pose_error,
    relative_pose,
    sampson_errors,
)
from bench.geometry.recall import bin_label, bin_of, recall_area
from bench.options import parse_options
from bench.tasks import tasks
from bench.tasks._per_view_set import PerViewSet
from bench.types import ItemScore, Metric, PatchGrid, Split, TaskContext, TaskItem, View

HEADLINE_DEG = 10.0


class PoseOptions(BaseModel):
    """Options of ``relative_pose``. All are fixed beforehand; none was chosen on test data.

    preset: the only one.
    samples_per_patch: samples per patch side; 1 takes the patch tokens.
    threshold_patches: largest epipolar error of an inlier, in patch sides. A match to the right
        patch is off by up to half a patch in each direction.
    limits_deg: of the areas under the curve of pose errors.
    angle_bins_deg: bounds of the bins of viewing angle between the two views.
    min_overlap: a pair is unscored where a smaller share of either view is visible in the other;
        without depth every pair is scored.
    min_baseline: a pair whose baseline is a smaller share of the scene scale has no direction of
        translation: only its rotation is scored.
    tile_mib: largest piece of the similarity matrix in memory, in MiB.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["v1"] = "v1"
    samples_per_patch: int = Field(1, ge=1, le=16)
    threshold_patches: float = Field(0.5, gt=0)
    limits_deg: tuple[float, ...] = Field((5.0, HEADLINE_DEG, 20.0), min_length=1)
    angle_bins_deg: tuple[float, ...] = Field((0.0, 30.0, 60.0, 90.0, 120.0, 180.0), min_length=2)
    min_overlap: float = Field(0.1, ge=0, le=1)
    min_baseline: float = Field(0.01, ge=0)
    tile_mib: int = Field(32, ge=1, le=65536)

    @model_validator(mode="after")
    def _rising(self) -> PoseOptions:
        for name in ("limits_deg", "angle_bins_deg"):
            if any(low >= high for low, high in pairwise(getattr(self, name))):
                raise ValueError(f"{name} must rise")
        return self

    @property
    def headline_deg(self) -> float:
        return self.limits_deg[len(self.limits_deg) // 2]


@dataclass(frozen=True)
class PosePair:
    """Two views with a known relative pose. angle_deg: their viewpoint change."""

    a: int
    b: int
    b_from_a: Tensor
    angle_deg: float
    scored: bool


@dataclass(frozen=True)
class PoseGeometry:
    """Sample positions [N, 2] per view, pairs, and the smallest baseline with a direction."""

    pixels: tuple[Tensor, ...]
    pairs: tuple[PosePair, ...]
    min_baseline: float


@tasks.register("relative_pose")
class RelativePose(PerViewSet):
    """Mutual nearest neighbours, an essential matrix by RANSAC, and the error of the pose.

    Per unordered pair of views of a view set; the error of a pair is the larger of its rotation and
    translation errors, infinite where the solver fails. AUC is mean(max(0, 1 - error / limit)).
    """

    Options: ClassVar[type[BaseModel]] = PoseOptions
    name: ClassVar[str] = "relative_pose"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features", "poses"})
    layers: ClassVar[Literal["each", "group"]] = "each"
    splits: ClassVar[tuple[Split, ...]] = ("val", "test")

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(PoseOptions, config, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(self._metrics())

    def _metrics(self) -> Iterator[Metric]:
        own = self.options
        for limit in own.limits_deg:
            about = f"Area under the recall curve of pose errors up to {limit:g} degrees"
            chance = chance_pose_area(limit)
            headline = limit == own.headline_deg
            yield Metric(f"auc@{limit:g}deg", about, chance=chance, headline=headline)
        for low, high in pairwise(own.angle_bins_deg):
            key = f"auc@{own.headline_deg:g}deg"
            label = bin_label(low, high)
            chance = chance_pose_area(own.headline_deg)
            yield Metric(f"{key}/{label}", f"{key} of views {label} apart", chance=chance)
        threshold = f"{own.threshold_patches:g} patches of"
        yield Metric("inlier_ratio", f"Share of matches within {threshold} the estimated geometry")
        yield Metric("epipolar_precision", f"Share of matches within {threshold} the true geometry")
        for key in ("rotation_error_deg", "translation_error_deg"):
            about = f"Median {key.split('_')[0]} error of the solved pairs"
            yield Metric(key, about, "deg", higher_is_better=False)
        yield Metric("num_matches", "Mutual matches per pair", higher_is_better=None)
        yield Metric("num_pairs", "Pairs of views", higher_is_better=None)
        yield Metric(
            "num_unscored_pairs", "Pairs without overlap, baseline or poses", higher_is_better=None
        )
        yield Metric("num_failures", "Scored pairs without a pose", higher_is_better=None)

    @torch.inference_mode()
    def score(self, state: TaskContext, item: TaskItem) -> list[ItemScore]:
        own, view_set, feature_map = self.options, item.view_set, item.feature_map
        key = (self.name, own, feature_map.grids)
        geometry = item.memo.get(key, lambda: self._geometry(item))
        features = [
            features_at(tokens.to(state.device), pixels, grid, own.samples_per_patch)
            for tokens, pixels, grid in zip(
                feature_map.tokens, geometry.pixels, feature_map.grids, strict=True
            )
        ]
        scored = [pair for pair in geometry.pairs if pair.scored]
        matches = (self._match(features, geometry, pair) for pair in scored)
        score_pair = partial(
            self._score_pair, view_set.views, feature_map.grids, geometry.min_baseline, state.seed
        )
        # The solver uses one core and frees Python's lock, so pairs are solved beside each other.
        # Matches are made here, one pair at a time, so that memory holds one similarity matrix.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            rows = list(pool.map(score_pair, scored, matches))
        values = self._summary(rows, num_pairs=len(geometry.pairs))
        return [ItemScore(view_set.scene, view_set.set_id, view_set.split, values)]

    def _geometry(self, item: TaskItem) -> PoseGeometry:
        own, view_set = self.options, item.view_set
        views = view_set.views
        pixels = tuple(lattice(g, own.samples_per_patch) for g in item.feature_map.grids)
        pairs = []
        for a, b in combinations(range(len(views)), 2):
            first, second = views[a].camera_from_world, views[b].camera_from_world
            calibrated = views[a].intrinsics is not None and views[b].intrinsics is not None
            if first is None or second is None or not calibrated:
                pairs.append(PosePair(a, b, torch.eye(4), math.nan, False))
                continue
            overlaps = [
                _overlap(views[i], views[j], pixels[i], view_set.metric)
                for i, j in ((a, b), (b, a))
            ]
            pose = relative_pose(first, second)
            angle = relative_rotation_deg(first, second)
            seen = [share for share in overlaps if not math.isnan(share)]
            scored = not seen or min(seen) >= own.min_overlap
            pairs.append(PosePair(a, b, pose, angle, scored))
        return PoseGeometry(pixels, tuple(pairs), own.min_baseline * (view_set.scene_scale or 0))

    def _match(
        self, features: Sequence[Tensor], geometry: PoseGeometry, pair: PosePair
    ) -> tuple[Tensor, Tensor]:
        """Image coordinates [M, 2] in a and in b of the mutual nearest neighbours of a pair."""
        tile = self.options.tile_mib * 2**20
        forward, backward = nearest_both_ways(features[pair.a], features[pair.b], tile)
        kept = mutual(forward, backward).cpu()
        return geometry.pixels[pair.a][kept], geometry.pixels[pair.b][forward.index.cpu()[kept]]

    def _score_pair(
        self,
        views: Sequence[View],
        grids: Sequence[PatchGrid],
        min_baseline: float,
        seed: int,
        pair: PosePair,
        matched: tuple[Tensor, Tensor],
    ) -> dict[str, float]:
        own, (a, b) = self.options, (pair.a, pair.b)
        K_a, K_b = views[a].intrinsics, views[b].intrinsics
        assert K_a is not None and K_b is not None
        threshold = own.threshold_patches * (grids[a].stride + grids[b].stride) / 2
        estimate = estimate_pose(*matched, K_a, K_b, threshold, seed)
        true = fundamental_matrix(pair.b_from_a, K_a, K_b)
        distance = sampson_errors(*matched, true).numpy()
        measurable = float(pair.b_from_a[:3, 3].norm()) > min_baseline
        count = len(matched[0])
        row = {
            "num_matches": float(count),
            "epipolar_precision": float((distance <= threshold).mean())
            if count and measurable
            else math.nan,
            "angle_deg": pair.angle_deg,
            "failed": float(estimate is None),
        }
        return row | _errors(estimate, pair, min_baseline, measurable)

    def _summary(self, rows: list[dict[str, float]], num_pairs: int) -> dict[str, float]:
        own = self.options
        errors = np.array([row["error_deg"] for row in rows], dtype=np.float64)
        bins = [bin_of(row["angle_deg"], own.angle_bins_deg) for row in rows]
        values = {f"auc@{limit:g}deg": recall_area(errors, limit) for limit in own.limits_deg}
        for low, high in pairwise(own.angle_bins_deg):
            label = bin_label(low, high)
            own_errors = errors[[name == label for name in bins]]
            values[f"auc@{own.headline_deg:g}deg/{label}"] = recall_area(
                own_errors, own.headline_deg
            )
        for key in ("inlier_ratio", "epipolar_precision", "num_matches"):
            values[key] = _reduced(rows, key, np.mean)
        for key in ("rotation_error_deg", "translation_error_deg"):
            values[key] = _reduced(rows, key, np.median)
        values["num_pairs"] = float(num_pairs)
        values["num_unscored_pairs"] = float(num_pairs - int((~np.isnan(errors)).sum()))
        values["num_failures"] = float(sum(row["failed"] for row in rows))
        return values


def _overlap(a: View, b: View, pixels: Tensor, metric: bool) -> float:
    """Share of a's samples with depth that are visible in b; NaN without depth."""
    points = lift(a, pixels)
    if b.depth is None or not points.known.any():
        return math.nan
    return float(find_queries(a, b, points, metric, occlusion=True).visible.double().mean())


def _errors(
    estimate: PoseEstimate | None, pair: PosePair, min_baseline: float, measurable: bool
) -> dict[str, float]:
    """Errors of a pair; a failure is infinitely wrong where a pose could have been scored."""
    if estimate is None:
        return {"error_deg": math.inf if measurable else math.nan, "inlier_ratio": 0.0}
    error = pose_error(estimate, pair.b_from_a, min_baseline)
    return {
        "error_deg": error.worst_deg,
        "rotation_error_deg": error.rotation_deg,
        "translation_error_deg": error.translation_deg,
        "inlier_ratio": float(estimate.inliers.double().mean()),
    }


def _reduced(rows: list[dict[str, float]], key: str, how: Any) -> float:
    values = [row[key] for row in rows if key in row and not math.isnan(row[key])]
    return float(how(values)) if values else math.nan
