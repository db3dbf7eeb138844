"""Heat maps of many layers: of one model on every dataset, and of many models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from bench.plots.figure import WIDTH_INCHES, Plot, message, metric_label, panels, short, styled
from bench.plots.selection import test_scores
from bench.stats import direction, ranked
from bench.tables import decimals

_ROW_INCHES = 0.16
_MAX_ANNOTATED = 6
#: Fewer layers are read off the curves by layer.
MIN_LAYERS = 8


@styled
def layer_heatmap(
    summary: pd.DataFrame, metrics: pd.DataFrame, task: str, metric: str, model: str
) -> Plot:
    """Test scores of every layer of a model, one column per dataset, in network order.

    Colours share one scale: columns are of one metric.
    """
    scores = test_scores(summary[summary["model"] == model], task, [metric])
    own = scores.sort_values(["layer_index", "layer"])
    if own.empty:
        return Plot(message(f"{model} has no test scores of {metric}."), own)
    layers = list(dict.fromkeys(own["layer"]))
    values = own.pivot(index="layer", columns="dataset", values="value").loc[layers]
    width = min(WIDTH_INCHES, 2.4 + 0.9 * values.shape[1])
    figure = Figure(figsize=(width, 0.8 + _ROW_INCHES * len(layers)))
    axis = figure.subplots()
    sns.heatmap(
        values,
        annot=values.shape[1] <= _MAX_ANNOTATED,
        fmt=f".{decimals(own['value'])}f",
        annot_kws={"size": 6},
        cmap="cividis",
        linewidths=0.3,
        ax=axis,
        yticklabels=False,
        cbar_kws={"label": metric_label(metrics, task, metric), "aspect": 30, "pad": 0.03},
    )
    axis.set_yticks(np.arange(len(layers)) + 0.5, [short(layer, 14) for layer in layers])
    axis.set_xticks(np.arange(values.shape[1]) + 0.5, [short(name, 16) for name in values])
    axis.set(xlabel="", ylabel="", title=short(model))
    return Plot(figure, own)


@styled
def models_by_layer(summary: pd.DataFrame, metrics: pd.DataFrame, task: str, metric: str) -> Plot:
    """Test scores of every layer of many models: a row per model, best first, floors and ceilings
    last; one panel per dataset, which share one scale of colours."""
    scores = test_scores(summary, task, [metric])
    scores = scores[scores["relative_depth"].notna()]
    if scores.empty:
        return Plot(message("No scores at more than one depth."), scores)
    sign = direction(metrics, task, metric)
    is_backbone = scores["role"] == "backbone"
    order = [*ranked(scores[is_backbone], sign), *ranked(scores[~is_backbone], sign)]
    datasets = sorted(scores["dataset"].unique())
    columns = sorted(scores["layer_index"].unique())
    limits = {"vmin": scores["value"].min(), "vmax": scores["value"].max()}
    figure, axes = panels(datasets, 0.8 + 0.125 * len(order), per_row=2, sharey=True)
    for axis, dataset in zip(axes, datasets, strict=True):
        own = scores[scores["dataset"] == dataset]
        table = own.pivot(index="model", columns="layer_index", values="value")
        picture = axis.imshow(
            table.reindex(index=order, columns=columns),
            cmap="cividis",
            aspect="auto",
            interpolation="nearest",
            extent=(-0.5, len(columns) - 0.5, len(order) - 0.5, -0.5),
            **limits,
        )
        every = -(-len(columns) // 10)
        axis.set_xticks(range(0, len(columns), every), columns[::every])
        axis.set_xlabel("layer index")
        axis.grid(visible=False)
    axes[0].set_yticks(range(len(order)), [short(model) for model in order], fontsize=6)
    label = metric_label(metrics, task, metric)
    figure.colorbar(picture, ax=axes, label=label, aspect=40, pad=0.02)
    return Plot(figure, scores)
