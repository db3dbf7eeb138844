"""A published table before it is written down: rows, columns, marks and caption.

Every format (Markdown, terminal, HTML, LaTeX) writes the same grid.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any, Literal

import pandas as pd

from bench.results import GROUP_LAYER
from bench.stats import at_chosen_layers, choose_layers, direction, headline_metric, shown_layers

Block = Literal["chosen", "last", "layers", "controls"]
Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Table:
    """What a suite asks for: some metrics of one task."""

    title: str
    task: str
    metrics: tuple[str, ...]
    note: str | None = None


@dataclass(frozen=True)
class Column:
    """One metric on one dataset. sign: 1 higher is better, -1 lower, 0 no direction."""

    dataset: str
    metric: str
    sign: int

    @property
    def key(self) -> tuple[str, str]:
        return self.dataset, self.metric

    @property
    def arrow(self) -> str:
        return {1: " ↑", -1: " ↓", 0: ""}[self.sign]


@dataclass(frozen=True)
class Entry:
    """One number, as it is and as it is printed.

    text: '' where nothing was measured, 'unscored' where no view set was scored; interval: '' for
    these, '-' where there are too few scenes for one.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    text: str = ""
    interval: str = ""
    mark: Mark = ""


@dataclass(frozen=True)
class Row:
    """One line. Lines of one block stand together and compete for the marks: backbones at the
    layer chosen on val scenes, backbones at their last layer, every layer, floors and ceilings.

    only_layer: the model has no other, so that nothing was chosen.
    """

    model: str
    layer: str
    block: Block
    role: str
    entries: tuple[Entry, ...]
    only_layer: bool = False

    @property
    def note(self) -> str:
        """What the layer, or the row, is."""
        if self.block == "controls":
            return self.role
        notes = {"chosen": "layer chosen on val scenes", "last": "last layer"}
        return "" if self.only_layer else notes.get(self.block, "")


@dataclass(frozen=True)
class Grid:
    """A table ready to be written; rows are ordered by block.

    conditions: how the numbers were measured; legend: how to read them; failures: cells that gave
    no number, with the reason. Sentences.
    """

    title: str
    task: str
    preset: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    conditions: tuple[str, ...]
    legend: tuple[str, ...]
    failures: tuple[str, ...]


def default_tables(metrics: pd.DataFrame) -> tuple[Table, ...]:
    """One table per task with all its metrics, for suites that name none; those per viewing angle
    and the like (``metric/part``) are left to the figures."""
    tables = []
    for task, own in metrics.groupby("task", sort=False):
        first = headline_metric(metrics, str(task))
        names = [str(name) for name in own["metric"] if "/" not in str(name)]
        tables.append(Table(str(task), str(task), tuple(sorted(names, key=lambda n: n != first))))
    return tuple(tables)


def build_grids(
    summary: pd.DataFrame,
    metrics: pd.DataFrame,
    cells: pd.DataFrame,
    tables: Sequence[Table] = (),
    compact: bool = False,
) -> list[Grid]:
    """Grids of the test split, one per table and preset (presets never share a table).

    Args:
        summary: see `bench.stats.summarise`.
        metrics: columns task, metric, description, unit, higher_is_better, chance, headline.
        cells: columns model, layer, dataset, task, status, error, resolution, limit.
        tables: what to show; by default every metric of every task.
        compact: one row per model, at the layer chosen on val scenes or else the last.
    """
    grids = []
    for table in tables or default_tables(metrics):
        own = summary[(summary["task"] == table.task) & (summary["split"] == "test")]
        for preset in sorted(own["preset"].unique()) if not own.empty else [""]:
            grids.append(
                _grid(
                    table,
                    str(preset),
                    own[own["preset"] == preset],
                    summary[(summary["task"] == table.task) & (summary["preset"] == preset)],
                    metrics,
                    cells[cells["task"] == table.task],
                    compact,
                )
            )
    return grids


