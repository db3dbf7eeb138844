"""Principal components of features, one projection per scene: pictures, not a score to rank by."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from bench.geometry.components import Undefined, principal_components
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

#: Red, green and blue.
NUM_COMPONENTS = 3


class PCAOptions(BaseModel):
    """Options of ``pca``.

    foreground: project and show only patches of which at least half is the dataset's ``mask``, or
    has a known ``depth``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    foreground: Foreground = "none"


@tasks.register("pca")
class PCAMaps:
    """The first three principal components of all patches of a scene's first view set.

    One projection serves all views, so one surface has one colour in every view if the features
    agree. Signs follow brightness. Maps lie in the artifacts; ``bench.plots.feature_maps`` draws.
    """

    Options: ClassVar[type[BaseModel]] = PCAOptions
    name: ClassVar[str] = "pca"
    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    scope: ClassVar[TaskScope] = "scene"
    layers: ClassVar[Literal["each", "group"]] = "each"
    splits: ClassVar[tuple[Split, ...]] = ("test",)

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(PCAOptions, config, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric(
                f"explained_variance@{NUM_COMPONENTS}",
                f"Share of the variance in the first {NUM_COMPONENTS} principal components",
                higher_is_better=None,
                headline=True,
            ),
            Metric("num_patches", "Patches that were projected", higher_is_better=None),
            Metric("num_unscored_patches", "Patches left out", higher_is_better=None),
        )

    def prepare(self, context: TaskContext) -> Scenes:
        return Scenes(context)

    def update(self, state: Scenes, item: TaskItem) -> None:
        view_set = item.view_set
        if view_set.scene in state.scores:
            return
        scene = scene_tokens(item, self.options.foreground)
        found = principal_components(scene.scored, NUM_COMPONENTS, scene.cues[scene.usable])
        values = {
            f"explained_variance@{NUM_COMPONENTS}": math.nan,
            "num_patches": float(scene.usable.sum()),
            "num_unscored_patches": float((~scene.usable).sum()),
        }
        if isinstance(found, Undefined):
            save_blank_scene(state.context, self.name, item, found.reason)
        else:
            values[f"explained_variance@{NUM_COMPONENTS}"] = float(found.explained.sum())
            maps = scene.spread(found.scores.astype(np.float32), math.nan)
            save_scene_maps(state.context, self.name, item, maps, explained=found.explained)
        state.scores[view_set.scene] = ItemScore(
            view_set.scene, view_set.set_id, view_set.split, values
        )

    def score(self, state: Scenes, item: TaskItem) -> list[ItemScore]:
        """Nothing by itself: a scene is scored at the end."""
        return []

    def finish(self, state: Scenes) -> list[ItemScore]:
        return list(state.scores.values())
