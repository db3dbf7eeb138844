"""Semantic correspondence: keypoints carried to another object of the class, scored by PCK."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.errors import BenchError
from bench.geometry.keypoints import Scale
from bench.geometry.recall import recall_at
from bench.options import parse_options
from bench.tasks import tasks
from bench.tasks._keypoint_pairs import (
    VIEWPOINTS,
    PairErrors,
    ViewSetErrors,
    boxes_of,
    keypoint_errors,
    together,
)
from bench.tasks._probe3d_keypoints import THRESHOLD, pooled_by_class, published_errors
from bench.types import ItemScore, Metric, Split, TaskContext, TaskItem, TaskScope


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


@dataclass
class SemanticState:
    """All view sets so far."""

    view_sets: list[ViewSetErrors] = field(default_factory=list)


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
        thresholds = (THRESHOLD,) if legacy else self.options.thresholds
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
        if self.options.scale == "box" and boxes_of(view_set) is None:
            raise BenchError(
                f"{view_set.dataset}/{view_set.scene}/{view_set.set_id} has no boxes.",
                "Use preset v1 with `scale` image or keypoints.",
            )
        pairs = [self._pair(item, a, b) for a, b in combinations(range(len(view_set)), 2)]
        state.view_sets.append(together(view_set, pairs, len(self.options.thresholds)))

    def finish(self, state: SemanticState) -> list[ItemScore]:
        if self.options.preset != "v1":
            return list(pooled_by_class(state.view_sets))
        return [self._score(errors) for errors in state.view_sets]

    def _pair(self, item: TaskItem, a: int, b: int) -> PairErrors:
        own = self.options
        if own.preset != "v1":
            return published_errors(item.view_set, item.feature_map, a, b)
        return keypoint_errors(item.view_set, item.feature_map, a, b, own.scale, own.thresholds)

    def _score(self, errors: ViewSetErrors) -> ItemScore:
        thresholds = self.options.thresholds
        values = {}
        for threshold, chance in zip(thresholds, errors.chance, strict=True):
            values[f"pck@{threshold:g}"] = recall_at(errors.errors, threshold)
            values[f"ceiling@{threshold:g}"] = recall_at(errors.best, threshold)
            values[f"chance@{threshold:g}"] = float(chance)
        headline = f"pck@{max(thresholds):g}"
        for viewpoint in VIEWPOINTS:
            own = values[headline] if errors.viewpoint == viewpoint else math.nan
            values[f"{headline}/viewpoint-{viewpoint}"] = own
        values["num_keypoints"] = float((~np.isnan(errors.errors)).sum())
        values["num_unscored_keypoints"] = float(errors.num_unscored)
        return ItemScore(errors.scene, errors.set_id, errors.split, values)
