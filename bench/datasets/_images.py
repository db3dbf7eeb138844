"""Colour images, in the raster that the camera was calibrated for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from bench.datasets._files import existing
from bench.errors import BenchError

#: What Pillow raises for files that are no images, are cut off, or claim absurd sizes.
DAMAGE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError)


def read_rgb(path: Path, size: tuple[int, int] | None = None, upright: bool = False) -> Tensor:
    """Image uint8 [3, H, W].

    Args:
        size: (height, width) that the intrinsics belong to; None for the file's own.
        upright: the camera was calibrated after turning by the EXIF tag. Otherwise the raster is
            taken as stored, unless only the turned one has the calibrated size.

    Raises:
        BenchError: missing, truncated or no image, or of another shape than the camera's.
    """
    try:
        with Image.open(existing(path)) as picture:
            picture.load()
            only_turned_fits = picture.size[::-1] != size and picture.size == size
            if upright or only_turned_fits:
                colour = ImageOps.exif_transpose(picture).convert("RGB")
            else:
                colour = picture.convert("RGB")
    except DAMAGE as error:
        raise BenchError(
            f"{path} cannot be read: {error}.", "The file is damaged; fetch it anew."
        ) from error
    if size is not None and colour.size[::-1] != size:
        _refuse_other_shape(path, colour.size[::-1], size)
        colour = colour.resize(size[::-1], Image.Resampling.LANCZOS)
    return torch.from_numpy(np.ascontiguousarray(np.asarray(colour).transpose(2, 0, 1)))


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Foreground [H, W] of a mask or segmentation image: everything but 0."""
    try:
        with Image.open(existing(path)) as picture:
            values = np.array(picture)
    except DAMAGE as error:
        raise BenchError(f"{path} cannot be read: {error}.") from error
    return np.asarray(values if values.ndim == 2 else values[..., :3].max(-1)) > 0


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) as stored, from the header alone."""
    try:
        with Image.open(existing(path)) as picture:
            return picture.size[1], picture.size[0]
    except DAMAGE as error:
        raise BenchError(f"{path} cannot be read: {error}.") from error


def exif_orientation(path: Path) -> int:
    """The EXIF orientation tag; 1 where there is none."""
    with Image.open(existing(path)) as picture:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))


def _refuse_other_shape(path: Path, found: tuple[int, int], size: tuple[int, int]) -> None:
    """A resize must be the same in x and y, up to the rounding of sides to whole pixels."""
    scale = (size[0] / found[0], size[1] / found[1])
    rounding = max(1 / found[0], 1 / found[1], 1 / size[0], 1 / size[1])
    if abs(scale[0] / scale[1] - 1) > 2 * rounding:
        raise BenchError(
            f"{path} has {found[1]} x {found[0]} pixels, but its camera {size[1]} x {size[0]}.",
            "Was the image turned or cropped after calibration?",
        )
