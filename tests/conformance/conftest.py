"""Small extractors, built once per module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.models.feature_extractors import get_extractor_from_id
from bench.models.feature_extractors.base import FeatureExtractor
from tests.conformance.small_extractors import Case, register_small

Build = Callable[..., FeatureExtractor]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny models lose more time handing work to threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def _small_backbones() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        register_small(patch)
        yield


@pytest.fixture(scope="module")
def config_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], dict[str, Any]]:
    """Options of a case; a folder that they name is written once."""
    folders: dict[str, Path] = {}

    def options(case: Case) -> dict[str, Any]:
        if case.folder is None:
            return dict(case.config)
        if case.id not in folders:
            folders[case.id] = tmp_path_factory.mktemp(case.id)
            with torch.random.fork_rng():
                torch.manual_seed(0)
                case.folder(folders[case.id])
        return {"name": str(folders[case.id]), **case.config}

    return options


@pytest.fixture(scope="module")
def build(config_of: Callable[[Case], dict[str, Any]]) -> Build:
    """The extractor of a case with further options; do not change what it gives."""
    built: dict[str, FeatureExtractor] = {}

    def make(case: Case, **more: Any) -> FeatureExtractor:
        key = f"{case.id}{sorted(more.items())}"
        if key not in built:
            built[key] = get_extractor_from_id(case.extractor, {**config_of(case), **more})
        return built[key]

    return make
