"""Mean and mean rank over datasets, beside the scores they come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from bench.tables.grid import Column, Entry, Grid, Row, decimals, marked

_SENTENCE = (
    "Mean and mean rank are over datasets, by the first metric; a row with blanks has none, and "
    "ranks are among the backbones that have."
)


def with_averages(grid: Grid) -> Grid:
    """The grid with a mean and a mean rank of its first metric after the scores.

    A rank among complete rows only does not move when an incomplete model is added. A grid with
    one dataset is returned as it is.

    Args:
        grid: with one row per model (``compact`` in `bench.tables.build_grids`).
    """
    places = [i for i, c in enumerate(grid.columns) if c.metric == grid.columns[0].metric]
    if len(places) < 2:
        return grid
    first = grid.columns[0]
    values = {
        row: [row.entries[place].value for place in places]
        for row in grid.rows
        if not any(math.isnan(row.entries[place].value) for place in places)
    }
    ranks = _mean_ranks({row: v for row, v in values.items() if row.role == "backbone"}, first.sign)
    means = {row: math.fsum(numbers) / len(numbers) for row, numbers in values.items()}
    digits = decimals(means.values())
    rows = [
        replace(
            row,
            entries=(
                *row.entries,
                _entry(means.get(row), digits),
                _entry(ranks.get(row), 1),
            ),
        )
        for row in grid.rows
    ]
    columns = (
        *grid.columns,
        Column("mean", first.metric, first.sign),
        Column("mean rank", first.metric, -1 if first.sign else 0),
    )
    return replace(
        grid,
        columns=columns,
        rows=tuple(marked(rows, columns)),
        legend=(*grid.legend, _SENTENCE),
    )


def _mean_ranks(values: dict[Row, Sequence[float]], sign: int) -> dict[Row, float]:
    """Rank 1 is best; equal values share the mean of their ranks. None without a direction."""
    if sign == 0:
        return {}
    table = pd.DataFrame([[sign * value for value in numbers] for numbers in values.values()])
    ranks = table.rank(ascending=False, method="average").mean(axis=1)
    return dict(zip(values, ranks, strict=True))


def _entry(value: float | None, digits: int) -> Entry:
    return Entry() if value is None else Entry(value, text=f"{value:.{digits}f}")
