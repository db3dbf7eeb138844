"""Merged leaderboards: what may stand together, averages, and every writer's escaping."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from bench.errors import BenchError
from bench.merge import Run, merge
from bench.stats import summarise
from bench.tables import (
    Grid,
    Table,
    build_grids,
    grids_html,
    grids_json,
    grids_latex,
    grids_markdown,
    with_averages,
)
from bench.tables.labels import one_line
from tests.unit.hostile import HOSTILE
from tests.unit.synthetic_frames import TASK, cells_frame, items_frame, metrics_frame

CONTROLLED = "auroc_position_controlled"
TABLES = (
    Table("Correspondence", TASK, (CONTROLLED, "auroc")),
    Table("Depth", "depth", ("rmse_m",)),
)


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    return items_frame(num_models=4, num_scenes=8, sets_per_scene=1, angles=False)


def run(items: pd.DataFrame, name: str, models: list[str], **cells: object) -> Run:
    own = items[items["model"].isin(models)]
    frame = cells_frame(own).assign(**{"model_id": "m", "weights": "w", **cells})
    # A key is that of the cell, wherever it was computed.
    key = frame[["model", "layer", "dataset", "task"]].agg("|".join, axis=1)
    return Run(name, own, metrics_frame(), frame.assign(key=key))


def grids(merged: Run) -> list[Grid]:
    found = build_grids(summarise(merged.items), merged.metrics, merged.cells, TABLES, compact=True)
    return [with_averages(grid) for grid in found]


def test_runs_become_one_table(items: pd.DataFrame) -> None:
    merged = merge([run(items, "a", ["DINOv2-S", "rgb"]), run(items, "b", ["MAE-B", "rgb"])])
    assert merged.name == "a + b"
    grid = grids(merged)[0]
    assert [row.model for row in grid.rows] == ["DINOv2-S", "MAE-B", "rgb"]
    alone = build_grids(
        summarise(items[items["model"].isin(["DINOv2-S", "MAE-B", "rgb"])]),
        metrics_frame(),
        cells_frame(items),
        TABLES,
        compact=True,
    )[0]
    assert [row.entries[:4] for row in grid.rows] == [row.entries for row in alone.rows]


def test_one_label_for_two_models_is_told_apart(items: pd.DataFrame) -> None:
    merged = merge([run(items, "a", ["MAE-B"]), run(items, "b", ["MAE-B"], weights="other")])
    assert set(merged.items["model"]) == {"MAE-B (a)", "MAE-B (b)"}
    assert set(merged.cells["model"]) == {"MAE-B (a)", "MAE-B (b)"}


def test_one_label_with_two_keys_is_told_apart(items: pd.DataFrame) -> None:
    first, second = run(items, "a", ["MAE-B", "rgb"]), run(items, "b", ["MAE-B", "rgb"])
    changed = second.cells.assign(
        key=second.cells["key"].where(second.cells["model"] == "rgb", "another")
    )
    merged = merge([first, Run("b", second.items, second.metrics, changed)])
    assert set(merged.items["model"]) == {"MAE-B (a)", "MAE-B (b)", "rgb"}


def test_a_model_run_on_two_datasets_is_one_row(items: pd.DataFrame) -> None:
    parts = [
        run(items[items["dataset"] == dataset], dataset, ["MAE-B", "DINOv2-S"])
        for dataset in ("blendedmvs", "scannetpp")
    ]
    grid = grids(merge(parts))[0]
    assert [row.model for row in grid.rows] == ["DINOv2-S", "MAE-B"]
    assert all(entry.text for row in grid.rows for entry in row.entries)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"task_version": 2}, "task version is 1 (DINOv2-S in a and 1 more), 2 (MAE-B in b)"),
        ({"resolution": "native"}, "resolution rule is patches=37"),
        ({"list_hash": "0" * 64}, "list of view sets is 5f5f5f5f5f5f"),
        ({"limit": 3}, "limit is none"),
        ({"params": '{"preset": "legacy"}'}, "preset is none"),
        ({"dataset_params": '{"crop": "probe3d"}'}, "dataset option crop is none"),
    ],
)
def test_what_differs_is_named(items: pd.DataFrame, cells: dict[str, object], words: str) -> None:
    with pytest.raises(BenchError) as caught:
        merge([run(items, "a", ["DINOv2-S", "rgb"]), run(items, "b", ["MAE-B"], **cells)])
    assert words in caught.value.what


def test_averages_by_hand(items: pd.DataFrame) -> None:
    merged = merge([run(items, "a", ["DINOv2-S", "DINOv2-B", "MAE-B", "rgb"])])
    for grid in grids(merged):
        first = [i for i, c in enumerate(grid.columns[:-2]) if c.metric == grid.columns[0].metric]
        assert [column.dataset for column in grid.columns[-2:]] == ["mean", "mean rank"]
        backbones = [row for row in grid.rows if row.role == "backbone"]
        for row in grid.rows:
            values = [row.entries[i].value for i in first]
            assert row.entries[-2].value == pytest.approx(sum(values) / 2)
            ranks = [
                1
                + sum(
                    grid.columns[0].sign * (other.entries[i].value - row.entries[i].value) > 0
                    for other in backbones
                )
                for i in first
            ]
            if row.role == "backbone":
                assert row.entries[-1].value == pytest.approx(sum(ranks) / 2)
            else:
                assert row.entries[-1].text == ""


def test_a_row_with_blanks_has_no_average_and_moves_no_rank(items: pd.DataFrame) -> None:
    whole = grids(merge([run(items, "a", ["DINOv2-S", "MAE-B"])]))[0]
    partial = items[(items["model"] != "DINOv2-B") | (items["dataset"] == "scannetpp")]
    grid = grids(merge([run(partial, "a", ["DINOv2-S", "DINOv2-B", "MAE-B"])]))[0]
    averages = {row.model: [entry.text for entry in row.entries[-2:]] for row in grid.rows}
    assert averages.pop("DINOv2-B") == ["", ""]
    assert averages == {row.model: [e.text for e in row.entries[-2:]] for row in whole.rows}
    assert grid.rows[-1].model == "DINOv2-B"


def test_one_dataset_needs_no_average(items: pd.DataFrame) -> None:
    own = items[items["dataset"] == "scannetpp"]
    grid = grids(merge([run(own, "a", ["MAE-B", "rgb"])]))[0]
    assert [column.dataset for column in grid.columns] == ["scannetpp"] * 2


def test_json_reads_back(items: pd.DataFrame) -> None:
    few = items[items["scene"].isin(["scene_001", "scene_002"])]
    merged = merge([run(few, "a", ["MAE-B", "rgb"])])
    table, _ = json.loads(grids_json(grids(merged)))
    first = table["rows"][0]
    assert (first["model"], first["role"]) == ("MAE-B", "backbone")
    assert first["scores"][0]["value"] == grids(merged)[0].rows[0].entries[0].value
    assert first["scores"][0]["ci_low"] is None
    assert table["columns"][0] == {
        "dataset": "blendedmvs",
        "metric": CONTROLLED,
        "higher_is_better": True,
    }


class Page(HTMLParser):
    """Cells of every row, and all tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def hostile_grids(items: pd.DataFrame, label: str) -> list[Grid]:
    own = items[items["model"] == "MAE-B"].assign(model=label, dataset=label)
    own = own.drop_duplicates(["layer", "task", "metric", "scene", "set_id"])
    cells = cells_frame(own)
    cells.loc[cells["status"] == "failed", "error"] = label
    tables = [Table(label, TASK, ("auroc",), note=label)]
    return build_grids(summarise(own), metrics_frame(), cells, tables)


