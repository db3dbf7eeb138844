"""Middlebury 2014 Motorcycle: a real stereo pair in metres that comes with scikit-image.

Depth is z = f B / (d + doffs). The disparity belongs to the left view; the right view's depth is
the left disparity moved to where the right camera sees it, nearest surface first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from skimage.data import stereo_motorcycle

from bench.datasets import datasets
from bench.datasets._depth import clean
from bench.datasets._scene import median_depth, pinhole, pose_from
from bench.options import parse_options
from bench.types import View, ViewSet, ViewSetRef

FOCAL = 994.978
BASELINE_M = 0.193001
#: How much further right the right camera's principal point lies.
DOFFS = 31.086
#: scikit-image divided the principal point by 4 when it averaged blocks of 4 x 4 pixels. The
#: calibration counts from the first pixel's centre, so a full-size pixel's half is what is missing.
PRINCIPAL_POINT = (311.193 + 0.5 / 4, 254.877 + 0.5 / 4)

#: Neighbouring pixels whose disparities differ by less lie on one surface.
MAX_STEP = 1.0


class MotorcycleOptions(BaseModel):
    """`motorcycle` takes no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@datasets.register("motorcycle")
class Motorcycle:
    """One view set of two views."""

    Options: ClassVar[type[BaseModel]] = MotorcycleOptions
    name: ClassVar[str] = "motorcycle"
    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[str]] = frozenset({"depth", "poses"})
    licence: ClassVar[str] = "free for research with citation (Middlebury 2014 stereo)"
    citation: ClassVar[str] = (
        "Scharstein et al., High-resolution stereo datasets with subpixel-accurate ground truth, "
        "GCPR 2014"
    )
    how_to_get: ClassVar[str] = "It comes with scikit-image; reinstall that if files are missing."

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(MotorcycleOptions, config, "Dataset 'motorcycle'")

    def view_sets(self) -> Sequence[ViewSetRef]:
        return (ViewSetRef("Motorcycle", "stereo", "test", ("left", "right")),)

    def load(self, ref: ViewSetRef) -> ViewSet:
        views = read_pair()
        return ViewSet(
            self.name, ref.scene, ref.set_id, ref.split, views, scene_scale=median_depth(views)
        )


@cache
def read_pair() -> tuple[View, View]:
    """Left and right view; the world is the left camera's frame."""
    left, right, disparity = stereo_motorcycle()  # type: ignore[no-untyped-call]
    cx, cy = PRINCIPAL_POINT
    return (
        _view("left", left, disparity, cx, cy, 0.0),
        _view("right", right, right_disparity(disparity), cx + DOFFS, cy, BASELINE_M),
    )


def right_disparity(left: NDArray[np.floating]) -> NDArray[np.float64]:
    """Disparity [H, W] seen by the right camera, NaN where the left one saw nothing of it.

    Left pixel (x, y) is right pixel (x - d, y). Between two neighbours on one surface, disparity is
    linear; where surfaces meet, the larger disparity is the nearer one and stays.
    """
    height, width = left.shape
    start = np.arange(width - 1) - left[:, :-1].astype(np.float64)
    end = np.arange(1, width) - left[:, 1:].astype(np.float64)
    with np.errstate(invalid="ignore"):
        one_surface = np.abs(np.diff(left, axis=1)) < MAX_STEP
    rows, columns = np.nonzero(one_surface)
    start, end = start[rows, columns], end[rows, columns]
    nearest = np.full((height, width), -np.inf)
    # A segment is shorter than two pixels, so it covers at most two pixel centres.
    for centre in (np.ceil(start), np.ceil(start) + 1):
        covered = (centre <= end) & (centre >= 0) & (centre < width)
        share = (centre - start)[covered] / (end - start)[covered]
        first = left[rows, columns][covered]
        second = left[rows, columns + 1][covered]
        place = rows[covered], centre[covered].astype(int)
        np.maximum.at(nearest, place, first + (second - first) * share)
    return np.where(np.isfinite(nearest), nearest, np.nan)


def _view(
    name: str,
    image: NDArray[np.uint8],
    disparity: NDArray[np.floating],
    cx: float,
    cy: float,
    shift_m: float,
) -> View:
    depth = clean(FOCAL * BASELINE_M / (disparity.astype(np.float64) + DOFFS))
    return View(
        name=name,
        image=torch.from_numpy(image).permute(2, 0, 1).contiguous(),
        depth=torch.from_numpy(depth),
        intrinsics=torch.from_numpy(pinhole(FOCAL, FOCAL, cx, cy)),
        camera_from_world=torch.from_numpy(pose_from(np.eye(3), (-shift_m, 0.0, 0.0))),
    )
