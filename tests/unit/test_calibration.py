"""Calibration: known errors of focal length and principal point, and a slow implementation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.errors import BenchError
from bench.geometry.reconstruction import ray_errors_deg
from bench.tasks.calibration import Calibration
from bench.types import ViewSet
from tests.unit.reconstruction_scene import perfect, scene, scores

SIZE = (24, 32)


def v1(view_set: ViewSet, intrinsics: torch.Tensor) -> dict[str, float]:
    return scores(Calibration(), view_set, {"intrinsics": intrinsics})


def legacy(view_set: ViewSet, intrinsics: torch.Tensor) -> float:
    found = scores(Calibration(preset="legacy"), view_set, {"intrinsics": intrinsics})
    return found["ray_dirs_err_deg"]


def camera(focal_x: float, focal_y: float, centre_x: float, centre_y: float) -> torch.Tensor:
    return torch.tensor(
        [[focal_x, 0, centre_x], [0, focal_y, centre_y], [0, 0, 1]], dtype=torch.float64
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_perfect_intrinsics_are_perfect(dtype: torch.dtype) -> None:
    view_set = scene(0.0, 25.0)
    intrinsics = perfect(view_set)["intrinsics"].to(dtype)
    expected = {"ray_error_deg": 0, "fov_error_deg": 0, "num_views": 2, "num_unscored_views": 0}
    assert v1(view_set, intrinsics) == pytest.approx(expected, abs=1e-5)
    assert legacy(view_set, intrinsics) == pytest.approx(0, abs=1e-5)


def test_errors_of_the_field_of_view_are_of_both_sides() -> None:
    """True: 90 degrees both ways; guessed: 60 degrees wide. The next view is right."""
    view_set = scene(0.0, 25.0)
    true = camera(16, 12, 16, 12)
    views = tuple(replace(view, intrinsics=true) for view in view_set.views)
    guess = camera(16 / math.tan(math.radians(30)), 12, 16, 12)
    found = v1(replace(view_set, views=views), torch.stack([guess, true]))
    assert found["fov_error_deg"] == pytest.approx(30 / 4)


def test_a_moved_principal_point_turns_rays_but_leaves_the_field_of_view() -> None:
    view_set = scene(0.0)
    intrinsics = perfect(view_set)["intrinsics"]
    moved = intrinsics.clone()
    moved[:, 0, 2] += 1
    found = v1(view_set, moved)
    assert found["fov_error_deg"] == 0
    focal = float(intrinsics[0, 0, 0])
    # At most the angle of one pixel at the centre; less towards the edges.
    at_centre = math.degrees(math.atan(1 / focal))
    assert 0.7 * at_centre < found["ray_error_deg"] < at_centre


@pytest.mark.parametrize("seed", range(3))
def test_rays_against_the_cosine(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, guess = (camera(*rng.uniform(20, 40, 2), *rng.uniform(8, 16, 2)) for _ in range(2))
    found = ray_errors_deg(guess, true, SIZE)
    for y, x in ((0, 0), (5, 31), (23, 7), (11, 16)):
        pixel = np.array([x + 0.5, y + 0.5, 1.0])
        a, b = (np.linalg.solve(K.numpy(), pixel) for K in (guess, true))
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert float(found[y, x]) == pytest.approx(math.degrees(math.acos(cosine)), abs=1e-6)
    view_set = scene(0.0)
    known = replace(view_set, views=(replace(view_set.views[0], intrinsics=true),))
    assert legacy(known, guess[None]) == pytest.approx(float(found.mean()))


def test_views_without_intrinsics_are_counted_or_spoil_the_published_mean() -> None:
    view_set = scene(0.0, 25.0)
    unknown = replace(view_set.views[1], intrinsics=None)
    partial = replace(view_set, views=(view_set.views[0], unknown))
    intrinsics = perfect(view_set)["intrinsics"]
    found = v1(partial, intrinsics)
    assert (found["num_views"], found["num_unscored_views"]) == (2, 1)
    assert found["ray_error_deg"] == pytest.approx(0, abs=1e-9)
    assert math.isnan(legacy(partial, intrinsics))
    none = replace(view_set, views=(replace(view_set.views[0], intrinsics=None), unknown))
    assert math.isnan(v1(none, intrinsics)["ray_error_deg"])
    assert math.isnan(v1(none, intrinsics)["fov_error_deg"])


def test_a_field_of_view_of_zero_is_finite_and_as_wrong_as_it_is() -> None:
    view_set = scene(0.0)
    intrinsics = perfect(view_set)["intrinsics"]
    intrinsics[:, 0, 0] = torch.inf
    intrinsics[:, 1, 1] = torch.inf
    found = v1(view_set, intrinsics)
    true = view_set.views[0].intrinsics
    assert true is not None
    sides = [2 * math.degrees(math.atan(s / 2 / float(true[0, 0]))) for s in (24, 32)]
    assert found["fov_error_deg"] == pytest.approx(np.mean(sides))
    assert 0 < found["ray_error_deg"] < max(sides)


def test_models_without_cameras_and_unknown_options() -> None:
    with pytest.raises(BenchError, match="predicts no intrinsics; it predicts depth"):
        scores(Calibration(), scene(0.0), {"depth": torch.ones(1, *SIZE, 1)})
    with pytest.raises(BenchError, match="calibration"):
        Calibration(preset="v2")
