"""From the cells of a run to what a paper can print: leaderboard, records and figures.

Nothing written here holds times, hosts or paths, so that an equal run gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from bench import plots, tables
from bench.atomic import write_text
from bench.compare import compare
from bench.merge import Run, merge
from bench.plots.artifacts import CellArtifacts, write_artifact_figures
from bench.results import (
    cells_frame,
    load_cells,
    load_results,
    metrics_frame,
    planned_suite,
)
from bench.stats import scene_means, summarise

Format = Literal["text", "markdown", "csv", "latex", "html", "json"]


@dataclass(frozen=True)
class Published:
    """What was written, and the leaderboard as text for a terminal."""

    files: tuple[Path, ...]
    text: str


def load_run(folder: Path) -> Run:
    """A run as data frames: everything that tables, plots and reports are made of.

    Raises:
        BenchError: `folder` holds no cells.
    """
    results = [result for result, _ in load_cells(folder)]
    items = load_results(folder)
    return Run(folder.name, items, metrics_frame(results), cells_frame(results))


def suite_tables(folder: Path) -> list[tables.Table]:
    """The tables that the run's suite asks for."""
    return [
        tables.Table(t["title"], t["task"], tuple(t["metrics"]), t.get("note"))
        for t in planned_suite(folder).get("tables", [])
    ]


def publish(folder: Path, reference: str | None = None) -> Published:
    """Write leaderboard.md, leaderboard.csv, records.csv and figures/ of a run folder.

    What other processes finish in the meantime is published too: the files never stay behind the
    cells, whoever writes them last.

    Args:
        reference: the model that gives feature maps their colours, see `write_artifact_figures`.
    """
    while True:
        seen = _state(folder)
        published = _publish(folder, reference)
        if _state(folder) == seen:
            return published


def _state(folder: Path) -> list[tuple[Path, int]]:
    """Which records the cells have now."""
    records = [cell / "result.json" for _, cell in load_cells(folder)]
    return [(record, record.stat().st_mtime_ns) for record in records]


def _publish(folder: Path, reference: str | None) -> Published:
    run = load_run(folder)
    summary = summarise(run.items)
    files = []
    for name, text in _texts(folder, run, summary).items():
        write_text(folder / name, text)
        files.append(folder / name)
    if not run.items.empty:
        # Times differ from run to run, and published files hold none: there, a cost is a size,
        # and one backbone has none to compare.
        several = run.cells.loc[run.cells["role"] == "backbone", "model"].nunique() > 1
        sizes = plots.costs_of(run.cells, timed=False) if several else None
        files.extend(plots.write_figures(summary, run.metrics, folder / "figures", sizes))
        files.extend(
            write_artifact_figures(_artifacts(folder), folder / "figures", reference=reference)
        )
    text = tables.leaderboard_text(summary, run.metrics, run.cells, suite_tables(folder))
    return Published(tuple(files), text)


def _artifacts(folder: Path) -> list[CellArtifacts]:
    """What the finished cells left behind besides scores: maps, matches, sketches."""
    return [
        CellArtifacts(r.model, r.layer, r.dataset, r.task_name, cell / "artifacts", r.task)
        for r, cell in load_cells(folder)
        if r.status == "done" and (cell / "artifacts").is_dir()
    ]


def stale_files(folder: Path) -> list[Path]:
    """Published files that are not those of the run's cells."""
    run = load_run(folder)
    fresh = _texts(folder, run, summarise(run.items))
    return [folder / name for name, text in fresh.items() if _read(folder / name) != text]


def _texts(folder: Path, run: Run, summary: pd.DataFrame) -> dict[str, str]:
    title = f"Leaderboard: {planned_suite(folder).get('name', folder.name)}"
    wanted = suite_tables(folder)
    return {
        "leaderboard.md": tables.leaderboard_markdown(
            summary, run.metrics, run.cells, wanted, title
        ),
        "leaderboard.csv": tables.csv_text(tables.leaderboard(summary)),
        "records.csv": tables.csv_text(scene_means(run.items)),
    }


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


def merged_leaderboard(folders: Sequence[Path], form: Format) -> str:
    """One leaderboard of several runs: a row per model, the mean rank beside the mean.

    Raises:
        BenchError: the runs were not measured the same way; the message says what differs.
    """
    run = merge([load_run(folder) for folder in folders])
    summary = summarise(run.items)
    if form == "csv":
        return tables.csv_text(tables.leaderboard(summary))
    found = tables.build_grids(summary, run.metrics, run.cells, _wanted(folders), compact=True)
    grids = [tables.with_averages(grid) for grid in found]
    if form == "text":
        return "\n\n".join(tables.grid_text(grid) for grid in grids) + "\n"
    if form == "json":
        return tables.grids_json(grids)
    if form == "latex":
        return tables.grids_latex(grids)
    title = "Leaderboard: " + ", ".join(folder.name for folder in folders)
    writer = tables.grids_markdown if form == "markdown" else tables.grids_html
    return writer(grids, title)


def _wanted(folders: Sequence[Path]) -> list[tables.Table]:
    """Tables of all suites; one title once."""
    found = {table.title: table for folder in folders for table in suite_tables(folder)}
    return list(found.values())


def comparison(
    folders: Sequence[Path],
    pair: tuple[str, str],
    task: str | None = None,
    metric: str | None = None,
    out: Path | None = None,
) -> pd.DataFrame:
    """Paired comparison of two models over the runs' shared view sets (see ``bench.compare``).

    Args:
        task: default: the first task of the runs.
        out: folder for a forest plot with the numbers behind it.

    Raises:
        BenchError: unknown model, task or metric, or runs measured differently.
    """
    run = merge([load_run(folder) for folder in folders])
    chosen = task or str(run.metrics["task"].iloc[0])
    found = compare(run.items, run.metrics, chosen, metric, [pair])
    if out is not None:
        label = f"difference in {found['metric'].iloc[0]}"
        plots.save(plots.forest(found, label), out / "forest")
    return found
