"""Leaderboards from a summary (see `bench.stats.summarise`): tidy CSV, Markdown, plain text."""

from bench.tables.grid import Grid, Table, build_grids, decimals, default_tables
from bench.tables.markdown import leaderboard_markdown
from bench.tables.terminal import leaderboard_text
from bench.tables.tidy import LEADERBOARD_COLUMNS, csv_text, leaderboard

__all__ = [
    "LEADERBOARD_COLUMNS",
    "Grid",
    "Table",
    "build_grids",
    "csv_text",
    "decimals",
    "default_tables",
    "leaderboard",
    "leaderboard_markdown",
    "leaderboard_text",
]
