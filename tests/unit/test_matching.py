"""Geometric matching: known answers, the ceiling from above and chance from below."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.errors import BenchError
from bench.geometry.cameras import invert_rigid, pixel_centres, project, transform
from bench.geometry.grid import patch_centres
from bench.geometry.matching import chance_recall, features_at, find_queries, lattice, lift
from bench.geometry.recall import bin_of, recall_area, recall_at
from bench.geometry.resolution import plan_resampling, resample_view
from bench.geometry.visibility import surface_depth, visible
from bench.models.feature_extractors import get_extractor_from_id
from bench.tasks.geometric_matching import GeometricMatching
from bench.types import PatchGrid, Resolution, TaskItem, View, ViewSet
from tests.unit.sphere_scene import (
    CENTRE,
    RADIUS,
    camera_at,
    context,
    grids_of,
    item_of,
    noise_tokens,
    oracle_tokens,
    view_of,
    view_set_of,
)


def scores(item: TaskItem, folder: Path = Path("unused"), **options: Any) -> dict[str, float]:
    task = GeometricMatching(**options)
    (score,) = task.score(task.prepare(context(folder)), item)
    assert set(score.values) == {metric.key for metric in task.metrics}
    return dict(score.values)


def flat_views(shift_px: float = 0.0, height: int = 96, width: int = 128) -> ViewSet:
    """Two views of a wall at 2 m; the second camera stands `shift_px` pixels to the right."""
    focal = 100.0
    intrinsics = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]).double()
    views = []
    for i in range(2):
        pose = torch.eye(4, dtype=torch.float64)
        pose[0, 3] = -i * shift_px * 2.0 / focal
        image = torch.zeros(3, height, width, dtype=torch.uint8)
        views.append(View(f"{i}", image, torch.full((height, width), 2.0), intrinsics, pose))
    return ViewSet("walls", "wall", "0", "test", tuple(views), True, 2.0)


# Metrics


def test_recall_by_hand() -> None:
    errors = np.array([0.0, 1.0, 2.0, 5.0, np.inf, np.nan])
    assert recall_at(errors, 2.0) == pytest.approx(3 / 5)
    assert recall_area(errors, 4.0) == pytest.approx((1 + 0.75 + 0.5) / 5)
    assert math.isnan(recall_at(np.array([np.nan]), 1.0))
    assert math.isnan(recall_area(np.array([]), 1.0))


def test_area_is_the_integral_of_recall() -> None:
    errors = np.random.default_rng(0).gamma(2, 2, 300)
    fine = np.linspace(0, 5, 20001)
    recall = np.array([(errors <= t).mean() for t in fine])
    assert recall_area(errors, 5.0) == pytest.approx(np.trapezoid(recall, fine) / 5, abs=1e-4)


def test_bins() -> None:
    edges = (0.0, 30.0, 60.0)
    assert [bin_of(a, edges) for a in (0, 29.9, 30, 60, 61)] == [
        "0-30deg", "0-30deg", "30-60deg", "30-60deg", None,
    ]  # fmt: skip


# Geometry


@pytest.mark.parametrize("patch", [14, 16, 32])
@pytest.mark.parametrize("per_patch", [1, 3])
def test_lattice_has_patch_centres_and_no_padding(patch: int, per_patch: int) -> None:
    grid = grids_of(flat_views(height=100, width=150), patch)[0]
    pixels = lattice(grid, per_patch)
    assert ((pixels >= 0) & (pixels < torch.tensor([150.0, 100.0]))).all()
    tokens = patch_centres(grid).float()
    found = features_at(tokens, pixels, grid, per_patch)
    if per_patch == 1:
        inside = patch_centres(grid).flatten(0, 1)
        assert torch.equal(found.double(), pixels)
        assert len(pixels) == sum(((p >= 0) & (p < torch.tensor([150, 100]))).all() for p in inside)
    else:
        # A bilinear ramp is exact between the outermost centres.
        low, high = tokens.flatten(0, 1).amin(0), tokens.flatten(0, 1).amax(0)
        clamped = pixels.clamp(low.double(), high.double())
        torch.testing.assert_close(found.double(), clamped, atol=1e-3, rtol=0)


def test_visibility_agrees_with_ray_casting() -> None:
    a, b = view_of(camera_at(0)), view_of(camera_at(50))
    assert a.depth is not None and b.depth is not None and b.intrinsics is not None
    points = lift(a, pixel_centres(*a.size)[::3, ::3].flatten(0, 1))
    found = find_queries(a, b, points, metric=True, occlusion=True)
    assert b.camera_from_world is not None
    origin = invert_rigid(b.camera_from_world)[:3, 3]
    towards = found.world - origin
    length = towards.norm(dim=1, keepdim=True)
    along = ((CENTRE - origin) * towards / length).sum(1)
    miss = ((CENTRE - origin) ** 2).sum() - along**2
    first_hit = along - (RADIUS**2 - miss).clamp(min=0).sqrt()
    hidden = (miss < RADIUS**2) & (first_hit < length[:, 0] - 0.05)
    inside = project(transform(b.camera_from_world, found.world), b.intrinsics)[0]
    in_image = ((inside >= 0) & (inside < torch.tensor([140.0, 112.0]))).all(1)
    truth = in_image & ~hidden
    # Silhouettes differ by a pixel: depth is compared at pixels, rays are exact.
    assert (truth == found.visible).double().mean() > 0.97
    assert found.visible.sum() > 200 and (in_image & hidden).sum() > 50
    assert found.angle_deg == pytest.approx(50.0)


def test_surface_is_the_nearest_of_four_pixels() -> None:
    depth = torch.tensor([[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]])
    points = torch.tensor([[1.0, 1.0], [1.9, 1.6], [2.6, 0.6], [-5.0, 0.0]]).double()
    found = surface_depth(depth, points)
    assert found[:2].tolist() == [1.0, 4.0]
    assert torch.isnan(found[2:]).all()
    assert not visible(points, torch.tensor([1.0, 9.0, 1.0, 1.0]).double(), depth, True)[1:].any()


def test_chance_agrees_with_counting() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(n, 2, generator=generator, dtype=torch.float64) for n in (30, 40))
    b[:4] = torch.nan
    expected = [float((torch.cdist(a, b[4:]) <= t).double().sum()) / (30 * 40) for t in (0.1, 0.4)]
    np.testing.assert_allclose(chance_recall(a, b, (0.1, 0.4)), expected)
    assert np.isnan(chance_recall(a[:0], b, (0.1,))).all()


# Alignment


@pytest.mark.parametrize("patch", [14, 16, 32])
def test_identity_has_no_error(patch: int) -> None:
    view_set = flat_views(0.0, height=100, width=150)
    grids = grids_of(view_set, patch)
    assert any(grid.pad_left or grid.pad_top for grid in grids)
    tokens = [torch.cat([xy := patch_centres(g).float() / 50, 1 - xy.square().sum(-1, True)], -1)
              for g in grids]  # fmt: skip
    found = scores(item_of(view_set, tokens, grids), thresholds_px=(1e-6, 1, 5), min_queries=1)
    assert found["recall@1e-06px"] == found["ceiling@1e-06px"] == 1.0
    assert found["recall@1cm"] == found["recall@1pct"] == 1.0
    assert found["auc@5px"] == pytest.approx(1.0)


@pytest.mark.parametrize("patch", [14, 16, 32])
def test_a_shift_by_one_patch_is_p_pixels(patch: int) -> None:
    """Features know only their place in the image, so the error is the camera's shift."""
    view_set = flat_views(float(patch), height=100, width=150)
    grids = grids_of(view_set, patch)
    tokens = [torch.nn.functional.pad(patch_centres(g).float() / 50 - 1, (0, 1), value=1.0)
              for g in grids]  # fmt: skip
    edges = (patch - 1e-3, patch, patch + 1e-3)
    found = scores(
        item_of(view_set, tokens, grids), thresholds_px=edges, reference_px=150, min_queries=1
    )
    low, _, high = (found[f"recall@{edge:g}px"] for edge in edges)
    assert (low, high) == (0.0, 1.0)
    # The true target is itself a patch centre.
    assert found[f"ceiling@{edges[0]:g}px"] == 1.0


