"""Scores of view sets to scores of scenes to one number with an interval, and paired tests.

Scenes are the unit of every statement about uncertainty: the view sets of one scene are dependent.
Rules (measured coverage behind each): fewer than 3 scenes no interval; 3 to 29 Student t on scene
means; 30 and more a BCa bootstrap over scenes. NaN means unscored and is counted, never averaged.
Metrics of published protocols that average over view sets instead (``Metric.mean_over``) have no
interval: theirs would have to be over view sets, which are not independent.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from bench.errors import BenchError

Floats = NDArray[np.float64]

#: Columns that make one row of a summary.
KEYS = (
    "model",
    "role",
    "layer",
    "layer_index",
    "relative_depth",
    "dataset",
    "split",
    "task",
    "preset",
    "metric",
)
SUMMARY_COLUMNS = (
    *KEYS,
    "mean_over",
    "value",
    "ci_low",
    "ci_high",
    "num_scenes",
    "num_sets",
    "num_unscored",
)

_SORT_KEYS = (
    "task",
    "preset",
    "dataset",
    "split",
    "metric",
    "model",
    "layer_index",
    "layer",
)

MIN_SCENES = 3
MIN_SCENES_BOOTSTRAP = 30
MAX_SCENES_EXACT = 16
NUM_RESAMPLES = 9_999
NUM_FLIPS = 10_000

# One block of bootstrap means stays near 20 MB whatever the number of rows.
_ROWS_PER_BLOCK = 256


def interval(values: ArrayLike, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Interval of the mean of one number per scene; NaN is left out.

    Returns:
        (low, high); both NaN with fewer than 3 scenes.
    """
    scenes = np.asarray(values, dtype=np.float64).ravel()
    low, high = intervals(scenes[~np.isnan(scenes)][None], level, seed)
    return float(low[0]), float(high[0])


def intervals(values: Floats, level: float = 0.95, seed: int = 0) -> tuple[Floats, Floats]:
    """Intervals of row means.

    Every row sees the same seeded resamples, so a row's interval does not depend on its company.

    Args:
        values: finite scene means [rows, scenes].
    Returns:
        low [rows] and high [rows]; NaN where a row has fewer than 3 scenes.
    """
    num_rows, num_scenes = values.shape
    if num_scenes < MIN_SCENES:
        nothing = np.full(num_rows, np.nan)
        return nothing, nothing.copy()
    if num_scenes < MIN_SCENES_BOOTSTRAP:
        return _student_t(values, level)
    shares = _resampling_shares(num_scenes, seed)
    blocks = [
        _bca(values[start : start + _ROWS_PER_BLOCK], shares, level)
        for start in range(0, num_rows, _ROWS_PER_BLOCK)
    ]
    low, high = (np.concatenate(ends) for ends in zip(*blocks, strict=True))
    return low, high


def scene_means(items: pd.DataFrame) -> pd.DataFrame:
    """Mean over the scored view sets of each scene: columns ``KEYS``, scene, value, num_sets
    (scored), num_unscored. A scene with nothing scored has value NaN.

    Args:
        items: one row per cell, layer, view set and metric (columns ``KEYS``, scene, set_id,
            value).
    Raises:
        BenchError: two rows score the same view set by the same metric.
    """
    repeated = items.duplicated([*KEYS, "scene", "set_id"])
    if repeated.any():
        first = items[repeated].iloc[0]
        raise BenchError(
            f"{int(repeated.sum())} scores occur twice, the first for model '{first['model']}', "
            f"layer '{first['layer']}', dataset '{first['dataset']}', task '{first['task']}', "
            f"metric '{first['metric']}', set '{first['set_id']}'.",
            "Give models, or tasks with other parameters, different labels or run folders.",
        )
    values = items.groupby([*KEYS, "scene"], observed=True, dropna=False)["value"]
    means = values.agg(value="mean", num_sets="count", num_rows="size").reset_index()
    means["num_unscored"] = means.pop("num_rows") - means["num_sets"]
    return means


