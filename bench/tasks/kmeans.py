"""Clusters of features, one clustering per scene: pictures, not a score to rank by."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from bench.geometry.components import Undefined, k_means
from bench.options import parse_options
from bench.tasks import tasks
from bench.tasks._scene_maps import (
    Foreground,
    Scenes,
    save_blank_scene,
    save_scene_maps,
    scene_tokens,
)
from bench.types import ItemScore, Metric, Split, TaskContext, TaskItem, TaskScope

#: Label of patches that are in no cluster.
BLANK = 255


class KMeansOptions(BaseModel):
    """Options of ``kmeans``.

    clusters: how many. foreground: cluster only patches of which at least half is the dataset's
    ``mask``, or has a known ``depth``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    clusters: int = Field(8, ge=2, le=20)
    foreground: Foreground = "none"


@tasks.register("kmeans")
class KMeansMaps:
    """k-means by cosine over all patches of a scene's first view set.

    One clustering serves all views. Clusters are numbered from dark to bright. Maps lie in the
    artifacts; ``bench.plots.feature_maps`` draws.
    """

    Options: ClassVar[type[BaseModel]] = KMeansOptions
    name: ClassVar[str] = "kmeans"
    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    scope: ClassVar[TaskScope] = "scene"
    layers: ClassVar[Literal["each", "group"]] = "each"
    splits: ClassVar[tuple[Split, ...]] = ("test",)

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(KMeansOptions, config, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric(
                "explained_variance",
                "Share of the variance of unit features that lies between clusters",
                higher_is_better=None,
                headline=True,
            ),
            Metric("num_patches", "Patches that were clustered", higher_is_better=None),
            Metric("num_unscored_patches", "Patches left out", higher_is_better=None),
        )

    def prepare(self, context: TaskContext) -> Scenes:
        return Scenes(context)

    def update(self, state: Scenes, item: TaskItem) -> None:
        view_set = item.view_set
        if view_set.scene in state.scores:
            return
        scene = scene_tokens(item, self.options.foreground)
        cues = scene.cues[scene.usable]
        found = k_means(scene.scored, self.options.clusters, cues, state.context.seed)
        values = {
            "explained_variance": math.nan,
            "num_patches": float(scene.usable.sum()),
            "num_unscored_patches": float((~scene.usable).sum()),
        }
        if isinstance(found, Undefined):
            save_blank_scene(state.context, self.name, item, found.reason)
        else:
            values["explained_variance"] = found.explained
            labels = scene.spread(found.labels, BLANK)
            clusters = np.int64(self.options.clusters)
            save_scene_maps(state.context, self.name, item, labels, clusters=clusters)
        state.scores[view_set.scene] = ItemScore(
            view_set.scene, view_set.set_id, view_set.split, values
        )

    def score(self, state: Scenes, item: TaskItem) -> list[ItemScore]:
        """Nothing by itself: a scene is scored at the end."""
        return []

    def finish(self, state: Scenes) -> list[ItemScore]:
        return list(state.scores.values())
