"""Paired comparisons: known answers, shared view sets only, and words that fit the numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.compare import PAIR_COLUMNS, compare
from bench.conditions import condition_differences, require_same_conditions
from bench.errors import BenchError
from bench.stats import interval, sign_flip_test
from tests.unit.synthetic_frames import TASK, cells_frame, items_frame, metrics_frame

METRICS = metrics_frame()
CONTROLLED = "auroc_position_controlled"


def two_models(
    a: list[float], b: list[float], metric: str = CONTROLLED, task: str = TASK
) -> pd.DataFrame:
    """Items of models A and B, one view set per scene."""
    rows = [
        {
            "model": model,
            "role": "backbone",
            "layer": "block_1",
            "layer_index": 1,
            "relative_depth": 1.0,
            "dataset": "demo",
            "split": "test",
            "task": task,
            "preset": "v1",
            "metric": metric,
            "scene": f"s{scene:03d}",
            "set_id": "0",
            "value": value,
        }
        for model, values in (("A", a), ("B", b))
        for scene, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def only_row(frame: pd.DataFrame) -> dict[str, Any]:
    assert len(frame) == 1
    return dict(frame.iloc[0])


def test_difference_interval_and_p_are_those_of_the_scenes() -> None:
    rng = np.random.default_rng(0)
    b = rng.uniform(0.4, 0.6, 20)
    gain = rng.normal(0.1, 0.05, 20)
    row = only_row(compare(two_models(list(b + gain), list(b)), METRICS, TASK))
    assert tuple(row) == PAIR_COLUMNS
    assert (row["model_a"], row["model_b"]) == ("A", "B")
    assert row["difference"] == pytest.approx(gain.mean())
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(interval(gain))
    assert (row["p"], row["p_smallest"]) == sign_flip_test(gain)
    assert row["p_holm"] == row["p"]
    assert (row["num_scenes"], row["num_sets"], row["num_left_out"]) == (20, 20, 0)
    assert row["verdict"].startswith("A beats B by 0.")
    assert "on 20 scenes of demo" in row["verdict"]


def test_only_view_sets_that_both_scored_count() -> None:
    nan = math.nan
    items = two_models([0.9, nan, 0.9, 0.8], [0.5, 0.1, nan, 0.6])
    row = only_row(compare(items, METRICS, TASK))
    assert row["difference"] == pytest.approx(0.3)
    assert (row["num_scenes"], row["num_sets"], row["num_left_out"]) == (2, 2, 2)
    assert math.isnan(row["ci_low"])


def test_lower_is_better_turns_the_sign() -> None:
    items = two_models([0.2] * 8, [0.5] * 8, "rmse_m", "depth")
    row = only_row(compare(items, METRICS, "depth"))
    assert row["difference"] == pytest.approx(0.3)
    assert row["verdict"].startswith("A beats B by 0.3 m on 8 scenes of demo")
    turned = only_row(compare(items, METRICS, "depth", pairs=[("B", "A")]))
    assert turned["difference"] == pytest.approx(-0.3)
    assert turned["verdict"] == row["verdict"]


def test_a_metric_without_direction_is_not_won() -> None:
    items = two_models([5.0] * 8, [3.0] * 8, "num_pairs")
    row = only_row(compare(items, METRICS, TASK, metric="num_pairs"))
    assert "A exceeds B by 2" in row["verdict"]


@pytest.mark.parametrize(
    ("num_scenes", "words"), [(5, "cannot be decided with 5 scenes"), (6, "A beats B")]
)
def test_five_scenes_cannot_decide(num_scenes: int, words: str) -> None:
    row = only_row(compare(two_models([0.9] * num_scenes, [0.1] * num_scenes), METRICS, TASK))
    assert words in row["verdict"]
    assert row["decided"] == (num_scenes == 6)


def test_correction_can_forbid_a_decision() -> None:
    items = items_frame(num_models=5, num_scenes=8, sets_per_scene=1)
    frame = compare(items, METRICS, TASK)
    assert set(frame["num_scenes"]) <= {5, 6}
    assert len(frame) == 2 * 10
    assert not frame["decided"].any()
    assert frame["verdict"].str.contains("before the correction for 10 pairs").all()


def test_no_difference_is_said_to_be_none_found() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 20)
    row = only_row(compare(two_models(list(0.5 + noise), [0.5] * 20), METRICS, TASK))
    assert not row["decided"]
    assert row["verdict"].startswith("No difference found between")


def test_nothing_shared_is_said() -> None:
    nan = math.nan
    row = only_row(compare(two_models([0.5, nan], [nan, 0.5]), METRICS, TASK))
    assert row["verdict"] == "A and B share no scored view set of demo."
    assert not row["decided"]


def test_pairs_default_to_backbones_better_first() -> None:
    frame = compare(items_frame(num_models=3, num_scenes=24), METRICS, TASK)
    own = frame[frame["dataset"] == "blendedmvs"]
    assert list(zip(own["model_a"], own["model_b"], strict=True)) == [
        ("DINOv2-S", "DINOv2-B"),
        ("DINOv2-S", "CroCo v2"),
        ("DINOv2-B", "CroCo v2"),
    ]
    assert (own["difference"] > 0).all()
    assert own["decided"].all()
    assert (own["p_holm"] >= own["p"]).all()


def test_layers_can_be_named() -> None:
    items = items_frame(num_models=2, num_scenes=24)
    pairs = [("DINOv2-S", "DINOv2-S")]
    row = compare(items, METRICS, TASK, pairs=pairs).iloc[0]
    assert (row["layer_a"], row["difference"]) == ("block_5", 0.0)
    last = compare(items, METRICS, TASK, layers={"DINOv2-S": "block_11"}).iloc[0]
    assert "block_11" in {last["layer_a"], last["layer_b"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"task": "dept"}, "Did you mean 'depth'"),
        ({"task": TASK, "metric": "aurocc"}, "Did you mean 'auroc'"),
        ({"task": TASK, "pairs": [("DINOv2-X", "DINOv2-B")]}, "Did you mean 'DINOv2-"),
        ({"task": TASK, "layers": {"DINOv2-S": "block_3"}}, "layer of model 'DINOv2-S'"),
    ],
)
def test_unknown_names_are_refused(words: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        compare(items_frame(num_models=2), METRICS, **words)


def test_equal_conditions_are_accepted() -> None:
    cells = cells_frame(items_frame(num_models=2))
    require_same_conditions(cells)
    assert condition_differences(cells.head(0)) == []


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("task_version", 2, "task version is 1 (DINOv2-S and 4 more), 2 (DINOv2-B)"),
        ("list_hash", "ab" * 32, "list of view sets is 5f5f5f5f5f5f (DINOv2-S and 4 more), abab"),
        ("resolution", "native", "resolution rule is patches=37"),
        ("limit", 4, "limit is none (DINOv2-S and 4 more), 4 (DINOv2-B)"),
        ("params", '{"preset": "legacy"}', "preset is none (DINOv2-S and 4 more), legacy"),
        ("params", '{"voxel": 0.1}', "parameter voxel is none (DINOv2-S and 4 more), 0.1"),
    ],
)
def test_other_conditions_are_refused(column: str, value: Any, words: str) -> None:
    cells = cells_frame(items_frame(num_models=2))
    cells = cells.astype({column: object})
    cells.loc[cells["model"] == "DINOv2-B", column] = value
    with pytest.raises(BenchError) as caught:
        require_same_conditions(cells)
    assert words in caught.value.what
    assert "depth on blendedmvs" in caught.value.what


def test_failed_cells_have_no_conditions() -> None:
    cells = cells_frame(items_frame(num_models=2))
    cells.loc[cells["status"] == "failed", "task_version"] = 9
    assert condition_differences(cells) == []
