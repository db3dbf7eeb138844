"""Attention on the true match: the recorder against plain attention, the task on known matches."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.cameras import project, transform
from bench.geometry.grid import patch_centres
from bench.geometry.matching import lift
from bench.models.vggt.attention_matches import recorded, strongest
from bench.models.vggt.predictor import VGGTPredictor
from bench.tasks.epipolar_attention import EpipolarAttention, TrueMatches, head_shares
from bench.types import PatchGrid, TaskItem, ViewSet
from tests.unit.small_vggt import DEPTH, random_images, small_config, small_vggt
from tests.unit.sphere_scene import context, view_set_of

GRID = PatchGrid(8, 10, 14, 112, 140)


def by_layer(view_set: ViewSet, matches: Tensor, **options: Any) -> list[dict[str, float]]:
    task = EpipolarAttention(**options)
    item = TaskItem(view_set, predictions={"attention_matches": matches.float()})
    found = task.score(task.prepare(context(Path("unused"))), item)
    assert [score.layer for score in found] == [f"global_{i}" for i in range(len(found))]
    for score in found:
        assert set(score.values) == {metric.key for metric in task.metrics}
    return [dict(score.values) for score in found]


# Recorder


def test_the_recorder_sees_what_attention_does_and_changes_nothing() -> None:
    """The strongest product is the largest entry of the softmax that the block computes."""
    model = small_vggt(enable_track=False)
    images = random_images(2, 3, 3, 28, 42)
    seen: list[tuple[Tensor, Any]] = []
    block = model.aggregator.global_blocks[2].get_submodule("attn")
    hook = block.register_forward_pre_hook(lambda _, given: seen.append(given))
    with torch.no_grad():
        plain = model(images)
        with recorded(model.aggregator, images) as matches:
            watched = model(images)
    hook.remove()
    assert all(torch.equal(plain[key], watched[key]) for key in ("pose_enc", "depth"))
    assert [m.shape for m in matches] == [(2, 3, 3, 2, 2, 3)] * DEPTH
    x, rotate = seen[0]
    q, k, _ = block.queries_keys_values(x, rotate)  # type: ignore[operator]
    attention = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
    tokens = attention.shape[-1] // 3
    for b, i, j, head, patch in torch.cartesian_prod(*map(torch.arange, (2, 3, 3, 2, 6))).tolist():
        row = attention[b, head, i * tokens + 5 + patch]
        best = int(row[j * tokens + 5 : (j + 1) * tokens].argmax())
        assert int(matches[2][b, i, j, head].flatten()[patch]) == best


def test_hooks_do_not_stay() -> None:
    model = small_vggt(enable_track=False)
    images = random_images(1, 2, 3, 28, 42)
    with pytest.raises(RuntimeError), recorded(model.aggregator, images) as matches:
        raise RuntimeError
    with torch.no_grad():
        model(images)
    assert matches == []


def test_strongest_of_known_keys() -> None:
    """Queries of both views are keys of view 1 in reverse order."""
    keys = torch.eye(8).reshape(1, 1, 2, 4, 8)
    queries = keys[:, :, 1:].flip(3).expand(1, 1, 2, 4, 8)
    found = strongest(queries, keys)
    assert found.shape == (1, 2, 2, 1, 4)
    assert found[0, :, 1, 0].tolist() == [[3, 2, 1, 0]] * 2


def test_the_row_hands_them_on_if_asked() -> None:
    config = {**small_config(), "enable_point": False, "enable_track": False}
    images = random_images(1, 2, 3, 28, 42)
    with torch.no_grad():
        row = VGGTPredictor(**config, attention_matches=True).eval()
        found = row.predict(images)["attention_matches"]
        assert "attention_matches" not in VGGTPredictor(**config).eval().predict(images)
    assert found.shape == (1, 2, DEPTH, 2, 2, 2, 3)
    assert {f"global_{i}" for i in range(DEPTH)} < set(row.layer_names)


# Task


def true_index(view_set: ViewSet, a: int, b: int) -> Tensor:
    """Raster index [rows, cols] of b's patch that sees what a's patch sees; 0 where it is outside
    of the image."""
    view = view_set.views[b]
    assert view.camera_from_world is not None and view.intrinsics is not None
    world = lift(view_set.views[a], patch_centres(GRID).flatten(0, 1)).world
    pixels, _ = project(transform(view.camera_from_world, world), view.intrinsics)
    found = []
    for x, y in pixels.tolist():
        inside = 0 <= x < GRID.image_width and 0 <= y < GRID.image_height
        found.append(int(y // 14) * GRID.cols + int(x // 14) if inside else 0)
    return torch.tensor(found).reshape(GRID.shape)


def perfect(view_set: ViewSet, layers: int, heads: int) -> Tensor:
    count = len(view_set)
    found = torch.zeros(count, layers, count, heads, *GRID.shape, dtype=torch.long)
    for a in range(count):
        for b in range(count):
            found[a, :, b, :] = true_index(view_set, a, b)
    return found


def test_every_head_right_one_head_right_none_right() -> None:
    view_set = view_set_of((0.0, 20.0, -30.0))
    matches = perfect(view_set, 3, 4)
    wrong = (matches + 5) % 80
    matches[:, 1, :, 1:] = wrong[:, 1, :, 1:]
    matches[:, 2] = wrong[:, 2]
    first, second, third = by_layer(view_set, matches)
    assert (first["matching_heads"], first["best_head"]) == (1, 1)
    assert (second["matching_heads"], second["best_head"]) == (0.25, 1)
    assert (third["matching_heads"], third["best_head"]) == (0, 0)
    assert first["num_pairs"] == 6 and first["num_unscored_pairs"] == 0
    assert 200 < first["num_queries"] < 6 * 80


def test_a_match_next_door_counts_only_with_tolerance() -> None:
    view_set = view_set_of((0.0, 20.0))
    matches = perfect(view_set, 1, 1)
    beside = torch.where(matches % 10 < 9, matches + 1, matches - 1)
    (strict,) = by_layer(view_set, beside)
    (lenient,) = by_layer(view_set, beside, tolerance_patches=1)
    assert (strict["matching_heads"], lenient["matching_heads"]) == (0, 1)


@pytest.mark.parametrize("tolerance", [0, 1])
def test_random_attention_scores_chance(tolerance: int) -> None:
    view_set = view_set_of((0.0, 20.0))
    generator = torch.Generator().manual_seed(0)
    matches = torch.randint(80, (2, 1, 2, 400, *GRID.shape), generator=generator)
    (found,) = by_layer(view_set, matches, tolerance_patches=tolerance)
    assert found["matching_heads"] == pytest.approx(found["chance"], rel=0.03)
    # One cell of 80; with its neighbours four at a corner, nine inside.
    least, most = ((1, 1), (4, 9))[tolerance]
    assert least / 80 <= found["chance"] <= most / 80


def test_shares_are_of_visible_patches_alone() -> None:
    pair = TrueMatches(0, 1, torch.tensor([0, 5]), torch.tensor([[0, 1], [2, 2]]))
    matches = torch.zeros(2, 2, 3, dtype=torch.long)
    matches[0] = torch.tensor([[1, 9, 9], [9, 9, 8]])
    assert head_shares(matches, pair, 0).tolist() == [1.0, 0.0]


def test_what_cannot_be_scored() -> None:
    apart = view_set_of((0.0, 20.0))
    blind = replace(
        apart, views=(apart.views[0], replace(apart.views[1], depth=torch.zeros(112, 140)))
    )
    (found,) = by_layer(blind, perfect(apart, 1, 2))
    assert math.isnan(found["matching_heads"]) and math.isnan(found["chance"])
    assert (found["num_pairs"], found["num_unscored_pairs"]) == (2, 2)
    (single,) = by_layer(view_set_of((0.0,)), torch.zeros(1, 1, 1, 2, *GRID.shape))
    assert math.isnan(single["best_head"]) and single["num_pairs"] == 0
    with pytest.raises(BenchError, match="attention_matches: true"):
        EpipolarAttention().score(None, TaskItem(apart, predictions={}))  # type: ignore[arg-type]
    with pytest.raises(BenchError, match="8 x 9 patches do not tile"):
        by_layer(apart, torch.zeros(2, 1, 2, 1, 8, 9))
