"""Heat map of models and tasks."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.plots.figure import WIDTH_INCHES, Plot, message, short, styled
from bench.plots.selection import shown_scores
from bench.stats import direction, headline_metric
from bench.tables import decimals

_ROW_INCHES = 0.17
#: Columns whose heads fit side by side without turning them.
_MAX_FLAT = 4
#: Of names of models and heads of columns that fit side by side.
_LINE_CHARACTERS = 100
_END_NAMES = FuncFormatter(lambda share, _: "best\nbackbone" if share else "worst\nbackbone")


@styled
def overview(summary: pd.DataFrame, metrics: pd.DataFrame) -> Plot:
    """Headline metric of every task on every dataset, each model at its layer chosen on val
    scenes, else its last; tasks whose headline has no direction are left out.

    Colour: place between the worst and the best backbone of the column (the numbers are not
    comparable between columns). Rows: backbones by mean rank, those with blanks last, then floors
    and ceilings below a rule.
    """
    parts = []
    for task in sorted(summary["task"].unique()):
        metric = headline_metric(metrics, task)
        sign = 0 if metric is None else direction(metrics, task, metric)
        if metric is not None and sign:
            parts.append(shown_scores(summary, metrics, task, [metric]).assign(sign=sign))
    scores = pd.concat(parts) if parts else pd.DataFrame(columns=summary.columns)
    if scores.loc[scores["role"] == "backbone", "model"].nunique() < 2:
        return Plot(message("Fewer than two backbones have test scores."), scores.head(0))
    values = scores.pivot(index="model", columns=["task", "metric", "dataset"], values="value")
    signs = scores.drop_duplicates(["task", "dataset"]).set_index(["task", "metric", "dataset"])
    good = values * signs["sign"].reindex(values.columns)
    is_backbone = scores.drop_duplicates("model").set_index("model")["role"] == "backbone"
    backbones = good[is_backbone.reindex(good.index)]
    rank = backbones.rank(ascending=False).mean(axis=1, skipna=False).sort_values(kind="stable")
    controls = good.index.difference(backbones.index)
    order = [*rank.index, *controls]
    span = (backbones.max() - backbones.min()).replace(0, 1)
    shade = ((good - backbones.min()) / span).clip(0, 1).loc[order]
    figure = Figure(figsize=(WIDTH_INCHES, 1.5 + _ROW_INCHES * len(order)))
    axis = figure.subplots()
    sns.heatmap(
        shade,
        annot=_printed(values.loc[order]),
        fmt="",
        annot_kws={"size": 6.5},
        cmap="cividis",
        xticklabels=False,
        yticklabels=False,
        vmin=0,
        vmax=1,
        linewidths=0.5,
        ax=axis,
        cbar_kws={
            "aspect": max(20, 2 * len(order)),
            "pad": 0.02,
            "ticks": [0, 1],
            "format": _END_NAMES,
        },
    )
    axis.set_yticks([place + 0.5 for place in range(len(order))], [short(name) for name in order])
    num_columns = values.shape[1]
    few = num_columns <= _MAX_FLAT
    room = _LINE_CHARACTERS - max(len(short(name)) for name in order)
    heads = [
        "\n".join(short(part, room // num_columns if few else 34) for part in column)
        for column in values
    ]
    places = [place + 0.5 for place in range(len(heads))]
    axis.set_xticks(places, heads, rotation=0 if few else 90)
    axis.set(xlabel="", ylabel="")
    if len(controls):
        axis.axhline(len(rank), color="white", linewidth=5)
    return Plot(figure, scores)


def _printed(values: pd.DataFrame) -> pd.DataFrame:
    """Numbers as text, each column with the decimals that tables give it."""
    columns = [
        [("" if pd.isna(value) else f"{value:.{places}f}") for value in values[name]]
        for name, places in ((name, decimals(values[name])) for name in values)
    ]
    return pd.DataFrame(dict(enumerate(columns)))
