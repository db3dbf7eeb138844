"""Leaderboards: content, marks, captions and labels that try to break out."""

from __future__ import annotations

import io
import math
from html.parser import HTMLParser

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from bench.stats import summarise
from bench.tables import (
    LEADERBOARD_COLUMNS,
    Grid,
    Table,
    build_grids,
    csv_text,
    default_tables,
    leaderboard,
    leaderboard_markdown,
    leaderboard_text,
)
from bench.tables.labels import one_line, shortened
from tests.unit.hostile import HOSTILE
from tests.unit.synthetic_frames import TASK, cells_frame, items_frame, metrics_frame

CONTROLLED = "auroc_position_controlled"
TABLES = (
    Table("Correspondence", TASK, (CONTROLLED, "auroc")),
    Table("Depth", "depth", ("rmse_m",), note="Linear probe."),
)


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    return items_frame(num_models=3)


@pytest.fixture(scope="module")
def summary(items: pd.DataFrame) -> pd.DataFrame:
    return summarise(items)


@pytest.fixture(scope="module")
def cells(items: pd.DataFrame) -> pd.DataFrame:
    return cells_frame(items)


class Cells(HTMLParser):
    """Rows of text of every table of a page, and the tags that occur."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][-1] += data


def rendered(markdown: str) -> Cells:
    parser = Cells()
    parser.feed(MarkdownIt("commonmark").enable("table").render(markdown))
    return parser


def test_leaderboard_columns_and_counts(summary: pd.DataFrame) -> None:
    frame = leaderboard(summary)
    assert tuple(frame.columns) == LEADERBOARD_COLUMNS
    assert len(frame) == len(summary)
    assert not frame.duplicated(["model", "layer", "dataset", "split", "task", "metric"]).any()


def test_leaderboard_bytes_do_not_depend_on_order(items: pd.DataFrame) -> None:
    texts = {
        csv_text(leaderboard(summarise(items.sample(frac=1.0, random_state=seed)).sample(frac=1)))
        for seed in (1, 2)
    }
    assert len(texts) == 1


def test_csv_has_six_digits_and_empty_nan() -> None:
    text = csv_text(pd.DataFrame({"a": [1 / 3, math.nan], "b": ['x,"y"', "z"], "n": [1, 2]}))
    assert text == 'a,b,n\n0.333333,"x,""y""",1\n,z,2\n'


def test_csv_gives_labels_back(items: pd.DataFrame) -> None:
    for label in HOSTILE:
        summary = summarise(items[items["model"] == "noise"].assign(model=label))
        frame = pd.read_csv(io.StringIO(csv_text(leaderboard(summary))))
        assert set(frame["model"]) == {label}


def test_default_tables_put_the_headline_first() -> None:
    first, second = default_tables(metrics_frame())
    assert first.metrics == (CONTROLLED, "auroc", "num_pairs")
    assert second == Table("depth", "depth", ("rmse_m",))


def grids(
    summary: pd.DataFrame, cells: pd.DataFrame, tables: tuple[Table, ...] = TABLES
) -> list[Grid]:
    return build_grids(summary, metrics_frame(), cells, tables)


def test_every_layer_and_one_chosen_row_per_backbone(
    summary: pd.DataFrame, cells: pd.DataFrame
) -> None:
    grid = grids(summary, cells)[0]
    blocks = [row.block for row in grid.rows]
    assert blocks == sorted(blocks, key=["chosen", "layers", "controls"].index)
    assert (blocks.count("chosen"), blocks.count("layers"), blocks.count("controls")) == (3, 12, 4)
    by_layer = {(row.model, row.layer): row for row in grid.rows if row.block == "layers"}
    for row in grid.rows[:3]:
        same = by_layer[row.model, row.layer]
        assert [entry.value for entry in row.entries] == [entry.value for entry in same.entries]


@pytest.mark.parametrize("compact", [True, False])
def test_nothing_is_chosen_among_one_layer(items: pd.DataFrame, compact: bool) -> None:
    layer = items[(items["layer"] == "block_5") | (items["role"] != "backbone")]
    several = build_grids(summarise(items), metrics_frame(), cells_frame(items), TABLES, compact)
    one = build_grids(summarise(layer), metrics_frame(), cells_frame(layer), TABLES, compact)
    notes = [{row.note for row in g[0].rows if row.role == "backbone"} for g in (several, one)]
    assert "layer chosen on val scenes" in notes[0]
    assert notes[1] == {""}


def test_a_group_of_layers_is_explained(items: pd.DataFrame) -> None:
    group = items[items["layer"] == "block_5"].assign(layer="group", layer_index=0)
    (grid, *_) = build_grids(summarise(group), metrics_frame(), cells_frame(group), TABLES)
    assert any("Layer group: all layers" in sentence for sentence in grid.conditions)


def test_values_and_intervals_are_those_of_the_test_split(
    summary: pd.DataFrame, cells: pd.DataFrame
) -> None:
    grid = grids(summary, cells)[1]
    test = summary[(summary["split"] == "test") & (summary["task"] == "depth")]
    for row in grid.rows:
        for column, entry in zip(grid.columns, row.entries, strict=True):
            (score,) = test[
                (test["model"] == row.model)
                & (test["layer"] == row.layer)
                & (test["dataset"] == column.dataset)
            ].itertuples()
            assert entry.value == score.value
            assert entry.text == f"{score.value:.3f}"
            assert entry.interval == f"{score.ci_low:.3f}, {score.ci_high:.3f}"


