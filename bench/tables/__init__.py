"""Leaderboards from a summary (see `bench.stats.summarise`), in every format from one grid."""

from bench.tables.averages import with_averages
from bench.tables.grid import Grid, Table, build_grids, decimals, default_tables
from bench.tables.grid_json import grids_json
from bench.tables.html import grids_html
from bench.tables.latex import grids_latex
from bench.tables.markdown import grids_markdown, leaderboard_markdown
from bench.tables.terminal import grid_text, leaderboard_text
from bench.tables.tidy import LEADERBOARD_COLUMNS, csv_text, leaderboard

__all__ = [
    "LEADERBOARD_COLUMNS",
    "Grid",
    "Table",
    "build_grids",
    "csv_text",
    "decimals",
    "default_tables",
    "grid_text",
    "grids_html",
    "grids_json",
    "grids_latex",
    "grids_markdown",
    "leaderboard",
    "leaderboard_markdown",
    "leaderboard_text",
    "with_averages",
]
