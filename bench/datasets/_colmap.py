"""COLMAP models (Schoenberger & Frahm, CVPR 2016), text and binary.

COLMAP puts the centre of the first pixel at (0.5, 0.5), as bench does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.datasets._files import existing, read_text
from bench.datasets._scene import Matrix, pinhole, pose_from, rotation_from_quaternion
from bench.errors import BenchError

#: Number of parameters of each camera model, in the order of the binary format's ids.
MODELS: Mapping[str, int] = {
    "SIMPLE_PINHOLE": 3,
    "PINHOLE": 4,
    "SIMPLE_RADIAL": 4,
    "RADIAL": 5,
    "OPENCV": 8,
    "OPENCV_FISHEYE": 8,
    "FULL_OPENCV": 12,
    "FOV": 5,
    "SIMPLE_RADIAL_FISHEYE": 4,
    "RADIAL_FISHEYE": 5,
    "THIN_PRISM_FISHEYE": 12,
}


@dataclass(frozen=True)
class Camera:
    """size: (height, width) in pixels."""

    model: str
    size: tuple[int, int]
    params: tuple[float, ...]


@dataclass(frozen=True)
class Image:
    """A registered image. points: [N, 2] pixels of its features that were triangulated, and
    point_ids [N], their 3D points."""

    name: str
    camera_id: int
    camera_from_world: Matrix
    points: Matrix
    point_ids: NDArray[np.int64]


@dataclass(frozen=True)
class Model:
    """images by name, sorted; points: 3D point [3] by id."""

    cameras: Mapping[int, Camera]
    images: Mapping[str, Image]
    points: Mapping[int, Matrix]


def find_model(folder: Path) -> Path | None:
    """Folder with the model files: sparse/0, sparse or the folder itself."""
    for candidate in (folder / "sparse" / "0", folder / "sparse", folder):
        if any((candidate / f"cameras.{kind}").is_file() for kind in ("bin", "txt")):
            return candidate
    return None


def read_model(folder: Path, with_points: bool = True) -> Model:
    """The model in a folder; binary files are taken where both kinds exist.

    Raises:
        BenchError: a file is missing or malformed.
    """
    kind = "bin" if (folder / "cameras.bin").is_file() else "txt"
    cameras, images, points = _READERS[kind]
    try:
        return Model(
            cameras=dict(cameras(folder / f"cameras.{kind}")),
            images={
                image.name: image
                for image in sorted(images(folder / f"images.{kind}"), key=lambda i: i.name)
            },
            points=dict(points(folder / f"points3D.{kind}")) if with_points else {},
        )
    except (ValueError, IndexError, struct.error) as error:
        raise BenchError(f"{folder}: malformed COLMAP model: {error}.") from error


def pinhole_of(camera: Camera, where: str) -> Matrix:
    """Intrinsics [3, 3] of a camera without distortion; BenchError for any other."""
    if camera.model == "PINHOLE":
        fx, fy, cx, cy = camera.params
    elif camera.model == "SIMPLE_PINHOLE":
        fx, cx, cy = camera.params
        fy = fx
    else:
        raise BenchError(
            f"{where}: camera model {camera.model} bends rays.",
            "Run `colmap image_undistorter` and use its output.",
        )
    return pinhole(fx, fy, cx, cy)


def distort_thin_prism_fisheye(camera: Camera, x: Matrix, y: Matrix) -> tuple[Matrix, Matrix]:
    """Pixels of rays (x, y, 1) under COLMAP's THIN_PRISM_FISHEYE model, which ETH3D defines."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3, k4, sx1, sy1 = camera.params
    radius = np.hypot(x, y)
    scale = np.divide(np.arctan(radius), radius, out=np.ones_like(radius), where=radius > 1e-12)
    u, v = x * scale, y * scale
    r2 = u * u + v * v
    radial = r2 * (k1 + r2 * (k2 + r2 * (k3 + r2 * k4)))
    du = u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u) + sx1 * r2
    dv = v * radial + 2 * p2 * u * v + p1 * (r2 + 2 * v * v) + sy1 * r2
    return fx * (u + du) + cx, fy * (v + dv) + cy


def shared_points(images: Sequence[Image]) -> NDArray[np.float64]:
    """[N, N]: the share of image i's triangulated points that image j observes too."""
    seen = [frozenset(image.point_ids.tolist()) for image in images]
    matrix = np.eye(len(seen))
    for i, a in enumerate(seen):
        for j, b in enumerate(seen):
            if i != j:
                matrix[i, j] = len(a & b) / max(1, len(a))
    return matrix


