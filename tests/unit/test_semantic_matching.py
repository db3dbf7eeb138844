"""Keypoint transfer: by hand, between oracle and noise, and the published protocol's bias."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.grid import patch_centres
from bench.geometry.keypoints import object_size, spair_errors
from bench.geometry.resolution import move_boxes, move_homography, move_pixels, plan_resampling
from bench.runner.loading import load_view_set
from bench.tasks.semantic_matching import SemanticMatching
from bench.types import ItemScore, PatchGrid, Resolution, TaskItem, View, ViewSet, ViewSetRef
from tests.unit.sphere_scene import context, grids_of, item_of, noise_tokens

SIDE = 160


def pair_of(
    source: Tensor, target: Tensor, scene: str = "cat", number: int = 0, viewpoint: int = 0
) -> ViewSet:
    """Two square images with keypoints [K, 2]; both boxes are 100 pixels long."""
    image = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
    views = tuple(View(str(i), image, keypoints=k) for i, k in enumerate((source, target)))
    box = torch.tensor([10.0, 20.0, 110.0, 60.0], dtype=torch.float64)
    extras = {"boxes": torch.stack([box, box]), "viewpoint_variation": viewpoint}
    return ViewSet("spair", scene, str(number), "test", views, False, extras=extras)


def keypoints(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 2, generator=generator, dtype=torch.float64) * SIDE


def place_tokens(grids: tuple[PatchGrid, ...], moved: tuple[float, float] = (0, 0)) -> list[Tensor]:
    """Features that say where the patch is, in source coordinates; the target is `moved`."""
    tokens = []
    for grid, shift in zip(grids, ((0.0, 0.0), moved), strict=True):
        x = (patch_centres(grid) - torch.tensor(shift)) / 1000
        square = x.square().sum(-1, keepdim=True)
        tokens.append((torch.cat([2 * x, 1 - square], -1) / (1 + square)).float())
    return tokens


def run(items: list[TaskItem], **options: Any) -> list[ItemScore]:
    task = SemanticMatching(**options)
    state = task.prepare(context(Path("unused")))
    for item in items:
        task.update(state, item)
    scores = task.finish(state)
    for score in scores:
        assert set(score.values) == {metric.key for metric in task.metrics}
    return scores


def test_the_same_image_has_no_error_beyond_the_grid() -> None:
    points = keypoints(60)
    view_set = pair_of(points, points)
    grids = grids_of(view_set, 16)
    (score,) = run([item_of(view_set, place_tokens(grids), grids)], thresholds=(0.05, 0.1, 0.12))
    for threshold in ("0.05", "0.1"):
        assert score.values[f"pck@{threshold}"] == pytest.approx(
            score.values[f"ceiling@{threshold}"]
        )
    assert 0 < score.values["pck@0.05"] < score.values["pck@0.1"] < score.values["pck@0.12"] == 1.0
    centres = patch_centres(grids[0])[2:5, 3:6].flatten(0, 1)
    exact = pair_of(centres, centres)
    (score,) = run([item_of(exact, place_tokens(grids), grids)], thresholds=(1e-9,))
    assert score.values["pck@1e-09"] == 1.0


@pytest.mark.parametrize("patch", [14, 16, 32])
def test_padding_is_allowed_for(patch: int) -> None:
    points = keypoints(40) * 0.7 + 10
    moved = points + torch.tensor([20.0, 9.0])
    view_set = pair_of(points, moved)
    grids = grids_of(view_set, patch)
    item = item_of(view_set, place_tokens(grids, (20.0, 9.0)), grids)
    (score,) = run([item], thresholds=(0.05, 0.2))
    assert score.values["pck@0.2"] == pytest.approx(score.values["ceiling@0.2"], abs=0.05)
    assert score.values["pck@0.05"] == pytest.approx(score.values["ceiling@0.05"], abs=0.1)


def test_noise_is_at_chance() -> None:
    found = []
    for seed in range(12):
        view_set = pair_of(keypoints(80, seed), keypoints(80, seed + 99))
        grids = grids_of(view_set, 8)
        found.extend(run([item_of(view_set, noise_tokens(grids, seed), grids)], thresholds=(0.3,)))
    mean = {k: sum(s.values[f"{k}@0.3"] for s in found) / 12 for k in ("pck", "chance", "ceiling")}
    assert mean["pck"] == pytest.approx(mean["chance"], abs=0.02)
    assert 0.05 < mean["chance"] < 0.15 and mean["ceiling"] == 1


def test_size_of_the_object() -> None:
    truth = torch.tensor([[10.0, 10.0], [40.0, 90.0]])
    box = torch.tensor([0.0, 5.0, 70.0, 35.0])
    assert object_size("box", box, (50, 60), truth) == 70
    assert object_size("image", None, (50, 60), truth) == 60
    assert object_size("keypoints", None, (50, 60), truth) == 80
    assert math.isnan(object_size("keypoints", None, (50, 60), truth[:1]))


def test_what_is_not_visible_is_not_scored() -> None:
    points = keypoints(10) * 0.8 + 5
    hidden, cropped = points.clone(), points.clone()
    hidden[0] = math.nan
    cropped[1] = torch.tensor([-3.0, 20.0])
    view_set = pair_of(hidden, cropped)
    grids = grids_of(view_set, 8)
    (score,) = run([item_of(view_set, place_tokens(grids), grids)])
    assert score.values["num_keypoints"] == 8 and score.values["num_unscored_keypoints"] == 1
    broken = [torch.full_like(t, math.nan) for t in place_tokens(grids)]
    (score,) = run([item_of(view_set, broken, grids)])
    assert math.isnan(score.values["pck@0.1"]) and score.values["num_unscored_keypoints"] == 9
    nothing = pair_of(points[:0], points[:0])
    (score,) = run([item_of(nothing, place_tokens(grids), grids)])
    assert math.isnan(score.values["pck@0.1"]) and math.isnan(score.values["chance@0.1"])


def test_mistakes_are_explained() -> None:
    view_set = pair_of(keypoints(5), keypoints(5))
    bare = ViewSet(**{**vars(view_set), "extras": {}})
    grids = grids_of(bare, 8)
    with pytest.raises(BenchError, match="scale"):
        run([item_of(bare, place_tokens(grids), grids)])
    assert len(run([item_of(bare, place_tokens(grids), grids)], scale="image")) == 1
    with pytest.raises(BenchError, match="fixes thresholds"):
        SemanticMatching(preset="probe3d-spair", thresholds=(0.2,))


# Published protocol


def framed(view_set: ViewSet) -> ViewSet:
    """The pair as the dataset's option `square_px` gives it."""
    points = [view.keypoints for view in view_set.views if view.keypoints is not None]
    own = {"square_px": SIDE, "whole_keypoints": torch.stack(points).long()}
    return ViewSet(**{**vars(view_set), "extras": {**view_set.extras, **own}})


