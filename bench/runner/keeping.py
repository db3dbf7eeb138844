"""Whether features are kept on disk, how many bytes that takes, and why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil

from bench.plan import Cell, DatasetPlan, ModelPlan
from bench.runner.loading import load_view_set
from bench.runner.settings import Settings

BYTES_PER_NUMBER = {"float16": 2, "float32": 4}
IN_THE_LOOP = "the forward pass runs in the training loop"


@dataclass(frozen=True)
class Keeping:
    """A decision. size_bytes: all layers and views; None where it cannot be known."""

    keep: bool
    reason: str
    size_bytes: int | None = None

    def __str__(self) -> str:
        size = "" if self.size_bytes is None else f"about {self.size_bytes / 1e9:.3g} GB, "
        return f"{size}{'kept in the cache' if self.keep else 'not kept'}: {self.reason}"


def keeping(cells: Sequence[Cell], settings: Settings) -> Keeping:
    """What a run does with the features of cells that share one model and one dataset.

    One pass feeds all tasks, so features are kept only where something will read them again. Shards
    are no reason: no two of them have the same model and dataset.
    """
    model, dataset = cells[0].model, cells[0].dataset
    trained = list(dict.fromkeys(cell.task.label for cell in cells if reads_again(cell)))
    readers = f"training of {', '.join(trained)} reads them again"
    otherwise = f"; {IN_THE_LOOP}" if trained else ""
    if model.kind.scope == "view_set_with_geometry" or "features" not in model.kind.offers:
        return Keeping(False, f"this model's output is never cached{otherwise}")
    layers = {layer for cell in cells for layer in cell.layers}
    size = size_bytes(model, dataset, layers, cells[0].storage)
    if settings.cache == "off":
        return Keeping(False, f"--cache off{otherwise}", size)
    if settings.cache == "read":
        lacking = f"{otherwise} where the cache lacks them" if trained else ""
        return Keeping(False, f"--cache read{lacking}", size)
    reasons = {
        "--cache on": settings.cache == "on",
        "the suite says cache_layers": model.cache_layers,
        readers: bool(trained),
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    if reason is None:
        return Keeping(False, "one pass feeds every task, and nothing reads them again", size)
    if size is not None and size > settings.cache_bytes:
        cap = settings.cache_bytes / 1e9
        return Keeping(False, f"{reason}, but the cache holds {cap:.3g} GB{otherwise}", size)
    return Keeping(True, reason, size)


def reads_again(cell: Cell) -> bool:
    """Whether a cell's task comes back to view sets that it has seen."""
    return cell.task.kind.scope == "dataset"


def size_bytes(
    model: ModelPlan, dataset: DatasetPlan, layers: Collection[str], storage: str
) -> int | None:
    """Bytes of the features, if every view is as large as those of the first view set.

    Sides that are no multiple of the stride (resolution ``padded``) are padded up to the next.
    """
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
        ceil(view.size[0] / stride) * ceil(view.size[1] / stride) * architecture.dim_of(layer)
        for view in first.views
        for layer in layers
        for stride in [architecture.stride_of(layer)]
    )
    listed = [(ref.scene, view) for ref in dataset.refs for view in ref.views]
    count = len(set(listed) if model.kind.scope == "image" else listed)
    return numbers * BYTES_PER_NUMBER[storage] * count // len(first)
