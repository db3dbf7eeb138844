"""Frozen backbones. One module per family; the file's name is the name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.registry import Registry

if TYPE_CHECKING:
    from bench.models.feature_extractors.base import FeatureExtractor

feature_extractors: Registry[type[FeatureExtractor]] = Registry(
    "feature_extractor", "bench.models.feature_extractors", not_plugins=frozenset({"base"})
)


def get_extractor_from_id(name: str, config: Mapping[str, Any] | None = None) -> FeatureExtractor:
    """Build the extractor called `name` (without the prefix ``feature_extractor/``).

    Raises:
        BenchError: unknown name, unknown or invalid option, weights that cannot be had.
    """
    return feature_extractors.get(name)(**(config or {}))
