"""VGGT as a row of a suite: cameras and points that go with its depth, and a whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bench.check import load_suite
from bench.errors import BenchError
from bench.geometry.cameras import pixel_centres, project, transform
from bench.models.vggt.predictor import VGGTPredictor
from bench.plan import Selection, make_plan
from bench.results import load_results
from bench.runner.loop import Settings, run_plan
from tests.unit.small_vggt import random_images, small_config, small_vggt

HEADS = ("enable_camera", "enable_depth", "enable_point", "enable_track")


def row(**changes: Any) -> VGGTPredictor:
    config = {**small_config(), **dict.fromkeys(HEADS, False), "enable_camera": True, **changes}
    return VGGTPredictor(**config).eval()


def with_views(model: VGGTPredictor) -> VGGTPredictor:
    """Fields of view of about a radian, where random weights may say zero."""
    camera_head = model.model.camera_head
    assert camera_head is not None
    with torch.no_grad():
        camera_head.pose_branch.fc2.bias[7:] += 0.25
    return model


@pytest.mark.parametrize("size", [(28, 42), (30, 45)])
@torch.no_grad()
def test_points_project_to_their_pixels(size: tuple[int, int]) -> None:
    """Also where the sides are no multiples of the patch."""
    model = with_views(row(enable_depth=True))
    found = model.predict(random_images(1, 3, 3, *size))
    points, depth = found["world_points_from_depth"][0].double(), found["depth"][0, ..., 0]
    assert points.shape == (3, *size, 3)
    for index, camera_from_world in enumerate(found["camera_from_world"][0].double()):
        camera = transform(camera_from_world, points[index])
        pixels, z = project(camera, found["intrinsics"][0, index].double())
        torch.testing.assert_close(pixels, pixel_centres(*size), atol=1e-3, rtol=0)
        torch.testing.assert_close(z, depth[index].double(), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_cameras_keep_their_digits_under_autocast() -> None:
    model = with_views(row(enable_depth=True))
    with torch.autocast("cpu", torch.bfloat16):
        found = model.predict(random_images(1, 2, 3, 28, 42))
    rotation = found["camera_from_world"][0, :, :3, :3]
    assert rotation.dtype == found["world_points_from_depth"].dtype == torch.float32
    torch.testing.assert_close(
        rotation @ rotation.mT, torch.eye(3).expand(2, 3, 3), atol=1e-5, rtol=0
    )
    assert found["camera_from_world"][0, :, 3].tolist() == [[0, 0, 0, 1]] * 2


@torch.no_grad()
def test_only_what_the_heads_give() -> None:
    images = random_images(1, 2, 3, 28, 42)
    assert "world_points_from_depth" not in row().predict(images)
    blind = row(enable_camera=False, enable_depth=True).predict(images)
    assert "depth" in blind and not {"camera_from_world", "intrinsics"} & set(blind)


def test_a_row_has_no_layers() -> None:
    with pytest.raises(BenchError, match="layers"):
        VGGTPredictor(layers="all")


def test_a_checkpoint_is_built_as_its_config_says(tmp_path: Path) -> None:
    """Also when every option is spelt out, as a plan does; only the wanted heads are built."""
    config = small_config()
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(small_vggt().state_dict(), tmp_path / "model.safetensors")
    options = VGGTPredictor.parse({"checkpoint_path": str(tmp_path)}).model_dump()
    model = VGGTPredictor(**options).model
    assert model.aggregator.options.depth == config["aggregator_config"]["depth"]
    assert model.depth_head is not None
    assert model.point_head is None and model.track_head is None


def test_a_run_scores_predictions(tmp_path: Path, synthetic: None) -> None:
    config = {**small_config(), "enable_track": False}
    tasks: list[dict[str, Any]] = [
        {"name": "dense_reconstruction"},
        {"name": "dense_reconstruction", "label": "published", "params": {"preset": "legacy"}},
        {"name": "dense_reconstruction", "label": "head", "params": {"points": "point_head"}},
        {"name": "calibration"},
    ]
    suite = {
        "name": "predictions",
        "models": [{"label": "small", "model_id": "vggt", "model_config": config}],
        "datasets": [{"name": "slab"}],
        "tasks": tasks,
        "defaults": {"resolution": {"patches": 3}},
    }
    path = tmp_path / "suite.yaml"
    path.write_text(json.dumps(suite))
    plan = make_plan(load_suite(path), precision="float32")
    assert {(cell.layer, cell.model.role) for cell in plan.cells} == {("output", "floor")}
    settings = Settings(device="cpu", cache="off", workers=1)
    outcome = run_plan(plan, tmp_path / "out", settings, Selection())
    assert (outcome.done, outcome.failed, outcome.failures) == (4, 0, {})
    items = load_results(tmp_path / "out")
    depth = items[(items["metric"] == "depth_abs_rel") & (items["split"] == "test")]
    assert len(depth) == 4 and depth["value"].between(0, 10).all()
    again = run_plan(plan, tmp_path / "out", settings, Selection())
    assert (again.done, again.skipped) == (0, 4)
