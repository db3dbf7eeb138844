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
from bench.plots import Costs, Plot, draw_all, svg_bytes
from bench.report.sheets import KINDS, Sheet
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

#: WebP bytes of a view set, by dataset, scene and set.
Pictures = Mapping[tuple[str, str, str], bytes]
#: Text, names with values, or a table as a list of rows.
Entry = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
#: Pixels of the page to an inch of a figure: 8 points are read as easily as the page's text.
PIXELS_PER_INCH = 118


def report_html(
    title: str,
    items: pd.DataFrame,
    metrics: pd.DataFrame,
    cells: pd.DataFrame,
    tables: Sequence[Table] = (),
    description: str = "",
    costs: Costs | None = None,
    pictures: Pictures | None = None,
    sheets: Sequence[Sheet] = (),
    sheets_left_out: int = 0,
    provenance: Mapping[str, Entry] | None = None,
) -> str:
    """One self-contained page: findings, leaderboard, figures, view sets, failures, provenance.

    Args:
        items, metrics, cells, tables: see `bench.tables.build_grids`.
        costs: see `bench.plots.cost`.
        pictures: shown beside the best and worst view sets.
        sheets, sheets_left_out: feature maps, matches and similarities, and how many more there
            are in the run folder.
        provenance: heading -> what stands below it.
    """
    summary = summarise(items)
    grids = build_grids(summary, metrics, cells, tables)
    shown = shown_layers(summary, metrics)
    style, script = _asset("report.css"), _asset("report.js")
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {"line": one_line, "json": json.dumps}
    return environment.from_string(_asset("report.html.j2")).render(
        title=title,
        description=description,
        facts=_facts(items, cells),
        findings=list(_findings(items, summary, metrics, shown)),
        tables=[_table(grid) for grid in grids],
        figures=_figures(summary, metrics, costs),
        sheets=list(_sheets(sheets)),
        sheets_left_out=sheets_left_out,
        view_sets=_view_sets(extreme_view_sets(items, metrics, shown), pictures or {}),
        failures=_failures(cells),
        provenance=[(key, _table_of(value)) for key, value in (provenance or {}).items()],
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
    costs: Costs | None,
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Figures under their headings."""
    found: dict[str, list[dict[str, Any]]] = {}
    for drawing in draw_all(summary, metrics, costs):
        found.setdefault(drawing.subject, []).append(_figure(drawing.caption, drawing.plot))
    return list(found.items())


def _figure(caption: str, plot: Plot) -> dict[str, Any]:
    """An SVG inside <img> runs nothing and shares no names with others."""
    width, height = plot.figure.get_size_inches() * PIXELS_PER_INCH
    return {
        "caption": caption,
        "source": _data_uri("image/svg+xml", svg_bytes(plot)),
        "width": round(width),
        "height": round(height),
    }


def _sheets(sheets: Sequence[Sheet]) -> Iterator[dict[str, Any]]:
    """Per dataset and kind: the contact sheets, and the pictures of single scenes."""
    keys = dict.fromkeys((sheet.dataset, sheet.kind) for sheet in sheets)
    for dataset, kind in sorted(keys, key=lambda key: (key[0], list(KINDS).index(key[1]))):
        own = [sheet for sheet in sheets if (sheet.dataset, sheet.kind) == (dataset, kind)]
        pictures = [
            {
                "caption": sheet.name,
                "is_overview": sheet.is_overview,
                "source": _data_uri("image/webp", sheet.data),
                "width": sheet.size[0],
                "height": sheet.size[1],
            }
            for sheet in own
        ]
        yield {"dataset": dataset, "name": KINDS[kind], "pictures": pictures}


def _view_sets(found: pd.DataFrame, pictures: Pictures) -> dict[str, Any] | None:
    """Each view set once, with its picture; who does best and worst on which, by their numbers."""
    if found.empty:
        return None
    sets = {key: place for place, key in enumerate(_set_keys(found).unique())}
    groups = []
    for (task, dataset, metric), group in found.groupby(["task", "dataset", "metric"], sort=False):
        digits = decimals(group["value"])
        lists = []
        for model, own in group.groupby("model", sort=False, dropna=False):
            mean = pd.isna(model)
            layer = "" if mean or own["layer"].iloc[0] == "output" else f", {own['layer'].iloc[0]}"
            rows = zip(_set_keys(own), own["value"], own["place"], strict=True)
            lists.append(
                {
                    "name": "mean of the backbones" if mean else one_line(f"{model}{layer}"),
                    "entries": [[sets[key], f"{v:.{digits}f}", place] for key, v, place in rows],
                }
            )
        groups.append({"name": one_line(f"{task}, {dataset} ({metric})"), "lists": lists})
    cards = []
    for (dataset, scene, set_id), number in sets.items():
        picture = pictures.get((dataset, scene, set_id))
        source = None if picture is None else _data_uri("image/webp", picture)
        name = f"{dataset}: {scene} / {set_id}"
        cards.append({"number": number, "name": name, "source": source})
    missing = sum(card["source"] is None for card in cards)
    return {"groups": groups, "cards": cards, "missing": missing}


def _set_keys(rows: pd.DataFrame) -> pd.Series[Any]:
    keys = list(zip(rows["dataset"], rows["scene"], rows["set_id"], strict=True))
    return pd.Series(keys, index=rows.index, dtype=object)


def _failures(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """Per model and reason, the cells that it stopped."""
    found: dict[tuple[str, str], list[str]] = {}
    for cell in cells[cells["status"] == "failed"].itertuples(index=False):
        names = found.setdefault((str(cell.model), str(cell.error)), [])
        names.append(f"{cell.layer}, {cell.dataset}, {cell.task}")
    return [
        {"model": model, "reason": reason, "cells": names}
        for (model, reason), names in found.items()
    ]


def _table_of(value: Entry) -> dict[str, Any]:
    """Text, or rows with the names of their columns."""
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, Mapping):
        return {"head": [], "rows": [[str(key), _text(entry)] for key, entry in value.items()]}
    head = list(dict.fromkeys(name for row in value for name in row))
    return {"head": head, "rows": [[_text(row.get(name, "")) for name in head] for row in value]}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


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
