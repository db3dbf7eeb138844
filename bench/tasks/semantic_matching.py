"""Semantic correspondence: keypoints carried to another object of the class, scored by PCK."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.keypoints import (
    Scale,
    common_keypoints,
    object_size,
    spair_errors,
    transfer_keypoints,
)
from bench.geometry.matching import chance_recall
from bench.geometry.recall import recall_at
from bench.options import parse_options
from bench.tasks import tasks
from bench.types import ItemScore, Metric, Split, TaskContext, TaskItem, TaskScope, ViewSet

Floats = NDArray[np.float64]

#: Probe3D: pairs drawn per class and viewpoint, their seed, and the threshold.
NUM_PAIRS = 200
DRAW_SEED = 20
SPAIR_THRESHOLD = 0.1
VIEWPOINTS = (0, 1, 2)


class SemanticOptions(BaseModel):
    """Options of ``semantic_matching``.

    preset: ``v1``, or ``probe3d-spair``, which fixes everything. thresholds: shares of the object's
    size; the largest is the headline. scale: the object's size is the long side of the target's
    ``box`` (extras of the view set), of the ``image``, or of the box around the ``keypoints``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["v1", "probe3d-spair"] = "v1"
    thresholds: tuple[float, ...] = Field((0.01, 0.05, 0.1), min_length=1)
    scale: Scale = "box"

    @model_validator(mode="after")
    def _consistent(self) -> SemanticOptions:
        own = self.model_fields_set - {"preset"}
        if self.preset != "v1" and own:
            raise ValueError(f"preset {self.preset} fixes {', '.join(sorted(own))}; use v1")
        return self


@dataclass(frozen=True)
class PairErrors:
    """What a view set contributes. viewpoint: difficulty label of SPair-71k, None elsewhere.

    errors, best: shares of the object's size per keypoint; chance: per threshold.
    """

    scene: str
    set_id: str
    split: Split
    errors: Floats
    best: Floats
    chance: Floats
    num_unscored: int
    viewpoint: int | None


@dataclass
class SemanticState:
    """All pairs so far."""

    pairs: list[PairErrors] = field(default_factory=list)


