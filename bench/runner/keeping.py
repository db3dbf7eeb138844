"""Whether features are kept on disk, how many bytes that takes, and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bench.plan import DatasetPlan, ModelPlan
from bench.runner.loading import load_view_set
from bench.runner.settings import Settings

BYTES_PER_NUMBER = {"float16": 2, "float32": 4}


@dataclass(frozen=True)
class Keeping:
    """A decision. size_bytes: all layers and views; None where it cannot be known."""

    keep: bool
    reason: str
    size_bytes: int | None = None

    def __str__(self) -> str:
        size = "" if self.size_bytes is None else f"about {self.size_bytes / 1e9:.3g} GB, "
        return f"{size}{'kept in the cache' if self.keep else 'not kept'}: {self.reason}"


def keeping(
    model: ModelPlan,
    dataset: DatasetPlan,
    layers: Collection[str],
    storage: str,
    settings: Settings,
) -> Keeping:
    """What a run does with the features of one model on one dataset.

    One pass feeds all tasks, so features are kept only where something will read them again.
    """
    if model.kind.scope == "view_set_with_geometry" or "features" not in model.kind.offers:
        return Keeping(False, "this model's output is never cached")
    if settings.cache in ("off", "read"):
        return Keeping(False, f"--cache {settings.cache}")
    if settings.cache == "auto" and not model.cache_layers:
        return Keeping(False, "one pass feeds every task, and nothing reads them again")
    reason = "--cache on" if settings.cache == "on" else "the suite says cache_layers"
    size = size_bytes(model, dataset, layers, storage)
    if size is not None and size > settings.cache_bytes:
        cap = settings.cache_bytes / 1e9
        return Keeping(False, f"{reason}, but the cache holds {cap:.3g} GB", size)
    return Keeping(True, reason, size)


def size_bytes(
    model: ModelPlan, dataset: DatasetPlan, layers: Collection[str], storage: str
) -> int | None:
    """Bytes of the features, if every view is as large as those of the first view set."""
    architecture = model.kind.describe(model.options)
    if dataset.dataset is None or not dataset.refs or architecture is None:
        return None
    try:
        first = load_view_set(
            dataset.dataset, dataset.refs[0], dataset.resolution, architecture.stride
        )
    except Exception:
        # What is wrong with it is reported where it is scored.
        return None
    numbers = sum(
        (view.size[0] // stride) * (view.size[1] // stride) * architecture.dim_of(layer)
        for view in first.views
        for layer in layers
        for stride in [architecture.stride_of(layer)]
    )
    listed = [(ref.scene, view) for ref in dataset.refs for view in ref.views]
    count = len(set(listed) if model.kind.scope == "image" else listed)
    return numbers * BYTES_PER_NUMBER[storage] * count // len(first)
