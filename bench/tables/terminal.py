"""Leaderboards as plain text for the end of a run."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import pandas as pd

from bench.tables.grid import Entry, Grid, Table, build_grids, default_tables
from bench.tables.labels import one_line, shortened

MAX_LABEL = 32


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
    lines: list[list[str]] = [
        ["", "", *(shortened(column.dataset, MAX_LABEL) for column in grid.columns)],
        [
            "model",
            "layer",
            *(f"{one_line(column.metric)}{column.arrow}" for column in grid.columns),
        ],
    ]
    for _, rows in groupby(grid.rows, key=lambda row: row.block):
        lines.append([])
        lines.extend(
            [
                shortened(row.model, MAX_LABEL),
                shortened(row.layer, MAX_LABEL) + (f" ({row.note})" if row.note else ""),
                *(_number(entry) for entry in row.entries),
            ]
            for row in rows
        )
    conditions = one_line(" ".join(grid.conditions))
    table = _aligned(lines) if grid.rows else "No test scores."
    failed = f"\n{len(grid.failures)} failed" if grid.failures else ""
    return f"{one_line(grid.title)}\n{conditions}\n{table}{failed}"


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


def _number(entry: Entry) -> str:
    return f"{entry.text} [{entry.interval}]" if entry.interval else entry.text


def _width(text: str) -> int:
    """Terminal columns: East Asian wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