def test_misplaced_padding_is_noticed() -> None:
    """The same tokens with the offset forgotten are off by the offset."""
    view_set = flat_views(0.0, height=100, width=150)
    true = grids_of(view_set, 32)
    wrong = [PatchGrid(g.rows, g.cols, g.stride, 100, 150, 0, 0) for g in true]
    assert true[0].pad_left == 5 and true[0].pad_top == 14
    oracle = oracle_tokens(view_set, true)
    shifted = oracle_tokens(view_set, wrong)
    item = item_of(view_set, [oracle[0], shifted[1]], true)
    found = scores(item, thresholds_px=(5, 16), reference_px=150, samples_per_patch=8)
    assert found["recall@5px"] < 0.1 < found["recall@16px"] and found["ceiling@5px"] == 1.0


@pytest.mark.parametrize("patch", [14, 16, 32])
def test_real_padding_is_where_the_grid_says(patch: int) -> None:
    """Two crops of one photograph under the rule `padded`, cut so that whole patches of pixels are
    the same although only one crop is padded: every match is exact."""
    rule = Resolution("padded")
    extractor = get_extractor_from_id("rgb", {"patch_size": patch})
    picture = torch.randint(0, 256, (3, 150, 205), dtype=torch.uint8,
                            generator=torch.Generator().manual_seed(0))  # fmt: skip
    grid = extractor.grid(*picture.shape[1:])
    assert grid.pad_left and grid.pad_top
    left, top = patch - grid.pad_left, patch - grid.pad_top
    rows, cols = (150 - top) // patch, (205 - left) // patch
    views = []
    for name, x, y, height, width in (
        ("a", 0, 0, 150, 205), ("b", left, top, rows * patch, cols * patch)
    ):  # fmt: skip
        K = torch.tensor([[100.0, 0, 100 - x], [0, 100.0, 70 - y], [0, 0, 1]]).double()
        image = picture[:, y : y + height, x : x + width]
        pose, depth = torch.eye(4, dtype=torch.float64), torch.full((height, width), 2.0)
        views.append(View(name, image, depth, K, pose))
    shown = [resample_view(v, plan_resampling(*v.size, rule, patch)) for v in views]
    assert [view.size for view in shown] == [view.size for view in views]
    grids = [extractor.grid(*view.size) for view in shown]
    assert not grids[1].pad_left and not grids[1].pad_top
    tokens = [
        extractor.forward_features(v.image[None], unflatten_patches=True)["x_norm_patchtokens"][0]
        for v in shown
    ]
    view_set = ViewSet("crops", "wall", "0", "test", tuple(shown), True, 2.0)
    found = scores(item_of(view_set, tokens, grids), thresholds_px=(1e-6, 1), min_queries=1)
    assert found["num_queries"] == 2 * rows * cols
    assert found["recall@1e-06px"] == found["ceiling@1e-06px"] == 1.0


