"""The report in a browser, by keyboard: sort, filter, fold, choose; on small screens, in the dark,
with hostile labels, and on a large table."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.plots import Costs
from bench.report import Sheet, extreme_view_sets, report_html, webp
from bench.stats import shown_layers, summarise
from bench.tables import Table
from tests.unit.hostile import HOSTILE
from tests.unit.synthetic_frames import TASK, cells_frame, items_frame, metrics_frame

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CONTROLLED = "auroc_position_controlled"
METRICS = metrics_frame()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a chromium on the path"),
]

#: Pairs of text and effective background below the contrast of WCAG 2.2, 1.4.3 (AA).
FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return Array.from(canvas.getImageData(0, 0, 1, 1).data);
  };
  const light = (colour) => {
    const [r, g, b] = rgb(colour).map((v) => v / 255).map(
      (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (rgb(colour)[3] === 255) return colour;
    }
    return "white";
  };
  const found = new Set();
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    const [text, behind] = [getComputedStyle(node).color, ground(node)];
    const [a, b] = [light(text), light(behind)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (ratio < 4.5) found.add(`${node.tagName} ${text} on ${behind}: ${ratio.toFixed(2)}`);
  }
  return [seen, Array.from(found)];
}"""
FOCUS = """() => {
  const node = document.activeElement;
  const style = getComputedStyle(node);
  return {
    name: node.matches("thead button") ? "sort" : node.className || node.tagName.toLowerCase(),
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
  };
}"""
ROWS = (
    "Array.from(document.querySelectorAll('.board tbody tr')).filter((row) => !row.hidden).length"
)
SCORES = """Array.from(document.querySelectorAll("tbody[data-block='layers'] tr"))
  .filter((row) => !row.hidden).map((row) => parseFloat(row.cells[2].dataset.value))"""

