"""Nearest-neighbour matching between views of a scene: recall by 3D and by pixel error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from bench.geometry import probe3d
from bench.geometry.cameras import relative_rotation_deg
from bench.geometry.matching import (
    Errors,
    Points,
    Queries,
    best_errors,
    chance_recall,
    features_at,
    find_queries,
    lattice,
    lift,
    match_errors,
)
from bench.geometry.nearest import NO_MATCH, Nearest, mutual, nearest, nearest_both_ways, unit_rows
from bench.geometry.recall import bin_of, recall_area, recall_at
from bench.options import parse_options
from bench.tasks import tasks
from bench.tasks._artifacts import save_arrays, scene_file
from bench.tasks._matching_report import PROBE3D, Report, Thresholds, Unit
from bench.types import ItemScore, Metric, Split, TaskContext, TaskItem, TaskScope, ViewSet

Floats = NDArray[np.float64]
Preset = Literal["v1", "probe3d-navi", "probe3d-scannet"]


class MatchingOptions(BaseModel):
    """Options of ``geometric_matching``.

    preset: ``v1``, or a published protocol, which fixes everything but `tile_mib`.
    directions: query every ordered pair of views, or only earlier views in later ones.
    mutual: a query counts as found only if it is the nearest of its nearest.
    samples_per_patch: samples per patch side; 1 takes the patch tokens at the patch centres, more
        interpolates bilinearly between them.
    candidates: samples of the other view that can be matched.
    visibility: queries are kept where the other view's depth agrees, or wherever they fall into
        its image.
    centre: subtract one mean vector per view set.
    thresholds_px, thresholds_cm, thresholds_pct: of recall; pixels with the image's long side at
        `reference_px`, centimetres (metric sets), and per cent of the scene scale. The area under
        the recall curve goes up to the last; angle bins show the middle one.
    reference_px: long side of the image in which pixels are counted.
    angle_bins_deg: bounds of the bins of viewing angle between the two views.
    min_queries: a pair of views with fewer visible queries is unscored, and counted.
    tile_mib: largest piece of the similarity matrix in memory, in MiB.
    save_matches: keep the first scored pair of each scene for a figure.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Preset = "v1"
    directions: Literal["both", "forward"] = "both"
    mutual: bool = False
    samples_per_patch: int = Field(1, ge=1, le=16)
    candidates: Literal["all", "with_depth"] = "all"
    visibility: Literal["depth", "image"] = "depth"
    centre: bool = False
    thresholds_px: Thresholds = Field((5.0, 10.0, 20.0), min_length=1)
    thresholds_cm: Thresholds = Field((1.0, 2.0, 5.0), min_length=1)
    thresholds_pct: Thresholds = Field((1.0, 2.0, 5.0), min_length=1)
    reference_px: float = Field(640.0, gt=0)
    angle_bins_deg: Thresholds = Field((0.0, 30.0, 60.0, 90.0, 120.0, 180.0), min_length=2)
    min_queries: int = Field(20, ge=1)
    tile_mib: int = Field(32, ge=1, le=65536)
    save_matches: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> MatchingOptions:
        own = self.model_fields_set - {"preset", "tile_mib"}
        if self.preset != "v1" and own:
            raise ValueError(f"preset {self.preset} fixes {', '.join(sorted(own))}; use v1")
        rising = ("thresholds_px", "thresholds_cm", "thresholds_pct", "angle_bins_deg")
        for name in rising:
            values = getattr(self, name)
            if any(low >= high for low, high in pairwise(values)):
                raise ValueError(f"{name} must rise")
        return self


@dataclass(frozen=True)
class PairGeometry:
    """What is known of an ordered pair of views before any feature is seen."""

    queries: Queries
    best: Errors
    chance: Mapping[str, Floats]


@dataclass(frozen=True)
class Geometry:
    """Samples of every view, and every ordered pair that is scored."""

    points: tuple[Points, ...]
    pairs: Mapping[tuple[int, int], PairGeometry]


