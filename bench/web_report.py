"""The HTML report of runs: data frames, pictures of the view sets, and how it was made."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from bench.datasets import datasets
from bench.errors import BenchError
from bench.merge import Run, merge
from bench.plots import costs_of
from bench.publish import load_run, suite_tables
from bench.report import Entry, extreme_view_sets, read_sheets, report_html, webp
from bench.results import Result, load_cells, planned_suite
from bench.stats import shown_layers, summarise
from bench.types import Dataset, ViewSetRef

#: Height of a view in the pictures of view sets, pixels.
VIEW_HEIGHT = 130
#: View sets with a picture on one page.
MAX_PICTURES = 160


def page(folders: Sequence[Path], figures: Iterable[Path] = ()) -> str:
    """One self-contained page of one run, or of several that were measured the same way.

    Args:
        figures: published files of the runs, whose feature maps and matches the page shows.

    Raises:
        BenchError: a folder without cells, or runs that were measured differently.
    """
    runs = [load_run(folder) for folder in folders]
    run = merge(runs) if len(runs) > 1 else runs[0]
    results = [result for folder in folders for result, _ in load_cells(folder)]
    suites = [planned_suite(folder) for folder in folders]
    sheets, left_out = read_sheets(figures)
    return report_html(
        title=" and ".join(str(suite.get("name", run.name)) for suite in suites),
        items=run.items,
        metrics=run.metrics,
        cells=run.cells,
        tables=[table for folder in folders for table in suite_tables(folder)],
        description=" ".join(str(suite.get("description", "")) for suite in suites),
        costs=costs_of(run.cells, timed=True),
        pictures=pictures(run, results),
        sheets=sheets,
        sheets_left_out=len(left_out),
        provenance=provenance(folders, results),
    )


def provenance(folders: Sequence[Path], results: Sequence[Result]) -> dict[str, Entry]:
    """How to repeat the runs, where they were made, and the hashes of what they were made from."""
    found: dict[str, Entry] = {}
    for folder in folders:
        record = _record(folder)
        suffix = f" ({folder.name})" if len(folders) > 1 else ""
        name = planned_suite(folder).get("name", folder.name)
        found[f"To repeat it{suffix}"] = command(record, str(name))
        wanted = ("started", "seconds", "device_name", "system", "commit")
        found[f"Made with{suffix}"] = {
            **{key.replace("_", " "): record[key] for key in wanted if record.get(key) is not None},
            **record.get("versions", {}),
        }
    found["Models"] = _rows(
        {
            "model": r.model,
            "model id": r.model_id,
            "weights (sha256)": r.weights or "-",
            "parameters": "-" if r.parameters is None else f"{r.parameters:,}",
            "precision": f"{r.precision}, stored as {r.storage}",
            "seed": r.seed,
            "configuration": r.config,
        }
        for r in results
    )
    found["Datasets"] = _rows(
        {
            "dataset": r.dataset,
            "name": r.dataset_name,
            "version": r.dataset_version,
            "list of view sets (sha256)": r.list_hash,
            "resolution": r.resolution,
            "limit": "all" if r.limit is None else r.limit,
            "options": r.dataset_options,
        }
        for r in results
    )
    found["Tasks"] = _rows(
        {"task": r.task, "name": r.task_name, "version": r.task_version, "parameters": r.params}
        for r in results
    )
    return {heading: value for heading, value in found.items() if value}


def command(record: Mapping[str, Any], suite: str) -> str:
    """Lines for a shell that make the run again; without a record, those of the suite's name."""
    words = list(map(str, record.get("command") or ["bench", "run", suite]))
    if words[0] == "__main__.py":
        words[:1] = ["python", "-m", "bench"]
    commit = str(record.get("commit") or "")
    checkout = [f"git checkout {commit.rstrip('+')}"] if commit else []
    if commit.endswith("+"):
        checkout[0] += "  # and changes that were not committed"
    return "\n".join([*checkout, shlex.join(words)])


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _rows(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row once."""
    return list({json.dumps(row, default=str): row for row in rows}.values())


def pictures(run: Run, results: Sequence[Result]) -> dict[tuple[str, str, str], bytes]:
    """WebP pictures of the best and worst view sets; those out of reach here are left out."""
    summary = summarise(run.items)
    found = extreme_view_sets(run.items, run.metrics, shown_layers(summary, run.metrics))
    place = found.groupby(["task", "dataset"])["model"].transform(lambda m: pd.factorize(m)[0])
    found = found.assign(place_of_model=place).sort_values("place_of_model", kind="stable")
    wanted = found.drop_duplicates(["dataset", "scene", "set_id"]).head(MAX_PICTURES)
    options = {r.dataset: (r.dataset_name, r.dataset_options) for r in results}
    drawn: dict[tuple[str, str, str], bytes] = {}
    for label, group in wanted.groupby("dataset"):
        name, config = options[str(label)]
        names = set(zip(group["scene"], group["set_id"], strict=True))
        try:
            dataset = datasets.get(name)(**config)
            refs = [r for r in dataset.view_sets() if (r.scene, r.set_id) in names]
            drawn |= {(str(label), r.scene, r.set_id): tiled(dataset, r) for r in refs}
        except BenchError:
            continue
    return drawn


def tiled(dataset: Dataset, ref: ViewSetRef) -> bytes:
    """The views of a set as tiles of a picture about as wide as it is high, as WebP."""
    views = [view.image.permute(1, 2, 0).numpy() for view in dataset.load(ref).views]
    widths = [round(view.shape[1] * VIEW_HEIGHT / view.shape[0]) for view in views]
    columns = math.ceil(math.sqrt(len(views)))
    rows = math.ceil(len(views) / columns)
    picture = Image.new("RGB", (columns * max(widths), rows * VIEW_HEIGHT), "#808080")
    for number, (view, width) in enumerate(zip(views, widths, strict=True)):
        tile = Image.fromarray(view).resize((width, VIEW_HEIGHT), Image.Resampling.LANCZOS)
        row, column = divmod(number, columns)
        left = column * max(widths) + (max(widths) - width) // 2
        picture.paste(tile, (left, row * VIEW_HEIGHT))
    return webp(picture)