@pytest.mark.parametrize("label", HOSTILE)
def test_html_shows_labels_as_they_are(items: pd.DataFrame, label: str) -> None:
    page = Page()
    page.feed(grids_html(hostile_grids(items, label), label))
    assert {row[0] for row in page.rows[1:]} == {one_line(label)}
    assert page.attributes == {"lang", "charset", "class"}
    assert "script" not in page.tags
    assert "a" not in page.tags


#: What `escape` may write, and the text it stands for.
LATEX = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\textquotedbl{}": '"',
    r"\ldots{}": "…",
    **{f"\\{char}": char for char in "&%$#_{}"},
}


@pytest.mark.parametrize("label", HOSTILE)
def test_latex_shows_labels_as_they_are(items: pd.DataFrame, label: str) -> None:
    text = grids_latex(hostile_grids(items, label))
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if "block" in line]
    assert len(lines) == 5
    for line in lines:
        cells = re.split(r"(?<!\\)&", line)
        assert len(cells) == 3
        assert line.endswith(r" \\")
        name = cells[0].strip().removeprefix("{").removesuffix("}")
        pattern = "|".join(re.escape(command) for command in LATEX)
        assert re.sub(pattern, lambda found: LATEX[found[0]], name) == one_line(label)
        assert not re.search(r"[&%$#_^~{}\\]", re.sub(pattern, "", name))


def test_every_writer_says_that_there_is_nothing(items: pd.DataFrame) -> None:
    empty = build_grids(
        summarise(items.head(0)), metrics_frame(), cells_frame(items).head(0), TABLES
    )
    assert grids_markdown(empty, "t").count("No test scores.") == 2
    assert grids_html(empty, "t").count("No test scores.") == 2
    assert json.loads(grids_json(empty))[0]["rows"] == []
    assert grids_latex(empty).count(r"\begin{tabular}{ll}") == 2
    assert [with_averages(grid) for grid in empty] == empty