def _grid(
    table: Table,
    preset: str,
    test: pd.DataFrame,
    every_split: pd.DataFrame,
    metrics: pd.DataFrame,
    cells: pd.DataFrame,
    compact: bool,
) -> Grid:
    test = test[test["metric"].isin(table.metrics)]
    columns = tuple(
        Column(str(dataset), metric, direction(metrics, table.task, metric))
        for dataset in sorted(test["dataset"].unique())
        for metric in table.metrics
    )
    num_layers = every_split.groupby("model")["layer"].nunique()
    if compact:
        shown = shown_layers(every_split, metrics)
        test = at_chosen_layers(test, shown)
        chosen = shown[shown["chosen"]]
    else:
        chosen = choose_layers(every_split, metrics)
    return Grid(
        title=table.title,
        task=table.task,
        preset=preset,
        columns=columns,
        rows=_rows(
            test,
            columns,
            dict(zip(chosen["model"], chosen["layer"], strict=True)),
            set(num_layers.index[num_layers == 1]),
            compact,
        ),
        conditions=tuple(_conditions(preset, test, cells)),
        legend=tuple(_legend(table, metrics, _is_plain_mean(test))),
        failures=tuple(_failures(cells)),
    )


def _rows(
    test: pd.DataFrame,
    columns: Sequence[Column],
    chosen: dict[str, str],
    sole: Collection[str],
    compact: bool,
) -> tuple[Row, ...]:
    scores: dict[tuple[str, str], dict[tuple[str, str], Any]] = {}
    for score in test.sort_values(["model", "layer_index", "layer"]).itertuples(index=False):
        line = scores.setdefault((score.model, score.layer), {})
        line[score.dataset, score.metric] = score
    places = [
        decimals(line[column.key].value for line in scores.values() if column.key in line)
        for column in columns
    ]
    blocks: dict[Block, list[Row]] = {"chosen": [], "last": [], "layers": [], "controls": []}
    rest: Block = "last" if compact else "layers"
    for (model, layer), line in scores.items():
        role = str(next(iter(line.values())).role)
        entries = tuple(
            _entry(line.get(column.key), digits)
            for column, digits in zip(columns, places, strict=True)
        )
        is_chosen = chosen.get(model) == layer
        own: list[Block] = ["chosen"] if is_chosen else []
        if not (is_chosen and compact):
            own.append(rest if role == "backbone" else "controls")
        for block in own:
            blocks[block].append(Row(model, layer, block, role, entries, model in sole))
    rank = _ranks(chain.from_iterable(reversed(blocks.values())), columns)
    for rows in blocks.values():
        rows.sort(key=lambda row: rank[row.model])
    return tuple(marked(chain.from_iterable(blocks.values()), columns))


def _ranks(rows: Iterable[Row], columns: Sequence[Column]) -> dict[str, tuple[bool, float, str]]:
    """Sort key of each model: mean over datasets of the first metric at its last row given; a row
    with blanks has no mean and comes last."""
    keys: dict[str, tuple[bool, float, str]] = {}
    for row in rows:
        values = [
            column.sign * entry.value
            for column, entry in zip(columns, row.entries, strict=True)
            if column.metric == columns[0].metric
        ]
        mean = math.fsum(values) / len(values)
        keys[row.model] = (math.isnan(mean), 0.0 if math.isnan(mean) else -mean, row.model)
    return keys


def _entry(score: Any, digits: int) -> Entry:
    if score is None:
        return Entry()
    if math.isnan(score.value):
        return Entry(text="unscored")
    ends = (score.ci_low, score.ci_high)
    interval = "-" if math.isnan(ends[0]) else ", ".join(f"{end:.{digits}f}" for end in ends)
    return Entry(score.value, *ends, f"{score.value:.{digits}f}", interval)