# Sandwich


@pytest.mark.parametrize("options", [{}, {"samples_per_patch": 2}, {"candidates": "with_depth"}])
def test_the_oracle_reaches_the_ceiling(options: dict[str, Any]) -> None:
    view_set = view_set_of([0, 25, 50])
    grids = grids_of(view_set, 8)
    found = scores(item_of(view_set, oracle_tokens(view_set, grids), grids), **options)
    assert found["num_pairs"] == 6 and found["num_unscored_pairs"] == 0
    for key, value in found.items():
        # The nearest point in space is not always the nearest in the image, and features
        # interpolated across a silhouette belong to no point.
        slack = 0.3 if "samples_per_patch" in options else 0.1 if "px" in key else 0.02
        if key.startswith("recall"):
            limit = found[key.replace("recall", "ceiling")]
            assert math.isnan(value) == math.isnan(limit)
            assert math.isnan(value) or limit - slack <= value <= limit, key
    assert found["ceiling@20px"] > 0.8 > found["ceiling@1cm"]
    assert found["unfiltered@20px"] < found["recall@20px"]


def test_noise_is_at_chance() -> None:
    view_set = view_set_of([0, 40])
    grids = grids_of(view_set, 4)
    totals = dict.fromkeys(("recall", "chance"), 0.0)
    for seed in range(4):
        found = scores(item_of(view_set, noise_tokens(grids, seed), grids), thresholds_px=(60, 90))
        for kind in totals:
            totals[kind] += found[f"{kind}@60px"] / 4
    assert 0.01 < totals["chance"] < 0.2
    assert totals["recall"] == pytest.approx(totals["chance"], rel=0.15)


