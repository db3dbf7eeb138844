"""Scenes with cameras.json: images/, depth/ (16-bit PNG, EXR, PFM, NPY or NPZ) and one camera each.

``{"depth_unit_m", "pixel_centre": 0.5, "metric", "views": [{"name", "image", "depth", "width",
"height", "intrinsics", "camera_from_world"}]}``. Also understood: ``pixel_centre_of_first_pixel``,
``K`` and ``world_from_camera``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, model_validator

from bench.datasets._depth import read_depth
from bench.datasets._files import inside, read_json
from bench.datasets._scene import Frame, Matrix, Scene, half_pixel_centres, invert_pose
from bench.errors import BenchError

FILE = "cameras.json"


def _square(size: int) -> AfterValidator:
    def check(rows: list[list[float]]) -> list[list[float]]:
        if len(rows) != size or any(len(row) != size for row in rows):
            raise ValueError(f"expected {size} rows of {size} numbers")
        return rows

    return AfterValidator(check)


def _zero_or_half(value: float) -> float:
    if value not in (0.0, 0.5):
        raise ValueError("the centre of the first pixel is at 0 or at 0.5")
    return value


class _Camera(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    image: str
    depth: str | None = None
    name: str | None = None
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    intrinsics: Annotated[list[list[float]], _square(3)] = Field(
        validation_alias=AliasChoices("intrinsics", "K")
    )
    camera_from_world: Annotated[list[list[float]], _square(4)] | None = None
    world_from_camera: Annotated[list[list[float]], _square(4)] | None = None

    @model_validator(mode="after")
    def _one_pose(self) -> _Camera:
        if (self.camera_from_world is None) == (self.world_from_camera is None):
            raise ValueError("give either camera_from_world or world_from_camera")
        return self


class _CameraFile(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    depth_unit_m: float = Field(gt=0)
    pixel_centre: Annotated[float, AfterValidator(_zero_or_half)] = Field(
        validation_alias=AliasChoices("pixel_centre", "pixel_centre_of_first_pixel")
    )
    metric: bool = True
    views: list[_Camera] = Field(min_length=1)


def recognise(folder: Path) -> bool:
    """Whether the folder has a cameras.json."""
    return (folder / FILE).is_file()


def read(folder: Path, name: str) -> Scene:
    """The scene; BenchError lists what is wrong with cameras.json."""
    content = read_json(folder / FILE, _CameraFile)
    frames: dict[str, Frame] = {}
    for camera in content.views:
        frame = _frame(folder, camera, content)
        if frame.name in frames:
            raise BenchError(f"{folder / FILE}: two views are called '{frame.name}'.")
        frames[frame.name] = frame
    return Scene(name, frames, content.metric)


def _frame(folder: Path, camera: _Camera, content: _CameraFile) -> Frame:
    intrinsics = np.array(camera.intrinsics, dtype=np.float64)
    depth = None
    if camera.depth is not None:
        depth = partial(read_depth, inside(folder, camera.depth), content.depth_unit_m)
    return Frame(
        name=camera.name or Path(camera.image).stem,
        image=inside(folder, camera.image),
        intrinsics=intrinsics if content.pixel_centre else half_pixel_centres(intrinsics),
        camera_from_world=_pose(camera),
        read_depth=depth,
        size=(camera.height, camera.width),
    )


def _pose(camera: _Camera) -> Matrix:
    given: Any = camera.camera_from_world
    if given is not None:
        return np.array(given, dtype=np.float64)
    return invert_pose(np.array(camera.world_from_camera, dtype=np.float64))
