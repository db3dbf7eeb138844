"""View sets that a task reads again: training on frozen features, kept or not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from bench.errors import BenchError
from bench.models.feature_extractors.base import resolve_layers
from bench.runner.features import FeatureSource
from bench.runner.loading import prefetch
from bench.types import FeatureMap, TaskItem, ViewSet, ViewSetRef


@dataclass(frozen=True)
class Rereading:
    """Gives the view sets of a cell again, with features of its layers.

    They come from the source of the first pass, in the same storage precision: scores do not depend
    on whether they were kept.

    Attributes:
        too_large: sizes of batches that turned out not to fit into memory.
    """

    source: FeatureSource
    load: Callable[[ViewSetRef], ViewSet]
    layers: tuple[str, ...]
    batch_size: int
    workers: int
    too_large: Collection[int] = ()

    def __call__(self, view_sets: Sequence[ViewSetRef]) -> Iterator[TaskItem]:
        """In order; decoded ahead, a bounded number of batches at a time.

        Raises:
            BenchError: a view set cannot be read any more.
        """
        size = min([self.batch_size, *(failed // 2 for failed in self.too_large)])
        batches = [view_sets[start : start + size] for start in range(0, len(view_sets), size)]
        for loaded in prefetch(batches, self.load, self.workers):
            for item in loaded:
                if isinstance(item, BenchError):
                    raise item
            yield from self._items([item for item in loaded if isinstance(item, ViewSet)])

    def _items(self, view_sets: Sequence[ViewSet]) -> Iterator[TaskItem]:
        names = resolve_layers(list(self.layers), self.source.plan.layer_names)
        collected: list[dict[str, FeatureMap]] = [{} for _ in view_sets]
        for layer, maps in self.source.layers(view_sets, names):
            for features, feature_map in zip(collected, maps, strict=True):
                features[layer] = feature_map
        for view_set, features in zip(view_sets, collected, strict=True):
            yield TaskItem(view_set, {layer: features[layer] for layer in self.layers})
