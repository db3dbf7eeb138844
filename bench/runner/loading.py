"""View sets decoded ahead of the device, in a bounded number of threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch

from bench.errors import BenchError
from bench.geometry.resolution import (
    move_boxes,
    move_homography,
    plan_resampling,
    resample_view,
)
from bench.types import Dataset, Resolution, ViewSet, ViewSetRef

Loaded = ViewSet | BenchError


def load_view_set(
    dataset: Dataset, ref: ViewSetRef, resolution: Resolution, stride: int
) -> ViewSet:
    """A view set at a model's input size.

    Raises:
        BenchError: a file is missing or broken, an image is smaller than one patch, or the dataset
            gave another view set than it was asked for.
    """
    source = dataset.load(ref)
    if (source.split, source.scene, source.set_id) != (ref.split, ref.scene, ref.set_id):
        raise BenchError(f"{ref.scene}/{ref.set_id}: another view set than the list says was read.")
    plans = [plan_resampling(*view.size, resolution, stride) for view in source.views]
    views = tuple(resample_view(view, plan) for view, plan in zip(source.views, plans, strict=True))
    moved: dict[str, Any] = {}
    if source.homographies is not None:
        moved["homographies"] = {
            (a, b): move_homography(homography, plans[a], plans[b])
            for (a, b), homography in source.homographies.items()
        }
    if "boxes" in source.extras:
        boxes = zip(source.extras["boxes"], plans, strict=True)
        new = torch.stack([move_boxes(box, plan) for box, plan in boxes])
        moved["extras"] = {**source.extras, "boxes": new}
    return replace(source, views=views, **moved)


def prefetch(
    batches: Sequence[Sequence[ViewSetRef]],
    load: Callable[[ViewSetRef], ViewSet],
    workers: int,
    ahead: int = 2,
) -> Iterator[list[Loaded]]:
    """Batches in order, each view set loaded or the reason why it could not be.

    At most `ahead` + 1 batches are in memory, however many there are.
    """
    with ThreadPoolExecutor(max_workers=max(workers, 1), thread_name_prefix="load") as pool:
        waiting: deque[list[Future[Loaded]]] = deque()
        remaining = iter(batches)
        try:
            while True:
                while len(waiting) <= ahead:
                    batch = next(remaining, None)
                    if batch is None:
                        break
                    waiting.append([pool.submit(_attempt, load, ref) for ref in batch])
                if not waiting:
                    return
                yield [future.result() for future in waiting.popleft()]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _attempt(load: Callable[[ViewSetRef], ViewSet], ref: ViewSetRef) -> Loaded:
    try:
        return load(ref)
    except BenchError as error:
        return error
    except Exception as error:
        # A reader that trips over a damaged file must not end the run; the reason is recorded.
        return BenchError(f"{ref.scene}/{ref.set_id}: {type(error).__name__}: {error}")
