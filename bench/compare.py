"""Paired comparison of models on the same view sets, in words.

Each scene gives one difference; the view sets that both models scored, and no others, count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from bench.errors import BenchError
from bench.registry import suggestion
from bench.stats import (
    direction,
    headline_metric,
    holm,
    interval,
    ranked,
    shown_layers,
    sign_flip_test,
    summarise,
)

PAIR_COLUMNS = (
    "dataset",
    "task",
    "metric",
    "model_a",
    "layer_a",
    "model_b",
    "layer_b",
    "difference",
    "ci_low",
    "ci_high",
    "num_scenes",
    "num_sets",
    "num_left_out",
    "p",
    "p_smallest",
    "p_holm",
    "decided",
    "verdict",
)


def compare(
    items: pd.DataFrame,
    metrics: pd.DataFrame,
    task: str,
    metric: str | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    layers: Mapping[str, str] | None = None,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Paired differences on the test split, one row per dataset and pair of models.

    difference is positive where model_a is better (where the metric has no direction: higher); its
    interval and the sign-flip permutation p are over scenes. p_holm is adjusted over the pairs of
    one dataset. p_smallest is the smallest p that the number of scenes allows: where it cannot
    reach `alpha` after adjustment the verdict says that nothing can be decided.

    Args:
        items: see `bench.stats.scene_means`; measured the same way (`bench.conditions`).
        metrics: columns task, metric, unit, higher_is_better, headline.
        metric: default: the task's headline.
        pairs: default: all pairs of backbones, the one that ranks higher first.
        layers: model -> layer; default: chosen on val scenes, else the last.
    Returns:
        Columns ``PAIR_COLUMNS``.
    Raises:
        BenchError: unknown task, metric, model or layer.
    """
    own = items[items["task"] == task]
    _known("task", task, items["task"])
    name = metric or headline_metric(metrics, task)
    _known("metric", name, own["metric"])
    at_layer = _layers(own, metrics, task, layers or {})
    scored = own[(own["metric"] == name) & (own["split"] == "test")]
    scored = scored[scored["layer"] == scored["model"].map(at_layer)]
    sign, unit = direction(metrics, task, str(name)), _unit(metrics, task, str(name))
    if pairs is None:
        backbones = scored[scored["role"] == "backbone"]
        pairs = list(combinations(ranked(backbones, sign), 2))
    for model in dict.fromkeys(model for pair in pairs for model in pair):
        _known("model", model, scored["model"])
    rows: list[dict[str, Any]] = []
    for dataset, group in scored.groupby("dataset"):
        table = group.pivot(index=["scene", "set_id"], columns="model", values="value")
        found = [_difference(table, pair, sign, seed) for pair in pairs]
        adjusted = holm([row["p"] for row in found])
        for row, p_holm in zip(found, adjusted, strict=True):
            row |= {"dataset": dataset, "task": task, "metric": name, "p_holm": p_holm}
            row |= {f"layer_{side}": at_layer[row[f"model_{side}"]] for side in "ab"}
            row["decided"] = bool(p_holm <= alpha)
            row["verdict"] = verdict(row, len(found), alpha, unit, sign != 0)
            rows.append(row)
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def verdict(
    row: Mapping[str, Any], num_pairs: int, alpha: float, unit: str = "", directed: bool = True
) -> str:
    """One row of `compare` in plain words.

    Args:
        num_pairs: pairs tested together; directed: whether the metric says which end is better.
    """
    number = row["num_scenes"]
    scenes = f"{number} scene{'' if number == 1 else 's'} of {row['dataset']}"
    if not number:
        return (
            f"{row['model_a']} and {row['model_b']} share no scored view set of {row['dataset']}."
        )
    row = _leader_first(row)
    a, b, lead = row["model_a"], row["model_b"], _amount(row, unit)
    if row["decided"]:
        verb = "beats" if directed else "exceeds"
        return f"{a} {verb} {b} by {lead} on {scenes} (p = {row['p_holm']:.2g})."
    if row["p_smallest"] * num_pairs <= alpha:
        p = f"p = {row['p_holm']:.2g}"
        return f"No difference found between {a} and {b}: {a} leads by {lead} on {scenes} ({p})."
    smallest = f"the smallest possible p is {row['p_smallest']:.2g}"
    if num_pairs > 1:
        smallest += f" before the correction for {num_pairs} pairs"
    return f"{a} against {b} cannot be decided with {scenes}: {a} leads by {lead}; {smallest}."


def _leader_first(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if not row["difference"] < 0:
        return row
    return {
        **row,
        "model_a": row["model_b"],
        "model_b": row["model_a"],
        "difference": -row["difference"],
        "ci_low": -row["ci_high"],
        "ci_high": -row["ci_low"],
    }


def _layers(
    own: pd.DataFrame, metrics: pd.DataFrame, task: str, wanted: Mapping[str, str]
) -> dict[str, str]:
    headline = summarise(own[own["metric"] == headline_metric(metrics, task)])
    shown = shown_layers(summarise(own) if headline.empty else headline, metrics)
    at_layer = dict(zip(shown["model"], shown["layer"], strict=True))
    for model, layer in wanted.items():
        _known("model", model, own["model"])
        _known(f"layer of model '{model}'", layer, own.loc[own["model"] == model, "layer"])
        at_layer[model] = layer
    return at_layer


def _difference(table: pd.DataFrame, pair: tuple[str, str], sign: int, seed: int) -> dict[str, Any]:
    """Difference of two columns of a table of scores [(scene, set_id), model]."""
    a, b = (
        table[model] if model in table else pd.Series(math.nan, index=table.index) for model in pair
    )
    shared = ((sign or 1) * (a - b)).dropna()
    scenes = shared.groupby(level="scene").mean().to_numpy()
    low, high = interval(scenes, seed=seed)
    p, smallest = sign_flip_test(scenes, seed)
    return {
        "model_a": pair[0],
        "model_b": pair[1],
        "difference": scenes.mean() if len(scenes) else math.nan,
        "ci_low": low,
        "ci_high": high,
        "num_scenes": len(scenes),
        "num_sets": len(shared),
        "num_left_out": int((a.notna() | b.notna()).sum()) - len(shared),
        "p": p,
        "p_smallest": smallest,
    }


def _known(kind: str, name: str | None, values: pd.Series[str]) -> None:
    known = set(values)
    if name not in known:
        raise BenchError(f"No scores of {kind} '{name}'.", suggestion(str(name), known))


def _unit(metrics: pd.DataFrame, task: str, metric: str) -> str:
    own = metrics[(metrics["task"] == task) & (metrics["metric"] == metric)]["unit"]
    return "" if own.empty or not own.iloc[0] else f" {own.iloc[0]}"


def _amount(row: Mapping[str, Any], unit: str) -> str:
    """Difference and interval, with two significant digits of the interval's width."""
    numbers = (row["difference"], row["ci_low"], row["ci_high"])
    width = row["ci_high"] - row["ci_low"]
    if not width > 0:
        return f"{numbers[0]:.3g}{unit}"
    digits = min(6, max(0, 1 - math.floor(math.log10(width))))
    middle, low, high = (f"{number:.{digits}f}" for number in numbers)
    return f"{middle}{unit} [{low}, {high}]"
