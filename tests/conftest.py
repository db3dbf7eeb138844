"""Shared fixtures: an empty cache for every session, and the synthetic dataset and task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.datasets import datasets
from bench.tasks import tasks
from tests.synthetic import Brightness, MeanOfMeans, Slab

# Tensors of tests are small: more threads only wait for each other.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests never read or write the user's cache."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "bench-cache"))


@pytest.fixture
def synthetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers `slab`, `brightness` and `mean_of_means` for one test."""
    monkeypatch.setitem(datasets._registered, "slab", Slab)
    monkeypatch.setitem(tasks._registered, "brightness", Brightness)
    monkeypatch.setitem(tasks._registered, "mean_of_means", MeanOfMeans)


SUITE = """\
name: tiny
models:
  - {label: RGB, model_id: feature_extractor/rgb, model_config: {patch_size: 14}}
  - {label: noise, model_id: feature_extractor/noise}
datasets:
  - {name: slab}
tasks:
  - {name: brightness}
defaults: {resolution: {patches: 6}}
"""


@pytest.fixture
def tiny_suite(tmp_path: Path, synthetic: None) -> Iterator[Path]:
    """A suite over the synthetic dataset and task."""
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE)
    yield path
