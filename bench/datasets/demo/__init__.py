"""The `demo` dataset: path-traced rooms with exact geometry, shipped with the package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from bench.datasets import datasets
from bench.datasets._files import inside
from bench.datasets._lists import read_list
from bench.datasets._scene import Scene, read_view_set
from bench.datasets.posed_rgbd import cameras_json
from bench.options import parse_options
from bench.types import ViewSet, ViewSetRef

DATA = Path(__file__).parent / "data"


class DemoOptions(BaseModel):
    """`demo` takes no options: everybody scores the same view sets."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@datasets.register("demo")
class Demo:
    """Rooms rendered for this project, in metres; the list of view sets is part of the data."""

    Options: ClassVar[type[BaseModel]] = DemoOptions
    name: ClassVar[str] = "demo"
    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[str]] = frozenset({"depth", "poses"})
    licence: ClassVar[str] = (
        "Apache-2.0 with bench3d; pictures on walls and objects are photographs of scikit-image's "
        "skimage.data, under the terms stated there"
    )
    citation: ClassVar[str] = "rendered for bench3d"
    how_to_get: ClassVar[str] = "It comes with bench3d; reinstall the package if files are missing."

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(DemoOptions, config, "Dataset 'demo'")
        self._rooms: dict[str, Scene] = {}

    def view_sets(self) -> Sequence[ViewSetRef]:
        return self._refs

    def load(self, ref: ViewSetRef) -> ViewSet:
        if ref.scene not in self._rooms:
            self._rooms[ref.scene] = cameras_json.read(inside(DATA, ref.scene), ref.scene)
        return read_view_set(self.name, self._rooms[ref.scene], ref)

    @cached_property
    def _refs(self) -> tuple[ViewSetRef, ...]:
        return read_list(DATA / "sets.json")
