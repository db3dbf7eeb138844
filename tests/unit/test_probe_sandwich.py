"""Trained probes between perfect features, which read everything, and noise, which reads nothing.

Slanted walls have no edges, so the mean of a patch says all about its pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from bench.geometry.cameras import pixel_centres, rays
from bench.geometry.grid import split_into_patches
from bench.tasks.depth_probe import DepthProbe
from bench.tasks.normal_probe import NormalProbe
from bench.types import FeatureMap, PatchGrid, Split, TaskItem, View, ViewSet
from tests.unit.sphere_scene import context, grids_of

HEIGHT, WIDTH, PATCH = 56, 70, 7
Tokens = Callable[[View, PatchGrid], Tensor]


def wall(seed: int) -> View:
    """A view of a wall, at its own distance and slant."""
    generator = torch.Generator().manual_seed(seed)
    intrinsics = torch.tensor([[63.0, 0, WIDTH / 2], [0, 63.0, HEIGHT / 2], [0, 0, 1]]).double()
    slant = 1.2 * torch.rand(2, generator=generator).double() - 0.6
    distance = 1.5 + 2 * float(torch.rand(1, generator=generator))
    normal = torch.nn.functional.normalize(torch.tensor([*slant, -1.0]).double(), dim=0)
    depth = -distance / (rays(pixel_centres(HEIGHT, WIDTH), intrinsics) @ normal)
    normals = normal.float()[:, None, None].expand(3, HEIGHT, WIDTH)
    image = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8)
    return View("a", image, depth.float(), intrinsics, normals=normals)


def walls() -> list[ViewSet]:
    """14 to train on, 4 to stop by and 6 to score."""
    parts: tuple[tuple[Split, int], ...] = (("train", 14), ("val", 4), ("test", 6))
    splits = [split for split, count in parts for _ in range(count)]
    return [
        ViewSet("walls", f"s{number}", "0", split, (wall(number),), scene_scale=2.0)
        for number, split in enumerate(splits)
    ]


def depth_tokens(view: View, grid: PatchGrid) -> Tensor:
    """Soft bins of the patch's mean depth."""
    assert view.depth is not None
    depth = split_into_patches(view.depth, grid, 0.0).mean(-1)
    return torch.exp(-(((depth[..., None] - torch.linspace(0.5, 5, 40)) / 0.1) ** 2))


def normal_tokens(view: View, grid: PatchGrid) -> Tensor:
    assert view.normals is not None
    return split_into_patches(view.normals.permute(1, 2, 0), grid, 0.0).mean(2)


def noise_tokens(view: View, grid: PatchGrid) -> Tensor:
    assert view.depth is not None
    seed = int(1e6 * float(view.depth.sum()))
    return torch.randn(*grid.shape, 40, generator=torch.Generator().manual_seed(seed))


def scores(task: DepthProbe | NormalProbe, tokens: Tokens, folder: Path) -> dict[str, float]:
    """Mean scores over the test walls."""
    items = {}
    for view_set in walls():
        (grid,) = grids_of(view_set, PATCH)
        features = FeatureMap("layer", (tokens(view_set.views[0], grid),), (grid,))
        items[view_set.scene] = TaskItem(view_set, {"layer": features})
    given = replace(context(folder), reread=lambda refs: (items[ref.scene] for ref in refs))
    state = task.prepare(given)
    for item in items.values():
        task.update(state, item)
    found = task.finish(state)
    assert len(found) == 6
    return {key: sum(s.values[key] for s in found) / 6 for key in found[0].values}


def depth_probe(preset: Literal["linear", "dpt-64"] = "linear", steps: int = 150) -> DepthProbe:
    rate = 0.1 if preset == "linear" else 0.01
    return DepthProbe(preset=preset, steps=steps, learning_rate=rate, max_depth=6)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_depth_itself_is_read_with_hardly_an_error(tmp_path: Path) -> None:
    found = scores(depth_probe(), depth_tokens, tmp_path)
    assert found["rmse_m"] < 0.12 * found["constant_rmse_m"]
    assert found["abs_rel"] < 0.025 and found["delta1"] > 0.99
    assert found["affine_rmse_m"] <= found["rmse_m"]


def test_noise_says_as_much_of_depth_as_a_constant(tmp_path: Path) -> None:
    found = scores(depth_probe(), noise_tokens, tmp_path)
    assert found["rmse_m"] == pytest.approx(found["constant_rmse_m"], rel=0.25)
    assert found["abs_rel"] == pytest.approx(found["constant_abs_rel"], rel=0.25)


def test_normals_themselves_are_read_with_hardly_an_error(tmp_path: Path) -> None:
    found = scores(NormalProbe(steps=100, learning_rate=0.03), normal_tokens, tmp_path)
    assert found["mean_deg"] < 1 and found["within_11.25deg"] == 1


def test_noise_says_as_much_of_normals_as_a_constant(tmp_path: Path) -> None:
    found = scores(NormalProbe(steps=100, learning_rate=0.03), noise_tokens, tmp_path)
    assert found["mean_deg"] == pytest.approx(found["constant_mean_deg"], rel=0.1)


def test_a_small_dpt_reads_depth_too(tmp_path: Path) -> None:
    found = scores(depth_probe("dpt-64", steps=30), depth_tokens, tmp_path)
    assert found["rmse_m"] < 0.5 * found["constant_rmse_m"]
