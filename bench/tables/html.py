"""Leaderboards as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape as _escape
from itertools import groupby

from bench.tables.grid import Entry, Grid
from bench.tables.labels import one_line

_MARKS = {"": "{}", "best": "<b>{}</b>", "second": "<u>{}</u>"}
_STYLE = """:root { color-scheme: light dark; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; white-space: nowrap; }
th:nth-child(-n + 2), td:nth-child(-n + 2) { text-align: left; }
thead, tbody { border-bottom: 1px solid; }
small { opacity: .75; }"""


def grids_html(grids: Iterable[Grid], title: str) -> str:
    """A page with one section per grid; it needs nothing from outside."""
    sections = "\n".join(line for grid in grids for line in _section(grid))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{sections}\n</body>\n</html>\n"
    )


def escape(text: object) -> str:
    """Text that HTML shows as it is, inside elements and attributes."""
    return _escape(one_line(text), quote=True)


def _section(grid: Grid) -> Iterator[str]:
    yield f"<section>\n<h2>{escape(grid.title)}</h2>"
    if grid.rows:
        yield '<div class="scroll">\n<table>'
        yield "<thead>"
        heads = (f"{escape(c.dataset)}<br>{escape(c.metric)}{c.arrow}" for c in grid.columns)
        yield _line("th", ["model", "layer", *heads])
        yield "</thead>"
        for _, rows in groupby(grid.rows, key=lambda row: row.block):
            yield "<tbody>"
            for row in rows:
                layer = escape(row.layer) + (f" <small>({row.note})</small>" if row.note else "")
                yield _line("td", [escape(row.model), layer, *map(_number, row.entries)])
            yield "</tbody>"
        yield "</table>\n</div>"
    else:
        yield "<p>No test scores.</p>"
    yield from _list((*grid.conditions, *grid.legend))
    if grid.failures:
        yield "<p>Failed:</p>"
        yield from _list(grid.failures)
    yield "</section>"


def _number(entry: Entry) -> str:
    interval = f" <small>[{entry.interval}]</small>" if entry.interval else ""
    return _MARKS[entry.mark].format(entry.text) + interval


def _line(tag: str, parts: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{part}</{tag}>" for part in parts) + "</tr>"


def _list(sentences: Iterable[str]) -> Iterator[str]:
    yield "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"
