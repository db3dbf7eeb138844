"""Your own RGB-D recordings: cameras.json, TUM RGB-D, ScanNet and 7-Scenes folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from bench.datasets import datasets
from bench.datasets._posed_scenes import PosedScenes, SceneOptions
from bench.datasets._scene import Scene
from bench.datasets.posed_rgbd import cameras_json, scannet, seven_scenes, tum
from bench.types import Split

Layout = Literal["json", "tum", "scannet", "7scenes"]
Recognise = Callable[[Path], bool]
Read = Callable[[Path, str], Scene]

#: How a scene folder is recognised, and read.
LAYOUTS: Mapping[str, tuple[Recognise, Read]] = MappingProxyType(
    {
        "json": (cameras_json.recognise, cameras_json.read),
        "tum": (tum.recognise, tum.read),
        "scannet": (scannet.recognise, scannet.read),
        "7scenes": (seven_scenes.recognise, seven_scenes.read),
    }
)


class PosedRGBDOptions(SceneOptions):
    """Options of `posed_rgbd`.

    layout: of the scene folders; ``auto`` looks at the files. splits: split of a scene where it is
    not ``test``.
    """

    layout: Layout | Literal["auto"] = "auto"
    splits: Mapping[str, Split] = Field(default_factory=dict)


@datasets.register("posed_rgbd")
class PosedRGBD(PosedScenes):
    """One scene folder, or a folder of them. Folders of no known layout are not scenes."""

    Options: ClassVar[type[BaseModel]] = PosedRGBDOptions
    name: ClassVar[str] = "posed_rgbd"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "that of the recordings"
    citation: ClassVar[str] = "that of the recordings"
    how_to_get: ClassVar[str] = (
        "Set the option `root` to a scene folder or to a folder of scenes. A scene is cameras.json "
        "with images/ and depth/, a TUM RGB-D sequence (rgb.txt, depth.txt, groundtruth.txt), a "
        "ScanNet export (color/, depth/, pose/, intrinsic/) or a 7-Scenes scene "
        "(seq-*/frame-*.color.png)."
    )

    options: PosedRGBDOptions

    def scene_names(self) -> Sequence[str]:
        return sorted(self._folders)

    def read_scene(self, name: str) -> Scene:
        folder, layout = self._folders[name]
        return LAYOUTS[layout][1](folder, name)

    def split(self, scene: str) -> Split:
        return self.options.splits.get(scene, "test")

    @cached_property
    def _folders(self) -> dict[str, tuple[Path, str]]:
        """Folder and layout of every scene."""
        wanted = self.options.layout
        layouts = LAYOUTS if wanted == "auto" else {wanted: LAYOUTS[wanted]}
        children = sorted(path for path in self.root.iterdir() if path.is_dir())
        for candidates in ([self.root], children):
            found = {
                folder.name: (folder, layout)
                for folder in candidates
                for layout, (recognise, _) in layouts.items()
                if recognise(folder)
            }
            if found:
                return found
        return {}