def test_bins_hold_the_pairs_of_their_angle() -> None:
    view_set = view_set_of([0, 20, 85])
    grids = grids_of(view_set, 8)
    found = scores(item_of(view_set, oracle_tokens(view_set, grids), grids))
    filled = {key for key, value in found.items() if "recall@10px/" in key and not np.isnan(value)}
    assert filled == {"recall@10px/0-30deg", "recall@10px/60-90deg"}


def test_mutual_trades_recall_for_precision() -> None:
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 8)
    noisy = [
        t + 0.03 * n for t, n in
        zip(oracle_tokens(view_set, grids), noise_tokens(grids, dim=4), strict=True)
    ]  # fmt: skip
    item = item_of(view_set, noisy, grids)
    one_way, both_ways = scores(item), scores(item, mutual=True)
    assert both_ways["recall@10px"] <= one_way["recall@10px"]
    assert both_ways["precision@10px"] > one_way["recall@10px"]
    assert both_ways["matched"] < 1
    assert both_ways["precision@10px"] * both_ways["matched"] == pytest.approx(
        both_ways["recall@10px"], abs=0.05
    )


def test_forward_is_half_of_both() -> None:
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 8)
    item = item_of(view_set, oracle_tokens(view_set, grids), grids)
    backward = ViewSet(**{**vars(view_set), "views": view_set.views[::-1]})
    reverse = item_of(backward, oracle_tokens(backward, grids), grids)
    forward = [scores(i, directions="forward")["recall@10px"] for i in (item, reverse)]
    assert scores(item)["recall@10px"] == pytest.approx(sum(forward) / 2)


def test_pixels_do_not_depend_on_the_input_size() -> None:
    found = []
    for factor in (1, 2):
        view_set = view_set_of([0, 25], height=96 * factor, width=128 * factor)
        grids = grids_of(view_set, 8 * factor)
        found.append(scores(item_of(view_set, oracle_tokens(view_set, grids), grids)))
    for key in ("recall@10px", "ceiling@10px", "chance@20px", "auc@20px"):
        assert found[0][key] == pytest.approx(found[1][key], abs=0.06), key


# Bad input


def test_no_overlap_is_unscored_and_counted() -> None:
    view_set = view_set_of([0, 180])
    grids = grids_of(view_set, 16)
    found = scores(item_of(view_set, oracle_tokens(view_set, grids), grids), min_queries=30)
    assert found["num_pairs"] == found["num_unscored_pairs"] == 2
    assert math.isnan(found["recall@10px"]) and math.isnan(found["ceiling@10px"])


def test_nan_features_are_unscored_and_counted() -> None:
    view_set = view_set_of([0, 20])
    grids = grids_of(view_set, 8)
    tokens = oracle_tokens(view_set, grids)
    whole = scores(item_of(view_set, tokens, grids))
    tokens[0][:4] = torch.nan
    partly = scores(item_of(view_set, tokens, grids))
    assert 0 < partly["num_unscored_queries"] < partly["num_queries"] == whole["num_queries"]
    assert 0 < partly["recall@10px"] <= whole["recall@10px"]
    nothing = scores(item_of(view_set, [torch.full_like(t, torch.nan) for t in tokens], grids))
    assert math.isnan(nothing["recall@10px"]) and nothing["num_unscored_pairs"] == 2


def test_a_view_without_depth_is_matched_but_not_queried() -> None:
    view_set = view_set_of([0, 20])
    grids = grids_of(view_set, 8)
    tokens = oracle_tokens(view_set, grids)
    bare = View("bare", view_set.views[1].image, None, view_set.views[1].intrinsics,
                view_set.views[1].camera_from_world)  # fmt: skip
    half = ViewSet(**{**vars(view_set), "views": (view_set.views[0], bare)})
    found = scores(item_of(half, tokens, grids))
    assert found["num_pairs"] == 2 and found["num_unscored_pairs"] == 1
    assert found["recall@10px"] > 0.8 * found["ceiling@10px"] > 0
    assert math.isnan(found["recall@2cm"]) and math.isnan(found["ceiling@2cm"])


def test_units_need_their_scale() -> None:
    view_set = view_set_of([0, 20], metric=False)
    grids = grids_of(view_set, 8)
    found = scores(item_of(view_set, oracle_tokens(view_set, grids), grids))
    assert math.isnan(found["recall@2cm"]) and found["recall@2pct"] > 0.2


