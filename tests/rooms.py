"""A textured box room met by rays: images and exact z-depth for every dataset format's fixture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float64]

#: Half extents of the room in metres.
HALF = np.array([2.0, 1.5, 2.5])


@dataclass(frozen=True)
class RoomView:
    """What a reader must give back: image [H, W, 3], z-depth [H, W] in metres and the camera, with
    the first pixel's centre at (0.5, 0.5)."""

    name: str
    image: NDArray[np.uint8]
    depth: Array
    intrinsics: Array
    camera_from_world: Array

    @property
    def size(self) -> tuple[int, int]:
        return self.depth.shape[0], self.depth.shape[1]

    @property
    def world_from_camera(self) -> Array:
        return np.asarray(np.linalg.inv(self.camera_from_world), dtype=np.float64)


def look(angle_deg: float, position: Sequence[float]) -> Array:
    """camera_from_world of a camera turned about the vertical axis and tilted a little."""
    a, tilt = np.deg2rad(angle_deg), 0.1
    turn = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    pose = np.eye(4)
    pose[:3, :3] = nod @ turn
    pose[:3, 3] = -pose[:3, :3] @ np.array(position)
    return pose


def shoot(
    name: str, camera_from_world: Array, intrinsics: Array, size: tuple[int, int]
) -> RoomView:
    """Render by meeting the walls with one ray through each pixel's centre."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    pixels = np.stack([columns, rows, np.ones(size)], axis=-1)
    rotation = camera_from_world[:3, :3]
    directions = pixels @ np.linalg.inv(intrinsics).T @ rotation
    origin = -rotation.T @ camera_from_world[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = (np.sign(directions) * HALF - origin) / directions
    depth = np.where(directions == 0, np.inf, distances).min(-1)
    points = origin + depth[..., None] * directions
    waves = np.array([[3.0, 5.0, 2.0], [4.0, 1.0, 6.0], [2.0, 4.0, 5.0]])
    image = (np.sin(points @ waves.T) * 100 + 128).astype(np.uint8)
    return RoomView(name, image, depth, intrinsics, camera_from_world)


def camera(size: tuple[int, int], focal: float = 60.0) -> Array:
    """Intrinsics with a principal point off the middle, and different focal lengths."""
    height, width = size
    return np.array([[focal, 0, width / 2 + 3.25], [0, focal * 1.03, height / 2 - 2.5], [0, 0, 1]])


def room(
    num_views: int = 5, size: tuple[int, int] = (48, 64), focal: float = 60.0
) -> list[RoomView]:
    """Views that overlap with their neighbours, from positions along a short path."""
    return [
        shoot(
            f"{index:03d}",
            look(12.0 * index, (0.15 * index - 0.3, 0.05 * index, -0.1 * index)),
            camera(size, focal),
            size,
        )
        for index in range(num_views)
    ]


def save_image(path: Path, image: NDArray[np.uint8], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)


def save_depth_png(path: Path, depth: Array, unit: float) -> None:
    """16-bit PNG; the values in the file are what the reader must give back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(depth / unit).astype(np.uint16)).save(path)


def save_pfm(path: Path, depth: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = f"Pf\n{depth.shape[1]} {depth.shape[0]}\n-1.0\n".encode()
    path.write_bytes(header + depth[::-1].astype("<f4").tobytes())


def save_cameras_json(folder: Path, views: Sequence[RoomView], unit: float = 1e-4) -> None:
    """A scene folder in the form of `posed_rgbd`."""
    entries = []
    for view in views:
        save_image(folder / "images" / f"{view.name}.png", view.image)
        save_depth_png(folder / "depth" / f"{view.name}.png", view.depth, unit)
        entries.append(
            {
                "name": view.name,
                "image": f"images/{view.name}.png",
                "depth": f"depth/{view.name}.png",
                "width": view.size[1],
                "height": view.size[0],
                "intrinsics": view.intrinsics.tolist(),
                "camera_from_world": view.camera_from_world.tolist(),
            }
        )
    content = {"depth_unit_m": unit, "pixel_centre": 0.5, "metric": True, "views": entries}
    (folder / "cameras.json").write_text(json.dumps(content))