def test_published_protocol_is_half_a_patch_off() -> None:
    """Golden value of the protocol's facts: at patch 16 and 800 pixels the bias is (-8, -8)."""
    grid = PatchGrid(50, 50, 16, 800, 800)
    tokens = torch.randn(50, 50, 64, generator=torch.Generator().manual_seed(0))
    # Where align_corners puts the centre of patch i: i / 49 of the side.
    cells = torch.tensor([[3, 7], [20, 30], [44, 11], [25, 25]], dtype=torch.float64)
    source, truth = cells / 49 * 800, patch_centres(grid)[cells[:, 1].long(), cells[:, 0].long()]
    found = spair_errors((tokens, source.ceil()), (tokens, truth), 800) * 800
    torch.testing.assert_close(found, torch.full_like(found, -8.0))


def test_published_protocol_pools_a_class() -> None:
    items = []
    for number, (count, shift) in enumerate(((30, 0.0), (10, 60.0))):
        points = keypoints(count, number) * 0.5 + 10
        view_set = framed(pair_of(points, points + shift, number=number, viewpoint=number))
        grids = grids_of(view_set, 4)
        items.append(item_of(view_set, place_tokens(grids), grids))
    (score,) = run(items, preset="probe3d-spair")
    assert score.set_id == "pooled" and score.values["num_keypoints"] == 40
    assert score.values["pck@0.1/viewpoint-0"] == 1.0
    assert score.values["pck@0.1/viewpoint-1"] == 0.0
    assert score.values["pck@0.1"] == pytest.approx(30 / 40)
    assert math.isnan(score.values["pck@0.1/viewpoint-2"])


