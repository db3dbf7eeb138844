"""Whether numbers were measured the same way, and may stand in one column."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.errors import BenchError

#: Columns of the cells frame that must agree, and what they are called.
_CONDITIONS = {
    "task_version": "task version",
    "dataset_version": "dataset version",
    "list_hash": "list of view sets",
    "resolution": "resolution rule",
    "limit": "limit",
}
#: Columns of JSON objects that must agree name by name.
_PARAMETERS = {"params": "parameter", "dataset_params": "dataset option"}
_HASH_LENGTH = 12


def condition_differences(cells: pd.DataFrame) -> list[str]:
    """What differs between the finished cells of a task and a dataset, one sentence each.

    Args:
        cells: columns model, dataset, task, status, params and dataset_params (JSON) and the
            conditions; an optional column run says where a cell comes from.
    """
    done = cells[cells["status"] == "done"]
    places: dict[str, list[str]] = {}
    for (task, dataset), group in done.groupby(["task", "dataset"]):
        for name, own in _conditions(group):
            if len(own) > 1:
                places.setdefault(f"{name} is {_values(own)}", []).append(f"{task} on {dataset}")
    return [f"{what}: {_some(where, 3)}." for what, where in places.items()]


def require_same_conditions(cells: pd.DataFrame) -> None:
    """Refuse cells that were not measured the same way.

    Raises:
        BenchError: names every condition that differs, with its values.
    """
    differences = condition_differences(cells)
    if differences:
        raise BenchError(
            "Not measured the same way; " + " ".join(differences),
            "Leave out the runs or models that differ, or run them again with one suite.",
        )


def _conditions(group: pd.DataFrame) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Name of each condition and who was measured under each of its values."""
    owners = [
        f"{cell.model} in {cell.run}" if "run" in group else str(cell.model)
        for cell in group.itertuples(index=False)
    ]
    for column, name in _CONDITIONS.items():
        yield name, _owners_by_value(group[column], owners)
    for column, what in _PARAMETERS.items():
        params = [json.loads(text) for text in group[column]]
        for key in sorted({key for cell in params for key in cell}):
            name = "preset" if (column, key) == ("params", "preset") else f"{what} {key}"
            yield name, _owners_by_value([cell.get(key) for cell in params], owners)


def _owners_by_value(values: Any, owners: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value, owner in zip(values, owners, strict=True):
        holders = found.setdefault(_text(value), [])
        if owner not in holders:
            holders.append(owner)
    return found


def _text(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return "none"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text[:_HASH_LENGTH] if len(text) == 64 else text


def _values(own: dict[str, list[str]]) -> str:
    return ", ".join(f"{value} ({_some(holders, 1)})" for value, holders in own.items())


def _some(names: list[str], shown: int) -> str:
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")
