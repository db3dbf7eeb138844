"""Similarity of the layers of one model, or of two."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from bench.plots.figure import WIDTH_INCHES, Plot, message, short, styled

_MAX_TICKS = 25
_MAX_ANNOTATED = 12
_MAP_INCHES = 3.0


@styled
def layer_similarity(similarity: pd.DataFrame, name: str = "linear CKA") -> Plot:
    """Heat map of a similarity between layers, the first layer at the bottom left.

    Args:
        similarity: columns layer_a, layer_b, value (0 to 1), rows in order of depth; optional
            columns model_a, model_b name the axes.
    """
    if similarity.empty:
        return Plot(message("No similarities."), similarity)
    order_a, order_b = (list(dict.fromkeys(similarity[key])) for key in ("layer_a", "layer_b"))
    table = similarity.pivot(index="layer_a", columns="layer_b", values="value")
    table = table.loc[order_a[::-1], order_b]
    # Squares need less room along the side with fewer layers.
    empty = [_MAP_INCHES * (1 - layers / max(table.shape)) for layers in table.shape]
    figure = Figure(figsize=(WIDTH_INCHES * 0.7 - empty[1], WIDTH_INCHES * 0.6 - empty[0]))
    axis = figure.subplots()
    sns.heatmap(
        table,
        annot=max(table.shape) <= _MAX_ANNOTATED,
        fmt=".2f",
        annot_kws={"size": 6},
        cmap="cividis",
        xticklabels=False,
        yticklabels=False,
        vmin=0,
        vmax=1,
        square=True,
        ax=axis,
        cbar_kws={"label": name},
    )
    every_a, every_b = (max(1, -(-len(order) // _MAX_TICKS)) for order in (order_a, order_b))
    rows = range(len(order_a) - 1, -1, -1)
    axis.set_yticks(
        [row + 0.5 for row in rows][::every_a],
        [short(layer, 14) for layer in order_a[::every_a]],
        rotation=0,
    )
    axis.set_xticks(
        [column + 0.5 for column in range(len(order_b))][::every_b],
        [short(layer, 14) for layer in order_b[::every_b]],
        rotation=90,
    )
    axis.set(xlabel=_model(similarity, "model_b"), ylabel=_model(similarity, "model_a"))
    return Plot(figure, similarity)


def _model(similarity: pd.DataFrame, column: str) -> str:
    return short(similarity[column].iloc[0]) if column in similarity else "layer"
