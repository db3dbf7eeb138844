"""From an extractor's options to tensors: a file of the user, or published weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import AfterValidator
from torch import Tensor

from bench.errors import BenchError
from bench.models.checkpoints import read_state_dict, resolve_path
from bench.models.feature_extractors.base import ExtractorOptions
from bench.models.manifest import source_at
from bench.models.sources import Source, check_bytes, obtain
from bench.registry import suggestion


@dataclass(frozen=True)
class LoadedWeights:
    """Tensors by the names of their file, and what to call the file in a message."""

    state: dict[str, Tensor]
    name: str


def wanted_weights(options: ExtractorOptions, source: Source | None) -> LoadedWeights | None:
    """The tensors that the options ask for; None for a random initialisation.

    Args:
        source: where the pretrained weights are, used without ``checkpoint_path``.

    Raises:
        BenchError: not there, out of reach, unreadable, or other bytes than the published ones.
    """
    if options.checkpoint_path is not None:
        path = resolve_path(options.checkpoint_path)
        published = source_at(options.checkpoint_path)
        if published is not None:
            check_bytes(path, published)
        return LoadedWeights(read_state_dict(path), options.checkpoint_path)
    if not options.pretrained:
        return None
    if source is None:
        raise BenchError(
            "No published weights are known for these options.",
            "Give a checkpoint_path, or use pretrained: false for random weights.",
        )
    return LoadedWeights(read_state_dict(obtain(source)), source.address)


def one_of(*tables: Mapping[str, object]) -> AfterValidator:
    """Validation of an option that names an entry of one of `tables`."""

    def check(name: str) -> str:
        known = [key for table in tables for key in table]
        if name not in known:
            raise ValueError(f"unknown. {suggestion(name, known)}")
        return name

    return AfterValidator(check)
