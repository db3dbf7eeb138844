"""Leaderboards as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from bench.tables.grid import Entry, Grid


def grids_json(grids: Iterable[Grid]) -> str:
    """A list of tables; a score that was not measured, or an interval that does not exist, is
    null."""
    tables = [_table(grid) for grid in grids]
    return json.dumps(tables, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _table(grid: Grid) -> dict[str, Any]:
    return {
        "title": grid.title,
        "task": grid.task,
        "preset": grid.preset,
        "columns": [
            {"dataset": c.dataset, "metric": c.metric, "higher_is_better": _better(c.sign)}
            for c in grid.columns
        ],
        "rows": [
            {
                "model": row.model,
                "layer": row.layer,
                "role": row.role,
                "note": row.note,
                "scores": [_score(entry) for entry in row.entries],
            }
            for row in grid.rows
        ],
        "conditions": list(grid.conditions),
        "legend": list(grid.legend),
        "failures": list(grid.failures),
    }


def _score(entry: Entry) -> dict[str, float | None]:
    numbers = {"value": entry.value, "ci_low": entry.low, "ci_high": entry.high}
    return {name: number if math.isfinite(number) else None for name, number in numbers.items()}


def _better(sign: int) -> bool | None:
    return None if sign == 0 else sign > 0
