"""The HTML report of runs: data frames, pictures of the view sets, and how it was made."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from bench.datasets import datasets
from bench.errors import BenchError
from bench.merge import Run, merge
from bench.publish import load_run, suite_tables
from bench.report import report_html
from bench.report.view_sets import extreme_view_sets
from bench.results import Result, load_cells, planned_suite
from bench.stats import shown_layers, summarise
from bench.types import Dataset, ViewSetRef

#: Height of the pictures beside the best and worst view sets, pixels.
PICTURE_HEIGHT = 150
COST_LABELS = {
    "parameters": "parameters [million]",
    "forward_ms": "forward pass per view [ms]",
}
#: Part of a run's record that a reader needs to repeat it.
PROVENANCE = ("command", "commit", "versions", "device_name", "precision", "seconds")


def page(folders: Sequence[Path]) -> str:
    """One self-contained page of one run, or of several that were measured the same way.

    Raises:
        BenchError: a folder without cells, or runs that were measured differently.
    """
    runs = [load_run(folder) for folder in folders]
    run = merge(runs) if len(runs) > 1 else runs[0]
    results = [result for folder in folders for result, _ in load_cells(folder)]
    suites = [planned_suite(folder) for folder in folders]
    return report_html(
        title=" and ".join(str(suite.get("name", run.name)) for suite in suites),
        items=run.items,
        metrics=run.metrics,
        cells=run.cells,
        tables=[table for folder in folders for table in suite_tables(folder)],
        description=" ".join(str(suite.get("description", "")) for suite in suites),
        costs=costs(run.cells),
        cost_labels=COST_LABELS,
        pictures=pictures(run, results),
        provenance=provenance(folders, results),
    )


def costs(cells: pd.DataFrame) -> pd.DataFrame:
    """Parameters and mean time of the forward pass of each model; NaN where not known."""
    known = cells.assign(parameters=cells["parameters"].astype("float64") / 1e6)
    return known.groupby("model", sort=False)[list(COST_LABELS)].mean().reset_index()


def provenance(folders: Sequence[Path], results: Sequence[Result]) -> dict[str, Any]:
    """How the runs were made, and the hashes of what they were made from."""
    found: dict[str, Any] = {}
    for folder in folders:
        try:
            record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            record = {}
        found[f"run {folder.name}"] = {key: record[key] for key in PROVENANCE if key in record}
    found["weights"] = {result.model: result.weights for result in results}
    found["lists of view sets"] = {result.dataset: result.list_hash for result in results}
    return found


def pictures(run: Run, results: Sequence[Result]) -> dict[tuple[str, str, str], bytes]:
    """PNG strips of the best and worst view sets; those out of reach here are left out."""
    summary = summarise(run.items)
    wanted = extreme_view_sets(run.items, run.metrics, shown_layers(summary, run.metrics))
    options = {r.dataset: (r.dataset_name, r.dataset_options) for r in results}
    found: dict[tuple[str, str, str], bytes] = {}
    for label, group in wanted.groupby("dataset"):
        name, config = options[str(label)]
        names = set(zip(group["scene"], group["set_id"], strict=True))
        try:
            dataset = datasets.get(name)(**config)
            refs = [r for r in dataset.view_sets() if (r.scene, r.set_id) in names]
            found |= {(str(label), r.scene, r.set_id): strip(dataset, r) for r in refs}
        except BenchError:
            continue
    return found


def strip(dataset: Dataset, ref: ViewSetRef) -> bytes:
    """The views of a set side by side, as PNG with a palette (a third of the bytes)."""
    images = [view.image.permute(1, 2, 0).numpy() for view in dataset.load(ref).views]
    small = [
        np.asarray(
            Image.fromarray(image).resize(
                (round(image.shape[1] * PICTURE_HEIGHT / image.shape[0]), PICTURE_HEIGHT)
            )
        )
        for image in images
    ]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(small, axis=1)).quantize(128).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