@pytest.mark.parametrize("place", [0, 1])
def test_marks_are_given_inside_a_block(
    summary: pd.DataFrame, cells: pd.DataFrame, place: int
) -> None:
    grid = grids(summary, cells)[place]
    sign = grid.columns[0].sign
    for block in ("chosen", "layers"):
        entries = [row.entries[0] for row in grid.rows if row.block == block]
        best, second = sorted({sign * float(entry.text) for entry in entries}, reverse=True)[:2]
        for entry in entries:
            expected = {best: "best", second: "second"}.get(sign * float(entry.text), "")
            assert entry.mark == expected
    assert {e.mark for r in grid.rows if r.block == "controls" for e in r.entries} == {""}


def test_numbers_that_read_alike_share_a_mark(summary: pd.DataFrame, cells: pd.DataFrame) -> None:
    alike = summary.copy()
    alike.loc[alike["metric"] == CONTROLLED, "value"] = 0.9
    grid = grids(alike, cells)[0]
    assert {row.entries[0].mark for row in grid.rows} == {""}
    top = (alike["model"] == "DINOv2-S") & (alike["metric"] == CONTROLLED)
    alike.loc[top & alike["layer"].isin(["block_2", "block_5"]), "value"] = [0.95, 0.95001] * 4
    layers = [row for row in grids(alike, cells)[0].rows if row.block == "layers"]
    assert [row.layer for row in layers if row.entries[0].mark == "best"] == ["block_2", "block_5"]


def test_a_count_has_no_marks(summary: pd.DataFrame, cells: pd.DataFrame) -> None:
    (grid,) = grids(summary, cells, (Table("Pairs", TASK, ("num_pairs",)),))
    assert {entry.mark for row in grid.rows for entry in row.entries} == {""}
    assert grid.columns[0].arrow == ""


def test_conditions_say_how_it_was_measured(items: pd.DataFrame, cells: pd.DataFrame) -> None:
    scored = items.assign(value=items["value"].fillna(0.5))
    grid = grids(summarise(scored), cells)[0]
    assert grid.conditions == (
        "Resolution patches=37.",
        "Preset v1.",
        "blendedmvs: 9 test scenes, 18 view sets of list 5f5f5f5f5f5f, all scored.",
        "scannetpp: 9 test scenes, 18 view sets of list 5f5f5f5f5f5f, all scored.",
    )
    mixed = cells.assign(limit=4.0)
    mixed.loc[mixed["dataset"] == "scannetpp", "resolution"] = "native"
    conditions = grids(summarise(scored), mixed)[0].conditions
    assert conditions[0] == "Resolution patches=37 (blendedmvs), native (scannetpp)."
    assert conditions[-1] == "Limited to 4 view sets a dataset: a trial, not a result."


def test_unscored_is_counted_and_missing_is_blank(items: pd.DataFrame, cells: pd.DataFrame) -> None:
    lost = items.copy()
    where = (lost["model"] == "rgb") & (lost["dataset"] == "scannetpp")
    lost.loc[where & (lost["metric"] == "auroc"), "value"] = math.nan
    lost = lost[~(where & (lost["metric"] == CONTROLLED))]
    grid = grids(summarise(lost), cells)[0]
    (rgb,) = [row for row in grid.rows if row.model == "rgb"]
    assert [entry.text for entry in rgb.entries][2:] == ["", "unscored"]
    assert [entry.interval for entry in rgb.entries][2:] == ["", ""]
    assert "0 to 18 unscored, by row" in " ".join(grid.conditions)


def test_two_scenes_print_a_dash(items: pd.DataFrame, cells: pd.DataFrame) -> None:
    few = items[items["scene"].isin(["scene_001", "scene_002"])]
    grid = grids(summarise(few), cells)[0]
    assert {entry.interval for row in grid.rows for entry in row.entries} == {"-"}


def test_presets_never_share_a_table(items: pd.DataFrame, cells: pd.DataFrame) -> None:
    both = pd.concat([items, items.assign(preset="legacy")])
    found = grids(summarise(both), cells)
    assert [(grid.title, grid.preset) for grid in found] == [
        ("Correspondence", "legacy"),
        ("Correspondence", "v1"),
        ("Depth", "legacy"),
        ("Depth", "v1"),
    ]


def test_failed_cells_are_listed(summary: pd.DataFrame, cells: pd.DataFrame) -> None:
    failed = cells.copy()
    failed.loc[failed["status"] == "failed", "error"] = "first\n  second | third"
    text = leaderboard_markdown(summary, metrics_frame(), failed, TABLES)
    assert text.count("Failed:") == 1
    assert "- DINOv2-S, block_11, blendedmvs: first second \\| third" in text


