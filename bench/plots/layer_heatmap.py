"""Heat map of layers and datasets, for one model."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from bench.plots.figure import WIDTH_INCHES, Plot, message, metric_label, short, styled

_ROW_INCHES = 0.14
#: Fewer layers are read off the curves by layer.
MIN_LAYERS = 8


@styled
def layer_heatmap(
    summary: pd.DataFrame, metrics: pd.DataFrame, task: str, metric: str, model: str
) -> Plot:
    """Test scores of every layer of a model, one column per dataset, in network order.

    Colours share one scale: columns are of one metric.
    """
    own = summary[
        (summary["task"] == task)
        & (summary["metric"] == metric)
        & (summary["model"] == model)
        & (summary["split"] == "test")
        & summary["value"].notna()
    ].sort_values(["layer_index", "layer"])
    if own.empty:
        return Plot(message(f"{model} has no test scores of {metric}."), own)
    layers = list(dict.fromkeys(own["layer"]))
    values = own.pivot(index="layer", columns="dataset", values="value").loc[layers]
    width = min(WIDTH_INCHES, 2.2 + 0.9 * values.shape[1])
    figure = Figure(figsize=(width, 1.0 + _ROW_INCHES * len(layers)))
    axis = figure.subplots()
    sns.heatmap(
        values,
        cmap="cividis",
        linewidths=0.3,
        ax=axis,
        yticklabels=False,
        cbar_kws={"label": metric_label(metrics, task, metric), "aspect": 30, "pad": 0.03},
    )
    axis.set_yticks([place + 0.5 for place in range(len(layers))], layers, fontsize=5.5)
    axis.set(xlabel="", ylabel="", title=short(model))
    return Plot(figure, own)
