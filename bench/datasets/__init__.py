"""Datasets: ordered, hashed lists of view sets. One module each; the file's name is the name."""

from __future__ import annotations

from bench.registry import Registry
from bench.types import Dataset

datasets: Registry[type[Dataset]] = Registry("dataset", "bench.datasets")
