"""Keypoints carried from one image of a pair to the other: errors, and what limits them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, isfinite

from bench.errors import BenchError
from bench.geometry.keypoints import Scale, common_keypoints, object_size, transfer_keypoints
from bench.geometry.matching import chance_recall
from bench.types import FeatureMap, Split, ViewSet

Floats = NDArray[np.float64]

#: SPair-71k's grades of viewpoint difference.
VIEWPOINTS = (0, 1, 2)


@dataclass(frozen=True)
class PairErrors:
    """Errors of an ordered pair of views, as shares of the object's size per keypoint.

    errors: NaN where unscored. best: those of the nearest candidates. chance: recall of random
    candidates per threshold, NaN where unknown. num_unscored: also counts keypoints without an
    error.
    """

    errors: Floats
    best: Floats
    chance: Floats
    num_unscored: int


@dataclass(frozen=True)
class ViewSetErrors(PairErrors):
    """All pairs of a view set. viewpoint: difficulty label of SPair-71k, None elsewhere."""

    scene: str
    set_id: str
    split: Split
    viewpoint: int | None


def keypoint_errors(
    view_set: ViewSet,
    feature_map: FeatureMap,
    a: int,
    b: int,
    scale: Scale,
    thresholds: Sequence[float],
) -> PairErrors:
    """Keypoints of view a matched to the patch centres of view b.

    Args:
        scale: what the object's size is; see ``object_size``.
        thresholds: shares of it, for chance.
    """
    source, target, lost = _shared(view_set, a, b)
    tokens, grids = feature_map.tokens, feature_map.grids
    boxes = boxes_of(view_set)
    box = None if boxes is None else boxes[b]
    size = object_size(scale, box, view_set.views[b].size, target)
    if not len(source) or math.isnan(size):
        nothing, unknown = np.zeros(0), np.full(len(thresholds), np.nan)
        return PairErrors(nothing, nothing, unknown, lost + len(source))
    found = transfer_keypoints((tokens[a], grids[a]), (tokens[b], grids[b]), source, target)
    limits = tuple(threshold * size for threshold in thresholds)
    chance = chance_recall(found.truth, found.candidates, limits)
    unscored = lost + int(np.isnan(found.error).sum())
    return PairErrors(found.error / size, found.best / size, chance, unscored)


def together(view_set: ViewSet, pairs: Sequence[PairErrors], num_thresholds: int) -> ViewSetErrors:
    """The keypoints of all pairs; chance is the mean over the pairs that have one."""
    chances = np.array([pair.chance for pair in pairs])
    known = chances[~np.isnan(chances).any(axis=1)] if len(chances) else chances
    viewpoint = view_set.extras.get("viewpoint_variation")
    return ViewSetErrors(
        errors=np.concatenate([np.zeros(0), *(pair.errors for pair in pairs)]),
        best=np.concatenate([np.zeros(0), *(pair.best for pair in pairs)]),
        chance=known.mean(0) if len(known) else np.full(num_thresholds, np.nan),
        num_unscored=sum(pair.num_unscored for pair in pairs),
        scene=view_set.scene,
        set_id=view_set.set_id,
        split=view_set.split,
        viewpoint=viewpoint if isinstance(viewpoint, int) else None,
    )


def boxes_of(view_set: ViewSet) -> Tensor | None:
    """Boxes [S, 4] of the views: left, top, right, bottom in pixels."""
    boxes = view_set.extras.get("boxes")
    return boxes if isinstance(boxes, Tensor) else None


def _shared(view_set: ViewSet, a: int, b: int) -> tuple[Tensor, Tensor, int]:
    """Keypoints [K, 2] in both images, and how many annotated ones fall outside of either.

    Raises:
        BenchError: a view without keypoints.
    """
    source, target = view_set.views[a].keypoints, view_set.views[b].keypoints
    if source is None or target is None:
        raise BenchError(
            f"{view_set.dataset}/{view_set.scene}/{view_set.set_id} has a view without keypoints."
        )
    keep = common_keypoints(source, target, view_set.views[a].size, view_set.views[b].size)
    annotated = isfinite(source).all(1) & isfinite(target).all(1)
    return source[keep], target[keep], int((annotated & ~keep).sum())
