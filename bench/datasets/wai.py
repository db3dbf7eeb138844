"""Scenes in Map-Anything's WAI format: BlendedMVS, ETH3D, ScanNet++, MVS-Synth, UnrealStereo4K."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from bench.datasets import datasets
from bench.datasets._depth import DepthMap, read_depth, resize_nearest
from bench.datasets._files import existing, inside, read_json
from bench.datasets._images import read_mask
from bench.datasets._names import read_names
from bench.datasets._posed_scenes import PosedScenes, SceneOptions
from bench.datasets._scene import Frame, Matrix, Scene, half_pixel_centres, invert_pose, pinhole
from bench.datasets.blendedmvs import blendedmvs_split
from bench.errors import BenchError
from bench.types import Split

MASK_KEY = "moge2_mask"


@dataclass(frozen=True)
class Preset:
    """What a reader of one dataset must know.

    Attributes:
        lists: name of the dataset in Map-Anything's scene lists.
        masked: depth is unknown outside of the frame's mask.
        depth_percentile: depth beyond this percentile of a frame is sky or far clutter.
        min_covisibility: threshold of the walk.
    """

    lists: str
    masked: bool = False
    depth_percentile: float | None = None
    min_covisibility: float = 0.25


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "blendedmvs": Preset("blendedmvs", masked=True),
        "eth3d": Preset("eth3d", min_covisibility=0.025),
        "scannetppv2": Preset("scannetppv2"),
        "mvs_synth": Preset("mvs_synth", depth_percentile=95),
        "unrealstereo4k": Preset("unreal4k", depth_percentile=95),
    }
)


class WAIOptions(SceneOptions):
    """Options of `wai`.

    preset: which dataset the folder holds. metadata: Map-Anything's metadata folder, with
    <split>/<dataset>_scene_list_<split>.npy; it says which scenes there are and which split they
    belong to. A dataset without a test list is scored on its validation list. Without `metadata`
    every scene of the folder is a test scene, except that BlendedMVS is split by name.
    """

    preset: Literal["blendedmvs", "eth3d", "scannetppv2", "mvs_synth", "unrealstereo4k"] = (
        "blendedmvs"
    )
    metadata: str | None = None
    sets_per_scene: int = Field(20, ge=1)
    # What sees what comes with the data, so there is no need to thin.
    max_frames: int = Field(100_000, ge=2)


class _WAIFrame(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    frame_name: str
    image: str | None = None
    file_path: str | None = None
    transform_matrix: list[list[float]]
    w: int | None = None
    h: int | None = None
    fl_x: float | None = None
    fl_y: float | None = None
    cx: float | None = None
    cy: float | None = None


class _WAIScene(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    camera_model: str = "PINHOLE"
    camera_convention: Literal["opencv"]
    scale_type: str
    w: int | None = None
    h: int | None = None
    fl_x: float | None = None
    fl_y: float | None = None
    cx: float | None = None
    cy: float | None = None
    frames: list[_WAIFrame] = Field(min_length=1)


@datasets.register("wai")
class WAI(PosedScenes):
    """One folder per scene: scene_meta.json, images, depth and covisibility."""

    Options: ClassVar[type[BaseModel]] = WAIOptions
    name: ClassVar[str] = "wai"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = (
        "that of the dataset behind the preset (BlendedMVS: CC BY 4.0, ETH3D: CC BY-NC-SA 4.0, "
        "ScanNet++: its terms of use)"
    )
    citation: ClassVar[str] = (
        "Keetha et al., MapAnything: Universal feed-forward metric 3D reconstruction, 2025, and "
        "the dataset behind the preset"
    )
    how_to_get: ClassVar[str] = (
        "Follow 'data processing' in github.com/facebookresearch/map-anything, which converts each "
        "dataset (its benchmark data have 555 GB in all), and set the option `root` to the folder "
        "of scenes, or $BENCH_DATA so that it is $BENCH_DATA/wai/<preset>. The licence is that of "
        "the dataset behind the preset."
    )

    options: WAIOptions

    @property
    def preset(self) -> Preset:
        return PRESETS[self.options.preset]

    @property
    def folder(self) -> str:
        return f"wai/{self.options.preset}"

    @property
    def default_covisibility(self) -> float:
        return self.preset.min_covisibility

    def scene_names(self) -> Sequence[str]:
        present = sorted(
            path.name for path in self.root.iterdir() if (path / "scene_meta.json").is_file()
        )
        if self._listed is None:
            return present
        missing = sorted(set(self._listed) - set(present))
        if missing:
            raise BenchError(
                f"{len(missing)} listed scenes are not in {self.root}, for example '{missing[0]}'.",
                "Fetch them, or choose with the option `scenes` and without `metadata`.",
            )
        return sorted(self._listed)

    def split(self, scene: str) -> Split:
        if self._listed is not None:
            return self._listed[scene]
        return blendedmvs_split(scene) if self.options.preset == "blendedmvs" else "test"

    def read_scene(self, name: str) -> Scene:
        folder = inside(self.root, name)
        meta = read_json(folder / "scene_meta.json", _WAIScene)
        if meta.camera_model != "PINHOLE":
            raise BenchError(
                f"{folder}: camera model {meta.camera_model} bends rays.",
                "Use the undistorted version of the scene.",
            )
        frames = [_frame(folder, frame, meta, self.preset) for frame in meta.frames]
        by_name = {frame.name: frame for frame in frames}
        if len(by_name) < len(frames):
            raise BenchError(f"{folder}: frames of scene_meta.json share a name.")
        return Scene(name, by_name, metric=meta.scale_type == "metric")

    def covisibility(self, scene: Scene) -> NDArray[np.floating]:
        """The matrix that comes with the scene; computed from depth where there is none."""
        stored = sorted((self.root / scene.name).glob("covisibility/*/pairwise_covisibility--*"))
        if not stored:
            return super().covisibility(scene)
        all_frames = list(self.scene(scene.name).frames)
        matrix = read_covisibility(stored[-1])
        if len(matrix) != len(all_frames):
            raise BenchError(
                f"{stored[-1]} is for {len(matrix)} frames, but the scene has {len(all_frames)}."
            )
        place = {name: row for row, name in enumerate(all_frames)}
        rows = [place[name] for name in scene.frames]
        return matrix[np.ix_(rows, rows)]

    @cached_property
    def _listed(self) -> dict[str, Split] | None:
        """Split of every listed scene; None without lists."""
        if self.options.metadata is None:
            return None
        folder, lists = Path(self.options.metadata).expanduser(), self.preset.lists
        found: dict[Split, list[str]] = {}
        splits: tuple[Split, ...] = ("train", "val", "test")
        for split in splits:
            path = folder / split / f"{lists}_scene_list_{split}.npy"
            if path.is_file():
                found[split] = read_names(path)
        if not found:
            raise BenchError(f"No scene list of '{lists}' in {folder}.", self.how_to_get)
        if "test" not in found and "val" in found:
            found["test"] = found.pop("val")
        return {name: split for split, names in found.items() for name in names}


def read_covisibility(path: Path) -> NDArray[np.float32]:
    """A float32 matrix [N, N]: an .npy file, or raw values with N in the file's name."""
    if existing(path).read_bytes()[:6] == b"\x93NUMPY":
        matrix = np.load(path, allow_pickle=False)
    else:
        sides = re.search(r"--(\d+)x(\d+)", path.name)
        values = np.fromfile(path, dtype="<f4")
        if sides is None or values.size != int(sides[1]) * int(sides[2]):
            raise BenchError(f"{path}: the size does not agree with the name.")
        matrix = values.reshape(int(sides[1]), int(sides[2]))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise BenchError(f"{path}: expected a square matrix, got {list(matrix.shape)}.")
    return np.asarray(matrix, dtype=np.float32)


