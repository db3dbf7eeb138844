"""A tiny dataset with exact geometry and a tiny task, for tests of the machinery around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from bench.errors import BenchError
from bench.geometry.cameras import pixel_centres, rays
from bench.options import parse_options
from bench.types import (
    ItemScore,
    Metric,
    Split,
    TaskContext,
    TaskItem,
    View,
    ViewSet,
    ViewSetRef,
)


class SlabOptions(BaseModel):
    """num_sets: view sets per split; broken: set ids that cannot be read; bad_depth: set ids whose
    depth is NaN; height, width: in pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_sets: int = 2
    broken: tuple[str, ...] = ()
    bad_depth: tuple[str, ...] = ()
    height: int = 56
    width: int = 84


class Slab:
    """Two views of a textured slanted plane."""

    Options: ClassVar[type[BaseModel]] = SlabOptions
    name: ClassVar[str] = "slab"
    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[str]] = frozenset({"depth", "poses"})
    licence: ClassVar[str] = "none needed"
    citation: ClassVar[str] = "none"
    how_to_get: ClassVar[str] = "made on the fly"

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(SlabOptions, config, "Dataset 'slab'")

    def view_sets(self) -> Sequence[ViewSetRef]:
        splits: tuple[Split, ...] = ("test", "val")
        return [
            ViewSetRef(f"{split}-scene-{i}", "set-0", split, ("a", "b"))
            for split in splits
            for i in range(self.options.num_sets)
        ]

    def load(self, ref: ViewSetRef) -> ViewSet:
        if ref.scene in self.options.broken:
            raise BenchError(f"{ref.scene}: image a is truncated.")
        index = int(ref.scene.rpartition("-")[2]) + (100 if ref.split == "val" else 0)
        shifts = (0.0, 0.2 + 0.1 * (index % 100))
        views = tuple(
            self._view(name, shift, index, ref)
            for name, shift in zip(ref.views, shifts, strict=True)
        )
        return ViewSet("slab", ref.scene, ref.set_id, ref.split, views, scene_scale=2.0)

    def _view(self, name: str, shift: float, seed: int, ref: ViewSetRef) -> View:
        height, width = self.options.height, self.options.width
        intrinsics = torch.tensor([[70.0, 0, width / 2], [0, 70.0, height / 2], [0, 0, 1]]).double()
        camera_from_world = torch.eye(4, dtype=torch.float64)
        camera_from_world[0, 3] = -shift
        # The plane z = 2 + x / 2 in world coordinates, met by each pixel's ray.
        direction = rays(pixel_centres(height, width), intrinsics)
        depth = (2 + shift / 2) / (1 - direction[..., 0] / 2)
        if ref.scene in self.options.bad_depth:
            depth = torch.full_like(depth, torch.nan)
        world_x = direction[..., 0] * depth + shift
        world_y = direction[..., 1] * depth
        phase = np.random.default_rng(seed).uniform(2, 9, size=(3, 2))
        channels = [torch.sin(a * world_x) * torch.cos(b * world_y) for a, b in phase]
        image = ((torch.stack(channels).nan_to_num() + 1) * 127).to(torch.uint8)
        return View(name, image, depth.float(), intrinsics, camera_from_world)


class BrightnessOptions(BaseModel):
    """fail_on: scene on which scoring raises; scale: multiplies the score."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fail_on: str | None = None
    scale: float = 1.0


class Brightness:
    """Mean feature value of a view set."""

    Options: ClassVar[type[BaseModel]] = BrightnessOptions
    name: ClassVar[str] = "brightness"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"features", "depth"})
    scope: ClassVar[Literal["view_set", "scene", "dataset"]] = "view_set"
    layers: ClassVar[Literal["each", "group"]] = "each"
    splits: ClassVar[tuple[Split, ...]] = ("val", "test")

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(BrightnessOptions, config, "Task 'brightness'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("mean", "mean feature value", headline=True),)

    def prepare(self, context: TaskContext) -> None:
        return None

    def update(self, state: None, item: TaskItem) -> None:
        raise AssertionError("a view-set task is never updated")

    def score(self, state: None, item: TaskItem) -> list[ItemScore]:
        view_set = item.view_set
        if view_set.scene == self.options.fail_on:
            raise ValueError("tripped on purpose")
        value = float(torch.stack([t.float().mean() for t in item.feature_map.tokens]).mean())
        values = {"mean": value * self.options.scale}
        return [ItemScore(view_set.scene, view_set.set_id, view_set.split, values)]

    def finish(self, state: None) -> list[ItemScore]:
        raise AssertionError("a view-set task is never finished")


class MeanOfMeans(Brightness):
    """The same over a whole dataset and all layers at once: collects, then answers."""

    name: ClassVar[str] = "mean_of_means"
    scope: ClassVar[Literal["view_set", "scene", "dataset"]] = "scene"
    layers: ClassVar[Literal["each", "group"]] = "group"

    def prepare(self, context: TaskContext) -> Any:
        return {"layers": context.layers, "values": []}

    def update(self, state: Any, item: TaskItem) -> None:
        assert tuple(item.features) == state["layers"]
        state["values"].append([float(f.tokens[0].float().mean()) for f in item.features.values()])

    def finish(self, state: Any) -> list[ItemScore]:
        means = np.mean(state["values"], axis=0)
        return [
            ItemScore("all", "all", "test", {"mean": float(mean)}, layer=layer)
            for layer, mean in zip(state["layers"], means, strict=True)
        ]
