"""One view set per scene as a small map per view, for figures: what pca and kmeans share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.geometry.grid import patch_centres, split_into_patches
from bench.tasks._artifacts import save_arrays, scene_file
from bench.types import ItemScore, PatchGrid, TaskContext, TaskItem, View

Foreground = Literal["none", "mask", "depth"]
#: Share of a patch's pixels that must be foreground.
MIN_FOREGROUND = 0.5


@dataclass
class Scenes:
    """Scenes seen so far, with their scores."""

    context: TaskContext
    scores: dict[str, ItemScore] = field(default_factory=dict)


@dataclass(frozen=True)
class SceneTokens:
    """All patches of one view set in one list, so that one model of them serves every view.

    tokens: float64 [N, D]; usable: patches with finite features on the foreground, bool [N];
    cues: what every backbone sees alike, [N, 3]: mean luminance, and x and y of the centre.
    """

    tokens: NDArray[np.float64]
    usable: NDArray[np.bool_]
    cues: NDArray[np.float64]

    @property
    def scored(self) -> NDArray[np.float64]:
        """Usable tokens [M, D]."""
        return self.tokens[self.usable]

    def spread(self, values: NDArray[Any], blank: float) -> NDArray[Any]:
        """Values [M, ...] of the usable patches among all of them [N, ...]."""
        everywhere = np.full((len(self.usable), *values.shape[1:]), blank, dtype=values.dtype)
        everywhere[self.usable] = values
        return everywhere


def scene_tokens(item: TaskItem, foreground: Foreground) -> SceneTokens:
    """Patches of all views of a view set, view by view in raster order."""
    tokens, usable, cues = [], [], []
    feature_map = item.feature_map
    for view, grid, rows in zip(
        item.view_set.views, feature_map.grids, feature_map.tokens, strict=True
    ):
        flat = rows.detach().cpu().to(torch.float64).flatten(0, 1)
        tokens.append(flat)
        usable.append(torch.isfinite(flat).all(1) & _is_foreground(view, grid, foreground))
        cues.append(_cues(view, grid))
    return SceneTokens(
        torch.cat(tokens).numpy(), torch.cat(usable).numpy(), torch.cat(cues).numpy()
    )


def save_scene_maps(
    context: TaskContext, kind: str, item: TaskItem, values: NDArray[Any], **more: Any
) -> None:
    """Maps of one scene and layer, for ``bench.plots.map_colours``.

    Args:
        values: per patch, [N, ...] in the order of ``scene_tokens``.
        more: further small arrays.
    """
    maps: dict[str, Any] = {}
    start = 0
    for i, grid in enumerate(item.feature_map.grids):
        count = grid.rows * grid.cols
        maps[f"map_{i}"] = values[start : start + count].reshape(*grid.shape, *values.shape[1:])
        maps[f"extent_{i}"] = _extent(grid)
        start += count
    _save(context, kind, item, **maps, **more)


def save_blank_scene(context: TaskContext, kind: str, item: TaskItem, reason: str) -> None:
    """A scene and layer without maps, so that figures say why."""
    _save(context, kind, item, reason=np.str_(reason))


def _save(context: TaskContext, kind: str, item: TaskItem, **arrays: Any) -> None:
    view_set = item.view_set
    images = {
        f"image_{i}": view.image.permute(1, 2, 0).numpy() for i, view in enumerate(view_set.views)
    }
    path = scene_file(context.artifacts, kind, view_set.scene, item.feature_map.layer)
    save_arrays(path, **images, **arrays)


def _is_foreground(view: View, grid: PatchGrid, foreground: Foreground) -> Tensor:
    """Patches that count, bool [rows * cols]; all of them where the view has no such map."""
    chosen = {"none": None, "mask": view.mask, "depth": view.depth}[foreground]
    if chosen is None:
        return torch.ones(grid.rows * grid.cols, dtype=torch.bool)
    share = split_into_patches((chosen > 0).float(), grid, fill=0.0).mean(-1)
    return (share >= MIN_FOREGROUND).flatten()


def _cues(view: View, grid: PatchGrid) -> Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    luminance = torch.einsum("chw,c->hw", view.image.to(torch.float64), weights)
    mean = split_into_patches(luminance, grid, fill=0.0).mean(-1)
    return torch.cat([mean.flatten()[:, None], patch_centres(grid).flatten(0, 1)], dim=1)


def _extent(grid: PatchGrid) -> NDArray[np.float64]:
    """Left, right, bottom, top of the grid in image pixels, as matplotlib wants it."""
    left, top = -grid.pad_left, -grid.pad_top
    right, bottom = grid.cols * grid.stride + left, grid.rows * grid.stride + top
    return np.array([left, right, bottom, top], dtype=np.float64)
