"""Linear CKA between layers; stores the sketches from which models are compared afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from bench.geometry.matching import features_at
from bench.geometry.similarity import MIN_ROWS, cka
from bench.options import parse_options
from bench.sketches import Sketch, layer_hsic, sample_rays, write_sketch
from bench.tasks import tasks
from bench.tasks._artifacts import scene_file
from bench.types import FeatureMap, ItemScore, Metric, Split, TaskContext, TaskItem, TaskScope

Floats = NDArray[np.float64]
#: Folder below a cell's artifacts.
SKETCHES = "sketches"


class SimilarityOptions(BaseModel):
    """Options of ``feature_similarity``. tokens: sampled per view set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int = Field(256, ge=MIN_ROWS, le=4096)


@dataclass
class SceneSums:
    """HSIC of a scene's view sets, summed; None while no view set was usable."""

    split: Split
    hsic: tuple[Floats, Floats] | None = None
    num_sets: int = 0
    num_unscored: int = 0


@dataclass
class SimilarityState:
    """Sums per scene in the order in which scenes came."""

    context: TaskContext
    layers: tuple[str, ...] = ()
    scenes: dict[str, SceneSums] = field(default_factory=dict)


@tasks.register("feature_similarity")
class FeatureSimilarity:
    """CKA of every layer with the next and with the last, per scene.

    The full matrix between layers, of one model or of two, comes from the stored sketches:
    ``bench.sketches.compare_sketches``.
    """

    Options: ClassVar[type[BaseModel]] = SimilarityOptions
    name: ClassVar[str] = "feature_similarity"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    scope: ClassVar[TaskScope] = "scene"
    layers: ClassVar[Literal["each", "group"]] = "group"
    splits: ClassVar[tuple[Split, ...]] = ("test",)

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(SimilarityOptions, config, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric("cka_next", "Linear CKA with the next layer", "", None, headline=True),
            Metric("cka_last", "Linear CKA with the last layer", "", None),
            Metric("num_sets", "View sets of the scene", "", None),
            Metric("num_unscored_sets", "View sets without enough finite tokens", "", None),
        )

    def prepare(self, context: TaskContext) -> SimilarityState:
        return SimilarityState(context)

    def update(self, state: SimilarityState, item: TaskItem) -> None:
        view_set, context = item.view_set, state.context
        identity = (view_set.dataset, view_set.scene, view_set.set_id)
        rays = sample_rays(self.options.tokens, len(view_set), context.seed, *identity)
        sketch = sketch_of(rays, item.features)
        state.layers = tuple(sketch.layers)
        write_sketch(
            scene_file(context.artifacts, SKETCHES, view_set.scene, view_set.set_id), sketch
        )
        sums = state.scenes.setdefault(view_set.scene, SceneSums(view_set.split))
        sums.num_sets += 1
        found = layer_hsic(sketch, sketch)
        if found is None:
            sums.num_unscored += 1
            return
        across, own, _ = found
        before = sums.hsic or (np.zeros_like(across), np.zeros_like(own))
        sums.hsic = before[0] + across, before[1] + own

    def score(self, state: SimilarityState, item: TaskItem) -> list[ItemScore]:
        """Nothing by itself: a scene is scored at the end."""
        return []

    def finish(self, state: SimilarityState) -> list[ItemScore]:
        scores = []
        for scene, sums in state.scenes.items():
            count = len(state.layers)
            table = np.full((count, count), np.nan)
            if sums.hsic is not None:
                table = cka(sums.hsic[0], sums.hsic[1], sums.hsic[1])
            for i, layer in enumerate(state.layers):
                values = {
                    "cka_next": float(table[i, i + 1]) if i + 1 < count else math.nan,
                    "cka_last": float(table[i, -1]),
                    "num_sets": float(sums.num_sets),
                    "num_unscored_sets": float(sums.num_unscored),
                }
                scores.append(ItemScore(scene, "all", sums.split, values, layer))
        return scores


def sketch_of(rays: Floats, features: Mapping[str, FeatureMap]) -> Sketch:
    """Tokens of the cells that rays [N, 3] fall into, for each layer."""
    view = torch.from_numpy(rays[:, 0]).long()
    shares = torch.from_numpy(rays[:, 1:])
    layers = {}
    for name, feature_map in features.items():
        found = feature_map.tokens[0].new_empty(len(rays), feature_map.tokens[0].shape[-1])
        for i, (grid, tokens) in enumerate(zip(feature_map.grids, feature_map.tokens, strict=True)):
            own = view == i
            pixels = shares[own] * torch.tensor([grid.image_width, grid.image_height])
            found[own.to(tokens.device)] = features_at(tokens, pixels, grid, per_patch=1)
        layers[name] = found.cpu().numpy()
    return Sketch(rays, layers)
