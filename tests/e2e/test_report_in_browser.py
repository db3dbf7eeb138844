"""The report's script in a browser: sort, filter, fold, and the time it takes on a large table."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from bench.report import report_html
from bench.tables import Table
from tests.unit.synthetic_frames import TASK, cells_frame, items_frame, metrics_frame

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CONTROLLED = "auroc_position_controlled"
STEPS = """
const found = {};
const board = document.querySelector(".board");
const table = board.querySelector("table");
const buttons = table.querySelectorAll("thead button");
const heads = table.querySelectorAll("thead th");
const shown = (block) => Array.from(table.querySelectorAll("tbody tr")).filter(
  (row) => !row.hidden && (!block || row.parentElement.dataset.block === block));
const scores = () => shown("layers").map((row) => parseFloat(row.cells[2].dataset.value));
const filter = board.querySelector(".filter");
const type = (text) => { filter.value = text; filter.dispatchEvent(new Event("input")); };
found.folded = shown().length;
board.querySelector(".every-layer").click();
found.unfolded = shown().length;
buttons[2].click();
found.first = [heads[2].getAttribute("aria-sort"), scores()];
buttons[2].click();
found.second = [heads[2].getAttribute("aria-sort"), scores()];
buttons[1].click();
found.layers = shown("layers").map((row) => row.cells[1].textContent);
found.sorted = table.querySelectorAll("[aria-sort]").length;
type("DINOv2-S BLOCK_5");
found.filtered = shown().map((row) => row.cells[0].textContent);
found.count = board.querySelector(".count").textContent;
type("nothing like it");
found.none = shown().length;
document.title = JSON.stringify(found);
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs a chromium on the path")
@pytest.mark.parametrize(("num_models", "num_layers"), [(4, 4), (60, 49)])
def test_script(tmp_path: Path, num_models: int, num_layers: int) -> None:
    items = items_frame(num_models, num_layers, num_scenes=4, sets_per_scene=1, angles=False)
    page = report_html(
        "t", items, metrics_frame(), cells_frame(items), [Table("t", TASK, (CONTROLLED,))]
    )
    # The page's own policy would refuse the steps, as it should.
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    path = tmp_path / "report.html"
    path.write_text(page.replace("</body>", f"<script>{STEPS}</script></body>"), encoding="utf-8")
    found = titled(path)
    backbones = num_models - (num_models >= 6)
    floors = num_layers if num_models >= 6 else 0
    assert found["folded"] == backbones + 4 + (floors > 0)
    assert found["unfolded"] == backbones * (1 + num_layers) + 4 + floors
    for order, (name, scores) in zip((-1, 1), (found["first"], found["second"]), strict=True):
        assert name == ("descending" if order < 0 else "ascending")
        assert scores == sorted(scores, key=lambda score: order * score)
    numbers = [int(layer.split("_")[1].split()[0]) for layer in found["layers"]]
    assert numbers == sorted(numbers)
    assert found["sorted"] == 1
    assert set(found["filtered"]) == {"DINOv2-S"}
    assert found["count"].startswith(f"{len(found['filtered'])} of ")
    assert found["none"] == 0


def titled(path: Path) -> Any:
    """What the page wrote into its title."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    done = subprocess.run(
        [*command, "--virtual-time-budget=20000", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    return json.loads(unescape(title[1]))