def test_markdown_table_reads_back(summary: pd.DataFrame, cells: pd.DataFrame) -> None:
    text = leaderboard_markdown(summary, metrics_frame(), cells, TABLES, title="Suite")
    found = rendered(text)
    grid = grids(summary, cells)[0]
    assert {len(row) for row in found.rows[: len(grid.rows)]} == {6}
    assert found.rows[0][2] == f"blendedmvs{CONTROLLED} ↑"
    for name, row in zip(("DINOv2-S", "DINOv2-B", "CroCo v2"), found.rows[1:4], strict=True):
        assert row[0] == name
        assert row[1].endswith("(layer chosen on val scenes)")
    assert found.rows[4] == ["———"] * 6
    assert {"strong", "u", "table"} <= found.tags
    assert text.startswith("# Suite\n\n## Correspondence\n\n| model | layer |")
    assert text.endswith("\n")


@pytest.mark.parametrize("label", HOSTILE)
def test_markdown_shows_labels_as_they_are(items: pd.DataFrame, label: str) -> None:
    own = items[items["model"] == "CroCo v2"].assign(model=label, dataset=label)
    own = own.drop_duplicates(["layer", "task", "metric", "scene", "set_id"])
    text = leaderboard_markdown(
        summarise(own), metrics_frame(), cells_frame(own), [Table(label, TASK, ("auroc",))], label
    )
    found = rendered(text)
    assert {row[0] for row in found.rows[1:]} - {"———"} == {one_line(label)}
    assert {len(row) for row in found.rows} == {3}
    assert found.tags <= {
        *("h1", "h2", "table", "thead", "tbody", "tr", "th", "td"),
        *("br", "strong", "u", "ul", "li", "p"),
    }


def test_terminal_has_one_row_per_model(summary: pd.DataFrame, cells: pd.DataFrame) -> None:
    text = leaderboard_text(summary, metrics_frame(), cells, TABLES)
    first = text.split("\n\n")[0].splitlines()
    for model in ("DINOv2-S", "CroCo v2", "noise", "oracle"):
        assert sum(line.startswith(model) for line in first) == 1
    assert "(layer chosen on val scenes)" in first[5]
    assert "auroc ↑" not in text
    val = summary["split"] == "val"
    last = leaderboard_text(summary[~val], metrics_frame(), cells, TABLES).splitlines()
    assert "block_11 (last layer)" in last[5]


@pytest.mark.parametrize("label", HOSTILE)
def test_terminal_labels_are_short_and_inert(items: pd.DataFrame, label: str) -> None:
    own = items[items["model"] == "CroCo v2"].assign(model=label)
    text = leaderboard_text(summarise(own), metrics_frame(), cells_frame(own), TABLES)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines()[2:6])) < 130


def test_wide_characters_stay_aligned(items: pd.DataFrame) -> None:
    own = items[items["model"].isin(["CroCo v2", "DINOv2-S"])]
    own = own.assign(model=own["model"].replace("CroCo v2", "模型模型模型"))
    lines = leaderboard_text(summarise(own), metrics_frame(), cells_frame(own), TABLES).splitlines()
    (wide,) = [line for line in lines[5:7] if "模" in line]
    (narrow,) = [line for line in lines[5:7] if "DINO" in line]
    assert wide.index("block_") == narrow.index("block_") - 6


def test_empty_frames_say_so(items: pd.DataFrame, cells: pd.DataFrame) -> None:
    empty = summarise(items.head(0))
    text = leaderboard_markdown(empty, metrics_frame(), cells.head(0), TABLES)
    assert text.count("No test scores.") == 2
    assert "No test scores." in leaderboard_text(empty, metrics_frame(), cells.head(0), TABLES)
    assert csv_text(leaderboard(empty)) == ",".join(LEADERBOARD_COLUMNS) + "\n"


def test_metric_that_was_not_measured_leaves_a_blank_column(
    summary: pd.DataFrame, cells: pd.DataFrame
) -> None:
    (grid,) = grids(summary, cells, (Table("T", TASK, ("auroc", "missing")),))
    assert {row.entries[1].text for row in grid.rows} == {""}
    (nothing,) = grids(summary, cells, (Table("T", TASK, ("missing",)),))
    assert nothing.rows == ()


def test_labels_lose_what_does_not_print() -> None:
    assert one_line("a\x1b[0m\tb\u202e\r\n c") == "a[0m b c"
    assert shortened("0123456789", 10) == "0123456789"
    assert shortened("0123456789x", 10) == "01234…789x"


def test_a_published_mean_is_stated(items: pd.DataFrame, cells: pd.DataFrame) -> None:
    table = Table("Correspondence", TASK, (CONTROLLED, "auroc"))
    ours, published = (
        build_grids(summarise(items.assign(mean_over=kind)), metrics_frame(), cells, [table])[0]
        for kind in ("scenes", "view_sets")
    )
    assert any("Mean over view sets, as published; no interval" in c for c in published.conditions)
    assert not any("Mean over view sets" in c for c in ours.conditions)
    assert any("Mean over scenes" in sentence for sentence in ours.legend)
    assert not any("Mean over scenes" in sentence for sentence in published.legend)
    assert {entry.interval for row in published.rows for entry in row.entries} <= {"-", ""}