Show = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    driver = pytest.importorskip("playwright.sync_api")
    with driver.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Opens a page without a network; any complaint or dialogue of the browser fails the test."""
    contexts, complaints = [], []

    def opened(text: str, width: int = 1280, scheme: Any = "light") -> Page:
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialogue: {dialog.message}"))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def picture(colour: int) -> bytes:
    return webp(Image.fromarray(np.full((20, 40, 3), colour, dtype=np.uint8)))


@pytest.fixture(scope="module")
def report() -> str:
    """Every section, with every kind of picture."""
    items = items_frame(4, 4, num_scenes=10, sets_per_scene=1)
    found = extreme_view_sets(items, METRICS, shown_layers(summarise(items), METRICS))
    keys = found[["dataset", "scene", "set_id"]].drop_duplicates().itertuples(index=False)
    models = list(items["model"].unique())
    return report_html(
        "A suite",
        items,
        METRICS,
        cells_frame(items),
        [Table("Correspondence", TASK, (CONTROLLED, "auroc"))],
        "What do features know?",
        Costs(
            pd.DataFrame({"model": models, "ms": np.arange(1.0, 1 + len(models))}),
            {"ms": "time per view [ms]"},
        ),
        {tuple(key): picture(20 * number % 256) for number, key in enumerate(keys)},
        [
            Sheet("demo", "pca", name, name == "all", picture(9), (40, 20))
            for name in ("all", "room")
        ],
        3,
        {"To repeat it": "bench run suite", "Models": [{"model": "A", "weights": "ab" * 32}]},
    )


def tab_to(page: Page, name: str) -> list[str]:
    """Press Tab until `name` has the focus; what had it on the way, all of it visibly."""
    stops = []
    for _ in range(60):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        assert focus["outline"] >= 1, f"{focus['name']} has the focus but does not show it"
        stops.append(focus["name"])
        if focus["name"] == name:
            return stops
    raise AssertionError(f"{name} is out of reach: {stops}")


def test_keyboard_sorts_filters_and_folds(show: Show, report: str) -> None:
    page = show(report)
    stops = tab_to(page, "filter")
    assert stops == ["skip", *["a"] * 7, "filter"]
    folded = page.evaluate(ROWS)
    page.keyboard.type("DINOv2-S block")
    assert page.evaluate(ROWS) < folded
    assert page.inner_text(".count").endswith(f"of {folded} rows")
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    assert tab_to(page, "every-layer") == ["every-layer"]
    page.keyboard.press("Space")
    assert page.evaluate(ROWS) == folded + 4 * 4
    assert tab_to(page, "sort") == ["scroll", "sort"]
    tab_to(page, "sort")
    tab_to(page, "sort")
    heads = page.locator("thead th")
    for key, order, sign in (("Enter", "descending", -1), ("Space", "ascending", 1)):
        page.keyboard.press(key)
        assert heads.nth(2).get_attribute("aria-sort") == order
        scores = page.evaluate(SCORES)
        assert scores == sorted(scores, key=lambda score: sign * score)
        assert len(scores) == 16
    assert page.locator("[aria-sort]").count() == 1


def test_skip_link_and_details_by_keyboard(show: Show, report: str) -> None:
    page = show(report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "leaderboard"
    tab_to(page, "summary")
    page.keyboard.press("Enter")
    assert page.locator("details").first.get_attribute("open") is not None


def test_choosing_a_model_moves_the_cards(show: Show, report: str) -> None:
    page = show(report)
    names = "Array.from(document.querySelectorAll('.cards.worst li'), (card) => card.innerText)"
    before = page.evaluate(names)
    assert len(before) == 3
    page.locator("select.model").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.querySelector('select.model').value") != "mean of the backbones"
    assert page.evaluate(names) != before
    model = page.evaluate("document.querySelector('select.model').value")
    page.locator("select.group").focus()
    page.keyboard.press("ArrowDown")
    kept = page.evaluate("document.querySelector('select.model').value")
    assert kept.split(",")[0] == model.split(",")[0]
    page.locator("#extremes").scroll_into_view_if_needed()
    shown = page.locator(".cards:not(.spare) img")
    assert shown.count() == 6
    for number in range(6):
        shown.nth(number).scroll_into_view_if_needed()
    page.wait_for_function(
        "Array.from(document.querySelectorAll('.cards:not(.spare) img'))"
        ".every((image) => image.naturalWidth === 40)"
    )
    cards = page.locator("li[data-set]").count()
    assert cards == len(
        set(page.eval_on_selector_all("li[data-set]", "c => c.map(e => e.dataset.set)"))
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(show: Show, report: str, scheme: str) -> None:
    page = show(report, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    seen, faint = page.evaluate(FAINT)
    assert seen > 100
    assert faint == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    behind = page.locator("figure").first.evaluate("n => getComputedStyle(n).backgroundColor")
    assert behind == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [320, 400, 1000, 1920])
def test_the_page_never_scrolls_sideways(show: Show, report: str, width: int) -> None:
    page = show(report, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_labels_run_nothing_and_fit(show: Show) -> None:
    items = items_frame(1, 4, ("demo",), num_scenes=8, sets_per_scene=1, angles=False)
    few = items[(items["model"] == "DINOv2-S") & (items["metric"] == CONTROLLED)]
    parts = [few.assign(model=label, dataset=HOSTILE[0], set_id=label) for label in HOSTILE]
    own = pd.concat(parts, ignore_index=True)
    text = report_html(
        HOSTILE[0], own, METRICS, cells_frame(own), [Table(HOSTILE[6], TASK, (CONTROLLED,))],
        HOSTILE[6], sheets=[Sheet(HOSTILE[0], "pca", HOSTILE[6], True, picture(9), (40, 20))],
        provenance={HOSTILE[0]: HOSTILE[6], HOSTILE[6]: [{HOSTILE[0]: HOSTILE[6]}]},
    )  # fmt: skip
    page = show(text, 400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("script").count() == 1
    assert HOSTILE[0] in page.inner_text("h1")
    models = page.eval_on_selector_all("tbody th", "cells => cells.map((c) => c.textContent)")
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[4]} <= set(models)


def test_sixty_models_and_forty_nine_layers(show: Show) -> None:
    items = items_frame(60, 49, num_scenes=4, sets_per_scene=1, angles=False)
    page = show(
        report_html(
            "t", items, METRICS, cells_frame(items), [Table("t", TASK, (CONTROLLED, "auroc"))]
        )
    )
    page.locator(".every-layer").click()
    assert page.evaluate(ROWS) == 59 * (1 + 49) + 49 + 4
    page.locator("thead button").nth(2).click()
    scores = page.evaluate(SCORES)
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 59 * 49
    page.locator(".filter").fill("backbone 17 block_4")
    assert page.evaluate(ROWS) >= 10
    assert page.locator("select.model option").count() == 64
