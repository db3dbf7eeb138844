"""What all figures share: style, labels, panels, and writing PNG, SVG and the CSV behind them."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure

from bench.atomic import write_bytes
from bench.tables import csv_text
from bench.tables.labels import shortened

P = ParamSpec("P")
R = TypeVar("R")

STYLE = Path(__file__).with_name("style.mplstyle")
MARKERS = "osD^vPX*"
GREY = "#8a8a8a"
DARK = "#333333"
#: Solid, since dashes and dots belong to the floors.
CHANCE = {"color": "#b8b8b8", "linewidth": 1.0, "linestyle": "-", "zorder": 1}
WIDTH_INCHES = 6.75
MAX_LABEL = 34
#: Characters of the titles of all panels side by side, beside labels and legend.
_TITLE_ROOM = 46
#: Of an axis of scores.
LEAST_SPAN = 2e-3


@dataclass(frozen=True)
class Plot:
    """A figure and the numbers in it."""

    figure: Figure
    data: pd.DataFrame


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a plotting function under the one style file."""

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with style.context(STYLE):
            return function(*args, **kwargs)

    return inside


@styled
def save(plot: Plot, stem: Path) -> list[Path]:
    """Write ``stem``.png (200 dpi), .svg and .csv; equal plots give equal bytes.

    Returns:
        The three paths.
    """
    contents = {
        "png": _drawn(plot.figure, "png", {"Software": None}),
        "svg": svg_bytes(plot),
        "csv": csv_text(plot.data).encode(),
    }
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        # Not forced onto the disk: figures can be drawn again.
        write_bytes(path, content, durable=False)
    return paths


@styled
def svg_bytes(plot: Plot) -> bytes:
    """The figure as SVG, without a date."""
    return _drawn(plot.figure, "svg", {"Date": None, "Creator": None})


def _drawn(figure: Figure, kind: str, metadata: dict[str, Any]) -> bytes:
    with warnings.catch_warnings(), BytesIO() as file:
        # The SVG holds the text itself, and readers' fonts know scripts that this one lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _settle(figure)
        figure.savefig(file, format=kind, metadata=metadata)
        return file.getvalue()


def _settle(figure: Figure) -> None:
    """Lay out once, to a thousandth of a pixel.

    The solver of the layout leaves a last bit that differs from run to run, and a place of 72.99...
    instead of 73 px draws a text anew.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6))


def colours() -> list[str]:
    """The style's palette, safe for colour-blind readers."""
    return [str(entry["color"]) for entry in mpl.rcParams["axes.prop_cycle"]]


def short(text: object, limit: int = MAX_LABEL) -> str:
    """A label that fits beside an axis."""
    return shortened(text, limit)


def file_name(text: str) -> str:
    """The label where it is a plain name, else what is left of it and a hash."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:60]
    return name if name == text else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def metric_label(metrics: pd.DataFrame, task: str, metric: str) -> str:
    """Axis label: name, unit where the name does not end with it, and direction."""
    own = metrics[(metrics["task"] == task) & (metrics["metric"] == metric)]
    if own.empty:
        return short(metric)
    unit, better = str(own["unit"].iloc[0] or ""), own["higher_is_better"].iloc[0]
    named = unit == "" or re.search(rf"(?:_|\d){re.escape(unit)}$", metric) is not None
    arrow = "" if pd.isna(better) else " ↑" if better else " ↓"
    return short(metric) + ("" if named else f" [{unit}]") + arrow


def chance(metrics: pd.DataFrame, task: str, metric: str) -> float | None:
    """Value of uninformative features, where it is known."""
    own = metrics[(metrics["task"] == task) & (metrics["metric"] == metric)]["chance"]
    return None if own.empty or pd.isna(own.iloc[0]) else float(own.iloc[0])


def panels(
    titles: Sequence[str], panel_height: float, per_row: int = 3, **options: Any
) -> tuple[Figure, list[Any]]:
    """A figure with one titled panel per entry, `panel_height` inches each, in rows."""
    per_row = max(1, min(per_row, len(titles)))
    num_rows = -(-len(titles) // per_row)
    figure = Figure(figsize=(WIDTH_INCHES, num_rows * panel_height))
    axes = list(figure.subplots(num_rows, per_row, squeeze=False, **options).flat)
    for axis in axes[len(titles) :]:
        axis.remove()
    for axis, title in zip(axes, titles, strict=False):
        axis.set_title(short(title, min(MAX_LABEL, _TITLE_ROOM // per_row)))
    return figure, axes[: len(titles)]


def with_intervals(axis: Any, rows: pd.DataFrame, x: Any, y: Any, **look: Any) -> None:
    """Points with the intervals ``ci_low`` to ``ci_high`` of `rows`; no bar where there is none.

    Args:
        x, y: a place per row, or the name of the column that holds the scores (exactly one of
            them, along which the bars lie).
    """
    if rows.empty:
        return
    score = x if isinstance(x, str) else y
    bars = rows[["ci_low", "ci_high"]].sub(rows[score], axis=0).abs().fillna(0).T
    if isinstance(x, str):
        axis.errorbar(rows[x], y, xerr=bars, elinewidth=0.9, **look)
    else:
        axis.errorbar(x, rows[y], yerr=bars, elinewidth=0.9, **look)


def not_flat(axis: Any) -> None:
    """Room above and below scores that are all alike, instead of a magnified rounding error."""
    low, high = axis.get_ylim()
    if high - low < LEAST_SPAN:
        middle = (low + high) / 2
        axis.set_ylim(middle - LEAST_SPAN / 2, middle + LEAST_SPAN / 2)


def legend(
    figure: Figure, axes: Iterable[Any], first: Iterable[str] = (), title: str | None = None
) -> None:
    """One legend right of the panels, each label once, the labels in `first` at the top."""
    entries: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    top = [short(label) for label in first if short(label) in entries]
    order = [*top, *(label for label in entries if label not in top)]
    figure.legend(
        [entries[label] for label in order], order, loc="outside right upper", title=title
    )


def message(text: str) -> Figure:
    """A figure that says why it is empty."""
    figure = Figure(figsize=(WIDTH_INCHES, 0.6))
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY)
    return figure
