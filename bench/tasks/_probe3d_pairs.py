"""Pairs of views matched as Probe3D matches them (El Banani et al. 2024), defects included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from torch import Tensor

from bench.geometry import probe3d
from bench.geometry.cameras import relative_rotation_deg
from bench.geometry.recall import bin_of, recall_at
from bench.tasks._matching_pairs import Floats, Pair, Row, ordered_pairs
from bench.tasks._matching_report import Report
from bench.types import ViewSet

Protocol = Literal["probe3d-navi", "probe3d-scannet"]


def published_rows(
    view_set: ViewSet,
    tokens: Sequence[Tensor],
    protocol: Protocol,
    report: Report,
    tile_bytes: int,
) -> Iterator[Row]:
    """Scores of each pair of views, the earlier queried in the later.

    Args:
        tokens: per view [rows, cols, D].
        tile_bytes: largest piece of the similarity matrix.
    """
    navi = protocol == "probe3d-navi"
    sample = probe3d.navi_samples if navi else probe3d.scannet_samples
    samples = [
        sample(view, token) if _has_geometry(view_set, i) else None
        for i, (view, token) in enumerate(zip(view_set.views, tokens, strict=True))
    ]
    for a, b in ordered_pairs(len(view_set), "forward"):
        first, second = samples[a], samples[b]
        if first is None or second is None:
            yield {"num_unscored_pairs": 1.0}
            continue
        matches = probe3d.ratio_matches(first.features, second.features, tile_bytes)
        if not len(matches.first):
            yield {"num_unscored_pairs": 1.0, "num_unscored_queries": float(len(first.camera))}
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
            else probe3d.quarter_intrinsics(intrinsics),
        )
        row = _row(view_set, (a, b), report, in_3d.numpy() * 100, in_2d.numpy())
        yield {**row, "num_unscored_queries": float(matches.num_unscored)}


def _row(view_set: ViewSet, pair: Pair, report: Report, error_cm: Floats, error_px: Floats) -> Row:
    row = {"num_queries": float(len(error_px)), "num_unscored_pairs": 0.0}
    poses = [view_set.views[i].camera_from_world for i in pair]
    assert poses[0] is not None and poses[1] is not None
    bin_name = bin_of(relative_rotation_deg(poses[0], poses[1]), report.bins_deg)
    for unit in report.units:
        if unit.name == "cm" and not view_set.metric:
            continue
        errors = error_cm if unit.name == "cm" else np.nan_to_num(error_px, nan=np.inf)
        for threshold in unit.thresholds:
            row[unit.key("recall", threshold)] = recall_at(errors, threshold)
        if unit.name in report.binned:
            middle = unit.key("recall", unit.middle)
            row[f"{middle}/{bin_name}"] = row[middle]
    return row


def _has_geometry(view_set: ViewSet, index: int) -> bool:
    view = view_set.views[index]
    return not any(x is None for x in (view.depth, view.intrinsics, view.camera_from_world))
