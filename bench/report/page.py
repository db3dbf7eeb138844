"""From data frames to the page."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bench.compare import compare
from bench.plots import cost, draw_all, svg_bytes
from bench.report.view_sets import extreme_view_sets
from bench.stats import (
    at_chosen_layers,
    direction,
    headline_metric,
    ranked,
    shown_layers,
    summarise,
)
from bench.tables import Grid, Table, build_grids, decimals
from bench.tables.labels import one_line

#: PNG bytes of a view set, by dataset, scene and set.
Pictures = Mapping[tuple[str, str, str], bytes]


def report_html(
    title: str,
    items: pd.DataFrame,
    metrics: pd.DataFrame,
    cells: pd.DataFrame,
    tables: Sequence[Table] = (),
    description: str = "",
    costs: pd.DataFrame | None = None,
    cost_labels: Mapping[str, str] | None = None,
    pictures: Pictures | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> str:
    """One self-contained page: findings, leaderboard, figures, view sets, failures, provenance.

    Args:
        items, metrics, cells, tables: see `bench.tables.build_grids`.
        costs, cost_labels: see `bench.plots.cost`.
        pictures: shown beside the best and worst view sets.
        provenance: anything that JSON holds; shown as it is.
    """
    summary = summarise(items)
    grids = build_grids(summary, metrics, cells, tables)
    shown = shown_layers(summary, metrics)
    style, script = _asset("report.css"), _asset("report.js")
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["line"] = one_line
    return environment.from_string(_asset("report.html.j2")).render(
        title=title,
        description=description,
        facts=_facts(items, cells),
        findings=list(_findings(items, summary, metrics, shown)),
        tables=[_table(grid) for grid in grids],
        figures=list(_figures(summary, metrics, costs, cost_labels or {})),
        view_sets=_view_sets(extreme_view_sets(items, metrics, shown), pictures or {}),
        failures=_failures(cells),
        provenance=[(key, _text(value)) for key, value in (provenance or {}).items()],
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )


def _facts(items: pd.DataFrame, cells: pd.DataFrame) -> list[tuple[str, int]]:
    names = {"models": "model", "datasets": "dataset", "tasks": "task"}
    facts = [(plural, int(cells[column].nunique())) for plural, column in names.items()]
    failed = int((cells["status"] == "failed").sum())
    return [
        *facts,
        ("scenes", len(items[["dataset", "scene"]].drop_duplicates())),
        ("view sets", len(items[["dataset", "scene", "set_id"]].drop_duplicates())),
        ("cells done", len(cells) - failed),
        ("cells failed", failed),
    ]


def _findings(
    items: pd.DataFrame, summary: pd.DataFrame, metrics: pd.DataFrame, shown: pd.DataFrame
) -> Iterator[tuple[str, str]]:
    """For each task and dataset the best backbone against the second best, in words; p is
    corrected for the best against each other backbone, since the best was not named before."""
    test = at_chosen_layers(summary[summary["split"] == "test"], shown)
    for task, own in test[test["role"] == "backbone"].groupby("task"):
        metric = headline_metric(metrics, task)
        sign = 0 if metric is None else direction(metrics, task, metric)
        scores = own[(own["metric"] == metric) & own["value"].notna()]
        best, *others = ranked(scores, sign) or [""]
        if sign == 0 or not others:
            continue
        pairs = compare(items, metrics, task, metric, [(best, other) for other in others])
        for row in pairs[pairs["model_b"] == others[0]].itertuples(index=False):
            yield f"{task}, {metric}", row.verdict


def _table(grid: Grid) -> dict[str, Any]:
    """folded: rows that are hidden until every layer is asked for, where that leaves something."""
    last = {row.model: row for row in grid.rows if row.block == "controls"}
    folded = {
        row
        for row in grid.rows
        if row.block == "layers" or (row.block == "controls" and row != last[row.model])
    }
    has_chosen = any(row.block == "chosen" for row in grid.rows)
    blocks = [(block, list(rows)) for block, rows in groupby(grid.rows, key=lambda row: row.block)]
    return {"grid": grid, "blocks": blocks, "folded": folded if has_chosen else set()}


def _figures(
    summary: pd.DataFrame,
    metrics: pd.DataFrame,
    costs: pd.DataFrame | None,
    cost_labels: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    """Caption and data URI; an SVG inside <img> runs nothing and shares no names with others."""
    for _, caption, plot in draw_all(summary, metrics):
        yield caption, _data_uri("image/svg+xml", svg_bytes(plot))
    for task in sorted(summary["task"].unique()) if costs is not None else ():
        metric = headline_metric(metrics, task)
        plot = cost(summary, metrics, task, str(metric), costs, cost_labels)
        if not plot.data.empty:
            yield f"{task}: score and cost", _data_uri("image/svg+xml", svg_bytes(plot))


def _view_sets(found: pd.DataFrame, pictures: Pictures) -> list[dict[str, Any]]:
    groups = []
    for (task, dataset, metric), group in found.groupby(["task", "dataset", "metric"], sort=False):
        rows, digits = [], decimals(group["value"])
        for row in group.itertuples(index=False):
            picture = pictures.get((row.dataset, row.scene, row.set_id))
            rows.append(
                {
                    "place": row.place,
                    "name": f"{row.scene} / {row.set_id}",
                    "value": f"{row.value:.{digits}f}",
                    "picture": None if picture is None else _data_uri("image/png", picture),
                }
            )
        groups.append({"task": task, "dataset": dataset, "metric": metric, "rows": rows})
    return groups


def _failures(cells: pd.DataFrame) -> list[tuple[str, str]]:
    failed = cells[cells["status"] == "failed"]
    return [
        (f"{cell.model}, {cell.layer}, {cell.dataset}, {cell.task}", str(cell.error))
        for cell in failed.itertuples(index=False)
    ]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)


def _asset(name: str) -> str:
    return files("bench.report").joinpath(name).read_text(encoding="utf-8")


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"


def _policy(style: str, script: str) -> str:
    """Content security policy: this style, this script, embedded pictures, nothing else."""
    style_hash, script_hash = (
        b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
        for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style_hash}'; "
        f"script-src 'sha256-{script_hash}'; base-uri 'none'; form-action 'none'"
    )
