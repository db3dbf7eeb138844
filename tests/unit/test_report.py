"""The HTML report: complete, self-contained, and deaf to what labels try to be."""

from __future__ import annotations

import hashlib
import json
import math
import re
from base64 import b64decode, b64encode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.plots import Costs
from bench.report import Entry, Sheet, extreme_view_sets, read_sheets, report_html
from bench.stats import shown_layers, summarise
from bench.tables import Table
from tests.unit.hostile import HOSTILE
from tests.unit.synthetic_frames import TASK, cells_frame, items_frame, metrics_frame

METRICS = metrics_frame()
CONTROLLED = "auroc_position_controlled"
TABLES = (Table("Correspondence", TASK, (CONTROLLED, "auroc")),)


class Page(HTMLParser):
    """Tags, attributes and text; rows of tables; the raw text of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.raw: dict[str, str] = {}
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("style", "script"):
            self.raw[self.tags[-1]] = self.raw.get(self.tags[-1], "") + data
            self.tags[-1] += " (read)"
            return
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    return items_frame(3, datasets=("scannetpp",), num_scenes=12, sets_per_scene=1)


@pytest.fixture(scope="module")
def page(items: pd.DataFrame) -> Page:
    prices = pd.DataFrame({"model": ["DINOv2-S", "DINOv2-B", "CroCo v2"], "cost": [5.0, 9.0, 7.0]})
    costs = Costs(prices, {"cost": "time [ms]"})
    pictures = {("scannetpp", f"scene_{i:03d}", f"{i:03d}_0"): b"picture" for i in range(12)}
    provenance: dict[str, Entry] = {
        "To repeat it": "bench run x",
        "Made with": {"torch": "2.8"},
        "Models": [{"model": "DINOv2-S", "seed": 0}, {"model": "rgb", "weights": None}],
    }
    text = report_html(
        "A suite", items, METRICS, cells_frame(items), TABLES, "Why?", costs,
        pictures=pictures, provenance=provenance,
    )  # fmt: skip
    return Page(text)


def test_every_section_is_there(page: Page) -> None:
    assert {"findings", "leaderboard", "figures", "view-sets", "failures", "provenance"} <= set(
        page.values("id")
    )
    for words in (
        "A suite",
        "Why?",
        "DINOv2-S beats",
        "CUDA out of memory",
        "torch2.8",
        "bench run x",
    ):
        assert words in page.text
    anchors = {value[1:] for value in page.values("href")}
    assert anchors <= set(page.values("id"))


def test_nothing_comes_from_outside(page: Page) -> None:
    assert all(value.startswith("#") for value in page.values("href"))
    assert all(value.startswith("data:image/") for value in page.values("src"))
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert "@import" not in page.raw["style"]
    assert "url(" not in page.raw["style"]


def test_policy_allows_this_style_and_script_only(page: Page) -> None:
    (policy,) = [value for value in page.values("content") if "default-src" in value]
    for kind in ("style", "script"):
        digest = b64encode(hashlib.sha256(page.raw[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_leaderboard_has_all_rows_and_sort_keys(page: Page) -> None:
    provenance = 1 + 3
    assert len(page.rows) == 1 + 3 + 12 + 4 + provenance
    assert page.rows[1][0] == "DINOv2-S"
    assert len(page.values("data-value")) == 19 * 2
    assert all(math.isfinite(float(value)) for value in page.values("data-value"))
    assert page.values("data-best") == ["1"] * 2
    folded = [name for name, _ in page.attributes if name == "data-folds"]
    assert len(folded) == 12


def test_figures_and_pictures_are_embedded(page: Page) -> None:
    kinds = [value.split(";")[0] for value in page.values("src")]
    assert kinds.count("data:image/svg+xml") == 9
    # A card per test view set that is among the extremes of anything, however often it is.
    assert kinds.count("data:image/webp") == len(page.values("data-set")) == 9
    svg = b64decode(page.values("src")[0].split(",")[1])
    assert b"<svg" in svg
    assert all(page.values("alt"))


def test_a_run_without_val_scenes_folds_nothing(items: pd.DataFrame) -> None:
    test = items[(items["split"] == "test") & (items["metric"] == CONTROLLED)]
    page = Page(report_html("t", test, METRICS, cells_frame(test), TABLES))
    assert "data-folds" not in dict(page.attributes)
    assert "every layer" not in page.text


def test_hostile_labels_stay_text(items: pd.DataFrame) -> None:
    few = items[(items["model"] == "CroCo v2") & (items["metric"] == CONTROLLED)]
    few = few[few["layer"] == "block_8"]
    parts = [few.assign(model=label, dataset=HOSTILE[0], scene=label) for label in HOSTILE]
    own = pd.concat(parts)
    own = own.drop_duplicates(["model", "layer", "split", "metric", "scene", "set_id"])
    cells = cells_frame(own)
    cells.loc[cells["status"] == "failed", "error"] = "</pre><script>alert(1)</script>"
    title = "</title><script>alert(1)</script>"
    text = report_html(
        title, own, METRICS, cells, [Table(HOSTILE[0], TASK, (CONTROLLED,))], HOSTILE[0],
        provenance={"</dt><img src=x onerror=alert(1)>": HOSTILE[0]},
    )  # fmt: skip
    page = Page(text)
    assert page.tags.count("script (read)") == 1
    assert "script" not in page.tags
    assert title in page.text
    assert HOSTILE[0] in page.text
    assert not [value for value in page.values("src") if not value.startswith("data:")]
    assert "onerror" not in dict(page.attributes)


def test_an_empty_run_still_gives_a_page(items: pd.DataFrame) -> None:
    cells = cells_frame(items).query("status == 'failed'")
    page = Page(report_html("t", items.head(0), METRICS, cells, TABLES))
    assert "No test scores." in page.text
    assert "CUDA out of memory" in page.text
    assert "figures" not in page.values("id")


def test_only_what_failed_is_listed(items: pd.DataFrame) -> None:
    done = cells_frame(items).query("status == 'done'")
    few = items[(items["metric"] == "rmse_m") & (items["model"] == "rgb")]
    page = Page(report_html("t", few, METRICS, done))
    assert "No cell failed." in page.text
    assert not re.search(r"provenance", page.text, re.IGNORECASE)


def test_failures_of_one_reason_stand_together(items: pd.DataFrame) -> None:
    failed = cells_frame(items).query("model == 'DINOv2-S'").head(5)
    failed = failed.assign(status="failed", error=["no weights"] * 4 + ["out of memory"])
    page = Page(report_html("t", items.head(0), METRICS, failed, TABLES))
    assert page.text.count("no weights") == 1
    assert "DINOv2-S, 4 cells" in page.text
    first = failed.iloc[0]
    assert f"{first['layer']}, {first['dataset']}, {first['task']}" in page.text
    assert page.text.count("Which cells") == 1


def test_extreme_view_sets_by_hand() -> None:
    items = items_frame(num_models=2, num_scenes=12, sets_per_scene=1)
    shown = shown_layers(summarise(items), METRICS)
    found = extreme_view_sets(items, METRICS, shown, count=2)
    found = found[(found["task"] == "depth") & (found["dataset"] == "scannetpp")]
    own = found[found["model"].isna()]
    assert own["place"].tolist() == ["worst", "worst", "best", "best"]
    layers = shown[shown["task"] == "depth"].set_index("model")["layer"]
    test = items.query("split == 'test' and metric == 'rmse_m' and dataset == 'scannetpp'")
    backbones = test[(test["role"] == "backbone") & (test["layer"] == test["model"].map(layers))]
    scores = backbones.pivot(index="set_id", columns="model", values="value").dropna()
    ordered = scores.mean(axis=1).sort_values(ascending=False)
    assert own["set_id"].tolist() == [*ordered.index[:2], *ordered.index[-2:][::-1]]
    assert own["value"].iloc[0] == pytest.approx(ordered.iloc[0])
    assert own["layer"].isna().all()


def test_each_model_has_its_own_extremes() -> None:
    items = items_frame(num_models=2, num_scenes=12, sets_per_scene=1)
    shown = shown_layers(summarise(items), METRICS)
    found = extreme_view_sets(items, METRICS, shown, count=3)
    found = found[(found["task"] == TASK) & (found["dataset"] == "blendedmvs")]
    names = list(dict.fromkeys(found["model"].dropna()))
    assert names[:2] == ["DINOv2-S", "DINOv2-B"]
    assert set(names[2:]) == {"oracle", "position", "noise", "rgb"}
    layer = shown[shown["task"] == TASK].set_index("model")["layer"]["DINOv2-B"]
    own = items.query(
        f"model == 'DINOv2-B' and layer == '{layer}' and split == 'test' "
        f"and metric == '{CONTROLLED}' and dataset == 'blendedmvs'"
    ).dropna(subset="value")
    ordered = own.sort_values("value")["set_id"].tolist()
    mine = found[found["model"] == "DINOv2-B"]
    assert mine[mine["place"] == "worst"]["set_id"].tolist() == ordered[:3]
    assert mine[mine["place"] == "best"]["set_id"].tolist() == ordered[:-4:-1]
    assert set(mine["layer"]) == {layer}


def test_one_backbone_has_no_mean() -> None:
    items = items_frame(num_models=1, num_scenes=12, sets_per_scene=1)
    found = extreme_view_sets(items, METRICS, shown_layers(summarise(items), METRICS))
    assert found["model"].notna().all()


def test_the_page_holds_the_extremes_of_every_model(page: Page) -> None:
    (text,) = page.values("data-groups")
    groups = json.loads(text)
    assert [group["name"] for group in groups] == [
        "depth, scannetpp (rmse_m)", f"{TASK}, scannetpp ({CONTROLLED})"
    ]  # fmt: skip
    names = [entry["name"] for entry in groups[1]["lists"]]
    assert names[0] == "mean of the backbones"
    assert len(names) == 1 + 3 + 4
    cards = {int(number) for number in page.values("data-set")}
    shown = [entry for group in groups for part in group["lists"] for entry in part["entries"]]
    assert {number for number, _, _ in shown} == cards
    assert {place for _, _, place in shown} == {"worst", "best"}


def test_few_view_sets_are_not_both_best_and_worst() -> None:
    items = items_frame(num_models=2, num_scenes=4, sets_per_scene=1, seed=2)
    shown = shown_layers(summarise(items), METRICS)
    found = extreme_view_sets(items, METRICS, shown)
    assert not found.duplicated(["task", "dataset", "model", "scene", "set_id"]).any()
    assert extreme_view_sets(items.head(0), METRICS, shown).empty


def test_figures_without_data_are_left_out(items: pd.DataFrame) -> None:
    own = items[(items["metric"] == "rmse_m") & (items["model"] == "rgb")]
    costs = Costs(pd.DataFrame({"model": ["rgb"], "cost": [1.0]}), {"cost": "ms"})
    page = Page(report_html("t", own, METRICS, cells_frame(own), costs=costs))
    assert page.values("alt") == ["depth (v1): rmse_m with 95 % intervals"]


def test_pictures_come_from_the_published_files(tmp_path: Path) -> None:
    folder = tmp_path / "figures" / "demo"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (40, 2200, 3), dtype=np.uint8)
    names = ("pca_hall", "pca_room-1a2b3c_1", "pca_contact_sheet_1_2", "matches_room", "notes")
    files = [folder / f"{name}.png" for name in names]
    files.append(folder.parent / "pca_by_layer.png")
    for path in files:
        Image.fromarray(noise).save(path)
    sheets, left_out = read_sheets([*files, folder / "pca_room.csv"])
    assert [(sheet.kind, sheet.name) for sheet in sheets] == [
        ("pca", "contact sheet 1 2"), ("pca", "hall"), ("matches", "room"), ("pca", "room 1")
    ]  # fmt: skip
    assert {(sheet.dataset, sheet.size) for sheet in sheets} == {("demo", (1000, 18))}
    assert not left_out
    few, rest = read_sheets(files, budget=len(sheets[0].data))
    assert [sheet.is_overview for sheet in few] == [True]
    assert [path.name for path in rest] == [
        "pca_hall.png",
        "matches_room.png",
        "pca_room-1a2b3c_1.png",
    ]


def test_sheets_stand_first_and_scenes_are_folded(items: pd.DataFrame) -> None:
    few = items[(items["metric"] == "rmse_m") & (items["model"] == "rgb")]
    sheets = [
        Sheet("<demo>", "pca", name, name == "all", b"picture", (10, 20))
        for name in ("all", "room", "hall")
    ]
    page = Page(report_html("t", few, METRICS, cells_frame(few), sheets=sheets, sheets_left_out=7))
    assert page.text.count("<demo>: Principal components") == 1
    assert "2 single pictures" in page.text
    assert "7 more pictures" in page.text
    assert page.tags.index("figcaption") < page.tags.index("details", page.tags.index("figcaption"))
    assert [value for value in page.values("src") if "webp" in value] == [
        "data:image/webp;base64,cGljdHVyZQ=="
    ] * 3