def _frame(folder: Path, frame: _WAIFrame, meta: _WAIScene, preset: Preset) -> Frame:
    where = f"{folder / 'scene_meta.json'}: frame '{frame.frame_name}'"
    image = frame.image or frame.file_path
    pose = np.array(frame.transform_matrix, dtype=np.float64)
    if image is None or pose.shape != (4, 4):
        raise BenchError(f"{where}: needs an image and a 4 x 4 transform_matrix.")
    camera, size = _camera(frame, meta, where)
    extra = frame.model_extra or {}
    depth = extra.get("rendered_depth") or extra.get("depth")
    reader = None
    if depth is not None:
        mask = None
        if preset.masked:
            if MASK_KEY not in extra:
                raise BenchError(f"{where}: has no '{MASK_KEY}', which its depth needs.")
            mask = inside(folder, str(extra[MASK_KEY]))
        path = inside(folder, str(depth))
        reader = partial(read_wai_depth, path, mask, preset.depth_percentile)
    return Frame(
        name=frame.frame_name,
        image=inside(folder, image),
        intrinsics=camera,
        camera_from_world=invert_pose(pose),
        read_depth=reader,
        size=size,
    )


def _camera(frame: _WAIFrame, meta: _WAIScene, where: str) -> tuple[Matrix, tuple[int, int]]:
    """Intrinsics and (height, width): the frame's own values, else the scene's."""
    own = {key: getattr(frame, key) for key in ("fl_x", "fl_y", "cx", "cy", "h", "w")}
    found = {key: getattr(meta, key) if v is None else v for key, v in own.items()}
    missing = [key for key, value in found.items() if value is None]
    if missing:
        raise BenchError(f"{where}: {', '.join(missing)} are given neither here nor for the scene.")
    matrix = pinhole(found["fl_x"], found["fl_y"], found["cx"], found["cy"])
    return half_pixel_centres(matrix), (found["h"], found["w"])


def read_wai_depth(path: Path, mask: Path | None, percentile: float | None) -> DepthMap:
    """Depth without what the mask or the percentile of the frame's known depths excludes."""
    depth = read_depth(path)
    if mask is not None:
        foreground = resize_nearest(read_mask(mask), (depth.shape[0], depth.shape[1]))
        depth = np.where(foreground, depth, 0).astype(np.float32)
    if percentile is not None and (depth > 0).any():
        depth[depth > np.percentile(depth[depth > 0], percentile)] = 0
    return depth