def decimals(values: Iterable[float]) -> int:
    """Decimals that give the largest number of a column three significant digits."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return min(6, max(0, 3 - math.ceil(math.log10(largest)))) if largest > 0 else 3


def marked(rows: Iterable[Row], columns: Sequence[Column]) -> Iterator[Row]:
    """Rows with the best and second best of each column marked inside each block, by the printed
    number: what reads alike ties. Floors and ceilings do not compete."""
    for block, group in groupby(rows, key=lambda row: row.block):
        members = list(group)
        if block == "controls":
            yield from members
            continue
        lines = [list(row.entries) for row in members]
        for place, column in enumerate(columns):
            printed = {line[place].text for line in lines if not math.isnan(line[place].value)}
            if column.sign == 0 or len(printed) < 2:
                continue
            best, second = sorted(printed, key=lambda text: -column.sign * float(text))[:2]
            marks: dict[str, Mark] = {best: "best", second: "second"}
            for line in lines:
                line[place] = replace(line[place], mark=marks.get(line[place].text, ""))
        for row, line in zip(members, lines, strict=True):
            yield replace(row, entries=tuple(line))


def _conditions(preset: str, test: pd.DataFrame, cells: pd.DataFrame) -> Iterator[str]:
    rules = {str(dataset): rule for dataset, rule in _resolutions(cells)}
    if len(set(rules.values())) == 1:
        yield f"Resolution {next(iter(rules.values()))}."
    elif rules:
        yield "Resolution " + ", ".join(f"{rule} ({name})" for name, rule in rules.items()) + "."
    if preset:
        yield f"Preset {preset}."
    if test["layer"].eq(GROUP_LAYER).any():
        yield f"Layer {GROUP_LAYER}: all layers that the suite asks of a model, together."
    if _is_plain_mean(test):
        yield (
            "Mean over view sets, as published; no interval, because view sets of one scene are "
            "not independent."
        )
    lists = _lists(cells)
    for dataset, own in test.groupby("dataset"):
        sets = own["num_sets"] + own["num_unscored"]
        yield (
            f"{dataset}: {_count(own['num_scenes'].max(), 'test scene')}, "
            f"{_count(sets.max(), 'view set')}{lists.get(str(dataset), '')}, "
            f"{_unscored(own['num_unscored'])}."
        )
    limits = sorted({int(limit) for limit in cells["limit"].dropna()})
    if limits:
        numbers = " or ".join(str(limit) for limit in limits)
        yield f"Limited to {numbers} view sets a dataset: a trial, not a result."


def _legend(table: Table, metrics: pd.DataFrame, plain_mean: bool) -> Iterator[str]:
    if table.note:
        yield table.note
    if not plain_mean:
        yield (
            "Mean over scenes of the mean inside each scene, with the 95 % interval over scenes "
            "(Student t, from 30 scenes BCa bootstrap; '-' below 3 scenes)."
        )
    yield "Bold: best of its block; underlined: second. Floors and ceilings do not compete."
    own = metrics[(metrics["task"] == table.task) & metrics["metric"].isin(table.metrics)]
    for metric in own.itertuples(index=False):
        chance = "" if pd.isna(metric.chance) else f" (chance {metric.chance:g})"
        yield f"{metric.metric}: {metric.description.rstrip('.')}{chance}."


def _is_plain_mean(test: pd.DataFrame) -> bool:
    return bool((test["mean_over"] == "view_sets").any())


def _resolutions(cells: pd.DataFrame) -> Iterator[tuple[str, str]]:
    for dataset, rules in cells.groupby("dataset")["resolution"]:
        yield dataset, " and ".join(sorted({str(rule) for rule in rules}))


def _lists(cells: pd.DataFrame) -> dict[str, str]:
    """The published list behind each dataset: numbers compare only where it is the same."""
    if "list_hash" not in cells:
        return {}
    known = cells[cells["list_hash"].fillna("") != ""]
    return {
        str(dataset): " of list " + " and ".join(sorted({str(value)[:12] for value in values}))
        for dataset, values in known.groupby("dataset")["list_hash"]
    }


def _count(number: float, noun: str) -> str:
    return f"{int(number)} {noun}{'' if number == 1 else 's'}"


def _unscored(counts: pd.Series[int]) -> str:
    low, high = int(counts.min()), int(counts.max())
    if high == 0:
        return "all scored"
    return f"{high} unscored" if low == high else f"{low} to {high} unscored, by row"


def _failures(cells: pd.DataFrame) -> Iterator[str]:
    for cell in cells[cells["status"] == "failed"].itertuples(index=False):
        reason = " ".join(str(cell.error).split())
        yield f"{cell.model}, {cell.layer}, {cell.dataset}: {reason}"
