"""From the cells of a run to what a paper can print: leaderboard, records and figures.

Nothing written here holds times, hosts or paths, so that an equal run gives equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench import plots, tables
from bench.results import (
    Result,
    cells_frame,
    load_cells,
    load_results,
    metrics_frame,
    planned_suite,
    write_text,
)
from bench.stats import scene_means, summarise


@dataclass(frozen=True)
class Published:
    """What was written, and the leaderboard as text for a terminal."""

    files: tuple[Path, ...]
    text: str


@dataclass(frozen=True)
class Frames:
    """A run as data frames; see ``bench.results`` and ``bench.stats.summarise``."""

    items: pd.DataFrame
    summary: pd.DataFrame
    metrics: pd.DataFrame
    cells: pd.DataFrame


def load_frames(run: Path) -> Frames:
    """Everything that tables, plots and reports are made of.

    Raises:
        BenchError: `run` holds no cells.
    """
    results: list[Result] = [result for result, _ in load_cells(run)]
    items = load_results(run)
    return Frames(items, summarise(items), metrics_frame(results), cells_frame(results))


def publish(run: Path, figures: bool = True) -> Published:
    """Write leaderboard.md, leaderboard.csv, records.csv and figures/ of a run folder."""
    frames = load_frames(run)
    suite = planned_suite(run)
    wanted = [
        tables.Table(t["title"], t["task"], tuple(t["metrics"]), t.get("note"))
        for t in suite.get("tables", [])
    ]
    title = f"Leaderboard: {suite.get('name', run.name)}"
    markdown = tables.leaderboard_markdown(
        frames.summary, frames.metrics, frames.cells, wanted, title
    )
    texts = {
        "leaderboard.md": markdown,
        "leaderboard.csv": tables.csv_text(tables.leaderboard(frames.summary)),
        "records.csv": tables.csv_text(scene_means(frames.items)),
    }
    files = []
    for name, text in texts.items():
        write_text(run / name, text)
        files.append(run / name)
    if figures and not frames.items.empty:
        files.extend(plots.write_figures(frames.summary, frames.metrics, run / "figures"))
    text = tables.leaderboard_text(frames.summary, frames.metrics, frames.cells, wanted)
    return Published(tuple(files), text)
