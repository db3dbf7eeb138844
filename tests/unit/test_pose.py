"""Relative pose: formulas against scikit-image and scipy, the task between oracle and noise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from skimage.transform import FundamentalMatrixTransform

from bench.geometry.cameras import project, transform
from bench.geometry.pose import (
    PoseEstimate,
    chance_pose_area,
    estimate_pose,
    fundamental_matrix,
    pose_error,
    sampson_errors,
)
from bench.tasks.relative_pose import RelativePose
from bench.types import TaskItem
from tests.unit.sphere_scene import (
    context,
    grids_of,
    item_of,
    noise_tokens,
    oracle_tokens,
    view_set_of,
)

INTRINSICS = torch.tensor([[500.0, 3, 320], [0, 510, 240], [0, 0, 1]], dtype=torch.float64)


def random_pose(seed: int, angle: float = 0.5, baseline: float = 0.4) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    pose = torch.eye(4, dtype=torch.float64)
    axis = rng.normal(size=3)
    vector = angle * axis / np.linalg.norm(axis)
    pose[:3, :3] = torch.from_numpy(Rotation.from_rotvec(vector).as_matrix())
    direction = rng.normal(size=3)
    pose[:3, 3] = torch.from_numpy(baseline * direction / np.linalg.norm(direction))
    return pose


def matches_of(pose: torch.Tensor, count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(7)
    points = torch.from_numpy(rng.uniform([-1, -1, 3], [1, 1, 5], (count, 3)))
    return project(points, INTRINSICS)[0], project(transform(pose, points), INTRINSICS)[0]


def scores(item: TaskItem, **options: Any) -> dict[str, float]:
    task = RelativePose(**options)
    (score,) = task.score(task.prepare(context(Path("unused"))), item)
    assert set(score.values) == {metric.key for metric in task.metrics}
    return dict(score.values)


@pytest.mark.parametrize("seed", range(3))
def test_exact_matches_give_the_pose(seed: int) -> None:
    pose = random_pose(seed)
    a, b = matches_of(pose)
    assert (
        float(sampson_errors(a, b, fundamental_matrix(pose, INTRINSICS, INTRINSICS)).max()) < 1e-9
    )
    estimate = estimate_pose(a, b, INTRINSICS, INTRINSICS, threshold_px=1.0, seed=0)
    assert estimate is not None and estimate.inliers.all()
    error = pose_error(estimate, pose)
    assert error.worst_deg < 1e-3


def test_sampson_agrees_with_scikit_image() -> None:
    rng = np.random.default_rng(0)
    a, b, F = rng.uniform(0, 500, (20, 2)), rng.uniform(0, 500, (20, 2)), rng.normal(size=(3, 3))
    reference: Any = FundamentalMatrixTransform
    expected = np.abs(reference(F).residuals(a, b))
    found = sampson_errors(torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(F))
    np.testing.assert_allclose(found.numpy(), expected)


def test_errors_by_hand() -> None:
    pose = random_pose(1)
    turn = torch.from_numpy(Rotation.from_rotvec([0, 0, math.radians(30)]).as_matrix())
    inliers = torch.ones(5, dtype=torch.bool)
    backward = pose_error(PoseEstimate(turn @ pose[:3, :3], -pose[:3, 3], inliers), pose)
    assert backward.rotation_deg == pytest.approx(30)
    assert backward.translation_deg == pytest.approx(180)
    assert backward.worst_deg == pytest.approx(180)
    still = pose.clone()
    still[:3, 3] = 0
    error = pose_error(PoseEstimate(pose[:3, :3], pose[:3, 3], inliers), still)
    assert error.rotation_deg == pytest.approx(0, abs=1e-5) and math.isnan(error.worst_deg)


def test_chance_agrees_with_simulation() -> None:
    rng = np.random.default_rng(0)
    rotation = np.degrees(Rotation.random(200_000, rng=rng).magnitude())
    direction = rng.normal(size=(200_000, 3))
    translation = np.degrees(np.arccos(direction[:, 2] / np.linalg.norm(direction, axis=1)))
    error = np.maximum(rotation, translation)
    simulated = np.maximum(0, 1 - error / 90).mean()
    assert chance_pose_area(90) == pytest.approx(simulated, rel=0.02)
    assert chance_pose_area(5) < 1e-6


def test_too_few_or_equal_matches_have_no_pose() -> None:
    a, b = matches_of(random_pose(0))
    for n, pair in ((4, (a, b)), (0, (a, b)), (60, (a[:1].expand(60, 2), b[:1].expand(60, 2)))):
        found = estimate_pose(pair[0][:n], pair[1][:n], INTRINSICS, INTRINSICS, 1.0, 0)
        assert found is None or torch.isfinite(found.rotation).all()
        assert n >= 5 or found is None


# The task


def test_between_oracle_and_noise() -> None:
    view_set = view_set_of([0, 25, 50], height=168, width=210)
    grids = grids_of(view_set, 7)
    oracle = scores(item_of(view_set, oracle_tokens(view_set, grids), grids))
    noise = scores(item_of(view_set, noise_tokens(grids), grids))
    assert oracle["auc@20deg"] > 0.7 and oracle["epipolar_precision"] > 0.8
    assert oracle["auc@5deg"] < oracle["auc@10deg"] < oracle["auc@20deg"]
    assert noise["auc@20deg"] < 0.1 and noise["epipolar_precision"] < 0.2
    assert oracle["num_pairs"] == 3 and oracle["num_unscored_pairs"] == 0
    assert not math.isnan(oracle["auc@10deg/0-30deg"])
    assert math.isnan(oracle["auc@10deg/60-90deg"])
    again = scores(item_of(view_set, oracle_tokens(view_set, grids), grids))
    assert again == pytest.approx(oracle, nan_ok=True, abs=0)


def test_the_same_view_twice_has_no_rotation_error_and_no_direction() -> None:
    view_set = view_set_of([10, 10])
    grids = grids_of(view_set, 8)
    found = scores(item_of(view_set, oracle_tokens(view_set, grids), grids))
    assert found["rotation_error_deg"] == pytest.approx(0, abs=0.01)
    assert math.isnan(found["auc@10deg"]) and found["num_unscored_pairs"] == 1


@pytest.mark.parametrize("value", [math.nan, 0.0])
def test_features_without_matches_are_failures(value: float) -> None:
    view_set = view_set_of([0, 25])
    grids = grids_of(view_set, 8)
    tokens = [torch.full((g.rows, g.cols, 4), value) for g in grids]
    found = scores(item_of(view_set, tokens, grids))
    assert found["num_failures"] == 1 and found["auc@20deg"] == 0.0
    assert found["num_matches"] == 0 and math.isnan(found["rotation_error_deg"])


def test_no_overlap_is_unscored_and_counted() -> None:
    view_set = view_set_of([0, 180])
    grids = grids_of(view_set, 16)
    found = scores(item_of(view_set, oracle_tokens(view_set, grids), grids))
    assert math.isnan(found["auc@10deg"]) and found["num_unscored_pairs"] == found["num_pairs"] == 1
