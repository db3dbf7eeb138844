"""The view sets on which backbones do best and worst."""

from __future__ import annotations

import pandas as pd

from bench.stats import direction, headline_metric

COLUMNS = ("task", "metric", "dataset", "scene", "set_id", "value", "num_models", "place")


def extreme_view_sets(
    items: pd.DataFrame, metrics: pd.DataFrame, shown: pd.DataFrame, count: int = 4
) -> pd.DataFrame:
    """Test view sets by the mean headline score of the backbones, each at one layer.

    A view set that one of the backbones did not score is left out: its mean is not comparable.

    Args:
        items: see `bench.stats.scene_means`.
        shown: model, task, preset, layer, see `bench.stats.shown_layers`.
        count: how many of each kind; fewer where a dataset has too few view sets for both.
    Returns:
        Columns ``COLUMNS``; place is 'worst' or 'best', worst first.
    """
    test = items[(items["split"] == "test") & (items["role"] == "backbone")]
    own = test.merge(shown[["model", "task", "preset", "layer"]])
    parts = []
    for (task, dataset), group in own.groupby(["task", "dataset"]):
        metric = headline_metric(metrics, task)
        sign = 0 if metric is None else direction(metrics, task, metric)
        scores = group[group["metric"] == metric].pivot(
            index=["scene", "set_id"], columns="model", values="value"
        )
        means = (sign * scores.dropna().mean(axis=1)).sort_values(kind="stable")
        each = min(count, len(means) // 2)
        if sign == 0 or each == 0:
            continue
        picked = pd.concat([means.iloc[:each], means.iloc[-each:][::-1]]) * sign
        parts.append(
            picked.rename("value")
            .reset_index()
            .assign(
                task=task,
                metric=metric,
                dataset=dataset,
                num_models=scores.shape[1],
                place=["worst"] * each + ["best"] * each,
            )
        )
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    return found[list(COLUMNS)]