@tasks.register("semantic_matching")
class SemanticMatching:
    """Percentage of correct keypoints (PCK) from earlier views to later ones of a view set.

    v1: the mean over keypoints of a view set, then over the view sets of a class, then over
    classes. ``probe3d-spair`` pools the keypoints of a class instead; it needs the images in the
    squares of the dataset's option `square_px`, under resolution ``padded``.
    """

    Options: ClassVar[type[BaseModel]] = SemanticOptions
    name: ClassVar[str] = "semantic_matching"
    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"features", "keypoints"})
    scope: ClassVar[TaskScope] = "scene"
    layers: ClassVar[Literal["each", "group"]] = "each"
    splits: ClassVar[tuple[Split, ...]] = ("test",)

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(SemanticOptions, config, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(self._metrics())

    def _metrics(self) -> Iterator[Metric]:
        legacy = self.options.preset != "v1"
        thresholds = (SPAIR_THRESHOLD,) if legacy else self.options.thresholds
        size = "the target's box" if legacy else f"the target's {self.options.scale}"
        for t in thresholds:
            about = f"Share of keypoints closer than {t:g} of the long side of {size}"
            yield Metric(f"pck@{t:g}", about, headline=t == max(thresholds))
            if not legacy:
                yield Metric(f"ceiling@{t:g}", "The largest any patch centre reaches", "", None)
                yield Metric(f"chance@{t:g}", "Expected value of a random patch", "", None)
        for viewpoint in VIEWPOINTS:
            key = f"pck@{max(thresholds):g}"
            about = f"{key} of pairs whose viewpoints differ by grade {viewpoint} (SPair-71k)"
            yield Metric(f"{key}/viewpoint-{viewpoint}", about)
        yield Metric("num_keypoints", "Keypoints scored", "", None)
        yield Metric(
            "num_unscored_keypoints", "Keypoints cropped away or without features", "", None
        )

    def prepare(self, context: TaskContext) -> SemanticState:
        return SemanticState()

    def score(self, state: SemanticState, item: TaskItem) -> list[ItemScore]:
        """Nothing by itself: classes are scored at the end."""
        return []

    @torch.inference_mode()
    def update(self, state: SemanticState, item: TaskItem) -> None:
        view_set = item.view_set
        if self.options.scale == "box" and _boxes(view_set) is None:
            raise BenchError(
                f"{view_set.dataset}/{view_set.scene}/{view_set.set_id} has no boxes.",
                "Use preset v1 with `scale` image or keypoints.",
            )
        pair = self._legacy_pair if self.options.preset != "v1" else self._pair
        found = [pair(item, a, b) for a, b in combinations(range(len(view_set)), 2)]
        viewpoint = view_set.extras.get("viewpoint_variation")
        chances = np.array([chance for _, _, chance, _ in found])
        known = chances[~np.isnan(chances).any(axis=1)] if len(chances) else chances
        state.pairs.append(
            PairErrors(
                view_set.scene,
                view_set.set_id,
                view_set.split,
                np.concatenate([np.zeros(0), *(errors for errors, *_ in found)]),
                np.concatenate([np.zeros(0), *(best for _, best, *_ in found)]),
                known.mean(0) if len(known) else np.full(len(self.options.thresholds), np.nan),
                sum(unscored for *_, unscored in found),
                viewpoint if isinstance(viewpoint, int) else None,
            )
        )

    def finish(self, state: SemanticState) -> list[ItemScore]:
        if self.options.preset != "v1":
            return list(_pooled_by_class(state.pairs))
        return [self._score(pair) for pair in state.pairs]

    # v1

    def _pair(self, item: TaskItem, a: int, b: int) -> tuple[Floats, Floats, Floats, int]:
        """Errors, best errors, chance per threshold, and how many keypoints are unscored."""
        view_set, own = item.view_set, self.options
        source, target, lost = _shared(view_set, a, b)
        tokens, grids = item.feature_map.tokens, item.feature_map.grids
        boxes = _boxes(view_set)
        box = None if boxes is None else boxes[b]
        size = object_size(own.scale, box, view_set.views[b].size, target)
        if not len(source) or math.isnan(size):
            nothing = np.zeros(0)
            return nothing, nothing, np.full(len(own.thresholds), np.nan), lost + len(source)
        found = transfer_keypoints((tokens[a], grids[a]), (tokens[b], grids[b]), source, target)
        limits = tuple(threshold * size for threshold in own.thresholds)
        chance = chance_recall(found.truth, found.candidates, limits)
        unscored = lost + int(np.isnan(found.error).sum())
        return found.error / size, found.best / size, chance, unscored

    def _score(self, pair: PairErrors) -> ItemScore:
        thresholds = self.options.thresholds
        values = {}
        for threshold, chance in zip(thresholds, pair.chance, strict=True):
            values[f"pck@{threshold:g}"] = recall_at(pair.errors, threshold)
            values[f"ceiling@{threshold:g}"] = recall_at(pair.best, threshold)
            values[f"chance@{threshold:g}"] = float(chance)
        headline = f"pck@{max(thresholds):g}"
        for viewpoint in VIEWPOINTS:
            own = values[headline] if pair.viewpoint == viewpoint else math.nan
            values[f"{headline}/viewpoint-{viewpoint}"] = own
        values["num_keypoints"] = float((~np.isnan(pair.errors)).sum())
        values["num_unscored_keypoints"] = float(pair.num_unscored)
        return ItemScore(pair.scene, pair.set_id, pair.split, values)

    # Published protocol

    def _legacy_pair(self, item: TaskItem, a: int, b: int) -> tuple[Floats, Floats, Floats, int]:
        view_set, tokens = item.view_set, item.feature_map.tokens
        whole, side = _published_keypoints(view_set)
        boxes = _boxes(view_set)
        assert boxes is not None
        offset = spair_errors((tokens[a], whole[a]), (tokens[b], whole[b]), side)
        size = object_size("box", boxes[b], view_set.views[b].size, whole[b]) / side
        errors = offset.norm(dim=1).numpy() / size
        nothing = np.zeros(0)
        unscored = int(np.isnan(errors).sum())
        return errors, nothing, np.full(len(self.options.thresholds), np.nan), unscored


def _published_keypoints(view_set: ViewSet) -> tuple[Tensor, int]:
    """Keypoints [S, K, 2] in whole pixels as Probe3D has them, and the side of its squares.

    Raises:
        BenchError: the images are not framed as there.
    """
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
    annotated = torch.isfinite(source).all(1) & torch.isfinite(target).all(1)
    return source[keep], target[keep], int((annotated & ~keep).sum())


def _boxes(view_set: ViewSet) -> Tensor | None:
    """Boxes [S, 4] of the views: left, top, right, bottom in pixels."""
    boxes = view_set.extras.get("boxes")
    return boxes if isinstance(boxes, Tensor) else None


def _pooled_by_class(pairs: list[PairErrors]) -> Iterator[ItemScore]:
    """One score per class: PCK over the keypoints of at most 200 pairs, all and per viewpoint."""
    classes: dict[tuple[str, Split], list[PairErrors]] = {}
    for pair in pairs:
        classes.setdefault((pair.scene, pair.split), []).append(pair)
    key = f"pck@{SPAIR_THRESHOLD:g}"
    for (scene, split), own in classes.items():
        every = _drawn(own)
        values = {key: _strict_recall(every)}
        for viewpoint in VIEWPOINTS:
            drawn = _drawn([pair for pair in own if pair.viewpoint == viewpoint])
            values[f"{key}/viewpoint-{viewpoint}"] = _strict_recall(drawn)
        values["num_keypoints"] = float(sum((~np.isnan(p.errors)).sum() for p in every))
        values["num_unscored_keypoints"] = float(sum(p.num_unscored for p in every))
        yield ItemScore(scene, "pooled", split, values)


def _drawn(pairs: list[PairErrors]) -> list[PairErrors]:
    """At most 200 pairs. Sorted first, so that the draw is the same on every file system."""
    shuffled = sorted(pairs, key=lambda pair: pair.set_id)
    random.Random(DRAW_SEED).shuffle(shuffled)
    return shuffled[:NUM_PAIRS]


def _strict_recall(pairs: list[PairErrors]) -> float:
    """Share of keypoints with an error below the threshold; an error equal to it is wrong."""
    errors = np.concatenate([np.zeros(0), *(pair.errors for pair in pairs)])
    scored = errors[~np.isnan(errors)]
    return float((scored < SPAIR_THRESHOLD).mean()) if len(scored) else math.nan