def test_published_protocol_draws_two_hundred_pairs() -> None:
    """Of each grade and of all: shuffled by name under seed 20, whatever order they came in."""
    numbers = list(range(260))
    random.Random(1).shuffle(numbers)
    items = []
    for number in numbers:
        points = torch.full((1, 2), 40.0, dtype=torch.float64)
        shift = 0.0 if number < 130 else 60.0
        view_set = framed(pair_of(points, points + shift, number=number, viewpoint=number % 2))
        grids = grids_of(view_set, 4)
        items.append(item_of(view_set, place_tokens(grids), grids))
    (score,) = run(items, preset="probe3d-spair")
    names = sorted(map(str, range(260)))
    random.Random(20).shuffle(names)
    expected = sum(int(name) < 130 for name in names[:200]) / 200
    assert score.values["num_keypoints"] == 200
    assert score.values["pck@0.1"] == pytest.approx(expected) != 0.5
    assert score.values["pck@0.1/viewpoint-0"] == pytest.approx(0.5)


def test_published_protocol_counts_what_it_cannot_score() -> None:
    """NaN features, and a box without extent, are unscored; no class cell becomes 0 by that."""
    points = keypoints(10) * 0.5 + 10
    view_set = framed(pair_of(points, points))
    grids = grids_of(view_set, 4)
    broken = [torch.full_like(t, math.nan) for t in place_tokens(grids)]
    flat = {**view_set.extras, "boxes": torch.zeros(2, 4, dtype=torch.float64)}
    nothing = framed(pair_of(points[:0], points[:0]))
    for found, tokens, lost in (
        (view_set, broken, 10),
        (ViewSet(**{**vars(view_set), "extras": flat}), place_tokens(grids), 10),
        (nothing, place_tokens(grids), 0),
    ):
        (score,) = run([item_of(found, tokens, grids)], preset="probe3d-spair")
        assert math.isnan(score.values["pck@0.1"])
        assert score.values["num_unscored_keypoints"] == lost and not score.values["num_keypoints"]


def test_published_protocol_refuses_other_frames() -> None:
    points = keypoints(5) * 0.5 + 10
    plain = pair_of(points, points)
    resized = ViewSet(**{**vars(plain), "extras": {**framed(plain).extras, "square_px": 800}})
    for view_set in (plain, resized):
        grids = grids_of(view_set, 4)
        with pytest.raises(BenchError, match="square_px: 800"):
            run([item_of(view_set, place_tokens(grids), grids)], preset="probe3d-spair")


# What a resize does to boxes and homographies


class OnePair:
    """A dataset of one pair with boxes and a homography."""

    def load(self, ref: ViewSetRef) -> ViewSet:
        image = torch.zeros(3, 90, 150, dtype=torch.uint8)
        points = torch.tensor([[30.0, 20.0], [120.0, 70.0]], dtype=torch.float64)
        views = tuple(View(str(i), image, keypoints=points + 2 * i) for i in range(2))
        box = torch.tensor([30.0, 20.0, 120.0, 70.0], dtype=torch.float64)
        shift = torch.tensor([[1.0, 0, 2], [0, 1, 2], [0, 0, 1]], dtype=torch.float64)
        return ViewSet(
            "one", "pair", "0", "test", views, homographies={(0, 1): shift},
            extras={"boxes": torch.stack([box, box + 2]), "category": "cat"},
        )  # fmt: skip


def test_boxes_and_homographies_follow_the_resize() -> None:
    dataset: Any = OnePair()
    found = load_view_set(
        dataset, ViewSetRef("pair", "0", "test", ()), Resolution("patches", 7), 14
    )
    assert found.extras["category"] == "cat" and found.homographies is not None
    for view, box in zip(found.views, found.extras["boxes"], strict=True):
        assert view.keypoints is not None
        torch.testing.assert_close(box, view.keypoints.flatten())
    a, b = (view.keypoints for view in found.views)
    assert a is not None and b is not None
    homogeneous = torch.nn.functional.pad(a, (0, 1), value=1.0) @ found.homographies[0, 1].T
    torch.testing.assert_close(homogeneous[:, :2] / homogeneous[:, 2:], b)


def test_moving_by_hand() -> None:
    plan = plan_resampling(90, 150, Resolution("patches", 7), 14)
    box = torch.tensor([1.0, 2.0, 3.0, 5.0], dtype=torch.float64)
    torch.testing.assert_close(move_boxes(box, plan)[2:], move_pixels(box[2:], plan))
    unit = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(move_homography(unit, plan, plan), unit)
