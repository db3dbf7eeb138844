"""Datasets of posed scenes: view sets from a published list, or drawn by covisibility."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from bench.datasets._check import Problem, frame_problems
from bench.datasets._covisibility import covisibility
from bench.datasets._files import find_root
from bench.datasets._lists import read_list, sorted_refs
from bench.datasets._sampling import sample_view_sets, thin
from bench.datasets._scene import Scene, read_view_set
from bench.errors import BenchError
from bench.options import parse_options
from bench.registry import suggestion
from bench.types import Split, ViewSet, ViewSetRef


class SceneOptions(BaseModel):
    """Where the scenes are and how view sets are drawn from them.

    root: folder of the data; default $BENCH_DATA/<dataset>. scenes: only these. sets: a published
    list (JSON) to use instead of drawing. num_views, sets_per_scene, seed: of the draw.
    min_covisibility: share of a view that its neighbour in the walk must see; None: the dataset's
    own. max_frames: of longer recordings, this many frames, evenly spread, are considered.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: str | None = None
    scenes: tuple[str, ...] | None = None
    sets: str | None = None
    num_views: int = Field(4, ge=2)
    sets_per_scene: int = Field(10, ge=1)
    seed: int = 0
    min_covisibility: float | None = Field(None, ge=0, lt=1)
    max_frames: int = Field(100, ge=2)


class PosedScenes(ABC):
    """A folder of scenes. A format says which scenes there are and reads one of them."""

    Options: ClassVar[type[BaseModel]] = SceneOptions
    name: ClassVar[str]
    version: ClassVar[int]
    provides: ClassVar[frozenset[str]] = frozenset({"depth", "poses"})
    licence: ClassVar[str]
    citation: ClassVar[str]
    how_to_get: ClassVar[str]

    options: SceneOptions

    def __init__(self, **config: Any) -> None:
        options = parse_options(self.Options, config, f"Dataset '{self.name}'")
        assert isinstance(options, SceneOptions)
        self.options = options
        self._scenes: dict[str, Scene] = {}

    @abstractmethod
    def scene_names(self) -> Sequence[str]:
        """Names of all scenes under the root, sorted."""

    @abstractmethod
    def read_scene(self, name: str) -> Scene:
        """Frames and cameras of one scene, without decoding images."""

    def split(self, scene: str) -> Split:
        """Which split a scene belongs to."""
        return "test"

    def covisibility(self, scene: Scene) -> NDArray[np.floating]:
        """[N, N] over the scene's frames in order: share of view i seen in view j."""
        return covisibility(list(scene.frames.values()))

    @property
    def default_covisibility(self) -> float:
        """`min_covisibility` where the options leave it open (Map-Anything's value)."""
        return 0.25

    @property
    def folder(self) -> str:
        """Where the data are under $BENCH_DATA."""
        return self.name

    @cached_property
    def root(self) -> Path:
        return find_root(self.options.root, self.name, self.folder, self.how_to_get)

    def scene(self, name: str) -> Scene:
        """One scene, read once; BenchError if there is no such scene."""
        if name not in self._scenes:
            if name not in self._known:
                raise BenchError(
                    f"Dataset '{self.name}' has no scene '{name}' in {self.root}.",
                    suggestion(name, self._known),
                )
            self._scenes[name] = self.read_scene(name)
        return self._scenes[name]

    def chosen_scenes(self) -> list[str]:
        """Names of the scenes that the options ask for, sorted.

        Raises:
            BenchError: no scene at all, or a scene that does not exist.
        """
        if not self._known:
            raise BenchError(f"Dataset '{self.name}': no scene in {self.root}.", self.how_to_get)
        if self.options.scenes is None:
            return list(self._known)
        wanted = sorted(set(self.options.scenes))
        for name in wanted:
            self.scene(name)
        return wanted

    def view_sets(self) -> Sequence[ViewSetRef]:
        return self._refs

    def load(self, ref: ViewSetRef) -> ViewSet:
        return read_view_set(self.name, self.scene(ref.scene), ref)

    def problems(self) -> Iterator[Problem]:
        """Every frame of every chosen scene that is damaged, impossible or left out."""
        for name in self.chosen_scenes():
            try:
                scene = self.scene(name)
            except BenchError as error:
                yield Problem(name, str(error))
                continue
            for frame in scene.frames.values():
                yield from frame_problems(frame, f"{name}: {frame.name}")
            for reason, count in sorted(Counter(scene.left_out.values()).items()):
                yield Problem(name, f"{count} frames are left out: {reason}", "note")
        if self.options.sets is None:
            yield from self._shortfalls()

    @cached_property
    def _known(self) -> tuple[str, ...]:
        return tuple(sorted(self.scene_names()))

    @cached_property
    def _refs(self) -> tuple[ViewSetRef, ...]:
        if self.options.sets is not None:
            wanted = self.options.scenes
            listed = read_list(Path(self.options.sets).expanduser())
            return tuple(ref for ref in listed if wanted is None or ref.scene in wanted)
        refs = sorted_refs(ref for name in self.chosen_scenes() for ref in self._draw(name))
        if not refs:
            raise BenchError(
                f"Dataset '{self.name}': no scene in {self.root} has {self.options.num_views} "
                "views that overlap.",
                "Lower `min_covisibility` or `num_views`, or run `bench data check`.",
            )
        return refs

    def _draw(self, name: str) -> Iterator[ViewSetRef]:
        scene, o = self.scene(name), self.options
        kept = thin(len(scene.frames), o.max_frames)
        frames = [list(scene.frames)[i] for i in kept]
        threshold = o.min_covisibility
        seen = self.covisibility(
            Scene(name, {frame: scene.frames[frame] for frame in frames}, scene.metric)
        )
        drawn = sample_view_sets(
            seen,
            o.num_views,
            o.sets_per_scene,
            self.default_covisibility if threshold is None else threshold,
            key=f"{self.name}/{name}/{o.seed}",
        )
        for index, views in enumerate(drawn):
            names = tuple(frames[view] for view in views)
            yield ViewSetRef(name, f"{index:03d}", self.split(name), names)

    def _shortfalls(self) -> Iterator[Problem]:
        """Scenes that have fewer view sets than were asked for."""
        drawn = Counter(ref.scene for ref in self._refs)
        wanted = self.options.sets_per_scene
        for name in self.chosen_scenes():
            if drawn[name] < wanted:
                what = f"has {drawn[name]} of {wanted} view sets; its frames allow no more"
                yield Problem(name, what, "note")