@tasks.register("geometric_matching")
class GeometricMatching:
    """Matches every sample of a view to its nearest by cosine in another view of the view set.

    Values of a view set are means over its pairs of views. Presets ``probe3d-navi`` and
    ``probe3d-scannet`` follow Probe3D (El Banani et al. 2024), whose published numbers are means
    over pairs, not over scenes.
    """

    Options: ClassVar[type[BaseModel]] = MatchingOptions
    name: ClassVar[str] = "geometric_matching"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features", "depth", "poses"})
    scope: ClassVar[TaskScope] = "view_set"
    layers: ClassVar[Literal["each", "group"]] = "each"
    splits: ClassVar[tuple[Split, ...]] = ("val", "test")

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(MatchingOptions, config, f"Task '{self.name}'")
        own = self.options
        pixels = f"pixels with the long side at {own.reference_px:g}"
        self.report = PROBE3D.get(own.preset) or Report(
            (
                Unit("px", own.thresholds_px, pixels),
                Unit("cm", own.thresholds_cm, "cm, sets in metres"),
                Unit("pct", own.thresholds_pct, "% of the scene scale"),
            ),
            binned=("px", "cm", "pct"),
            bins_deg=own.angle_bins_deg,
            mutual=own.mutual,
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.report.metrics

    def prepare(self, context: TaskContext) -> TaskContext:
        return context

    def update(self, state: TaskContext, item: TaskItem) -> None:
        """Nothing is collected: every view set is scored by itself."""

    def finish(self, state: TaskContext) -> list[ItemScore]:
        return []

    def score(self, state: TaskContext, item: TaskItem) -> list[ItemScore]:
        legacy = self.options.preset != "v1"
        rows = list(self._legacy_pairs(item) if legacy else self._pairs(state, item))
        values = {metric.key: _mean(rows, metric.key) for metric in self.metrics}
        values["num_pairs"] = float(len(rows))
        for key in ("num_unscored_pairs", "num_queries", "num_unscored_queries"):
            values[key] = float(sum(row.get(key, 0.0) for row in rows))
        view_set = item.view_set
        return [ItemScore(view_set.scene, view_set.set_id, view_set.split, values)]

    # v1

    def _pairs(self, state: TaskContext, item: TaskItem) -> Iterator[dict[str, float]]:
        own = self.options
        feature_map, view_set = item.feature_map, item.view_set
        key = (self.name, own, feature_map.grids)
        geometry = item.memo.get(key, lambda: self._geometry(item))
        features = [
            features_at(tokens.to(state.device), points.pixels, grid, own.samples_per_patch)
            for tokens, points, grid in zip(
                feature_map.tokens, geometry.points, feature_map.grids, strict=True
            )
        ]
        if own.centre:
            features = _centred(features)
        saved = not own.save_matches
        for a in range(len(view_set)):
            for b in range(a + 1, len(view_set)):
                for pair, matches in self._match(features, a, b):
                    row = self._score_pair(view_set, geometry, pair, matches)
                    yield row
                    if not saved and not row["num_unscored_pairs"]:
                        self._save(state, item, geometry, pair, matches)
                        saved = True

    def _geometry(self, item: TaskItem) -> Geometry:
        own, view_set = self.options, item.view_set
        points = []
        for view, grid in zip(view_set.views, item.feature_map.grids, strict=True):
            found = lift(view, lattice(grid, own.samples_per_patch))
            if own.candidates == "with_depth":
                found = Points(found.pixels[found.known], found.world[found.known])
            points.append(found)
        pairs = {}
        for a, b in _ordered_pairs(len(points), own.directions):
            queries = find_queries(
                view_set.views[a],
                view_set.views[b],
                points[a],
                view_set.metric,
                occlusion=own.visibility == "depth",
            )
            seen = queries.visible
            chance = {}
            for unit in self.report.units:
                factor = self._factor(unit, view_set, b)
                if factor is not None:
                    flat = unit.name == "px"
                    chance[unit.name] = chance_recall(
                        (queries.targets if flat else queries.world)[seen],
                        points[b].pixels if flat else points[b].world,
                        tuple(threshold / factor for threshold in unit.thresholds),
                    )
            pairs[a, b] = PairGeometry(queries, best_errors(queries, points[b]), chance)
        return Geometry(tuple(points), pairs)

    def _factor(self, unit: Unit, view_set: ViewSet, b: int) -> float | None:
        """What turns raw errors (pixels of view b, world units) into the unit; None without it."""
        if unit.name == "px":
            return self.options.reference_px / max(view_set.views[b].size)
        if view_set.views[b].depth is None:
            return None
        if unit.name == "cm":
            return 100.0 if view_set.metric else None
        return 100.0 / view_set.scene_scale if view_set.scene_scale else None

    def _match(
        self, features: list[Tensor], a: int, b: int
    ) -> Iterator[tuple[tuple[int, int], Nearest]]:
        """Matches of a pair of views in the directions that are asked for, on the CPU."""
        own, tile = self.options, self.options.tile_mib * 2**20
        both = own.directions == "both"
        if not both and not own.mutual:
            yield (a, b), _on_cpu(nearest(features[a], features[b], tile))
            return
        forward, backward = map(_on_cpu, nearest_both_ways(features[a], features[b], tile))
        if own.mutual:
            kept = mutual(forward, backward), mutual(backward, forward)
            forward, backward = _only(forward, kept[0]), _only(backward, kept[1])
        yield (a, b), forward
        if both:
            yield (b, a), backward

    def _score_pair(
        self, view_set: ViewSet, geometry: Geometry, pair: tuple[int, int], matches: Nearest
    ) -> dict[str, float]:
        known = geometry.pairs[pair]
        queries, seen = known.queries, known.queries.visible.numpy()
        found = match_errors(queries, geometry.points[pair[1]], matches.index[queries.index])
        unusable = torch.isnan(matches.cosine[queries.index]).numpy()
        count = int((seen & ~unusable).sum())
        if seen.sum() < self.options.min_queries or count == 0:
            return {"num_unscored_pairs": 1.0}
        row = {
            "num_unscored_pairs": 0.0,
            "num_queries": float(seen.sum()),
            "num_unscored_queries": float((seen & unusable).sum()),
        }
        matched = matches.found[queries.index].numpy()
        row["matched"] = float(matched[seen & ~unusable].mean())
        bin_name = bin_of(queries.angle_deg, self.report.bins_deg)
        for unit in self.report.units:
            factor = self._factor(unit, view_set, pair[1])
            if factor is None:
                continue
            flat = unit.name == "px"
            errors = (found.pixels if flat else found.world) * factor
            errors[unusable] = np.nan
            best = (known.best.pixels if flat else known.best.world)[seen] * factor
            kinds = {
                "recall": errors[seen],
                "ceiling": best,
                "unfiltered": errors,
                "precision": errors[seen & matched],
            }
            for threshold, chance in zip(unit.thresholds, known.chance[unit.name], strict=True):
                row[unit.key("chance", threshold)] = float(chance)
                for kind, values in kinds.items():
                    row[unit.key(kind, threshold)] = recall_at(values, threshold)
            row[unit.key("auc", unit.limit)] = recall_area(errors[seen], unit.limit)
            row[unit.key("ceiling_auc", unit.limit)] = recall_area(best, unit.limit)
            for kind in ("recall", "ceiling"):
                middle = unit.key(kind, unit.middle)
                row[f"{middle}/{bin_name}"] = row[middle]
        return row

    def _save(
        self,
        state: TaskContext,
        item: TaskItem,
        geometry: Geometry,
        pair: tuple[int, int],
        matches: Nearest,
    ) -> None:
        """Visible queries of a pair with their matches, for ``bench.plots.matches``."""
        view_set, (a, b) = item.view_set, pair
        path = scene_file(state.artifacts, "matches", view_set.scene, item.feature_map.layer)
        if path.exists():
            return
        queries = geometry.pairs[pair].queries
        index = matches.index[queries.index]
        keep = queries.visible & (index >= 0)
        scale = self.options.reference_px / max(view_set.views[b].size)
        errors = match_errors(queries, geometry.points[b], index).pixels * scale
        save_arrays(
            path,
            image_a=view_set.views[a].image.permute(1, 2, 0).numpy(),
            image_b=view_set.views[b].image.permute(1, 2, 0).numpy(),
            points_a=geometry.points[a].pixels[queries.index[keep]].numpy(),
            points_b=geometry.points[b].pixels[index[keep]].numpy(),
            error_px=errors[keep.numpy()],
            reference_px=np.float64(self.options.reference_px),
        )

    # Published protocols

    def _legacy_pairs(self, item: TaskItem) -> Iterator[dict[str, float]]:
        """Earlier views queried in later ones, with everything as published."""
        navi = self.options.preset == "probe3d-navi"
        sample = probe3d.navi_samples if navi else probe3d.scannet_samples
        view_set, tokens = item.view_set, item.feature_map.tokens
        samples = [
            sample(view, token) if _has_geometry(view_set, i) else None
            for i, (view, token) in enumerate(zip(view_set.views, tokens, strict=True))
        ]
        for a, b in _ordered_pairs(len(view_set), "forward"):
            first, second = samples[a], samples[b]
            if first is None or second is None:
                yield {"num_unscored_pairs": 1.0}
                continue
            matches = probe3d.ratio_matches(
                first.features, second.features, self.options.tile_mib * 2**20
            )
            if not len(matches.first):
                yield {"num_unscored_pairs": 1.0}
                continue
            intrinsics = view_set.views[b].intrinsics
            assert intrinsics is not None
            in_3d, in_2d = probe3d.match_distances(
                view_set.views[a],
                view_set.views[b],
                first.camera[matches.first],
                second.camera[matches.second],
                probe3d.centred_intrinsics(intrinsics)
                if navi
                else probe3d.quarter_intrinsics(intrinsics.to(torch.float64)),
            )
            yield self._legacy_row(view_set, (a, b), in_3d.numpy() * 100, in_2d.numpy())

    def _legacy_row(
        self, view_set: ViewSet, pair: tuple[int, int], error_cm: Floats, error_px: Floats
    ) -> dict[str, float]:
        row = {"num_queries": float(len(error_px)), "num_unscored_pairs": 0.0}
        poses = [view_set.views[i].camera_from_world for i in pair]
        assert poses[0] is not None and poses[1] is not None
        bin_name = bin_of(relative_rotation_deg(poses[0], poses[1]), self.report.bins_deg)
        for unit in self.report.units:
            if unit.name == "cm" and not view_set.metric:
                continue
            errors = error_cm if unit.name == "cm" else np.nan_to_num(error_px, nan=np.inf)
            for threshold in unit.thresholds:
                row[unit.key("recall", threshold)] = recall_at(errors, threshold)
            if unit.name in self.report.binned:
                middle = unit.key("recall", unit.middle)
                row[f"{middle}/{bin_name}"] = row[middle]
        return row


def _ordered_pairs(count: int, directions: str) -> list[tuple[int, int]]:
    return [
        (a, b)
        for a in range(count)
        for b in range(count)
        if a < b or (a != b and directions == "both")
    ]


def _centred(features: list[Tensor]) -> list[Tensor]:
    """Minus the mean over all usable rows of all views; rows without a direction keep having none.

    The mean is of raw features, so that centring is the same for every pair.
    """
    usable = [unit_rows(rows)[1] for rows in features]
    kept = torch.cat([rows[ok].float() for rows, ok in zip(features, usable, strict=True)])
    mean = kept.mean(0)
    return [
        torch.where(ok[:, None], rows.float() - mean, 0.0)
        for rows, ok in zip(features, usable, strict=True)
    ]


def _on_cpu(matches: Nearest) -> Nearest:
    return Nearest(matches.index.cpu(), matches.cosine.cpu())


def _only(matches: Nearest, kept: Tensor) -> Nearest:
    """The matches that are kept; the others become queries without a match."""
    return Nearest(torch.where(kept, matches.index, NO_MATCH), matches.cosine)


def _has_geometry(view_set: ViewSet, index: int) -> bool:
    view = view_set.views[index]
    return not any(x is None for x in (view.depth, view.intrinsics, view.camera_from_world))


def _mean(rows: list[dict[str, float]], key: str) -> float:
    """Mean over the pairs that have this value."""
    values = [row[key] for row in rows if key in row and not math.isnan(row[key])]
    return sum(values) / len(values) if values else math.nan
