"""Depth maps: float32 [H, W] z-depth, 0 = unknown, whatever the file format."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.datasets._files import existing, read_array
from bench.datasets._images import DAMAGE
from bench.errors import BenchError

S = TypeVar("S", bound=np.generic)
DepthMap = NDArray[np.float32]
SUFFIXES = (".png", ".exr", ".pfm", ".npy", ".npz")

#: Sensors write this for 'no return' in 16-bit images.
SATURATED = 65535


def read_depth(path: Path, unit: float = 1.0) -> DepthMap:
    """A depth map in metres or scene units.

    Args:
        path: .png (16 bit), .exr (extra ``exr``), .pfm, .npy or .npz (one array, or ``depth``).
        unit: stored value times `unit` is the depth.

    Raises:
        BenchError: missing, damaged or of an unknown kind.
    """
    readers: dict[str, Callable[[Path], NDArray[Any]]] = {
        ".png": read_png16,
        ".exr": _read_exr,
        ".pfm": read_pfm,
        ".npy": partial(read_array, name="depth"),
        ".npz": partial(read_array, name="depth"),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BenchError(
            f"{path}: unknown kind of depth map.", f"Known: {', '.join(sorted(readers))}."
        )
    stored = reader(existing(path))
    if stored.ndim != 2:
        raise BenchError(f"{path}: expected one channel, got shape {list(stored.shape)}.")
    return clean(stored.astype(np.float64) * unit)


def clean(depth: NDArray[np.floating]) -> DepthMap:
    """Depth with 0 where it is not finite or not positive."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)


def resize_nearest(values: NDArray[S], size: tuple[int, int]) -> NDArray[S]:
    """[h, w] -> [H, W]: the source pixel under each target pixel's centre, never an average."""
    if values.shape[:2] == size:
        return values
    rows = ((np.arange(size[0]) + 0.5) * values.shape[0] / size[0]).astype(int)
    columns = ((np.arange(size[1]) + 0.5) * values.shape[1] / size[1]).astype(int)
    resized: NDArray[S] = values[rows[:, None], columns[None, :]]
    return resized


def read_png16(path: Path) -> NDArray[np.uint16]:
    """Stored values of a 16-bit grey PNG; BenchError for any other kind of image."""
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("I;16", "I;16B", "I"):
                raise BenchError(
                    f"{path} is an image of mode '{picture.mode}', not a 16-bit depth map.",
                    "Depth in 8 bits is a picture for people; look for the original.",
                )
            return np.array(picture).astype(np.uint16)
    except DAMAGE as error:
        raise BenchError(
            f"{path} cannot be read: {error}.", "The file is damaged; fetch it anew."
        ) from error


def read_pfm(path: Path) -> NDArray[np.float32]:
    """Portable float map, one channel: rows are stored bottom up, a negative scale means little
    endian."""
    data = path.read_bytes()
    header = re.match(rb"Pf\s+(\d+)\s+(\d+)\s+(-?[0-9.eE+]+)[\r\n ]", data)
    if header is None:
        raise BenchError(f"{path} is not a one-channel PFM file.")
    width, height = int(header[1]), int(header[2])
    values = data[header.end() :]
    if len(values) < 4 * width * height:
        raise BenchError(f"{path} is truncated.", "Fetch it anew.")
    kind = "<f4" if float(header[3]) < 0 else ">f4"
    stored = np.frombuffer(values, kind, count=width * height).reshape(height, width)
    return stored[::-1].astype(np.float32)


def _read_exr(path: Path) -> NDArray[np.float32]:
    # Not OpenCV: its wheels come without OpenEXR since version 5.
    try:
        import OpenEXR
    except ImportError as error:
        raise BenchError(
            f"{path}: reading EXR needs OpenEXR.", "Run `pip install bench3d[exr]`."
        ) from error
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: np.array(c.pixels) for name, c in file.channels().items()}
    except (RuntimeError, ValueError) as error:
        raise BenchError(
            f"{path} cannot be read: {error}.", "The file is damaged; fetch it anew."
        ) from error
    first, *others = channels.values()
    if any(not np.array_equal(first, other, equal_nan=True) for other in others):
        raise BenchError(f"{path} has channels {sorted(channels)}; depth has one.")
    return first.astype(np.float32)