def _text_cameras(path: Path) -> Iterator[tuple[int, Camera]]:
    for line in _lines(path):
        number, model, width, height, *params = line.split()
        if len(params) != MODELS.get(model, len(params)):
            raise ValueError(f"camera {number} has {len(params)} parameters")
        values = tuple(float(value) for value in params)
        yield int(number), Camera(model, (int(height), int(width)), values)


def _text_images(path: Path) -> Iterator[Image]:
    # Every second line holds the features of the image, and is empty where there are none.
    lines = [line for line in read_text(path).splitlines() if not line.startswith("#")]
    while lines and not lines[-1].strip():
        lines.pop()
    for index in range(0, len(lines), 2):
        _, qw, qx, qy, qz, tx, ty, tz, camera, name = lines[index].split(maxsplit=9)
        features = lines[index + 1].split() if index + 1 < len(lines) else []
        values = np.array(features, dtype=np.float64).reshape(-1, 3)
        yield _image(
            name, int(camera), [float(v) for v in (qw, qx, qy, qz, tx, ty, tz)], values[:, :2],
            values[:, 2].astype(np.int64),
        )  # fmt: skip


def _text_points(path: Path) -> Iterator[tuple[int, Matrix]]:
    for line in _lines(path):
        number, x, y, z = line.split(maxsplit=4)[:4]
        yield int(number), np.array([float(x), float(y), float(z)])


def _lines(path: Path) -> Iterator[str]:
    for line in read_text(path).splitlines():
        if line.strip() and not line.startswith("#"):
            yield line


def _binary_cameras(path: Path) -> Iterator[tuple[int, Camera]]:
    data = _Bytes(existing(path).read_bytes())
    names = list(MODELS)
    (count,) = data.take("<Q")
    for _ in range(count):
        number, model, width, height = data.take("<iiQQ")
        if not 0 <= model < len(names):
            raise ValueError(f"camera {number} is of unknown model {model}")
        params = data.take(f"<{MODELS[names[model]]}d")
        yield number, Camera(names[model], (height, width), params)


def _binary_images(path: Path) -> Iterator[Image]:
    data = _Bytes(existing(path).read_bytes())
    (count,) = data.take("<Q")
    for _ in range(count):
        _, *pose, camera = data.take("<i7di")
        name = data.take_name()
        (features,) = data.take("<Q")
        kind = np.dtype([("xy", "<f8", 2), ("point", "<i8")])
        values = data.take_array(kind, features)
        yield _image(name, camera, pose, values["xy"], values["point"])


def _binary_points(path: Path) -> Iterator[tuple[int, Matrix]]:
    data = _Bytes(existing(path).read_bytes())
    (count,) = data.take("<Q")
    for _ in range(count):
        number, x, y, z, _, _, _, _, track = data.take("<Q3d3BdQ")
        data.skip(8 * track)
        yield number, np.array([x, y, z])


_Cameras = Callable[[Path], Iterator[tuple[int, Camera]]]
_Images = Callable[[Path], Iterator[Image]]
_Points = Callable[[Path], Iterator[tuple[int, Matrix]]]
_READERS: Mapping[str, tuple[_Cameras, _Images, _Points]] = {
    "bin": (_binary_cameras, _binary_images, _binary_points),
    "txt": (_text_cameras, _text_images, _text_points),
}


def _image(
    name: str, camera: int, pose: Sequence[float], points: Matrix, ids: NDArray[np.int64]
) -> Image:
    """pose: qw qx qy qz tx ty tz, camera from world; features without a 3D point have id -1."""
    camera_from_world = pose_from(rotation_from_quaternion(*pose[:4]), pose[4:])
    kept = ids >= 0
    return Image(name, camera, camera_from_world, points[kept], ids[kept])


class _Bytes:
    """A file read from front to back."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from(layout, self.data, self.position)
        self.position += struct.calcsize(layout)
        return values

    def take_name(self) -> str:
        end = self.data.index(b"\0", self.position)
        name = self.data[self.position : end].decode()
        self.position = end + 1
        return name

    def take_array(self, kind: np.dtype[np.void], count: int) -> NDArray[np.void]:
        values = np.frombuffer(self.data, kind, count, self.position)
        self.position += kind.itemsize * count
        return values

    def skip(self, count: int) -> None:
        self.position += count
