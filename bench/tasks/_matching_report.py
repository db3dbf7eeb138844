"""What geometric matching reports: units of error, thresholds, angle bins, and their metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from bench.geometry.recall import bin_label
from bench.types import Metric

Thresholds = tuple[float, ...]


@dataclass(frozen=True)
class Unit:
    """A unit of error and the thresholds in it; angle bins show the middle one.

    note: what the unit means, for descriptions.
    """

    name: str
    thresholds: Thresholds
    note: str

    @property
    def middle(self) -> float:
        return self.thresholds[len(self.thresholds) // 2]

    @property
    def limit(self) -> float:
        return self.thresholds[-1]

    def key(self, kind: str, threshold: float) -> str:
        """Metric key, for example ``recall@2cm``."""
        return f"{kind}@{threshold:g}{self.name}"


@dataclass(frozen=True)
class Report:
    """Units (the first holds the headline), those shown per angle bin, and the bins' edges.

    limits: also report ceiling, chance, unfiltered recall and areas. mean_over: see ``Metric``.
    """

    units: tuple[Unit, ...]
    binned: tuple[str, ...]
    bins_deg: Thresholds
    limits: bool = True
    mutual: bool = False
    mean_over: Literal["scenes", "view_sets"] = "scenes"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        found = (*self._recalls(), *self._areas(), *self._by_angle(), *self._counts())
        return tuple(replace(metric, mean_over=self.mean_over) for metric in found)

    @property
    def labels(self) -> list[str]:
        return [bin_label(low, high) for low, high in pairwise(self.bins_deg)]

    def _recalls(self) -> Iterator[Metric]:
        for unit in self.units:
            for kind, about in self._kinds().items():
                for threshold in unit.thresholds:
                    yield Metric(
                        unit.key(kind, threshold),
                        f"{about} ({unit.note})",
                        higher_is_better=None if kind in _LIMITS else True,
                        headline=kind == "recall"
                        and unit is self.units[0]
                        and threshold == unit.middle,
                    )

    def _kinds(self) -> Mapping[str, str]:
        kinds = {"recall": RECALL}
        if self.limits:
            kinds |= {**_LIMITS, "unfiltered": UNFILTERED}
        if self.mutual:
            kinds["precision"] = PRECISION
        return kinds

    def _areas(self) -> Iterator[Metric]:
        for unit in self.units if self.limits else ():
            area = unit.key("auc", unit.limit)
            yield Metric(area, f"Area under the recall curve up to the threshold ({unit.note})")
            ceiling = unit.key("ceiling_auc", unit.limit)
            yield Metric(ceiling, f"The largest {area} any matcher could reach", "", None)

    def _by_angle(self) -> Iterator[Metric]:
        for unit in self.units:
            for kind in ("recall", "ceiling") if self.limits else ("recall",):
                for label in self.labels if unit.name in self.binned else ():
                    yield Metric(
                        f"{unit.key(kind, unit.middle)}/{label}",
                        f"{unit.key(kind, unit.middle)} of views {label} apart ({unit.note})",
                        higher_is_better=True if kind == "recall" else None,
                    )

    def _counts(self) -> Iterator[Metric]:
        for key, about in COUNTS.items():
            yield Metric(key, about, higher_is_better=None)
        if self.mutual:
            yield Metric("matched", "Share of visible queries with a mutual match")


RECALL = "Share of queries whose match lies within the threshold"
UNFILTERED = "The same over all queries, whether visible in the other view or not"
PRECISION = "Share of matched queries whose match lies within the threshold"
_LIMITS = {
    "ceiling": "Share of queries that any matcher could bring within the threshold",
    "chance": "Expected recall of matches drawn at random",
}
COUNTS = {
    "num_pairs": "Ordered pairs of views",
    "num_unscored_pairs": "Pairs with too few visible queries, or without usable features",
    "num_queries": "Visible queries of the scored pairs",
    "num_unscored_queries": "Of those, queries whose feature has no direction",
}

#: Thresholds and bins of the two published protocols.
PROBE3D: Mapping[str, Report] = {
    "probe3d-navi": Report(
        (
            Unit("cm", (1.0, 2.0, 5.0), "cm, sets in metres"),
            Unit("px", (5.0, 25.0, 50.0), "pixels of the input image"),
        ),
        binned=("cm",),
        bins_deg=(0.0, 30.0, 60.0, 90.0, 120.0),
        limits=False,
        mean_over="view_sets",
    ),
    "probe3d-scannet": Report(
        (Unit("px", (5.0, 10.0, 20.0), "pixels at a quarter of the input's resolution"),),
        binned=("px",),
        bins_deg=(0.0, 15.0, 30.0, 60.0, 180.0),
        limits=False,
        mean_over="view_sets",
    ),
}
