"""Voxel score: are features of the same place in space alike across views, and only those?

Preset ``v1``: positives are patches of different views in the same voxel, negatives those whose
voxels are at least three apart; what lies between is neither. The headline is the
position-controlled AUROC, in which place in the image cannot help. Preset ``legacy-3dfeatprobe``
repeats the protocol of 3DFeatProbe, for comparison with its published numbers alone.

Two choices of v1 in numbers, measured on 16 views of four recordings with real depth sensors (table
top, shelf, office, room) at 28 and 37 patches on the long side:

- A voxel is 0.04 of the median depth, 0.9 to 1.4 patch widths there. Smaller ones leave some
  sets with fewer than 100 positives; larger ones take the controls from the positives of narrow
  baselines (stereo), where the cameras moved by less than two voxels.
- A patch is dropped as a depth edge if its sorted depths have a gap wider than half a voxel. To
  drop it by the spread of its depths (largest less smallest) would lose 70 to 95 % of all patches,
  nearly all of them slanted surfaces. The gap loses 4 to 16 %, and a third where the sensor is very
  noisy. The largest step between neighbouring pixels, blind to edges inside holes of the depth,
  would keep two to twenty times as many mean points in free space, and drop 60 % with that sensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import nan
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel
from torch import Tensor

from bench.geometry.correspondence import (
    auroc,
    cosines,
    lengths,
    mean_feature,
    normalize_,
    pair_sums,
)
from bench.geometry.position_control import MIN_KEPT, MIN_SCORED, mean_share, position_controlled
from bench.options import parse_options
from bench.tasks import tasks
from bench.tasks._per_view_set import PerViewSet
from bench.tasks._voxel_geometry import ROTATION_BINS, Geometry, ScoredPairs, geometry, moved
from bench.tasks._voxel_options import Options
from bench.types import (
    FeatureMap,
    ItemScore,
    Metric,
    Split,
    TaskContext,
    TaskItem,
    ViewSet,
)

#: Fewer pairs in a bin of viewpoint change say too little.
MIN_IN_BIN = 100
#: Reported for centred features and, with the suffix ``_raw``, for features as they are.
BOTH_WAYS = ("auroc_position_controlled", "auroc", "corr", "noncorr", "contrast")
UNSCORED = ("Patches with a point whose feature is zero or not finite.", "patches")


def by_name(view_set: ViewSet, features: FeatureMap) -> tuple[ViewSet, FeatureMap]:
    """Views in the order of their names, so that no draw depends on the order they come in."""
    order = sorted(range(len(view_set)), key=lambda view: view_set.views[view].name)
    return (
        replace(view_set, views=tuple(view_set.views[view] for view in order)),
        FeatureMap(
            layer=features.layer,
            tokens=tuple(features.tokens[view] for view in order),
            grids=tuple(features.grids[view] for view in order),
        ),
    )


def score_legacy(rows: Tensor, found: Geometry) -> dict[str, float]:
    """3DFeatProbe's means of features [N, D]; as published, 0 without pairs (NaN without points).

    Unit features are rounded to float16 as in the published code; sums are float64 here.
    """
    length = lengths(rows)
    unit = normalize_(rows, length).half().float()
    sums, pairs = pair_sums(unit, found.groups), found.num_pairs
    without = 0.0 if len(found.patches) else nan
    return {
        "corr_score": sums.same / pairs.same if pairs.same else without,
        "noncorr_score": sums.far / pairs.far if pairs.far else without,
        "num_positives": pairs.same,
        "num_negatives": pairs.far,
        "num_unscored_patches": float((length == 0).sum()),
    }


def score_v1(rows: Tensor, found: Geometry) -> dict[str, float]:
    """All v1 metrics of features [N, D], which are overwritten."""
    assert found.scored is not None
    length = lengths(rows)
    usable = length > 0
    centred = rows - mean_feature(rows, usable)
    centred_length = lengths(centred) * usable
    directed = centred_length > 0
    values, shares = compare(normalize_(centred, centred_length), directed, found, found.scored)
    raw, _ = compare(normalize_(rows, length), usable, found, found.scored)
    num_positives = len(shares)
    num_scored = int(shares.isfinite().sum())
    return {
        **values,
        **{f"{key}_raw": raw[key] for key in BOTH_WAYS},
        "kept": num_scored / num_positives if num_positives else nan,
        "num_positives": float(num_positives),
        "num_negatives": found.num_pairs.far,
        "num_scored": float(num_scored),
        "num_unscored_patches": float((~directed).sum()),
    }


def compare(
    unit: Tensor, usable: Tensor, found: Geometry, scored: ScoredPairs
) -> tuple[dict[str, float], Tensor]:
    """Means and AUROCs of unit rows [N, D], and the share of controls each positive exceeds."""
    sums = pair_sums(unit, found.groups)
    counts = pair_sums(usable[:, None].double(), found.groups)
    corr = sums.same / counts.same if counts.same else nan
    noncorr = sums.far / counts.far if counts.far else nan
    cosine = cosines(unit, usable, scored.pairs)
    positives, negatives = cosine[scored.positives], cosine[scored.negatives]
    shares = position_controlled(positives, cosine[scored.controls], scored.table)
    drawn, drawn_bin = positives[scored.drawn], scored.positive_bin[scored.drawn]
    values = {
        "auroc_position_controlled": mean_share(shares),
        "auroc": auroc(drawn, negatives),
        "corr": corr,
        "noncorr": noncorr,
        "contrast": corr - noncorr,
    }
    for number, (low, high) in enumerate(ROTATION_BINS):
        of_bin = f"{low}-{high}deg"
        values[f"auroc_position_controlled/{of_bin}"] = mean_share(
            shares[scored.positive_bin == number]
        )
        values[f"auroc/{of_bin}"] = auroc(
            drawn[drawn_bin == number],
            negatives[scored.negative_bin == number],
            at_least=MIN_IN_BIN,
        )
    return values, shares


def _v1_metrics() -> tuple[Metric, ...]:
    where = {"": "features less their mean over the view set", "_raw": "features as they are"}
    listed = []
    for suffix, kind in where.items():
        listed += [
            Metric(
                f"auroc_position_controlled{suffix}",
                "Share of same-cell controls (the same two places in the image, other views, more"
                f" than two voxels apart) that a positive pair exceeds in cosine; {kind}."
                f" NaN with fewer than {MIN_SCORED} scored positives or kept below {MIN_KEPT}.",
                chance=0.5,
                headline=not suffix,
            ),
            Metric(
                f"auroc{suffix}",
                "Probability that a pair in one voxel has a higher cosine than a pair more than two"
                f" voxels apart; {kind}. Place in the image alone can score high.",
                chance=0.5,
            ),
            Metric(f"corr{suffix}", f"Mean cosine of pairs in one voxel; {kind}."),
            Metric(
                f"noncorr{suffix}",
                f"Mean cosine of pairs more than two voxels apart; {kind}.",
                higher_is_better=False,
            ),
            Metric(f"contrast{suffix}", f"corr - noncorr; {kind}.", chance=0.0),
        ]
    for low, high in ROTATION_BINS:
        between = f"views {low} to {high} degrees apart; features less their mean"
        listed += [
            Metric(
                f"auroc_position_controlled/{low}-{high}deg",
                f"auroc_position_controlled of positives of {between}; NaN by the same rule.",
                chance=0.5,
            ),
            Metric(
                f"auroc/{low}-{high}deg",
                f"auroc of pairs of {between}; NaN with fewer than {MIN_IN_BIN} pairs of a kind.",
                chance=0.5,
            ),
        ]
    listed.append(
        Metric("kept", "Scored positives as a share of all positives.", higher_is_better=None)
    )
    counts = {
        "num_positives": ("Pairs of different views in one voxel.", "pairs"),
        "num_negatives": ("Pairs of different views more than two voxels apart.", "pairs"),
        "num_scored": ("Positives with a control.", "pairs"),
        "num_unscored_patches": UNSCORED,
    }
    return tuple(listed + _counts(counts))


def _legacy_metrics() -> tuple[Metric, ...]:
    counts = {
        "num_positives": ("Pairs of different views in one voxel.", "pairs"),
        "num_negatives": ("Pairs of different views in different voxels.", "pairs"),
        "num_unscored_patches": UNSCORED,
    }
    return (
        Metric("corr_score", "Mean cosine of pairs in one voxel.", headline=True),
        Metric("noncorr_score", "Mean cosine of pairs in two voxels.", higher_is_better=False),
        *_counts(counts),
    )


def _counts(described: Mapping[str, tuple[str, str]]) -> list[Metric]:
    return [
        Metric(key, text, unit=unit, higher_is_better=None)
        for key, (text, unit) in described.items()
    ]


@tasks.register("multiview_correspondence")
class MultiviewCorrespondence(PerViewSet):
    """Voxel score of one layer on one view set.

    Time and memory are linear in the number of patches but for one similarity matrix per view pair,
    which gives the cosines that the AUROCs compare. Views without depth or pose have no patches; a
    set without pairs is NaN. A patch whose feature is zero or not finite is left out and counted.

    Position control leaves one thing open: functions of place and view, such as the special first
    frame of VGGT.
    """

    Options: ClassVar[type[BaseModel]] = Options
    name: ClassVar[str] = "multiview_correspondence"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features", "depth", "poses"})
    layers: ClassVar[Literal["each", "group"]] = "each"
    splits: ClassVar[tuple[Split, ...]] = ("val", "test")

    def __init__(self, **params: Any) -> None:
        self.options = parse_options(Options, params, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return _v1_metrics() if self.options.preset == "v1" else _legacy_metrics()

    @torch.inference_mode()
    def score(self, state: TaskContext, item: TaskItem) -> list[ItemScore]:
        view_set, features = by_name(item.view_set, item.feature_map)
        key = (self.name, self.options, features.grids, state.seed)
        device = features.tokens[0].device

        def on_host() -> Geometry:
            return geometry(view_set, features.grids, self.options, state.seed)

        def on_device() -> Geometry:
            return moved(item.memo.get(key, on_host), device)

        found = item.memo.get((*key, device), on_device)
        rows = found.patches.gather(features.tokens)
        score = score_v1 if self.options.preset == "v1" else score_legacy
        return [ItemScore(view_set.scene, view_set.set_id, view_set.split, score(rows, found))]
