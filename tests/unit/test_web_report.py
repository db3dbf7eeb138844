"""What the report says of how a run was made, and the pictures of its view sets."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.datasets import datasets
from bench.report import Entry
from bench.results import Result
from bench.web_report import command, provenance, tiled

RESULT = Result(
    status="done", key="ab", suite="s", model="DINOv2-S", model_id="feature_extractor/dinov2",
    config={"backbone": "small"}, weights="file:12", role="backbone", layers=["block_5"],
    layer_names=["block_5"], dataset="demo", dataset_name="demo", dataset_version=3,
    list_hash="cd" * 32, resolution="patches=28", limit=None, task="match", task_name="matching",
    task_version=2, params={"preset": "v1"}, metrics=[], storage="float16", precision="float32",
    seed=0, parameters=22_056_576,
)  # fmt: skip


def test_the_command_can_be_pasted_into_a_shell() -> None:
    record = {"command": ["bench", "run", "my suite.yaml", "--limit", "2"], "commit": "abc"}
    assert command(record, "s") == "git checkout abc\nbench run 'my suite.yaml' --limit 2"
    assert command({"command": ["__main__.py", "run", "s"]}, "s") == "python -m bench run s"
    changed = command({"command": ["bench", "run", "s"], "commit": "abc+"}, "s")
    assert changed.splitlines()[0] == "git checkout abc  # and changes that were not committed"
    assert command({}, "my suite") == "bench run 'my suite'"


def test_provenance_names_what_a_number_depends_on(tmp_path: Path) -> None:
    record = {"commit": "abc", "device_name": "a GPU", "versions": {"torch": "2.8"}, "host": "me"}
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    found = provenance([tmp_path], [RESULT, RESULT.model_copy(update={"layers": ["block_8"]})])
    assert found["Made with"] == {"device name": "a GPU", "commit": "abc", "torch": "2.8"}
    assert rows(found["Models"])[0]["weights (sha256)"] == "file:12"
    assert rows(found["Models"])[0]["parameters"] == "22,056,576"
    assert rows(found["Datasets"])[0]["list of view sets (sha256)"] == "cd" * 32
    assert [len(rows(found[name])) for name in ("Models", "Datasets", "Tasks")] == [1, 1, 1]


def rows(entry: Entry) -> list[Mapping[str, Any]]:
    assert not isinstance(entry, str | Mapping)
    return list(entry)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_run_without_a_record_is_still_described(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content, encoding="utf-8")
    found = provenance([tmp_path], [RESULT])
    assert found["To repeat it"] == f"bench run {tmp_path.name}"
    assert "Made with" not in found


def test_views_of_a_set_become_tiles() -> None:
    dataset = datasets.get("motorcycle")()
    picture = Image.open(io.BytesIO(tiled(dataset, dataset.view_sets()[0])))
    assert picture.format == "WEBP"
    assert picture.height == 130
    left, right = np.split(np.asarray(picture.convert("L"), dtype=float), 2, axis=1)
    assert left.std() > 20
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.5
