"""Known answers for intervals, aggregation, the choice of layers and paired tests."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as scipy_stats

from bench.errors import BenchError
from bench.stats import (
    SUMMARY_COLUMNS,
    at_chosen_layers,
    choose_layers,
    direction,
    headline_metric,
    holm,
    interval,
    intervals,
    scene_means,
    sign_flip_test,
    summarise,
)
from tests.unit.synthetic_frames import TASK, items_frame, metrics_frame


def rows(values: list[tuple[str, str, float]], **changes: Any) -> pd.DataFrame:
    """Items of one cell from (scene, set, value)."""
    cell = {
        "model": "A",
        "model_id": "feature_extractor/a",
        "role": "backbone",
        "layer": "block_1",
        "layer_index": 1,
        "relative_depth": 1.0,
        "dataset": "demo",
        "split": "test",
        "task": TASK,
        "preset": "v1",
        "metric": "auroc",
    }
    frame = pd.DataFrame(values, columns=["scene", "set_id", "value"])
    return frame.assign(**(cell | changes))


def test_student_t_by_hand() -> None:
    low, high = interval([1.0, 2.0, 4.0])
    half = 4.30265273 * math.sqrt(7 / 3) / math.sqrt(3)
    assert low == pytest.approx(7 / 3 - half, abs=1e-6)
    assert high == pytest.approx(7 / 3 + half, abs=1e-6)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [1.0, 2.0, math.nan]])
def test_fewer_than_three_scenes_have_no_interval(values: list[float]) -> None:
    assert all(math.isnan(end) for end in interval(values))


@pytest.mark.parametrize("num_scenes", [3, 29, 30, 43])
def test_equal_scenes_have_an_interval_of_no_width(num_scenes: int) -> None:
    assert interval([0.25] * num_scenes) == pytest.approx((0.25, 0.25))


def test_rule_changes_at_thirty_scenes() -> None:
    skewed = np.random.default_rng(0).gamma(1.0, size=30)
    t_low, t_high = interval(skewed[:29])
    assert t_high - skewed[:29].mean() == pytest.approx(skewed[:29].mean() - t_low)
    low, high = interval(skewed)
    assert high - skewed.mean() > 1.05 * (skewed.mean() - low)


@pytest.mark.parametrize("shape", [0.5, 4.0])
def test_bca_agrees_with_scipy(shape: float) -> None:
    values = np.random.default_rng(3).gamma(shape, size=43)
    expected = scipy_stats.bootstrap(
        (values,), np.mean, method="BCa", random_state=np.random.default_rng(1)
    ).confidence_interval
    standard_error = values.std(ddof=1) / math.sqrt(43)
    low, high = interval(values)
    # Both ends carry Monte-Carlo noise of about 0.03 (low) and 0.08 (high) standard errors.
    assert low == pytest.approx(expected.low, abs=0.15 * standard_error)
    assert high == pytest.approx(expected.high, abs=0.25 * standard_error)


def test_interval_does_not_depend_on_other_rows() -> None:
    values = np.random.default_rng(0).normal(size=(300, 40))
    low, high = intervals(values)
    assert interval(values[217]) == pytest.approx((low[217], high[217]), rel=1e-12)


@given(hnp.arrays(float, st.integers(3, 35), elements=st.floats(-10, 10, width=32)))
def test_interval_moves_and_scales_with_the_scores(values: np.ndarray[Any, Any]) -> None:
    low, high = interval(values)
    assert low <= values.mean() + 1e-9
    assert high >= values.mean() - 1e-9
    assert interval(2 * values + 1) == pytest.approx((2 * low + 1, 2 * high + 1), abs=1e-6)


def coverage(num_scenes: int, num_studies: int) -> float:
    values = np.random.default_rng(num_scenes).normal(size=(num_studies, num_scenes))
    low, high = intervals(values)
    return float(((low <= 0) & (high >= 0)).mean())


def test_coverage_is_near_nominal() -> None:
    assert 0.91 <= coverage(10, 400) <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize("num_scenes", [10, 20, 43])
def test_coverage_over_two_thousand_studies(num_scenes: int) -> None:
    assert 0.93 <= coverage(num_scenes, 2_000) <= 0.97


def test_sets_are_averaged_inside_scenes_first() -> None:
    items = rows([("s1", "a", 0.0), ("s1", "b", 1.0), ("s1", "c", 0.5), ("s2", "a", 1.0)])
    (row,) = summarise(items).to_dict("records")
    assert row["value"] == 0.75
    assert (row["num_scenes"], row["num_sets"], row["num_unscored"]) == (2, 4, 0)
    assert math.isnan(row["ci_low"])
    assert math.isnan(row["ci_high"])


def test_unscored_is_counted_and_never_zero() -> None:
    nan = math.nan
    items = rows([("s1", "a", 0.5), ("s1", "b", nan), ("s2", "a", 1.0), ("s3", "a", nan)])
    (row,) = summarise(items).to_dict("records")
    assert row["value"] == 0.75
    assert (row["num_scenes"], row["num_sets"], row["num_unscored"]) == (2, 2, 2)
    assert scene_means(items)["value"].isna().tolist() == [False, False, True]


def test_nothing_scored_is_nan() -> None:
    (row,) = summarise(rows([("s1", "a", math.nan)])).to_dict("records")
    assert math.isnan(row["value"])
    assert (row["num_scenes"], row["num_sets"], row["num_unscored"]) == (0, 0, 1)


def test_summary_interval_is_that_of_its_scene_means() -> None:
    items = items_frame(num_models=2, num_scenes=44)
    summary = summarise(items)
    for row in summary[summary["metric"] == "auroc"].head(20).to_dict("records"):
        own = items
        for key in ("model", "layer", "dataset", "split", "metric"):
            own = own[own[key] == row[key]]
        means = own.groupby("scene")["value"].mean()
        assert row["value"] == pytest.approx(means.mean())
        assert interval(means) == pytest.approx((row["ci_low"], row["ci_high"]), rel=1e-9)


def test_summary_does_not_depend_on_the_order_of_items() -> None:
    items = items_frame(num_models=2)
    shuffled = items.sample(frac=1.0, random_state=0)
    pd.testing.assert_frame_equal(summarise(items), summarise(shuffled))


def test_layer_without_depth_is_kept() -> None:
    items = rows([("s1", "a", 0.5)], layer="output", relative_depth=math.nan, preset=None)
    assert summarise(items)["layer"].tolist() == ["output"]


def test_empty_frame_gives_empty_summary() -> None:
    summary = summarise(items_frame().head(0))
    assert summary.empty
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    assert choose_layers(summary, metrics_frame()).empty


def test_scores_that_occur_twice_are_refused() -> None:
    items = rows([("s1", "a", 0.5), ("s1", "a", 0.6)])
    with pytest.raises(BenchError, match="set 'a'"):
        summarise(items)


def layer_scores(scores: dict[tuple[str, int, str], float], metric: str = "auroc") -> pd.DataFrame:
    """Summary from (dataset, layer, split) -> value."""
    parts = [
        rows(
            [("s", "a", value)],
            dataset=dataset,
            layer=f"block_{layer}",
            layer_index=layer,
            split=split,
            metric=metric,
            task="depth" if metric == "rmse_m" else TASK,
        )
        for (dataset, layer, split), value in scores.items()
    ]
    return summarise(pd.concat(parts))


def headline(metric: str, higher: bool = True) -> pd.DataFrame:
    task = "depth" if metric == "rmse_m" else TASK
    return pd.DataFrame(
        [(task, metric, higher, True)], columns=["task", "metric", "higher_is_better", "headline"]
    )


def test_layer_is_chosen_on_val_and_reported_on_test() -> None:
    summary = layer_scores(
        {
            ("a", 2, "val"): 0.9,
            ("a", 5, "val"): 0.8,
            ("a", 2, "test"): 0.1,
            ("a", 5, "test"): 0.99,
            ("b", 2, "test"): 0.3,
            ("b", 5, "test"): 0.7,
        }
    )
    chosen = choose_layers(summary, headline("auroc"))
    assert chosen["layer"].tolist() == ["block_2"]
    test = at_chosen_layers(summary, chosen).query("split == 'test'")
    assert test["value"].tolist() == [0.1, 0.3]


def test_lower_is_better_and_ties_go_to_the_first_layer() -> None:
    scores = {("a", 11, "val"): 0.2, ("a", 5, "val"): 0.2, ("a", 2, "val"): 0.4}
    chosen = choose_layers(layer_scores(scores, "rmse_m"), headline("rmse_m", higher=False))
    assert chosen["layer"].tolist() == ["block_5"]


def test_layer_that_lacks_a_dataset_is_not_eligible() -> None:
    scores = {("a", 2, "val"): 0.5, ("b", 2, "val"): 0.5, ("a", 5, "val"): 0.9}
    chosen = choose_layers(layer_scores(scores), headline("auroc"))
    assert chosen["layer"].tolist() == ["block_2"]
    assert chosen["num_datasets"].tolist() == [2]


@pytest.mark.parametrize("metrics", [headline("other"), headline("auroc").head(0)])
def test_nothing_is_chosen_without_the_headline_metric(metrics: pd.DataFrame) -> None:
    assert choose_layers(layer_scores({("a", 2, "val"): 0.5}), metrics).empty


def test_nothing_is_chosen_without_validation_scenes() -> None:
    assert choose_layers(layer_scores({("a", 2, "test"): 0.5}), headline("auroc")).empty


def test_floors_are_never_chosen() -> None:
    chosen = choose_layers(summarise(items_frame()), metrics_frame())
    assert set(chosen["model"]).isdisjoint({"noise", "rgb", "oracle", "random init"})
    assert set(chosen["metric"]) == {"auroc_position_controlled", "rmse_m"}


def test_headline_and_direction() -> None:
    metrics = metrics_frame()
    assert headline_metric(metrics, TASK) == "auroc_position_controlled"
    assert headline_metric(metrics.assign(headline=False), "depth") == "rmse_m"
    assert headline_metric(metrics, "unknown") is None
    assert direction(metrics, "depth", "rmse_m") == -1
    assert direction(metrics, TASK, "auroc") == 1
    assert direction(metrics, TASK, "num_pairs") == 0
    assert direction(metrics, TASK, "unknown") == 0


def test_sign_flip_by_enumeration() -> None:
    values = np.array([0.3, -0.1, 0.4, 0.2, 0.05])
    flips = np.array(list(product([-1, 1], repeat=5))) @ values
    expected = (np.abs(flips) >= abs(values.sum()) - 1e-12).mean()
    p, smallest = sign_flip_test([*values, math.nan])
    assert p == pytest.approx(expected)
    assert smallest == 2 / 32


def test_six_scenes_cannot_go_below_a_thirtysecond() -> None:
    assert sign_flip_test([0.1] * 6) == (1 / 32, 1 / 32)


@pytest.mark.parametrize("num_scenes", [4, 40])
def test_no_difference_has_p_one(num_scenes: int) -> None:
    assert sign_flip_test(np.zeros(num_scenes))[0] == 1.0


def test_no_scenes_have_no_p() -> None:
    assert all(math.isnan(value) for value in sign_flip_test([math.nan]))


def test_permutation_agrees_with_scipy_above_the_exact_limit() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 30)
    expected = scipy_stats.permutation_test(
        (values, np.zeros(30)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=4_000,
        random_state=np.random.default_rng(1),
    ).pvalue
    p, smallest = sign_flip_test(values)
    assert p == pytest.approx(expected, abs=0.02)
    assert smallest == 1 / 10_001


@pytest.mark.parametrize(("num_scenes", "num_studies"), [(10, 400), (25, 300)])
def test_p_is_uniform_under_the_null(num_scenes: int, num_studies: int) -> None:
    rng = np.random.default_rng(num_scenes)
    p = [sign_flip_test(rng.normal(size=num_scenes))[0] for _ in range(num_studies)]
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, math.nan]) == pytest.approx(
        [0.03, 0.06, 0.06, math.nan], nan_ok=True
    )
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]).tolist() == []


def test_published_means_are_over_view_sets_and_have_no_interval() -> None:
    """One scene with four sets and three with one: each set counts alike, NaN not at all."""
    sets = [("a", str(i), 1.0) for i in range(4)] + [(s, "0", 0.0) for s in "bcd"]
    unscored = [("b", "1", math.nan)]
    summary = summarise(rows(sets + unscored, mean_over="view_sets"))
    (row,) = summary.to_dict("records")
    assert row["value"] == pytest.approx(4 / 7)
    assert math.isnan(row["ci_low"]) and math.isnan(row["ci_high"])
    assert (row["num_scenes"], row["num_sets"], row["num_unscored"]) == (4, 7, 1)
    (ours,) = summarise(rows(sets + unscored)).to_dict("records")
    assert ours["value"] == pytest.approx(1 / 4) and ours["mean_over"] == "scenes"
    assert ours["ci_low"] < ours["value"] < ours["ci_high"]


def test_both_kinds_of_mean_in_one_summary() -> None:
    """Rows keep their own rule, whatever stands beside them and in whatever order."""
    sets = [("a", "0", 1.0), ("a", "1", 1.0), ("b", "0", 0.0)]
    kinds = [
        rows(sets, mean_over=kind, metric=metric, relative_depth=math.nan, model=model)
        for model in "BA"
        for metric, kind in (("z", "scenes"), ("y", "view_sets"), ("x", "scenes"))
    ]
    summary = summarise(pd.concat(kinds).sample(frac=1, random_state=0))
    expected = {"x": 1 / 2, "y": 2 / 3, "z": 1 / 2}
    assert len(summary) == 6
    for row in summary.itertuples():
        assert row.value == pytest.approx(expected[row.metric])
        assert row.mean_over == ("view_sets" if row.metric == "y" else "scenes")