PUBLISHED = ["probe3d-navi", "probe3d-scannet"]


@pytest.mark.parametrize("preset", PUBLISHED)
def test_published_protocols_ask_hidden_points_too(preset: str) -> None:
    """Without overlap every match is wrong, which is a score of 0 there and not a missing one."""
    view_set = view_set_of([0, 180], height=96, width=96)
    grids = grids_of(view_set, 8)
    found = scores(item_of(view_set, noise_tokens(grids), grids), preset=preset)
    recall = found["recall@5cm" if preset == "probe3d-navi" else "recall@10px"]
    assert 0 <= recall < 0.3 and found["num_unscored_pairs"] == 0
    assert found["num_queries"] == 24 * 24


@pytest.mark.parametrize("preset", PUBLISHED)
@pytest.mark.parametrize("known", [0, 1])
def test_too_few_points_of_a_published_protocol(preset: str, known: int) -> None:
    """Nothing to match, or no second neighbour to compare with: unscored and counted."""
    view_set = view_set_of([0, 20], height=96, width=96)
    grids = grids_of(view_set, 8)
    depth = torch.zeros(96, 96)
    depth.view(-1)[: 4 * known] = 2.0
    for place in (0, 1):
        views = list(view_set.views)
        views[place] = replace(views[place], depth=depth)
        item = item_of(replace(view_set, views=tuple(views)), noise_tokens(grids), grids)
        found = scores(item, preset=preset)
        if place == 0 and known:
            assert found["num_queries"] == 1 and found["num_unscored_pairs"] == 0
            continue
        assert found["num_pairs"] == found["num_unscored_pairs"] == 1
        assert found["num_queries"] == 0
        recalls = {key: value for key, value in found.items() if key.startswith("recall")}
        assert recalls and all(math.isnan(value) for value in recalls.values())
    bare = replace(view_set, views=(view_set.views[0], replace(view_set.views[1], depth=None)))
    found = scores(item_of(bare, noise_tokens(grids), grids), preset=preset)
    assert found["num_unscored_pairs"] == 1 and math.isnan(found["recall@5px"])


@pytest.mark.parametrize("preset", PUBLISHED)
def test_nan_features_of_a_published_protocol(preset: str) -> None:
    view_set = view_set_of([0, 20], height=96, width=96)
    grids = grids_of(view_set, 8)
    tokens = noise_tokens(grids)
    tokens[0][:4] = torch.nan
    partly = scores(item_of(view_set, tokens, grids), preset=preset)
    assert partly["num_queries"] + partly["num_unscored_queries"] == 24 * 24
    assert partly["num_queries"] > 0 < partly["num_unscored_queries"]
    assert not math.isnan(partly["recall@5px"])
    for place in (0, 1):
        broken = noise_tokens(grids)
        broken[place].fill_(torch.nan)
        nothing = scores(item_of(view_set, broken, grids), preset=preset)
        assert math.isnan(nothing["recall@5px"]) and nothing["num_unscored_pairs"] == 1
        assert nothing["num_unscored_queries"] == 24 * 24


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"presets": "v1"}, "preset"),
        ({"preset": "probe3d-navi", "mutual": True}, "mutual"),
        ({"thresholds_px": (5, 5)}, "rise"),
        ({"samples_per_patch": 0}, "samples_per_patch"),
    ],
)
def test_wrong_options_are_explained(options: dict[str, Any], word: str) -> None:
    with pytest.raises(BenchError, match=word):
        GeometricMatching(**options)


# Published protocols


