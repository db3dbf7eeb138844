"""Nearest-neighbour matching between views of a scene: recall by 3D and by pixel error."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, model_validator

from bench.geometry.matching import Points, Queries, find_queries, lattice, lift
from bench.options import parse_options
from bench.tasks import tasks
from bench.tasks._artifacts import scene_file
from bench.tasks._matching_pairs import (
    Geometry,
    PairOptions,
    PairScorer,
    Rising,
    Row,
    item_score,
    save_matches,
)
from bench.tasks._matching_report import PROBE3D, Report, Unit
from bench.tasks._per_view_set import PerViewSet
from bench.tasks._probe3d_pairs import Protocol, published_rows
from bench.types import ItemScore, Metric, Split, TaskContext, TaskItem


class MatchingOptions(PairOptions):
    """Options of ``geometric_matching``.

    preset: ``v1``, or a published protocol, which fixes everything but `tile_mib`.
    candidates: samples of the other view that can be matched.
    visibility: queries are kept where the other view's depth agrees, or wherever they fall into
        its image.
    thresholds_cm, thresholds_pct: of recall, in centimetres (metric sets) and in per cent of the
        scene scale. The area under the recall curve goes up to the last; angle bins show the middle
        one.
    angle_bins_deg: bounds of the bins of viewing angle between the two views.
    save_matches: keep the first scored pair of each scene for a figure.
    """

    preset: Literal["v1"] | Protocol = "v1"
    candidates: Literal["all", "with_depth"] = "all"
    visibility: Literal["depth", "image"] = "depth"
    thresholds_cm: Rising = Field((1.0, 2.0, 5.0), min_length=1)
    thresholds_pct: Rising = Field((1.0, 2.0, 5.0), min_length=1)
    angle_bins_deg: Rising = Field((0.0, 30.0, 60.0, 90.0, 120.0, 180.0), min_length=2)
    save_matches: bool = False

    @model_validator(mode="after")
    def _fixed_by_preset(self) -> MatchingOptions:
        own = self.model_fields_set - {"preset", "tile_mib"}
        if self.preset != "v1" and own:
            raise ValueError(f"preset {self.preset} fixes {', '.join(sorted(own))}; use v1")
        return self


@tasks.register("geometric_matching")
class GeometricMatching(PerViewSet):
    """Matches every sample of a view to its nearest by cosine in another view of the view set.

    Values of a view set are means over its pairs of views. Presets ``probe3d-navi`` and
    ``probe3d-scannet`` follow Probe3D (El Banani et al. 2024), whose numbers are means over pairs,
    not over scenes. They need images framed as there: see the suites ``matching_legacy`` and
    ``matching_legacy_scannet``.
    """

    Options: ClassVar[type[BaseModel]] = MatchingOptions
    name: ClassVar[str] = "geometric_matching"
    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"features", "depth", "poses"})
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

    def score(self, state: TaskContext, item: TaskItem) -> list[ItemScore]:
        own, view_set = self.options, item.view_set
        if own.preset == "v1":
            rows = self._rows(state, item)
        else:
            tokens, tile_bytes = item.feature_map.tokens, own.tile_mib * 2**20
            rows = list(published_rows(view_set, tokens, own.preset, self.report, tile_bytes))
        return [item_score(view_set, self.report, rows)]

    def _rows(self, state: TaskContext, item: TaskItem) -> list[Row]:
        own, view_set, feature_map = self.options, item.view_set, item.feature_map
        scorer = PairScorer(own, self.report)
        key = (self.name, own, feature_map.grids)
        geometry = item.memo.get(key, lambda: self._geometry(scorer, item))
        path = scene_file(state.artifacts, "matches", view_set.scene, feature_map.layer)
        wanted = own.save_matches and not path.exists()
        rows = []
        for found in scorer.score(view_set, feature_map, geometry, state.device):
            rows.append(found.row)
            if wanted and not found.row["num_unscored_pairs"]:
                save_matches(path, view_set, geometry, found, own.reference_px)
                wanted = False
        return rows

    def _geometry(self, scorer: PairScorer, item: TaskItem) -> Geometry:
        own, view_set = self.options, item.view_set
        points = []
        for view, grid in zip(view_set.views, item.feature_map.grids, strict=True):
            found = lift(view, lattice(grid, own.samples_per_patch))
            if own.candidates == "with_depth":
                found = Points(found.pixels[found.known], found.world[found.known])
            points.append(found)

        def queries(a: int, b: int) -> Queries:
            views, occlusion = view_set.views, own.visibility == "depth"
            return find_queries(views[a], views[b], points[a], view_set.metric, occlusion)

        return scorer.survey(view_set, points, queries)
