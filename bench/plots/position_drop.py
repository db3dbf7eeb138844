"""How much of a score is the place in the image: AUROC against position-controlled AUROC."""

from __future__ import annotations

import pandas as pd

from bench.plots.figure import CHANCE, DARK, Plot, chance, colours, message, panels, short, styled
from bench.plots.selection import shown_scores, test_scores
from bench.stats import ranked

_ROW_INCHES = 0.13
_MAX_ROWS = 72


@styled
def position_drop(
    summary: pd.DataFrame,
    metrics: pd.DataFrame,
    task: str,
    plain: str = "auroc",
    controlled: str = "auroc_position_controlled",
) -> Plot:
    """A line from the plain score (hollow) to the controlled one (filled), per model and layer.

    One panel per dataset. Where every layer would need more than 72 lines, each model shows the
    layer chosen on val scenes, else its last.
    """
    names = [plain, controlled]
    scores = test_scores(summary, task, names)
    if len(scores[["model", "layer"]].drop_duplicates()) > _MAX_ROWS:
        scores = shown_scores(summary, metrics, task, names)
    keys = ["model", "role", "layer", "layer_index", "dataset"]
    drops = scores.pivot(index=keys, columns="metric", values="value").reset_index()
    if not {plain, controlled} <= set(drops.columns):
        return Plot(message(f"{plain} and {controlled} were not both measured."), scores)
    drops["drop"] = drops[plain] - drops[controlled]
    controlled_scores = scores[scores["metric"] == controlled]
    backbone = controlled_scores["role"] == "backbone"
    order = [*ranked(controlled_scores[backbone], 1), *ranked(controlled_scores[~backbone], 1)]
    # A model whose controlled score is nowhere defined has no drop.
    drops = drops[drops["model"].isin(order)]
    places = _places(drops, order)
    datasets = sorted(drops["dataset"].unique())
    height = 0.9 + _ROW_INCHES * (max(places.values()) + 1)
    figure, axes = panels(datasets, height, sharey=True, sharex=True)
    for axis, dataset in zip(axes, datasets, strict=True):
        own = drops[drops["dataset"] == dataset]
        y = [places[key] for key in zip(own["model"], own["layer"], strict=True)]
        colour = [colours()[0] if role == "backbone" else DARK for role in own["role"]]
        axis.hlines(y, own[controlled], own[plain], color=colour, linewidth=1)
        axis.scatter(
            own[plain], y, s=12, facecolor="white", edgecolor=colour, zorder=3, label=plain
        )
        axis.scatter(own[controlled], y, s=12, color=colour, zorder=3, label=controlled)
        level = chance(metrics, task, controlled)
        if level is not None:
            axis.axvline(level, **CHANCE, label="chance")
        axis.set_xlabel("score ↑")
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(list(places.values()), _names(places))
    axes[0].set_ylim(max(places.values()) + 1, -1)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return Plot(figure, drops)


def _places(drops: pd.DataFrame, order: list[str]) -> dict[tuple[str, str], float]:
    """Height of each line; models with several layers stand apart from their neighbours."""
    places: dict[tuple[str, str], float] = {}
    place, previous = 0.0, 0
    for model in order:
        own = drops[drops["model"] == model].sort_values(["layer_index", "layer"])
        layers = own["layer"].unique()
        if places and max(len(layers), previous) > 1:
            place += 0.7
        previous = len(layers)
        for layer in layers:
            places[model, str(layer)] = place
            place += 1
    return places


def _names(places: dict[tuple[str, str], float]) -> list[str]:
    """The model's name stands at its first layer only."""
    names: list[str] = []
    previous = None
    for model, layer in places:
        shown = "" if layer == "output" else short(layer, 14)
        head = short(model) if model != previous else ""
        names.append(" · ".join(part for part in (head, shown) if part))
        previous = model
    return names
