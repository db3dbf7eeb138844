"""Dense reconstruction: perfect predictions, computed perturbations, a slow implementation."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import gamma

from bench.check import load_suite
from bench.errors import BenchError
from bench.geometry.alignment import align_rigid
from bench.geometry.cameras import transform
from bench.geometry.pose import chance_pose_area
from bench.geometry.pose_errors import (
    histogram_area,
    pair_errors,
    published_pair_errors,
    trajectory_errors,
)
from bench.geometry.recall import recall_area
from bench.suite import SuiteError
from bench.tasks.dense_reconstruction import DenseReconstruction
from bench.types import ViewSet
from tests.unit.reconstruction_scene import (
    Predictions,
    as_float32,
    motion,
    moved_world,
    perfect,
    scaled,
    scene,
    scores,
)

ANGLES = (0.0, 25.0, -40.0, 70.0)
BEST_V1 = {
    "pointmap_inliers@3pct": 1,
    "pointmap_inliers@5pct": 1,
    "pointmap_abs_rel": 0,
    "depth_inliers@3pct": 1,
    "depth_inliers@5pct": 1,
    "depth_abs_rel": 0,
    "pose_auc@5deg": 1,
    "pose_auc@30deg": 1,
    "pose_ate": 0,
    "ray_error_deg": 0,
}
BEST_LEGACY = {
    "pointmaps_inlier_103": 1,
    "pointmaps_inlier_105": 1,
    "pointmaps_abs_rel": 0,
    "z_depth_inlier_103": 1,
    "z_depth_inlier_105": 1,
    "z_depth_abs_rel": 0,
    "pose_auc_5": 100,
    "pose_auc_30": 100,
    "pose_ate_rmse": 0,
    "ray_dirs_err_deg": 0,
}


def v1(view_set: ViewSet, predictions: Predictions, **options: Any) -> dict[str, float]:
    return scores(DenseReconstruction(**options), view_set, predictions)


def legacy(view_set: ViewSet, predictions: Predictions) -> dict[str, float]:
    return scores(DenseReconstruction(preset="legacy"), view_set, predictions)


@pytest.mark.parametrize(("preset", "best"), [("v1", BEST_V1), ("legacy", BEST_LEGACY)])
@pytest.mark.parametrize("spoil", ["nothing", "float32", "unit", "world"])
def test_perfect_predictions_are_perfect(preset: str, best: dict[str, float], spoil: str) -> None:
    view_set = scene(*ANGLES)
    predictions = perfect(view_set)
    if spoil == "float32":
        predictions = as_float32(predictions)
    elif spoil == "unit":
        predictions = scaled(predictions, 11.0)
    elif spoil == "world":
        predictions = moved_world(predictions, motion(50, (0.6, 0.8, 0), (1, -2, 3)))
    found = scores(DenseReconstruction(preset=preset), view_set, predictions)
    assert {key: found[key] for key in best} == pytest.approx(best, abs=2e-5)
    if preset == "v1":
        counts = {key: value for key, value in found.items() if key.startswith("num_")}
        assert counts == {
            "num_views": 4,
            "num_unscored_views": 0,
            "num_pairs": 6,
            "num_unscored_pairs": 0,
            "num_unscored_pixels": 0,
        }


def test_every_metric_has_a_direction_and_one_is_the_headline() -> None:
    for preset in ("v1", "legacy"):
        metrics = DenseReconstruction(preset=preset).metrics
        assert sum(metric.headline for metric in metrics) == 1
        for metric in metrics:
            counted = metric.key.startswith("num_")
            assert (metric.higher_is_better is None) == counted, metric.key
            assert metric.description


def test_a_turned_cloud_is_wrong_in_v1_and_perfect_as_published() -> None:
    """Every distance from the first camera stays as it is."""
    view_set = scene(0.0)
    predictions = perfect(view_set)
    points = predictions["world_points_from_depth"]
    predictions["world_points_from_depth"] = transform(motion(10, (0, 1, 0)), points)
    # Only what is at right angles to the axis moves.
    radius = points[..., [0, 2]].norm(dim=-1) / points.norm(dim=-1)
    expected = 2 * math.sin(math.radians(5)) * radius[_known(view_set)].mean()
    found = v1(view_set, predictions)
    assert found["pointmap_abs_rel"] == pytest.approx(float(expected), abs=1e-9)
    assert found["pointmap_inliers@5pct"] == 0
    published = legacy(view_set, predictions)
    assert published["pointmaps_inlier_103"] == published["pointmaps_inlier_105"] == 1
    assert published["pointmaps_abs_rel"] == pytest.approx(float(expected), abs=1e-9)


def test_a_mirrored_depth_is_wrong_in_v1_and_perfect_as_published() -> None:
    view_set = scene(0.0)
    predictions = perfect(view_set)
    predictions["world_points_from_depth"][..., 2] *= -1
    assert v1(view_set, predictions)["depth_inliers@5pct"] == 0
    assert v1(view_set, predictions)["depth_abs_rel"] == pytest.approx(2)
    assert legacy(view_set, predictions)["z_depth_inlier_103"] == 1


@pytest.mark.parametrize("preset", ["v1", "legacy"])
@pytest.mark.parametrize("seed", range(2))
def test_against_a_slow_implementation(preset: str, seed: int) -> None:
    view_set = scene(*ANGLES)
    predictions = noisy(view_set, seed)
    found = scores(DenseReconstruction(preset=preset), view_set, predictions)
    expected = slow(view_set, predictions, preset)
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-9)
    assert 0.02 < found["pointmap_abs_rel" if preset == "v1" else "pointmaps_abs_rel"] < 0.5


def noisy(view_set: ViewSet, seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    predictions = perfect(view_set)
    factor = 1 + 0.04 * rng.normal(size=predictions["world_points_from_depth"].shape)
    predictions["world_points_from_depth"] *= torch.from_numpy(factor)
    for number, pose in enumerate(predictions["camera_from_world"]):
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        spoilt = motion(rng.uniform(0, 8), tuple(axis), tuple(0.05 * rng.normal(size=3)))
        predictions["camera_from_world"][number] = spoilt @ pose
    predictions["intrinsics"][:, 0, 0] *= 1.1
    return predictions


def slow(view_set: ViewSet, predictions: Predictions, preset: str) -> dict[str, float]:
    """One pixel, one pair at a time; numpy and scipy only, from the written definitions."""
    guess_poses = predictions["camera_from_world"].numpy()
    guess = predictions["world_points_from_depth"].numpy()
    truth_poses = np.stack([np.asarray(view.camera_from_world) for view in view_set.views])
    rows: list[list[tuple[Any, ...]]] = []
    rays = []
    for index, view in enumerate(view_set.views):
        assert view.depth is not None and view.intrinsics is not None
        K, K_guess = view.intrinsics.numpy(), predictions["intrinsics"][index].numpy()
        own, angles = [], []
        for y, x in np.ndindex(*view.size):
            pixel = np.array([x + 0.5, y + 0.5, 1.0])
            ray, ray_guess = np.linalg.solve(K, pixel), np.linalg.solve(K_guess, pixel)
            cosine = ray @ ray_guess / np.linalg.norm(ray) / np.linalg.norm(ray_guess)
            angles.append(math.degrees(math.acos(min(cosine, 1.0))))
            z = float(view.depth[y, x])
            if z > 0:
                in_world = np.linalg.solve(truth_poses[index], np.array([*ray * z, 1.0]))
                t, p = (
                    truth_poses[0] @ in_world,
                    guess_poses[0] @ np.array([*guess[index, y, x], 1]),
                )
                p_camera = guess_poses[index] @ np.array([*guess[index, y, x], 1])
                own.append((p[:3], t[:3], p_camera[2], z, np.linalg.norm(ray * z)))
        rows.append(own)
        rays.append(np.mean(angles))
    everything = [row for own in rows for row in own]
    p_unit = np.mean([np.linalg.norm(p) for p, *_ in everything])
    t_unit = np.mean([np.linalg.norm(t) for _, t, *_ in everything])
    published = preset == "legacy"
    views = []
    for own in rows:
        point_errors, z_errors, point_in, z_in = [], [], [], []
        for p, t, p_z, t_z, distance in own:
            p, t, p_z, t_z, distance = (
                p / p_unit,
                t / t_unit,
                p_z / p_unit,
                t_z / t_unit,
                distance / t_unit,
            )
            error = np.linalg.norm(p - t) / (np.linalg.norm(t) if published else distance)
            z_error = abs(p_z - t_z) / t_z
            point_errors.append(error)
            z_errors.append(z_error)
            ratio = np.linalg.norm(p) / np.linalg.norm(t)
            point_in.append(max(ratio, 1 / ratio) < 1.03 if published else error <= 0.03)
            z_ratio = abs(p_z) / t_z
            z_in.append(max(z_ratio, 1 / z_ratio) < 1.03 if published else z_error <= 0.03)
        views.append([np.mean(v) for v in (point_errors, z_errors, point_in, z_in)])
    point_error, z_error, point_share, z_share = np.mean(views, axis=0)
    pairs = []
    for a, b in combinations(range(len(truth_poses)), 2):
        p = guess_poses[b] @ np.linalg.inv(guess_poses[a])
        t = truth_poses[b] @ np.linalg.inv(truth_poses[a])
        turned = np.degrees(Rotation.from_matrix(p[:3, :3] @ t[:3, :3].T).magnitude())
        cosine = p[:3, 3] @ t[:3, 3] / np.linalg.norm(p[:3, 3]) / np.linalg.norm(t[:3, 3])
        pairs.append(max(turned, math.degrees(math.acos(abs(cosine) if published else cosine))))
    ours = np.stack([-pose[:3, :3].T @ pose[:3, 3] for pose in guess_poses]) / p_unit
    theirs = np.stack([-pose[:3, :3].T @ pose[:3, 3] for pose in truth_poses]) / t_unit
    centred = ours - ours.mean(0), theirs - theirs.mean(0)
    best, _ = Rotation.align_vectors(*centred)
    off = np.linalg.norm(centred[0] - best.apply(centred[1]), axis=1)
    if published:
        recalls = [np.mean([e < d for e in pairs]) for d in range(1, 31)]
        return {
            "pointmaps_abs_rel": point_error,
            "pointmaps_inlier_103": point_share,
            "z_depth_abs_rel": z_error,
            "z_depth_inlier_103": z_share,
            "pose_auc_5": 100 * np.mean(recalls[:5]),
            "pose_auc_30": 100 * np.mean(recalls),
            "pose_ate_rmse": off.mean(),
            "ray_dirs_err_deg": np.mean(rays),
        }
    return {
        "pointmap_abs_rel": point_error,
        "pointmap_inliers@3pct": point_share,
        "depth_abs_rel": z_error,
        "depth_inliers@3pct": z_share,
        "pose_auc@5deg": np.mean([max(0.0, 1 - e / 5) for e in pairs]),
        "pose_auc@30deg": np.mean([max(0.0, 1 - e / 30) for e in pairs]),
        "pose_ate": math.sqrt(np.mean(off**2)),
        "ray_error_deg": np.mean(rays),
    }


def _known(view_set: ViewSet) -> torch.Tensor:
    return torch.stack([view.depth > 0 for view in view_set.views if view.depth is not None])


# Poses


def test_a_turned_camera_gives_its_angle() -> None:
    """Camera 1 of 3 turned by 2.5 degrees about its own centre: two of three pairs are off."""
    view_set = scene(0.0, 25.0, -40.0)
    predictions = perfect(view_set)
    turn = motion(2.5, (0, 1, 0))
    predictions["camera_from_world"][1] = turn @ predictions["camera_from_world"][1]
    found = v1(view_set, predictions)
    assert found["pose_auc@5deg"] == pytest.approx((1 + 2 * (1 - 2.5 / 5)) / 3, abs=1e-6)
    assert found["pose_auc@30deg"] == pytest.approx((1 + 2 * (1 - 2.5 / 30)) / 3, abs=1e-6)
    assert found["pose_ate"] == pytest.approx(0, abs=1e-9)
    published = legacy(view_set, predictions)
    assert published["pose_auc_5"] == pytest.approx(100 * np.mean([1 / 3, 1 / 3, 1, 1, 1]))
    assert published["pose_auc_30"] == pytest.approx(100 * (2 / 3 + 28) / 30)


def test_backwards_is_forgiven_only_as_published() -> None:
    true = torch.stack([motion(), motion(shift=(0, 0, -1))])
    back = torch.stack([motion(), motion(shift=(0, 0, 1))])
    assert pair_errors(back, true, 0.0).worst_deg == pytest.approx([180])
    assert published_pair_errors(back, true).worst_deg == pytest.approx([0], abs=1e-6)


def test_a_pair_without_a_baseline() -> None:
    still = torch.stack([motion(), motion(), motion(shift=(1, 0, 0))])
    errors = pair_errors(still, still, min_baseline=0.5).worst_deg
    assert np.isnan(errors[0]) and errors[1:] == pytest.approx([0, 0])
    assert published_pair_errors(still, still).worst_deg == pytest.approx([90, 0, 0], abs=1e-6)
    # A model that sees no motion where there is some has no direction to be credited for.
    true = torch.stack([motion(), motion(shift=(1, 0, 0))])
    assert pair_errors(still[:2], true, 0.0).worst_deg == [math.inf]


def test_small_angles_keep_their_digits_in_float32() -> None:
    turned = torch.stack([motion(), motion(25, (0.6, 0, 0.8), (1, 2, 3))])
    rounded = turned.float().double()
    assert float(pair_errors(rounded, turned, 0.0).worst_deg[0]) < 2e-5


@given(st.floats(0, 180), st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_rotation_angles_against_scipy(angle: float, seed: int) -> None:
    axis = np.random.default_rng(seed).normal(size=3)
    axis /= np.linalg.norm(axis)
    a = torch.stack([motion(), motion(33, (0, 1, 0), (1, 0, 0))])
    b = torch.stack([motion(), motion(angle, tuple(axis)) @ a[1]])
    # acos and asin lose half of the digits where the angle is straight.
    assert pair_errors(a, b, 0.0).rotation_deg[0] == pytest.approx(angle, abs=1e-5)


def test_areas_of_gamma_distributed_errors() -> None:
    """Histogram .42, exact .35: both integrals are known in closed form."""
    quantiles = (np.arange(50_000) + 0.5) / 50_000
    errors = gamma(a=2, scale=2).ppf(quantiles)
    recalls = gamma(a=2, scale=2).cdf(np.arange(1, 31))
    assert histogram_area(errors, 5) == pytest.approx(recalls[:5].mean(), abs=1e-4)
    assert histogram_area(errors, 30) == pytest.approx(recalls.mean(), abs=1e-4)
    area = (5 - 2 * (1 - math.exp(-2.5)) - 2 * (1 - 3.5 * math.exp(-2.5))) / 5
    assert recall_area(errors, 5) == pytest.approx(area, abs=1e-4)
    bias = recalls[4] / (2 * 5)
    assert histogram_area(errors, 5) - area == pytest.approx(bias, abs=0.01)
    assert math.isnan(histogram_area(errors[:0], 5))


def test_random_poses_score_the_stated_chance() -> None:
    true, guessed = torch.eye(4, dtype=torch.float64).repeat(2, 120, 1, 1)
    for seed, poses in enumerate((true, guessed)):
        turns = Rotation.random(len(poses), random_state=seed).as_matrix()
        poses[:, :3, :3] = torch.from_numpy(turns)
        poses[:, :3, 3] = torch.from_numpy(np.random.default_rng(seed).normal(size=(120, 3)))
    (metric,) = (m for m in DenseReconstruction(limits_deg=(90,)).metrics if "auc" in m.key)
    assert metric.chance == chance_pose_area(90)
    found = recall_area(pair_errors(guessed, true, 0.0).worst_deg, 90)
    assert found == pytest.approx(metric.chance, abs=0.01)


@given(st.integers(0, 2**16), st.integers(4, 12))
@settings(max_examples=20, deadline=None)
def test_rigid_alignment_against_scipy(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, count, 3))
    found = align_rigid(torch.from_numpy(source), torch.from_numpy(target))
    best, _ = Rotation.align_vectors(target - target.mean(0), source - source.mean(0))
    assert torch.linalg.det(found[:3, :3]) == pytest.approx(1)
    assert found[:3, :3].numpy() == pytest.approx(best.as_matrix(), abs=1e-6)
    moved = transform(found, torch.from_numpy(source)).numpy()
    assert moved.mean(0) == pytest.approx(target.mean(0))


def test_trajectories() -> None:
    line = torch.stack([motion(shift=(float(x), 0, 0)) for x in (0, 1, 2)])
    elsewhere = torch.stack([motion(40, (0, 1, 0)) @ pose for pose in line])
    assert trajectory_errors(elsewhere, line).numpy() == pytest.approx(0, abs=1e-9)
    # Two views: half the mismatch of the baselines each, whatever their directions.
    short = torch.stack([motion(), motion(shift=(0, 0.7, 0))])
    assert trajectory_errors(short, line[:2]).numpy() == pytest.approx([0.15, 0.15])
    unknown = line.clone()
    unknown[1] = torch.nan
    assert len(trajectory_errors(line, unknown)) == 2
    assert len(trajectory_errors(line, torch.full_like(line, torch.nan))) == 0


# What is missing


def test_a_single_view_has_no_pairs_and_no_trajectory() -> None:
    view_set = scene(0.0)
    found = v1(view_set, perfect(view_set))
    nan = {key for key, value in found.items() if math.isnan(value)}
    assert nan == {"pose_auc@5deg", "pose_auc@30deg", "pose_ate"}
    assert found["num_pairs"] == 0 and found["pointmap_inliers@3pct"] == 1
    published = legacy(view_set, perfect(view_set))
    assert math.isnan(published["pose_auc_5"]) and published["pose_ate_rmse"] == 0


def test_a_view_without_depth_is_counted_or_spoils_the_published_mean() -> None:
    view_set = scene(*ANGLES)
    blind = replace(view_set.views[1], depth=torch.zeros(24, 32))
    absent = replace(view_set.views[1], depth=None)
    for view in (blind, absent):
        views = (view_set.views[0], view, *view_set.views[2:])
        partial = replace(view_set, views=views)
        found = v1(partial, perfect(view_set))
        assert found["num_unscored_views"] == 1
        assert {key: found[key] for key in BEST_V1} == pytest.approx(BEST_V1, abs=2e-5)
        published = legacy(partial, perfect(view_set))
        assert math.isnan(published["pointmaps_abs_rel"])
        assert math.isnan(published["z_depth_inlier_103"])
        assert published["pose_auc_5"] == pytest.approx(100)


def test_no_depth_at_all() -> None:
    view_set = scene(0.0, 25.0)
    empty = replace(
        view_set, views=tuple(replace(v, depth=torch.zeros(24, 32)) for v in view_set.views)
    )
    found = v1(empty, perfect(view_set))
    assert found["num_unscored_views"] == 2
    for key in ("pointmap_abs_rel", "pointmap_inliers@3pct", "depth_abs_rel", "pose_ate"):
        assert math.isnan(found[key])
    assert found["pose_auc@5deg"] == pytest.approx(1, abs=1e-5)


def test_a_view_without_a_pose() -> None:
    view_set = scene(*ANGLES)
    lost = replace(view_set.views[2], camera_from_world=None)
    partial = replace(view_set, views=(*view_set.views[:2], lost, view_set.views[3]))
    found = v1(partial, perfect(view_set))
    assert (found["num_unscored_views"], found["num_unscored_pairs"]) == (1, 3)
    assert {key: found[key] for key in BEST_V1} == pytest.approx(BEST_V1, abs=2e-5)


def test_pixels_without_a_prediction_are_misses_and_counted() -> None:
    view_set = scene(0.0, 25.0)
    predictions = perfect(view_set)
    predictions["world_points_from_depth"][0, 10:12, 10:14] = torch.inf
    found = v1(view_set, predictions)
    known = _known(view_set)
    missing = int(known[0, 10:12, 10:14].sum())
    assert missing == 8 == found["num_unscored_pixels"]
    assert found["pointmap_abs_rel"] == pytest.approx(0, abs=1e-6)
    share = 1 - missing / int(known[0].sum())
    assert found["pointmap_inliers@3pct"] == pytest.approx((share + 1) / 2)


def test_predictions_that_are_not_finite_anywhere() -> None:
    view_set = scene(0.0, 25.0)
    broken = {k: torch.full_like(v, torch.nan) for k, v in perfect(view_set).items()}
    found = v1(view_set, broken)
    assert found["pointmap_inliers@3pct"] == found["pose_auc@30deg"] == 0
    assert found["num_unscored_pixels"] == int(_known(view_set).sum())
    assert math.isnan(found["pointmap_abs_rel"]) and math.isnan(found["pose_ate"])


def test_the_point_head_and_what_a_model_lacks() -> None:
    view_set = scene(0.0, 25.0)
    predictions = perfect(view_set)
    with pytest.raises(BenchError, match=r"predicts no world_points; .*enable_point"):
        v1(view_set, predictions, points="point_head")
    predictions["world_points"] = predictions.pop("world_points_from_depth")
    assert v1(view_set, predictions, points="point_head")["pointmap_abs_rel"] < 1e-6
    predictions["world_points"] = predictions["world_points"][:, :-1]
    with pytest.raises(BenchError, match=r"world_points has shape \[2, 23, 32, 3\]"):
        v1(view_set, predictions, points="point_head")


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "legacy", "limits_deg": (5.0,)},
        {"inliers_pct": (5.0, 3.0)},
        {"limits_deg": ()},
        {"limits_deg": (0.0, 5.0)},
        {"point": "depth"},
    ],
)
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match="dense_reconstruction"):
        DenseReconstruction(**options)


# In a suite

SUITE = """\
name: pairing
models:
  - {label: a model, model_id: MODEL}
datasets:
  - {name: motorcycle}
tasks:
  - {name: TASK}
"""


@pytest.mark.parametrize(
    ("model", "task", "needed", "given"),
    [
        ("feature_extractor/rgb", "dense_reconstruction", "predictions", "features"),
        ("feature_extractor/rgb", "calibration", "predictions", "features"),
        ("vggt", "multiview_correspondence", "features", "predictions"),
        ("vggt", "relative_pose", "features", "predictions"),
    ],
)
def test_predictions_and_extractors_are_not_paired(
    tmp_path: Path, model: str, task: str, needed: str, given: str
) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE.replace("MODEL", model).replace("TASK", task))
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    (mistake,) = caught.value.mistakes
    assert mistake.line == 7
    assert f"task '{task}' needs {needed}; model 'a model' gives {given}" in mistake.text


@pytest.mark.parametrize("task", ["dense_reconstruction", "calibration"])
def test_a_full_model_and_its_tasks_are_paired(tmp_path: Path, task: str) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE.replace("MODEL", "vggt").replace("TASK", task))
    assert load_suite(path).tasks[0].name == task
