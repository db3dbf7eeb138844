"""Figures show the numbers they are given, survive any label, and are equal byte by byte."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from bench import plots
from bench.plots.figure import metric_label, short
from bench.plots.layer_heatmap import layer_heatmap, models_by_layer
from bench.plots.selection import floor_looks, highlighted
from bench.stats import choose_layers, ranked, summarise
from tests.unit.hostile import HOSTILE
from tests.unit.synthetic_frames import BINS, TASK, items_frame, metrics_frame

CONTROLLED = "auroc_position_controlled"
METRICS = metrics_frame()


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    return items_frame(num_models=3, num_scenes=8, sets_per_scene=1)


@pytest.fixture(scope="module")
def summary(items: pd.DataFrame) -> pd.DataFrame:
    return summarise(items)


def similarity(num_layers: int = 4) -> pd.DataFrame:
    rows = [
        (f"block_{a}", f"block_{b}", 1 / (1 + abs(a - b)))
        for a in range(num_layers)
        for b in range(num_layers)
    ]
    return pd.DataFrame(rows, columns=["layer_a", "layer_b", "value"])


def costs(summary: pd.DataFrame, label: str = "time [ms]") -> plots.Costs:
    models = sorted(summary["model"].unique())
    prices = pd.DataFrame({"model": models, "ms": 4.0 ** np.arange(len(models))})
    return plots.Costs(prices, {"ms": label})


def pairs() -> pd.DataFrame:
    rows = [("demo", "A", "B", 0.1, 0.05, 0.15, True), ("demo", "B", "C", 0.0, -0.1, 0.1, False)]
    columns = ["dataset", "model_a", "model_b", "difference", "ci_low", "ci_high", "decided"]
    return pd.DataFrame(rows, columns=columns)


def panel_titles(figure: Figure) -> list[str]:
    return [axis.get_title(loc="left") for axis in figure.axes]


def texts(svg: Path) -> set[str]:
    found = ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")
    return {" ".join("".join(node.itertext()).split()) for node in found}


def test_saved_files_are_valid_and_equal(summary: pd.DataFrame, tmp_path: Path) -> None:
    first, second = (
        plots.save(plots.ranking(summary, METRICS, TASK, CONTROLLED), tmp_path / run / "a.b")
        for run in ("1", "2")
    )
    assert [path.name for path in first] == ["a.b.png", "a.b.svg", "a.b.csv"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    with Image.open(first[0]) as picture:
        assert picture.width == 1350
        assert picture.info["dpi"][0] == pytest.approx(200, abs=0.1)
    assert {"DINOv2-S · block_5", "oracle", "blendedmvs", f"{CONTROLLED} ↑"} <= texts(first[1])
    assert b"<dc:date>" not in first[1].read_bytes()
    with first[2].open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 14


def test_ranking_shows_values_and_intervals_in_order(summary: pd.DataFrame) -> None:
    plot = plots.ranking(summary, METRICS, TASK, CONTROLLED)
    axis = plot.figure.axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert [name.split(" · ")[0] for name in names[:4]] == [
        *("DINOv2-S", "DINOv2-B", "CroCo v2"),
        "oracle",
    ]
    points, _, (bars,) = axis.containers[0]
    own = plot.data[(plot.data["dataset"] == "blendedmvs") & (plot.data["role"] == "backbone")]
    assert points.get_xdata() == pytest.approx(own["value"].to_numpy())
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    assert ends == pytest.approx(own[["ci_low", "ci_high"]].to_numpy())


def test_ranking_uses_the_layer_chosen_on_val(summary: pd.DataFrame) -> None:
    data = plots.ranking(summary, METRICS, TASK, CONTROLLED).data
    assert set(data["split"]) == {"test"}
    chosen = choose_layers(summary, METRICS).query(f"task == '{TASK}'")
    backbones = data[data["role"] == "backbone"].drop_duplicates("model")
    assert dict(zip(backbones["model"], backbones["layer"], strict=True)) == dict(
        zip(chosen["model"], chosen["layer"], strict=True)
    )


def test_rows_without_interval_are_drawn_as_points(items: pd.DataFrame) -> None:
    few = summarise(items[items["scene"].isin(["scene_001", "scene_002"])])
    plot = plots.ranking(few, METRICS, TASK, CONTROLLED)
    assert plot.data["ci_low"].isna().all()
    assert len(plot.figure.axes) == 2


def test_layer_lines_hold_every_layer_on_both_axes(summary: pd.DataFrame) -> None:
    plot = plots.by_layer(summary, METRICS, TASK, CONTROLLED)
    absolute, relative = plot.figure.axes[:2]
    lines = {line.get_label(): line for line in absolute.get_lines()}
    own = summary.query(
        f"model == 'DINOv2-S' and dataset == 'blendedmvs' and split == 'test' "
        f"and metric == '{CONTROLLED}'"
    ).sort_values("layer_index")
    assert list(np.asarray(lines["DINOv2-S"].get_xdata())) == [2, 5, 8, 11]
    assert lines["DINOv2-S"].get_ydata() == pytest.approx(own["value"].to_numpy())
    assert {"noise (floor)", "position (floor)", "rgb (floor)", "chance"} <= set(lines)
    assert "oracle (floor)" not in lines
    relative_lines = {line.get_label(): line for line in relative.get_lines()}
    assert list(np.asarray(relative_lines["DINOv2-S"].get_xdata())) == [0.25, 0.5, 0.75, 1.0]


def test_many_models_leave_eight_in_colour() -> None:
    many = summarise(items_frame(60, 5, num_scenes=4, sets_per_scene=1, angles=False))
    plot = plots.by_layer(many, METRICS, TASK, CONTROLLED)
    labels = [text.get_text() for text in plot.figure.legends[0].get_texts()]
    assert "51 other backbones" in labels
    assert len([label for label in labels if "floor" not in label]) == 8 + 3
    backbones = many[(many["role"] == "backbone") & (many["split"] == "test")]
    looks = highlighted(backbones.query(f"metric == '{CONTROLLED}'"), 1)
    assert len(set(looks.values())) == 8


def test_layer_types_are_lines_of_their_own(summary: pd.DataFrame) -> None:
    names = {"block_2": "patch_embed", "block_5": "frame_0", "block_8": "frame_1"}
    typed = summary.assign(layer=summary["layer"].replace({**names, "block_11": "global_1"}))
    plot = plots.by_layer_type(typed, METRICS, TASK, CONTROLLED, "DINOv2-S")
    lines = {line.get_label(): line for line in plot.figure.axes[0].get_lines()}
    assert set(lines) == {"frame", "global", "patch_embed"}
    assert list(np.asarray(lines["frame"].get_xdata())) == [0, 1]
    assert lines["patch_embed"].get_linestyle() == "--"


def test_drop_is_plain_minus_controlled(summary: pd.DataFrame) -> None:
    plot = plots.position_drop(summary, METRICS, TASK)
    position = plot.data[plot.data["model"] == "position"]
    assert (position["drop"] > 0.3).all()
    difference = plot.data["auroc"] - plot.data[CONTROLLED]
    assert plot.data["drop"].to_numpy() == pytest.approx(difference.to_numpy())
    assert len(plot.data) == 2 * (3 * 4 + 4)


def test_drop_of_many_layers_shows_one_each() -> None:
    many = summarise(items_frame(8, 12, num_scenes=4, sets_per_scene=1, angles=False))
    plot = plots.position_drop(many, METRICS, TASK)
    assert len(plot.figure.axes[0].get_yticks()) == 8 + 4


def test_angles_follow_the_names_of_metrics(summary: pd.DataFrame) -> None:
    plot = plots.by_angle(summary, METRICS, TASK, CONTROLLED)
    ticks = [label.get_text() for label in plot.figure.axes[0].get_xticklabels()]
    assert ticks == [name.removesuffix("deg") for name in BINS]
    own = plot.data[(plot.data["model"] == "DINOv2-S") & (plot.data["dataset"] == "blendedmvs")]
    assert own.sort_values("place")["value"].is_monotonic_decreasing


def test_overview_ranks_by_goodness_in_every_column(summary: pd.DataFrame) -> None:
    plot = plots.overview(summary, METRICS)
    assert panel_titles(plot.figure)[0] == ""
    names = [label.get_text() for label in plot.figure.axes[0].get_yticklabels()]
    assert names[:3] == ["DINOv2-S", "DINOv2-B", "CroCo v2"]
    shade = plot.figure.axes[0].collections[0].get_array()
    assert shade is not None
    assert np.asarray(shade).reshape(7, 4)[0].tolist() == [1.0] * 4


def test_model_with_blanks_comes_last(summary: pd.DataFrame) -> None:
    lost = summary[~((summary["model"] == "DINOv2-S") & (summary["dataset"] == "scannetpp"))]
    plot = plots.overview(lost, METRICS)
    names = [label.get_text() for label in plot.figure.axes[0].get_yticklabels()]
    assert names[:3] == ["DINOv2-B", "CroCo v2", "DINOv2-S"]
    assert ranked(lost.query(f"metric == '{CONTROLLED}' and role == 'backbone'"), 1)[-1] == (
        "DINOv2-S"
    )


def test_cost_front_is_what_nothing_cheaper_beats(summary: pd.DataFrame) -> None:
    prices = pd.DataFrame({"model": ["DINOv2-S", "DINOv2-B", "CroCo v2"], "ms": [20.0, 40.0, 10.0]})
    plot = plots.cost(summary, METRICS, TASK, CONTROLLED, plots.Costs(prices, {"ms": "time [ms]"}))
    front = plot.figure.axes[0].get_lines()[-1]
    assert list(np.asarray(front.get_xdata())) == [10, 20]
    assert plot.figure.axes[-1].get_xlabel() == "time [ms]"
    assert set(plot.data["role"]) == {"backbone"}


def test_each_kind_of_cost_has_a_column_and_zero_a_place(summary: pd.DataFrame) -> None:
    models = ["DINOv2-S", "DINOv2-B", "CroCo v2", "oracle", "noise"]
    prices = pd.DataFrame(
        {"model": models, "m": [22.0, 86.0, 22.0, 0.0, 0.0], "ms": [9.0, 30.0, 11.0, 1.0, np.nan]}
    )
    labels = {"m": "parameters [million]", "ms": "time per view [ms]"}
    plot = plots.cost(summary, METRICS, TASK, CONTROLLED, plots.Costs(prices, labels))
    size, time = plot.figure.axes[2:]
    assert [axis.get_xlabel() for axis in (size, time)] == list(labels.values())
    assert [label.get_text() for label in size.get_xticklabels()] == ["0", "50"]
    zero = size.get_xticks()[0]
    free = [axis_points(size, model) for model in ("oracle (ceiling)", "noise (floor)")]
    assert free == [[zero], [zero]]
    assert size.get_xlim()[0] < zero < 22
    assert axis_points(time, "oracle (ceiling)") == [1.0]
    assert axis_points(time, "noise (floor)") == []


def axis_points(axis: Axes, label: str) -> list[float]:
    """Places of the points with a label."""
    return [
        float(x)
        for container in axis.containers
        if container.get_label() == label
        for x in container[0].get_xdata()
    ]


def test_models_of_no_cost_give_a_message(summary: pd.DataFrame) -> None:
    prices = pd.DataFrame({"model": ["oracle"], "m": [0.0]})
    nothing = plots.Costs(prices, {"m": "size"})
    assert not plots.cost(summary, METRICS, TASK, CONTROLLED, nothing).figure.axes


def test_costs_are_means_over_a_model_s_cells() -> None:
    cells = pd.DataFrame(
        {
            "model": ["A", "A", "B", "C"],
            "parameters": [22e6, 22e6, 0, None],
            "forward_ms": [3.0, 5.0, None, None],
        }
    )
    found = plots.costs_of(cells, timed=True)
    assert list(found.labels) == ["parameters", "forward_ms"]
    table = found.models.set_index("model")
    assert table.loc["A"].tolist() == [22.0, 4.0]
    assert table.loc["B", "parameters"] == 0
    assert table.loc["C"].isna().all()
    assert list(plots.costs_of(cells, timed=False).models) == ["model", "parameters"]


def test_similarity_keeps_the_order_of_layers() -> None:
    figure = plots.layer_similarity(similarity(12)).figure
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()][:3] == [
        *("block_0", "block_1", "block_2")
    ]
    ticks = {
        label.get_text(): y
        for y, label in zip(axis.get_yticks(), axis.get_yticklabels(), strict=True)
    }
    assert ticks["block_0"] == 11.5
    crowded = plots.layer_similarity(similarity(49)).figure.axes[0]
    assert len(crowded.get_xticks()) == 25


def test_forest_tells_decided_pairs_apart() -> None:
    plot = plots.forest(pairs(), "difference")
    open_point, full_point = (item[0] for item in plot.figure.axes[0].containers)
    assert open_point.get_markerfacecolor() == "white"
    assert full_point.get_markerfacecolor() != "white"
    names = [label.get_text() for label in plot.figure.axes[0].get_yticklabels()]
    assert names == ["A – B", "B – C"]


def test_labels_are_drawn_as_they_are(items: pd.DataFrame, tmp_path: Path) -> None:
    few = items[(items["model"] == "DINOv2-S") & (items["metric"] == CONTROLLED)]
    few = few.drop_duplicates(["layer", "split", "metric", "scene", "set_id"])
    own = pd.concat([few.assign(model=label, dataset=HOSTILE[0]) for label in HOSTILE])
    plot = plots.by_layer(summarise(own), METRICS, TASK, CONTROLLED)
    svg = tmp_path / "figure.svg"
    svg.write_bytes(plots.svg_bytes(plot))
    looks = highlighted(plot.data, 1)
    assert len(looks) == len(HOSTILE) - 1
    assert {short(label) for label in (*looks, HOSTILE[0])} <= texts(svg)
    assert max(len(short(label)) for label in HOSTILE) <= 34


def test_hostile_labels_in_every_figure(items: pd.DataFrame, tmp_path: Path) -> None:
    label = "$\\frac{|<b>%"
    own = items[items["dataset"] == "blendedmvs"]
    summary = summarise(own.assign(model=own["model"].replace("DINOv2-S", label)))
    for drawing in plots.draw_all(summary, METRICS):
        drawing.plot.figure.canvas.draw()
    plots.cost(summary, METRICS, TASK, CONTROLLED, costs(summary, label)).figure.canvas.draw()
    plots.forest(pairs().replace("A", label), label).figure.canvas.draw()
    named = similarity().assign(model_a=label, model_b=label)
    plots.layer_similarity(named, label).figure.canvas.draw()


def test_empty_frames_give_a_message(items: pd.DataFrame) -> None:
    empty = summarise(items.head(0))
    drawn = [
        plots.ranking(empty, METRICS, TASK, CONTROLLED),
        plots.by_layer(empty, METRICS, TASK, CONTROLLED),
        plots.by_layer_type(empty, METRICS, TASK, CONTROLLED, "A"),
        plots.position_drop(empty, METRICS, TASK),
        plots.by_angle(empty, METRICS, TASK, CONTROLLED),
        plots.overview(empty, METRICS),
        plots.cost(empty, METRICS, TASK, CONTROLLED, costs(empty)),
        plots.layer_similarity(similarity(0)),
        plots.forest(pairs().head(0), "difference"),
    ]
    for plot in drawn:
        assert not plot.figure.axes
        assert len(plot.figure.texts) == 1


def test_metric_that_was_not_measured_gives_a_message(summary: pd.DataFrame) -> None:
    assert not plots.ranking(summary, METRICS, TASK, "missing").figure.axes
    assert not plots.position_drop(summary, METRICS, TASK, plain="missing").figure.axes


def test_write_figures_writes_what_is_drawn(items: pd.DataFrame, tmp_path: Path) -> None:
    own = items[(items["metric"] == "rmse_m") & items["layer"].isin(["block_5", "output"])]
    paths = plots.write_figures(summarise(own), METRICS, tmp_path / "all")
    assert [path.name for path in paths] == [
        f"{name}.{kind}"
        for name in ("overview", "depth_v1_ranking")
        for kind in ("png", "svg", "csv")
    ]
    assert all(path.stat().st_size for path in paths)
    assert plots.write_figures(summarise(items.head(0)), METRICS, tmp_path / "none") == []


def test_what_there_is_data_for_is_drawn(summary: pd.DataFrame) -> None:
    names = [drawing.name for drawing in plots.draw_all(summary, METRICS, costs(summary))]
    assert names == [
        "overview",
        "depth_v1_ranking",
        "depth_v1_by_layer",
        "depth_v1_cost",
        f"{TASK}_v1_ranking",
        f"{TASK}_v1_by_layer",
        f"{TASK}_v1_position_drop",
        f"{TASK}_v1_by_angle_{CONTROLLED}",
        f"{TASK}_v1_cost",
    ]


def test_file_names_stay_in_their_folder(items: pd.DataFrame, tmp_path: Path) -> None:
    own = items[(items["model"] == "rgb") & (items["metric"] == CONTROLLED)]
    metrics = METRICS.assign(task="../../etc | x")
    paths = plots.write_figures(
        summarise(own.assign(task="../../etc | x")), metrics, tmp_path / "figures"
    )
    assert {path.parent for path in paths} == {tmp_path / "figures"}


def test_labels_of_metrics() -> None:
    assert metric_label(METRICS, TASK, CONTROLLED) == f"{CONTROLLED} ↑"
    assert metric_label(METRICS, "depth", "rmse_m") == "rmse_m ↓"
    named = METRICS.assign(metric=METRICS["metric"].replace("rmse_m", "rmse"))
    assert metric_label(named, "depth", "rmse") == "rmse [m] ↓"
    assert metric_label(METRICS, TASK, "num_pairs") == "num_pairs"
    assert metric_label(METRICS, TASK, "unknown") == "unknown"


def test_importing_bench_imports_no_plotting() -> None:
    code = (
        "import sys, bench; bad = {'matplotlib', 'seaborn', 'scipy', 'pandas'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_headline_without_direction_is_not_ranked(summary: pd.DataFrame) -> None:
    undirected = METRICS.astype({"higher_is_better": object})
    undirected["higher_is_better"] = None
    names = [
        drawing.name for drawing in plots.draw_all(summary.query("task == 'depth'"), undirected)
    ]
    assert names == ["depth_v1_by_layer"]


def test_angles_that_were_not_seen_take_no_room(summary: pd.DataFrame) -> None:
    last = summary["metric"] == f"{CONTROLLED}/{BINS[-1]}"
    one_bin = (summary["dataset"] == "scannetpp") & (summary["metric"] != f"{CONTROLLED}/{BINS[0]}")
    plot = plots.by_angle(summary[~last & ~one_bin], METRICS, TASK, CONTROLLED)
    assert panel_titles(plot.figure) == ["blendedmvs"]
    assert len(plot.figure.axes[0].get_xticks()) == 3


def test_floors_have_looks_of_their_own(summary: pd.DataFrame) -> None:
    looks = floor_looks(summary)
    assert list(looks) == ["noise", "position", "rgb"]
    assert len({(str(look["linestyle"]), look["color"]) for look in looks.values()}) == 3


def test_a_model_without_controlled_score_has_no_drop(summary: pd.DataFrame) -> None:
    spoilt = summary.copy()
    controlled = spoilt["metric"] == "auroc_position_controlled"
    model = str(spoilt.loc[controlled, "model"].iloc[0])
    spoilt.loc[controlled & (spoilt["model"] == model), "value"] = float("nan")
    assert model not in set(plots.position_drop(spoilt, METRICS, TASK).data["model"])


def test_layer_heatmap_has_every_layer_in_network_order(summary: pd.DataFrame) -> None:
    plot = layer_heatmap(summary, METRICS, TASK, "auroc_position_controlled", "DINOv2-S")
    shown = [label.get_text() for label in plot.figure.axes[0].get_yticklabels()]
    assert shown == list(plot.data.sort_values("layer_index")["layer"].unique())
    assert plot.data["dataset"].nunique() == 2
    nothing = layer_heatmap(summary, METRICS, TASK, "auroc_position_controlled", "nobody")
    assert nothing.data.empty


def test_many_deep_models_share_one_heat_map() -> None:
    many = summarise(items_frame(9, 8, num_scenes=4, sets_per_scene=1, angles=False))
    own = many[many["task"] == "depth"]
    names = [drawing.name for drawing in plots.draw_all(own, METRICS)]
    assert [name for name in names if "layers" in name or "models" in name] == [
        "depth_v1_models_by_layer"
    ]
    plot = models_by_layer(own, METRICS, "depth", "rmse_m")
    axis = plot.figure.axes[0]
    shown = [label.get_text() for label in axis.get_yticklabels()]
    assert shown[-1] == "random init"
    (picture,) = axis.get_images()
    first = own.query(f"model == '{shown[0]}' and split == 'test' and dataset == 'blendedmvs'")
    values = np.asarray(picture.get_array())[0]
    assert values == pytest.approx(first.sort_values("layer_index")["value"].to_numpy())
    assert not models_by_layer(
        own.query("role == 'ceiling'"), METRICS, "depth", "rmse_m"
    ).figure.axes


def test_a_backbone_without_layers_is_a_level_line(summary: pd.DataFrame) -> None:
    single = summary["model"] == "rgb"
    changed = summary.assign(role=summary["role"].mask(single, "backbone"))
    axis = plots.by_layer(changed, METRICS, TASK, CONTROLLED).figure.axes[0]
    (line,) = [line for line in axis.get_lines() if line.get_label() == "rgb"]
    assert len(set(np.asarray(line.get_ydata()))) == 1


def test_scores_that_are_all_alike_get_an_axis(summary: pd.DataFrame) -> None:
    flat = summary.assign(value=0.0, ci_low=0.0, ci_high=1e-9)
    low, high = plots.by_angle(flat, METRICS, TASK, CONTROLLED).figure.axes[0].get_ylim()
    assert high - low >= 1e-4
