"""Images framed as Probe3D frames them before a model sees them (El Banani et al. 2024)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from bench.datasets._depth import resize_nearest
from bench.errors import BenchError
from bench.geometry.resolution import Resampling
from bench.types import View

#: Short side in pixels of the images that the protocol stores, and side of those it shows a model.
NAVI_STORED = 1024
NAVI_SHOWN = 512
WHITE = 255


def object_square(view: View) -> Resampling:
    """The square around the pixels with a depth, moved inside the image; not resized.

    Raises:
        BenchError: no pixel has a depth.
    """
    assert view.depth is not None
    known = view.depth > 0
    if not known.any():
        raise BenchError(f"{view.name}: no pixel has a depth.", "Leave the image out.")
    height, width = view.size
    rows, columns = known.any(1).nonzero()[:, 0], known.any(0).nonzero()[:, 0]
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    side = min(max(bottom - top, right - left), height, width)
    y = min(max((top + bottom - side) // 2, 0), height - side)
    x = min(max((left + right - side) // 2, 0), width - side)
    return Resampling(float(x), float(y), float(side), float(side), side, side)


def navi_frame(view: View) -> View:
    """The object in 512 x 512 pixels, all but the first step by nearest pixels.

    Short side to 1024 (bilinear; depth nearest), to 512, centre crop, square around the object,
    back to 512. The principal point is the middle of the image before the square is cut.

    Args:
        view: as photographed, with depth, mask and intrinsics.

    Raises:
        BenchError: no pixel of the centre crop has a depth.
    """
    assert view.depth is not None and view.mask is not None and view.intrinsics is not None
    stored = _short_side(view.size, NAVI_STORED)
    picture = Image.fromarray(view.image.permute(1, 2, 0).numpy())
    picture = picture.resize(stored[::-1], Image.Resampling.BILINEAR)
    image = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    depth, mask = (
        torch.from_numpy(resize_nearest(values.numpy(), stored))
        for values in (view.depth, view.mask)
    )
    rows, columns = (
        _centre(_nearest(length, shown), NAVI_SHOWN)
        for length, shown in zip(stored, _short_side(stored, NAVI_SHOWN), strict=True)
    )
    square = object_square(
        replace(view, image=image[:, rows][..., columns], depth=depth[rows][:, columns])
    )
    again = _nearest(square.width, NAVI_SHOWN)
    rows, columns = rows[int(square.top) + again], columns[int(square.left) + again]
    zoom = NAVI_SHOWN / square.width
    focal = float(view.intrinsics[0, 0]) * NAVI_SHOWN / min(view.size) * zoom
    x, y = ((NAVI_SHOWN / 2 - start) * zoom for start in (square.left, square.top))
    return replace(
        view,
        image=image[:, rows][..., columns].contiguous(),
        depth=depth[rows][:, columns].contiguous(),
        mask=mask[rows][:, columns].contiguous(),
        intrinsics=torch.tensor([[focal, 0, x], [0, focal, y], [0, 0, 1]], dtype=torch.float64),
    )


def white_square(view: View, side: int) -> View:
    """A view [H, W] with keypoints as the top left of a white square, resized to `side` pixels.

    The image is resized bicubically, the mask by nearest pixels; what was added is background.
    """
    height, width = view.size
    longest = max(height, width)
    margin = (0, longest - width, 0, longest - height)
    picture = Image.fromarray(pad(view.image, margin, value=WHITE).permute(1, 2, 0).numpy())
    picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    mask = view.mask
    if mask is not None:
        mask = torch.from_numpy(resize_nearest(pad(mask, margin).numpy(), (side, side)))
    return replace(
        view,
        image=torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous(),
        keypoints=None if view.keypoints is None else view.keypoints * (side / longest),
        mask=mask,
    )


def _short_side(size: tuple[int, int], length: int) -> tuple[int, int]:
    """`size` scaled so that its short side is `length`; the long one is cut to whole pixels."""
    height, width = (int(side * length / min(size)) for side in size)
    return height, width


def _nearest(length: int, wanted: int) -> Tensor:
    """Source pixel of each of `wanted` target pixels: its upper left, as torch resizes."""
    return torch.arange(wanted) * length // wanted


def _centre(index: Tensor, length: int) -> Tensor:
    start = round((len(index) - length) / 2)
    return index[start : start + length]
