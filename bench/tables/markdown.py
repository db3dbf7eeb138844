"""Leaderboards as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import pandas as pd

from bench.tables.grid import Entry, Grid, Table, build_grids
from bench.tables.labels import one_line

_MARKS = {"": "{}", "best": "**{}**", "second": "<u>{}</u>"}
_RULE = "———"


def leaderboard_markdown(
    summary: pd.DataFrame,
    metrics: pd.DataFrame,
    cells: pd.DataFrame,
    tables: Sequence[Table] = (),
    title: str = "Leaderboard",
) -> str:
    """One section per table of the suite; arguments as in `bench.tables.build_grids`."""
    return grids_markdown(build_grids(summary, metrics, cells, tables), title)


def grids_markdown(grids: Iterable[Grid], title: str) -> str:
    """A document with one section per grid."""
    parts = [f"# {escape(title)}", *(grid_markdown(grid) for grid in grids)]
    return "\n\n".join(parts) + "\n"


def grid_markdown(grid: Grid) -> str:
    """A second-level section: table, caption, failed cells."""
    table = "\n".join(_lines(grid)) if grid.rows else "No test scores."
    caption = "\n".join(f"- {escape(sentence)}" for sentence in (*grid.conditions, *grid.legend))
    parts = [f"## {escape(grid.title)}", table, caption]
    if grid.failures:
        failed = "\n".join(f"- {escape(failure)}" for failure in grid.failures)
        parts.append(f"Failed:\n\n{failed}")
    return "\n\n".join(parts)


def escape(text: str) -> str:
    """Text that Markdown, HTML and GitHub's formulas leave as it is."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # An underscore inside a word is no emphasis, and metric names stay readable.
    return re.sub(r"[\\`*|$\[\]#~]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", line)


def _lines(grid: Grid) -> Iterator[str]:
    num_columns = len(grid.columns)
    heads = [
        f"{escape(column.dataset)}<br>{escape(column.metric)}{column.arrow}"
        for column in grid.columns
    ]
    yield _line(["model", "layer", *heads])
    yield _line(["---", "---", *["---:"] * num_columns])
    for number, (_, rows) in enumerate(groupby(grid.rows, key=lambda row: row.block)):
        if number:
            yield _line([_RULE] * (num_columns + 2))
        for row in rows:
            layer = escape(row.layer) + (f" ({row.note})" if row.note else "")
            yield _line([escape(row.model), layer, *(_number(entry) for entry in row.entries)])


def _number(entry: Entry) -> str:
    interval = f" [{entry.interval}]" if entry.interval else ""
    return _MARKS[entry.mark].format(entry.text) + interval


def _line(parts: Iterable[str]) -> str:
    return "| " + " | ".join(parts) + " |"
