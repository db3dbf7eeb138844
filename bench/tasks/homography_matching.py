"""Nearest-neighbour matching between images of a plane: recall by pixel error."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel

from bench.geometry.matching import Points, Queries, homography_queries, lattice, no_queries
from bench.options import parse_options
from bench.tasks import tasks
from bench.tasks._matching_pairs import Geometry, PairOptions, PairScorer, item_score
from bench.tasks._matching_report import Report, Unit
from bench.tasks._per_view_set import PerViewSet
from bench.types import ItemScore, Metric, Split, TaskContext, TaskItem


class HomographyMatchingOptions(PairOptions):
    """Options of ``homography_matching``.

    preset: ``v1`` alone.
    """

    preset: Literal["v1"] = "v1"


@tasks.register("homography_matching")
class HomographyMatching(PerViewSet):
    """Matches every sample of an image to its nearest by cosine in the other, where a homography
    says which pixel it should be.

    A query counts where the homography puts it inside the other image. Values of a view set are
    means over its ordered pairs of views; pairs without a homography are unscored.
    """

    Options: ClassVar[type[BaseModel]] = HomographyMatchingOptions
    name: ClassVar[str] = "homography_matching"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features", "homography"})
    layers: ClassVar[Literal["each", "group"]] = "each"
    splits: ClassVar[tuple[Split, ...]] = ("val", "test")

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(HomographyMatchingOptions, config, f"Task '{self.name}'")
        own = self.options
        pixels = f"pixels with the long side at {own.reference_px:g}"
        units = (Unit("px", own.thresholds_px, pixels),)
        report = Report(units, binned=(), bins_deg=(), mutual=own.mutual)
        self.scorer = PairScorer(own, report)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.scorer.report.metrics

    def score(self, state: TaskContext, item: TaskItem) -> list[ItemScore]:
        view_set, feature_map = item.view_set, item.feature_map
        key = (self.name, self.options, feature_map.grids)
        geometry = item.memo.get(key, lambda: self._geometry(item))
        found = self.scorer.score(view_set, feature_map, geometry, state.device)
        return [item_score(view_set, self.scorer.report, [pair.row for pair in found])]

    def _geometry(self, item: TaskItem) -> Geometry:
        view_set = item.view_set
        known = view_set.homographies or {}
        points = []
        for grid in item.feature_map.grids:
            pixels = lattice(grid, self.options.samples_per_patch)
            points.append(Points(pixels, torch.full((len(pixels), 3), torch.nan).double()))

        def queries(a: int, b: int) -> Queries:
            if (a, b) not in known:
                return no_queries()
            sizes = view_set.views[a].size, view_set.views[b].size
            return homography_queries(points[a], known[a, b].to(torch.float64), *sizes)

        return self.scorer.survey(view_set, points, queries)
