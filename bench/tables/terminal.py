"""Leaderboards as plain text for the end of a run."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import pandas as pd

from bench.tables.grid import Entry, Grid, Row, Table, build_grids, default_tables

MAX_LABEL = 40


def leaderboard_text(
    summary: pd.DataFrame,
    metrics: pd.DataFrame,
    cells: pd.DataFrame,
    tables: Sequence[Table] = (),
) -> str:
    """One row per model, at the layer chosen on val scenes or else the last, and each table's
    first metric; arguments as in `bench.tables.build_grids`."""
    first = [
        replace(table, metrics=table.metrics[:1]) for table in tables or default_tables(metrics)
    ]
    grids = build_grids(summary, metrics, cells, first, compact=True)
    return "\n\n".join(grid_text(grid) for grid in grids) + "\n"


def grid_text(grid: Grid) -> str:
    """Title, conditions and aligned columns."""
    heads = [
        f"{_plain(column.dataset)} {_plain(column.metric)}{column.arrow}" for column in grid.columns
    ]
    lines: list[list[str]] = [["model", "layer", *heads]]
    for _, rows in groupby(grid.rows, key=lambda row: row.block):
        lines.append([])
        lines.extend([*_names(row), *(_number(entry) for entry in row.entries)] for row in rows)
    conditions = _plain(" ".join(grid.conditions), limit=None)
    table = _aligned(lines) if grid.rows else "No test scores."
    failed = f"\n{len(grid.failures)} failed" if grid.failures else ""
    return f"{_plain(grid.title)}\n{conditions}\n{table}{failed}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns; an empty line becomes a rule."""
    widths = [max(map(_width, column)) for column in zip(*filter(None, lines), strict=True)]
    rule = "  ".join("-" * width for width in widths)
    padded = (
        "  ".join(
            text + " " * (width - _width(text)) for text, width in zip(line, widths, strict=True)
        )
        for line in lines
        if line
    )
    return "\n".join(rule if not line else next(padded).rstrip() for line in lines)


def _names(row: Row) -> tuple[str, str]:
    how = {"chosen": "chosen on val", "layers": "last", "controls": row.role}[row.block]
    return _plain(row.model), f"{_plain(row.layer)} ({how})"


def _number(entry: Entry) -> str:
    return f"{entry.text} [{entry.interval}]" if entry.interval else entry.text


def _plain(text: str, limit: int | None = MAX_LABEL) -> str:
    """One line without control characters, so that a label cannot move the cursor."""
    line = "".join(char if char.isprintable() else " " for char in text)
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def _width(text: str) -> int:
    """Terminal columns: East Asian wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
