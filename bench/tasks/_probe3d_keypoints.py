"""Keypoints matched and pooled as Probe3D does it on SPair-71k (El Banani et al. 2024)."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.keypoints import object_size, spair_errors
from bench.tasks._keypoint_pairs import VIEWPOINTS, PairErrors, ViewSetErrors, boxes_of
from bench.types import FeatureMap, ItemScore, Split, ViewSet

THRESHOLD = 0.1
#: Pairs drawn per class and viewpoint, and the seed of the draw.
NUM_PAIRS = 200
DRAW_SEED = 20


def published_errors(view_set: ViewSet, feature_map: FeatureMap, a: int, b: int) -> PairErrors:
    """Errors of the keypoints of view a in view b, as shares of the target's box.

    Raises:
        BenchError: the images are not framed as there.
    """
    tokens = feature_map.tokens
    whole, side = _whole_keypoints(view_set)
    boxes = boxes_of(view_set)
    box = None if boxes is None else boxes[b]
    offset = spair_errors((tokens[a], whole[a]), (tokens[b], whole[b]), side)
    size = object_size("box", box, view_set.views[b].size, whole[b]) / side
    errors = offset.norm(dim=1).numpy() / size
    nothing = np.zeros(0)
    return PairErrors(errors, nothing, nothing, int(np.isnan(errors).sum()))


def pooled_by_class(view_sets: Sequence[ViewSetErrors]) -> Iterator[ItemScore]:
    """One score per class: PCK over the keypoints of at most 200 pairs, all and per viewpoint."""
    classes: dict[tuple[str, Split], list[ViewSetErrors]] = {}
    for errors in view_sets:
        classes.setdefault((errors.scene, errors.split), []).append(errors)
    key = f"pck@{THRESHOLD:g}"
    for (scene, split), own in classes.items():
        every = _drawn(own)
        values = {key: _strict_recall(every)}
        for viewpoint in VIEWPOINTS:
            drawn = _drawn([errors for errors in own if errors.viewpoint == viewpoint])
            values[f"{key}/viewpoint-{viewpoint}"] = _strict_recall(drawn)
        values["num_keypoints"] = float(sum((~np.isnan(p.errors)).sum() for p in every))
        values["num_unscored_keypoints"] = float(sum(p.num_unscored for p in every))
        yield ItemScore(scene, "pooled", split, values)


def _whole_keypoints(view_set: ViewSet) -> tuple[Tensor, int]:
    """Keypoints [S, K, 2] in whole pixels, and the side of the squares that they are in."""
    whole, side = view_set.extras.get("whole_keypoints"), view_set.extras.get("square_px")
    if not isinstance(whole, Tensor) or any(view.size != (side, side) for view in view_set.views):
        raise BenchError(
            f"{view_set.dataset}/{view_set.scene}/{view_set.set_id} is not framed as Probe3D has "
            "it, in squares that nothing resizes.",
            "Use dataset spair71k with params: {square_px: 800} and resolution: padded, or preset "
            "v1.",
        )
    assert isinstance(side, int)
    return whole, side


def _drawn(view_sets: Sequence[ViewSetErrors]) -> list[ViewSetErrors]:
    """At most 200 pairs. Sorted first, so that the draw is the same on every file system."""
    shuffled = sorted(view_sets, key=lambda errors: errors.set_id)
    random.Random(DRAW_SEED).shuffle(shuffled)
    return shuffled[:NUM_PAIRS]


def _strict_recall(view_sets: Sequence[ViewSetErrors]) -> float:
    """Share of keypoints with an error below the threshold; an error equal to it is wrong."""
    errors = np.concatenate([np.zeros(0), *(own.errors for own in view_sets)])
    scored = errors[~np.isnan(errors)]
    return float((scored < THRESHOLD).mean()) if len(scored) else math.nan