def slow_probe3d_scannet(view_set: ViewSet, tokens: list[torch.Tensor]) -> dict[str, float]:
    """The protocol point by point, in numpy."""
    points, features = [], []
    for view, token in zip(view_set.views, tokens, strict=True):
        assert view.depth is not None and view.intrinsics is not None
        depth, K = view.depth.double().numpy()[::4, ::4], view.intrinsics.numpy().copy()
        K[:2, 2] -= 0.5
        K[:2] *= 0.25
        h, w = depth.shape
        rows, cols = token.shape[:2]
        own_points, own_features = [], []
        for i in range(h):
            for j in range(w):
                if depth[i, j] <= 0:
                    continue
                ray = np.linalg.inv(K) @ [j + 0.5, i + 0.5, 1]
                own_points.append(ray * depth[i, j])
                y, x = (i + 0.5) / h * rows - 0.5, (j + 0.5) / w * cols - 0.5
                y0, x0 = math.floor(y), math.floor(x)
                total = np.zeros(token.shape[2])
                for dy in (0, 1):
                    for dx in (0, 1):
                        if 0 <= y0 + dy < rows and 0 <= x0 + dx < cols:
                            weight = (1 - abs(y - y0 - dy)) * (1 - abs(x - x0 - dx))
                            total += weight * token[y0 + dy, x0 + dx].numpy()
                own_features.append(total / np.linalg.norm(total))
        points.append(np.array(own_points))
        features.append(np.array(own_features))
    distance = 1 - features[0] @ features[1].T
    order = np.sort(distance, axis=1)
    weight = 1 - order[:, 0].clip(1e-9) / order[:, 1].clip(1e-9)
    kept = np.argsort(-weight, kind="stable")[:1000]
    poses = [view.camera_from_world for view in view_set.views]
    assert poses[0] is not None and poses[1] is not None
    moved = transform(poses[1] @ torch.linalg.inv(poses[0]), torch.from_numpy(points[0])).numpy()
    K = view_set.views[1].intrinsics.numpy().copy()  # type: ignore[union-attr]
    K[:2, 2] -= 0.5
    K[:2] *= 0.25
    image = [(p @ K.T)[:, :2] / p[:, 2:] for p in (moved, points[1])]
    error = np.linalg.norm(image[0][kept] - image[1][distance.argmin(1)[kept]], axis=1)
    return {f"recall@{t}px": float((error <= t).mean()) for t in (5, 10, 20)}


def test_scannet_preset_agrees_with_a_slow_version() -> None:
    view_set = view_set_of([0, 20], height=96, width=128)
    grids = grids_of(view_set, 14)
    tokens = [
        t + 0.05 * n for t, n in
        zip(oracle_tokens(view_set, grids), noise_tokens(grids, dim=4), strict=True)
    ]  # fmt: skip
    found = scores(item_of(view_set, tokens, grids), preset="probe3d-scannet")
    expected = slow_probe3d_scannet(view_set, tokens)
    assert 0 < expected["recall@10px"] < 1
    for key, value in expected.items():
        # Samples beyond the outermost patch centres share a direction, so a few matches are ties.
        assert found[key] == pytest.approx(value, abs=0.015), key
    assert found["recall@10px/15-30deg"] == found["recall@10px"]
    assert found["num_queries"] == 24 * 32


def test_navi_preset_keeps_the_thousand_most_distinctive() -> None:
    view_set = view_set_of([0, 35], height=160, width=160)
    grids = grids_of(view_set, 4)
    tokens = oracle_tokens(view_set, grids)
    found = scores(item_of(view_set, tokens, grids), preset="probe3d-navi")
    assert found["num_queries"] == 1000
    assert found["recall@5cm"] > found["recall@2cm"] > found["recall@1cm"]
    assert found["recall@2cm/30-60deg"] == found["recall@2cm"]
    small = view_set_of([0, 35], height=56, width=56)
    grids = grids_of(small, 4)
    few = scores(item_of(small, oracle_tokens(small, grids), grids), preset="probe3d-navi")
    assert few["num_queries"] == 14 * 14 and not math.isnan(few["recall@2cm"])


def test_saved_matches_have_equal_bytes(tmp_path: Path) -> None:
    view_set = view_set_of([0, 20])
    grids = grids_of(view_set, 8)
    item = item_of(view_set, oracle_tokens(view_set, grids), grids, layer="block_1")
    for name in ("one", "two"):
        scores(item, tmp_path / name, save_matches=True)
    first, second = (sorted((tmp_path / name).rglob("*.npz")) for name in ("one", "two"))
    assert len(first) == 1 and first[0].read_bytes() == second[0].read_bytes()
    with np.load(first[0]) as saved:
        assert saved["points_a"].shape == saved["points_b"].shape
        assert (saved["error_px"] < 40).mean() > 0.9
        assert saved["image_a"].shape == (112, 140, 3)
