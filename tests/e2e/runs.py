"""What runs of one small suite leave behind, and whether it is what an undisturbed run leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
from PIL import Image
from safetensors.torch import load_file

SUITE = """\
name: disturbed
models:
  - {label: RGB, model_id: feature_extractor/rgb}
  - {label: noise, model_id: feature_extractor/noise, cache_layers: true}
datasets:
  - {name: slab, params: {num_sets: 6}}
tasks:
  - {name: brightness}
  - {name: brightness, label: twice, params: {scale: 2.0}}
  - {name: mean_of_means}
tables:
  - {title: All, task: brightness, metrics: [mean]}
defaults: {resolution: {patches: 6}}
"""


@dataclass(frozen=True)
class Unbroken:
    """A suite, the folder of a run that nothing disturbed, and its number of file operations."""

    suite: Path
    run: Path
    operations: int


def published(run: Path) -> dict[str, bytes]:
    """Everything that is promised to have equal bytes."""
    paths = [p for p in run.rglob("*") if p.is_file() and not p.name.endswith(".tmp")]
    names = {p.relative_to(run): p for p in paths}
    return {
        str(name): path.read_bytes()
        for name, path in sorted(names.items())
        if name.parts[0] not in ("cells", "run.json") or name.name == "items.parquet"
    }


def assert_nothing_is_torn(run: Path) -> None:
    for path in run.rglob("*"):
        if not path.is_file() or path.suffix in (".tmp", ".jsonl"):
            continue
        content = path.read_bytes()
        assert content, path
        if path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".parquet":
            items = pd.read_parquet(path)
            assert not items.duplicated(["layer", "scene", "set_id", "split", "metric"]).any()
        elif path.suffix == ".safetensors":
            load_file(path)
        elif path.suffix == ".png":
            Image.open(path).load()
        elif path.suffix == ".svg":
            ElementTree.fromstring(content)
        else:
            assert content.endswith(b"\n"), path


def assert_like_unbroken(run: Path, whole: Path) -> None:
    left = published(run)
    assert left.keys() == published(whole).keys()
    for name, content in published(whole).items():
        assert left[name] == content, name
    assert not list((run / "cells" / "journal").rglob("*.jsonl"))