def summarise(items: pd.DataFrame, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """One row per model, layer, dataset, split, task, preset and metric.

    value is the mean over scenes of the mean inside each scene (NaN if nothing was scored), or the
    plain mean over view sets, without interval, where mean_over says so. num_scenes and num_sets
    count what was scored, num_unscored the view sets that were not.

    Args:
        items: see `scene_means`; an optional column mean_over (``scenes`` where it is absent).
    Returns:
        Columns ``SUMMARY_COLUMNS``, sorted by task, preset, dataset, split, metric, model and
        depth of the layer, whatever the order of the items.
    """
    if items.empty:
        return pd.DataFrame(columns=list(SUMMARY_COLUMNS))
    scenes = scene_means(items)
    groups = scenes.groupby(list(KEYS), observed=True, dropna=False)
    summary = groups.agg(
        value=("value", "mean"),
        num_scenes=("value", "count"),
        num_sets=("num_sets", "sum"),
        num_unscored=("num_unscored", "sum"),
    ).reset_index()
    summary["ci_low"], summary["ci_high"] = _group_intervals(
        scenes["value"].to_numpy(np.float64), groups.ngroup().to_numpy(), len(summary), level, seed
    )
    summary = _over_view_sets(summary, items)
    summary = summary[list(SUMMARY_COLUMNS)].sort_values(list(_SORT_KEYS), kind="stable")
    return summary.reset_index(drop=True)


def _over_view_sets(summary: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """The summary with column mean_over, and plain means where it is ``view_sets``.

    Args:
        summary: one row per group of ``KEYS``, sorted by them.
    """
    if "mean_over" not in items:
        return summary.assign(mean_over="scenes")
    groups = items.groupby(list(KEYS), observed=True, dropna=False)
    found = groups.agg(mean_over=("mean_over", "first"), value=("value", "mean")).reset_index()
    plain = found["mean_over"] == "view_sets"
    summary = summary.assign(
        mean_over=found["mean_over"], value=summary["value"].where(~plain, found["value"])
    )
    summary.loc[plain, ["ci_low", "ci_high"]] = np.nan
    return summary


def headline_metric(metrics: pd.DataFrame, task: str) -> str | None:
    """The metric that stands for a task: marked as headline, else the first with a direction.

    Args:
        metrics: columns task, metric, higher_is_better, headline.
    """
    own = metrics[metrics["task"] == task]
    for candidates in (own[own["headline"].astype(bool)], own[own["higher_is_better"].notna()]):
        if not candidates.empty:
            return str(candidates["metric"].iloc[0])
    return None


def direction(metrics: pd.DataFrame, task: str, metric: str) -> int:
    """1 if higher is better, -1 if lower is, 0 if the metric has no direction or is unknown."""
    own = metrics[(metrics["task"] == task) & (metrics["metric"] == metric)]["higher_is_better"]
    if own.empty or pd.isna(own.iloc[0]):
        return 0
    return 1 if own.iloc[0] else -1


def choose_layers(summary: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """The layer of each backbone with the best headline score on validation scenes.

    The score of a layer is its mean over the datasets that have a validation split; a layer that
    lacks one of them is not eligible. Equal scores: the layer nearest the input. Test scores play
    no part.

    Returns:
        Columns model, task, preset, metric (the headline), layer, layer_index, val_value,
        num_datasets; no row where nothing can be chosen.
    """
    owner = ["model", "task", "preset"]
    columns = [*owner, "metric", "layer", "layer_index", "val_value", "num_datasets"]
    val = summary[(summary["split"] == "val") & (summary["role"] == "backbone")]
    tasks = [(task, headline_metric(metrics, task)) for task in val["task"].unique()]
    signs = {task: direction(metrics, task, str(metric)) for task, metric in tasks}
    headlines = pd.Series(dict(tasks), dtype=object)
    val = val[(val["metric"] == val["task"].map(headlines)) & val["task"].map(signs).ne(0)]
    if val.empty:
        return pd.DataFrame(columns=columns)
    layers = val.groupby([*owner, "metric", "layer_index", "layer"], dropna=False)["value"]
    scores = layers.agg(val_value="mean", num_scored="count").reset_index()
    num_datasets = val.groupby(owner, dropna=False)["dataset"].nunique()
    scores = scores.merge(num_datasets.rename("num_datasets").reset_index(), on=owner)
    scores = scores[scores["num_scored"] == scores["num_datasets"]]
    goodness = scores["val_value"] * scores["task"].map(signs)
    best = scores.assign(loss=-goodness).sort_values([*owner, "loss", "layer_index", "layer"])
    return best.drop_duplicates(owner)[columns].reset_index(drop=True)


def at_chosen_layers(summary: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Rows of the summary at the layers that `choose_layers` (or `shown_layers`) picked."""
    keys = ["model", "task", "preset", "layer"]
    return summary.merge(chosen[keys], on=keys, how="inner")


def shown_layers(summary: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """The one layer that stands for each model where there is room for one: the layer chosen on
    validation scenes, else the last.

    Returns:
        Columns model, task, preset, layer, chosen (False for a last layer).
    """
    keys = ["model", "task", "preset"]
    last = summary.sort_values(["layer_index", "layer"], kind="stable").drop_duplicates(
        keys, keep="last"
    )
    picked = choose_layers(summary, metrics).assign(chosen=True)
    both = pd.concat([picked, last.assign(chosen=False)], ignore_index=True)
    shown = both.drop_duplicates(keys, keep="first").sort_values(keys)
    return shown[[*keys, "layer", "chosen"]].reset_index(drop=True)


def ranked(scores: pd.DataFrame, sign: int) -> list[str]:
    """Models, best first, by the mean over datasets; those that lack a dataset come last.

    Args:
        scores: rows of one metric, any number of layers (the best one counts).
        sign: see `direction`; 0 ranks as 1.
    """
    signed = scores.assign(value=scores["value"] * (sign or 1))
    table = signed.pivot_table(index="model", columns="dataset", values="value", aggfunc="max")
    means = table.mean(axis=1, skipna=False).sort_index()
    return [str(model) for model in means.sort_values(ascending=False, kind="stable").index]


def sign_flip_test(differences: ArrayLike, seed: int = 0) -> tuple[float, float]:
    """Two-sided paired permutation test: under the null each scene's difference may change sign.

    Exact over all sign patterns up to 16 scenes, else 10,000 seeded patterns and the observed one.

    Args:
        differences: one difference per scene, NaN left out.
    Returns:
        p, and the smallest p that this number of scenes allows; (NaN, NaN) without scenes.
    """
    values = np.asarray(differences, dtype=np.float64).ravel()
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    signs = _sign_patterns(len(values), seed)
    sums = np.abs(signs @ values)
    exact = len(values) <= MAX_SCENES_EXACT
    smallest = min(1.0, 2.0 / len(signs)) if exact else 1.0 / len(signs)
    # Patterns that tie in exact arithmetic must not be split by rounding.
    observed = abs(values.sum()) - 1e-12 * np.abs(values).sum()
    return float((sums >= observed).mean()), smallest


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down adjustment for many tests; NaN stays NaN and is not a test.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    p = np.asarray(p_values, dtype=np.float64).ravel()
    adjusted = np.full_like(p, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


@lru_cache(maxsize=8)
def _sign_patterns(num_scenes: int, seed: int) -> Floats:
    """All sign patterns [patterns, scenes], or the observed one and a seeded sample of them."""
    if num_scenes <= MAX_SCENES_EXACT:
        bits = np.arange(2**num_scenes)[:, None] >> np.arange(num_scenes) & 1
    else:
        bits = np.random.default_rng(seed).integers(0, 2, (NUM_FLIPS + 1, num_scenes))
        # The observed pattern belongs to its own null distribution: p is never 0.
        bits[0] = 1
    return (2 * bits - 1).astype(np.float64)


def _student_t(values: Floats, level: float) -> tuple[Floats, Floats]:
    num_scenes = values.shape[1]
    half = stats.t.ppf((1 + level) / 2, num_scenes - 1) * values.std(axis=1, ddof=1)
    half = half / np.sqrt(num_scenes)
    mean = values.mean(axis=1)
    return mean - half, mean + half


@lru_cache(maxsize=8)
def _resampling_shares(num_scenes: int, seed: int) -> Floats:
    """How often each resample draws each scene, as a share [scenes, resamples]."""
    draws = np.random.default_rng(seed).integers(0, num_scenes, (NUM_RESAMPLES, num_scenes))
    places = draws + num_scenes * np.arange(NUM_RESAMPLES)[:, None]
    counts = np.bincount(places.ravel(), minlength=NUM_RESAMPLES * num_scenes)
    return counts.reshape(NUM_RESAMPLES, num_scenes).T / num_scenes


def _bca(values: Floats, shares: Floats, level: float) -> tuple[Floats, Floats]:
    """Bias-corrected accelerated bootstrap of row means.

    scipy.stats.bootstrap gives the same ends at a hundred times the cost, since it gathers and
    averages every row's resamples; for a mean they are one matrix product, and the jackknife has
    a closed form.

    Source: Efron, Better bootstrap confidence intervals (1987).
    """
    mean = values.mean(axis=1, keepdims=True)
    deviations = values - mean
    squares = (deviations**2).sum(axis=1)
    means = np.sort(values @ shares, axis=1)
    # Resamples that equal the mean in exact arithmetic count one half to each side.
    tie = 1e-12 * np.abs(values).max(axis=1, keepdims=True)
    below = ((means < mean - tie).mean(axis=1) + (means <= mean + tie).mean(axis=1)) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        acceleration = (deviations**3).sum(axis=1) / (6 * squares**1.5)
    bias = special.ndtri(below)
    ends: list[Floats] = []
    for quantile in ((1 - level) / 2, (1 + level) / 2):
        shifted = bias + special.ndtri(quantile)
        share = special.ndtr(bias + shifted / (1 - acceleration * shifted))
        ends.append(_row_quantiles(means, share))
    constant = np.ptp(values, axis=1) == 0
    low, high = (np.where(constant, mean[:, 0], end) for end in ends)
    return low, high


def _row_quantiles(ordered: Floats, shares: Floats) -> Floats:
    """Linearly interpolated quantile of each sorted row; NaN where the share is NaN."""
    place = np.nan_to_num(shares) * (ordered.shape[1] - 1)
    left = np.floor(place).astype(np.intp)
    right = np.minimum(left + 1, ordered.shape[1] - 1)
    rows = np.arange(len(ordered))
    fraction = place - left
    quantiles: Floats = (1 - fraction) * ordered[rows, left] + fraction * ordered[rows, right]
    return np.where(np.isnan(shares), np.nan, quantiles)


def _group_intervals(
    values: Floats, groups: NDArray[np.intp], num_groups: int, level: float, seed: int
) -> tuple[Floats, Floats]:
    """Interval of each group of scene means; groups of one size are computed together."""
    scored = ~np.isnan(values)
    values, groups = values[scored], groups[scored]
    values = values[np.argsort(groups, kind="stable")]
    sizes = np.bincount(groups, minlength=num_groups)
    starts = np.cumsum(sizes) - sizes
    low, high = np.full(num_groups, np.nan), np.full(num_groups, np.nan)
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        rows = values[starts[members][:, None] + np.arange(size)]
        low[members], high[members] = intervals(rows, level, seed)
    return low, high
