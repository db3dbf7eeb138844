"""The view sets on which models do best and worst."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.stats import direction, headline_metric

COLUMNS = ("task", "metric", "dataset", "model", "layer", "scene", "set_id", "value", "place")


def extreme_view_sets(
    items: pd.DataFrame, metrics: pd.DataFrame, shown: pd.DataFrame, count: int = 4
) -> pd.DataFrame:
    """Test view sets by headline score: of the backbones' mean, then of each model, at one layer.

    The mean leaves out view sets that one of the backbones did not score: they are not comparable.
    Backbones come by mean score, then floors and ceilings.

    Args:
        items: see `bench.stats.scene_means`.
        shown: model, task, preset, layer, see `bench.stats.shown_layers`.
        count: how many of each kind; fewer where a dataset has too few view sets for both.
    Returns:
        Columns ``COLUMNS``; model and layer are None for the mean (of at least two backbones);
        place is 'worst' or 'best', each from its end.
    """
    test = items[items["split"] == "test"]
    own = test.merge(shown[["model", "task", "preset", "layer"]])
    parts = []
    for (task, dataset), group in own.groupby(["task", "dataset"]):
        metric = headline_metric(metrics, task)
        sign = 0 if metric is None else direction(metrics, task, metric)
        scores = group[group["metric"] == metric]
        if sign == 0 or scores.empty:
            continue
        layers = scores.drop_duplicates("model").set_index("model")["layer"]
        for model, values in _series(scores, sign):
            ordered = (sign * values).sort_values(kind="stable") * sign
            each = min(count, len(ordered) // 2)
            picked = pd.concat([ordered.iloc[:each], ordered.iloc[len(ordered) - each :][::-1]])
            parts.append(
                picked.rename("value")
                .reset_index()
                .assign(
                    task=task,
                    metric=metric,
                    dataset=dataset,
                    model=model,
                    layer=None if model is None else layers[model],
                    place=["worst"] * each + ["best"] * each,
                )
            )
    kept = [part for part in parts if len(part)]
    found = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=list(COLUMNS))
    return found[list(COLUMNS)]


def _series(scores: pd.DataFrame, sign: int) -> Iterator[tuple[str | None, pd.Series[float]]]:
    """Scores by scene and set: the backbones' mean, then one per model."""
    table = scores.pivot(index=["scene", "set_id"], columns="model", values="value")
    order = (-sign * table.mean()).sort_values(kind="stable").index
    roles = scores.drop_duplicates("model").set_index("model")["role"]
    backbones = [model for model in order if roles[model] == "backbone"]
    if len(backbones) > 1:
        yield None, table[backbones].dropna().mean(axis=1)
    for model in [*backbones, *(model for model in order if model not in backbones)]:
        yield str(model), table[model].dropna()
