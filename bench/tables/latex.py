"""Leaderboards as LaTeX tables in the style of booktabs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from bench.tables.grid import Column, Entry, Grid
from bench.tables.labels import one_line

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "…": r"\ldots{}",
        **{char: f"\\{char}" for char in "&%$#_{}"},
    }
)
_MARKS = {"": "{}", "best": r"\textbf{{{}}}", "second": r"\underline{{{}}}"}
_HEADER = """\
% Needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}. Labels outside Latin script need
% XeLaTeX or LuaLaTeX and a font that has them."""


def grids_latex(grids: Iterable[Grid]) -> str:
    """One ``table`` environment per grid, with its conditions and legend in the caption."""
    return "\n\n".join([_HEADER, *("\n".join(_lines(grid)) for grid in grids)]) + "\n"


def escape(text: object) -> str:
    """Text that LaTeX prints as it is."""
    return one_line(text).translate(_SPECIAL)


def _lines(grid: Grid) -> Iterator[str]:
    caption = " ".join(escape(sentence) for sentence in (*grid.conditions, *grid.legend))
    yield r"\begin{table}"
    yield r"  \centering"
    yield f"  \\caption{{\\textbf{{{escape(grid.title)}}}. {caption}}}"
    yield f"  \\begin{{tabular}}{{ll{'r' * len(grid.columns)}}}"
    yield r"    \toprule"
    yield from _heads(grid.columns)
    for _, rows in groupby(grid.rows, key=lambda row: row.block):
        yield r"    \midrule"
        for row in rows:
            layer = escape(row.layer) + (f" ({row.note})" if row.note else "")
            yield _line([escape(row.model), layer, *(_number(entry) for entry in row.entries)])
    yield r"    \bottomrule"
    yield r"  \end{tabular}"
    yield r"\end{table}"
    yield from (f"% failed: {one_line(failure)}" for failure in grid.failures)


def _heads(columns: tuple[Column, ...]) -> Iterator[str]:
    """Datasets over the metrics that belong to them."""
    tops, rules, start = ["", ""], [], 3
    for dataset, group in groupby(columns, key=lambda column: column.dataset):
        width = len(list(group))
        tops.append(f"\\multicolumn{{{width}}}{{c}}{{{escape(dataset)}}}")
        rules.append(f"\\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    yield _line(tops)
    yield "    " + " ".join(rules)
    yield _line(["model", "layer", *(escape(f"{c.metric}{c.arrow}") for c in columns)])


def _number(entry: Entry) -> str:
    interval = f" {{\\scriptsize [{entry.interval}]}}" if entry.interval else ""
    return _MARKS[entry.mark].format(entry.text) + interval


def _line(parts: list[str]) -> str:
    # The braces keep a label that starts with [ from being read as an argument of \\.
    return f"    {{{parts[0]}}} & {' & '.join(parts[1:])} \\\\"
