"""Fair input size: every patch size sees the same rays at its patch centres.

Under ``{patches: N}`` the long side gets N patches and the short side round(N * short / long), at
least 1. The source is centre-cropped to exactly that aspect (a fractional crop, the same for every
patch size) and resized isotropically to the grid times the output stride.

``native`` and ``padded`` do not resize, so that grids differ between patch sizes: ``native`` cuts
what is no whole patch, ``padded`` keeps the image and leaves the rest to the model's padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.errors import BenchError
from bench.types import Resolution, View


@dataclass(frozen=True)
class Resampling:
    """A crop of the source, in source pixels, and the size it is resized to.

    ``target_x = (source_x - left) * scale`` and likewise in y.
    """

    left: float
    top: float
    crop_width: float
    crop_height: float
    height: int
    width: int

    @property
    def scale(self) -> float:
        return self.width / self.crop_width


def plan_resampling(height: int, width: int, resolution: Resolution, stride: int) -> Resampling:
    """Crop and size for a source image of (height, width) pixels and an output stride in pixels.

    Raises:
        BenchError: the image or the requested size is smaller than one patch.
    """
    if resolution.kind == "padded":
        return Resampling(0.0, 0.0, float(width), float(height), height, width)
    if resolution.kind == "native":
        rows, cols = height // stride, width // stride
        if min(rows, cols) < 1:
            raise BenchError(
                f"An image of {width} x {height} pixels is smaller than one patch of {stride}.",
                "Use resolution {patches: N} instead of native.",
            )
        rows_px, cols_px = rows * stride, cols * stride
        return Resampling(0.0, 0.0, float(cols_px), float(rows_px), rows_px, cols_px)
    patches = resolution.value if resolution.kind == "patches" else resolution.value // stride
    if patches < 1:
        raise BenchError(
            f"Resolution {resolution.rule} gives no whole patch at stride {stride}.",
            f"Use at least {{pixels: {stride}}} or {{patches: 1}}.",
        )
    long, short = max(height, width), min(height, width)
    patches_short = max(1, math.floor(patches * short / long + 0.5))
    rows, cols = (patches_short, patches) if width >= height else (patches, patches_short)
    crop_width = min(float(width), height * cols / rows)
    crop_height = min(float(height), width * rows / cols)
    return Resampling(
        left=(width - crop_width) / 2,
        top=(height - crop_height) / 2,
        crop_width=crop_width,
        crop_height=crop_height,
        height=rows * stride,
        width=cols * stride,
    )


def resample_view(view: View, resampling: Resampling) -> View:
    """Crop and resize a view: image, depth, normals, mask, keypoints and intrinsics together.

    The image is resampled bicubically with antialiasing (Pillow); depth, normals and mask take the
    source pixel under each target pixel's centre, never an average across an edge.
    """
    height, width = view.size
    unchanged = (resampling.left, resampling.top) == (0, 0) and (
        (resampling.crop_height, resampling.crop_width) == (resampling.height, resampling.width)
    )
    r = resampling
    if unchanged:
        image = view.image[:, : r.height, : r.width]
    else:
        picture = Image.fromarray(view.image.permute(1, 2, 0).numpy())
        box = (r.left, r.top, r.left + r.crop_width, r.top + r.crop_height)
        resized = picture.resize((r.width, r.height), Image.Resampling.BICUBIC, box=box)
        image = torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()
    y = _source_index(r.height, r.top, r.scale, height)
    x = _source_index(r.width, r.left, r.scale, width)

    def nearest(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[..., y, :][..., x].contiguous()

    return replace(
        view,
        image=image,
        depth=nearest(view.depth),
        normals=nearest(view.normals),
        mask=nearest(view.mask),
        keypoints=None if view.keypoints is None else move_pixels(view.keypoints, r),
        intrinsics=None if view.intrinsics is None else move_intrinsics(view.intrinsics, r),
    )


def move_pixels(pixels: Tensor, resampling: Resampling) -> Tensor:
    """Image coordinates [..., 2] of the source in the resampled image."""
    origin = torch.tensor([resampling.left, resampling.top], dtype=pixels.dtype)
    return (pixels - origin) * resampling.scale


def move_boxes(boxes: Tensor, resampling: Resampling) -> Tensor:
    """Boxes [..., 4] (left, top, right, bottom) of the source in the resampled image, not cut."""
    corners = boxes.reshape(*boxes.shape[:-1], 2, 2)
    return move_pixels(corners, resampling).flatten(-2)


def move_homography(b_from_a: Tensor, a: Resampling, b: Resampling) -> Tensor:
    """Homography [3, 3] between pixels of two resampled images."""
    source_from_target: Tensor = torch.linalg.inv(target_from_source(a))
    return target_from_source(b) @ b_from_a @ source_from_target


def target_from_source(resampling: Resampling) -> Tensor:
    """Homogeneous pixel transform [3, 3] of the crop and resize."""
    s = resampling.scale
    return torch.tensor(
        [[s, 0.0, -resampling.left * s], [0.0, s, -resampling.top * s], [0.0, 0.0, 1.0]],
        dtype=torch.float64,
    )


def move_intrinsics(intrinsics: Tensor, resampling: Resampling) -> Tensor:
    """Camera matrix [3, 3] of the resampled image (half-pixel centres, so no extra offset)."""
    return target_from_source(resampling) @ intrinsics.to(torch.float64)


def _source_index(size: int, start: float, scale: float, source_size: int) -> Tensor:
    centres = start + (torch.arange(size, dtype=torch.float64) + 0.5) / scale
    return centres.floor().long().clamp(0, source_size - 1)
