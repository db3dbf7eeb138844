"""Pairs of views matched sample by sample: options, queries and scores shared by matching tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import Tensor

from bench.geometry.matching import (
    Errors,
    Points,
    Queries,
    best_errors,
    chance_recall,
    features_at,
    match_errors,
)
from bench.geometry.nearest import NO_MATCH, Nearest, mutual, nearest, nearest_both_ways, unit_rows
from bench.geometry.recall import bin_of, recall_area, recall_at
from bench.tasks._artifacts import save_arrays
from bench.tasks._matching_report import Report, Thresholds, Unit
from bench.types import FeatureMap, ItemScore, ViewSet

Floats = NDArray[np.float64]
Pair = tuple[int, int]
Row = dict[str, float]


def _rising(values: Thresholds) -> Thresholds:
    if any(low >= high for low, high in pairwise(values)):
        raise ValueError("must rise")
    return values


Rising = Annotated[Thresholds, AfterValidator(_rising)]


class PairOptions(BaseModel):
    """Options of matching between two views.

    directions: query every ordered pair of views, or only earlier views in later ones.
    mutual: a query counts as found only if it is the nearest of its nearest.
    samples_per_patch: samples per patch side; 1 takes the patch tokens at the patch centres, more
        interpolates bilinearly between them.
    centre: subtract one mean vector per view set.
    thresholds_px: of recall, in pixels with the image's long side at `reference_px`. The area under
        the recall curve goes up to the last.
    reference_px: long side of the image in which pixels are counted.
    min_queries: a pair of views with fewer visible queries is unscored, and counted.
    tile_mib: largest piece of the similarity matrix in memory, in MiB.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    directions: Literal["both", "forward"] = "both"
    mutual: bool = False
    samples_per_patch: int = Field(1, ge=1, le=16)
    centre: bool = False
    thresholds_px: Rising = Field((5.0, 10.0, 20.0), min_length=1)
    reference_px: float = Field(640.0, gt=0)
    min_queries: int = Field(20, ge=1)
    tile_mib: int = Field(32, ge=1, le=65536)


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
    pairs: Mapping[Pair, PairGeometry]


@dataclass(frozen=True)
class ScoredPair:
    """An ordered pair of views, its matches (of all samples, on the CPU) and its scores."""

    views: Pair
    matches: Nearest
    row: Row


@dataclass(frozen=True)
class PairScorer:
    """Scores of one view set, pair by pair, under the options of a task."""

    options: PairOptions
    report: Report

    def survey(
        self,
        view_set: ViewSet,
        points: Sequence[Points],
        queries: Callable[[int, int], Queries],
    ) -> Geometry:
        """Everything that no feature can change.

        Args:
            points: samples per view.
            queries: those of an ordered pair of views.
        """
        pairs = {}
        for a, b in ordered_pairs(len(points), self.options.directions):
            known = queries(a, b)
            seen = known.visible
            chance = {}
            for unit in self.report.units:
                factor = self._factor(unit, view_set, b)
                if factor is not None:
                    flat = unit.name == "px"
                    chance[unit.name] = chance_recall(
                        (known.targets if flat else known.world)[seen],
                        points[b].pixels if flat else points[b].world,
                        tuple(threshold / factor for threshold in unit.thresholds),
                    )
            pairs[a, b] = PairGeometry(known, best_errors(known, points[b]), chance)
        return Geometry(tuple(points), pairs)

    def score(
        self, view_set: ViewSet, feature_map: FeatureMap, geometry: Geometry, device: str
    ) -> Iterator[ScoredPair]:
        """Every ordered pair that the options ask for."""
        features = [
            features_at(tokens.to(device), points.pixels, grid, self.options.samples_per_patch)
            for tokens, points, grid in zip(
                feature_map.tokens, geometry.points, feature_map.grids, strict=True
            )
        ]
        if self.options.centre:
            features = _centred(features)
        for a, b in ordered_pairs(len(view_set), "forward"):
            for pair, matches in self._match(features, a, b):
                yield ScoredPair(pair, matches, self._row(view_set, geometry, pair, matches))

    def _factor(self, unit: Unit, view_set: ViewSet, b: int) -> float | None:
        """What turns raw errors (pixels of view b, world units) into the unit; None without it."""
        if unit.name == "px":
            return self.options.reference_px / max(view_set.views[b].size)
        if view_set.views[b].depth is None:
            return None
        if unit.name == "cm":
            return 100.0 if view_set.metric else None
        return 100.0 / view_set.scene_scale if view_set.scene_scale else None

    def _match(self, features: list[Tensor], a: int, b: int) -> Iterator[tuple[Pair, Nearest]]:
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

    def _row(self, view_set: ViewSet, geometry: Geometry, pair: Pair, matches: Nearest) -> Row:
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
            for kind in ("recall", "ceiling") if unit.name in self.report.binned else ():
                middle = unit.key(kind, unit.middle)
                row[f"{middle}/{bin_name}"] = row[middle]
        return row


def item_score(view_set: ViewSet, report: Report, rows: Sequence[Row]) -> ItemScore:
    """Means over the pairs of a view set that have a value, and sums of the counts."""
    values = {metric.key: _mean(rows, metric.key) for metric in report.metrics}
    values["num_pairs"] = float(len(rows))
    for key in ("num_unscored_pairs", "num_queries", "num_unscored_queries"):
        values[key] = float(sum(row.get(key, 0.0) for row in rows))
    return ItemScore(view_set.scene, view_set.set_id, view_set.split, values)


def save_matches(
    path: Path, view_set: ViewSet, geometry: Geometry, found: ScoredPair, reference_px: float
) -> None:
    """Visible queries of a pair with their matches, for ``bench.plots.matches``."""
    a, b = found.views
    queries = geometry.pairs[a, b].queries
    index = found.matches.index[queries.index]
    keep = queries.visible & (index >= 0)
    scale = reference_px / max(view_set.views[b].size)
    errors = match_errors(queries, geometry.points[b], index).pixels * scale
    save_arrays(
        path,
        image_a=view_set.views[a].image.permute(1, 2, 0).numpy(),
        image_b=view_set.views[b].image.permute(1, 2, 0).numpy(),
        points_a=geometry.points[a].pixels[queries.index[keep]].numpy(),
        points_b=geometry.points[b].pixels[index[keep]].numpy(),
        error_px=errors[keep.numpy()],
        reference_px=np.float64(reference_px),
    )


def ordered_pairs(count: int, directions: str) -> list[Pair]:
    """Pairs (a, b) of different views; ``forward``: earlier views in later ones."""
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


def _mean(rows: Sequence[Row], key: str) -> float:
    """Mean over the pairs that have this value."""
    values = [row[key] for row in rows if key in row and not math.isnan(row[key])]
    return sum(values) / len(values) if values else math.nan
