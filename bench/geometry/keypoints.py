"""Transfer of keypoints from one image to another by nearest features (PCK)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.geometry.grid import sample_bilinear
from bench.geometry.matching import features_at, lattice
from bench.geometry.nearest import nearest
from bench.geometry.visibility import inside_image
from bench.types import PatchGrid

Floats = NDArray[np.float64]
Scale = Literal["box", "image", "keypoints"]


@dataclass(frozen=True)
class Transfer:
    """Keypoints that both images show, [K]: distances in pixels of the target.

    error: NaN where the source keypoint's feature has no direction. best: distance to the nearest
    candidate, which no matcher can beat. candidates: image coordinates [M, 2]; truth: [K, 2].
    """

    error: Floats
    best: Floats
    truth: Tensor
    candidates: Tensor


def common_keypoints(
    source: Tensor, target: Tensor, source_size: tuple[int, int], target_size: tuple[int, int]
) -> Tensor:
    """Keypoints [K, 2] annotated and inside of both images (height, width), bool [K]."""
    return inside_image(source, *source_size) & inside_image(target, *target_size)


def transfer_keypoints(
    source: tuple[Tensor, PatchGrid], target: tuple[Tensor, PatchGrid], start: Tensor, truth: Tensor
) -> Transfer:
    """Match source keypoints [K, 2] to the patch centres of the target.

    Args:
        source, target: tokens [rows, cols, D] and their grid.
        start, truth: image coordinates in the source and in the target.
    """
    candidates = lattice(target[1], per_patch=1)
    queries = sample_bilinear(source[0], start.to(source[0].device), source[1])
    features = features_at(target[0], candidates, target[1], per_patch=1)
    matches = nearest(queries, features.to(queries.dtype))
    found = candidates[matches.index.clamp(min=0).cpu()]
    error = (found - truth).norm(dim=1).numpy()
    error[~matches.found.cpu().numpy()] = np.nan
    best = torch.cdist(truth, candidates).amin(1).numpy()
    return Transfer(error, best, truth, candidates)


def object_size(scale: Scale, box: Tensor | None, size: tuple[int, int], truth: Tensor) -> float:
    """Length in pixels that thresholds are shares of; NaN where it is zero or unknown.

    Args:
        scale: long side of the target's ``box`` (left, top, right, bottom), of the ``image``, or of
            the box around the target's ``keypoints`` [K, 2].
    """
    if scale == "image":
        return float(max(size))
    if scale == "keypoints":
        extent = (truth.amax(0) - truth.amin(0)) if len(truth) else torch.zeros(2)
    else:
        if box is None:
            return float("nan")
        extent = box[2:] - box[:2]
    longest = float(extent.max())
    return longest if longest > 0 else float("nan")


def spair_errors(
    source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor], side: float
) -> Tensor:
    """Offsets [K, 2] from truth to prediction as shares of the square's side, as Probe3D has them.

    Source features are sampled with the outermost patch centres on the square's edges, and the
    prediction is the matched patch's top-left corner. Padding of the model is ignored. NaN where
    the source keypoint's feature has no direction.

    Args:
        source, target: tokens [n, n, D] of a square image, and annotated keypoints [K, 2] in whole
            pixels.
        side: of the squares in pixels.
    """
    (source_tokens, start), (target_tokens, truth) = source, target
    planes = source_tokens.float().permute(2, 0, 1)[None]
    place = (2 * start / side - 1).float().to(planes.device)
    queries = torch.nn.functional.grid_sample(
        planes, place[None, None], mode="bilinear", align_corners=True
    )[0, :, 0].T
    cells = len(target_tokens)
    index = nearest(queries, target_tokens.float().flatten(0, 1)).index.cpu()
    predicted = torch.stack([index % cells, index // cells], dim=1).to(torch.float64) / cells
    predicted[index < 0] = torch.nan
    return predicted - truth / side
