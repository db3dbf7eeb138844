"""Every measure with its goal, and the table of what they came to."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator

import torch

from tests.perf import (
    dinov2,
    layer,
    matching,
    peak_memory,
    runner,
    vggt_memory,
    voxel_means,
    voxel_score,
    warm_cache,
)
from tests.perf.measure import Measure

BOTH = ("cpu", "cuda")
MEASURES = (
    Measure(
        "voxel means, 4 x 1369 x 1024, against a plain pairwise version, both with the dead zone:"
        " times as fast",
        30,
        voxel_means.against_pairwise,
        at_least=True,
        devices=BOTH,
    ),
    Measure(
        "the same without a dead zone in either: times as fast",
        30,
        voxel_means.against_pairwise_without_dead_zone,
        at_least=True,
        devices=BOTH,
    ),
    Measure(
        "voxel means with the dead zone against reading and normalising the features once",
        3,
        voxel_means.against_reading,
        devices=BOTH,
    ),
    Measure(
        "full v1 voxel score (raw, centred, position-controlled) against the bare view-pair"
        " products",
        3,
        voxel_score.against_products,
        devices=BOTH,
    ),
    Measure(
        "nearest-neighbour matching against the bare similarity product, worst of three sizes",
        1.5,
        matching.one_way,
        devices=BOTH,
    ),
    Measure(
        "the same in both directions, against two products", 1.5, matching.both_ways, False, BOTH
    ),
    Measure(
        "a run less its tasks against the bare forward passes of the same batches (DINOv2-S)",
        1.1,
        runner.overhead,
        devices=BOTH,
    ),
    Measure(
        "one layer of voxel score and matching, geometry included, against DINOv2-S's forward pass",
        0.25,
        layer.voxels_and_matching,
    ),
    Measure(
        "reading a layer from the warm cache against computing it (DINOv2-S)",
        1 / 20,
        warm_cache.against_computing,
    ),
    Measure(
        "peak memory of a run of 200 view sets against one of 20", 1.05, peak_memory.at_ten_times
    ),
    Measure(
        "peak activation memory of VGGT-1B, 16 views of 518 pixels, against keeping all layers and"
        " 8-frame chunks",
        0.5,
        vggt_memory.against_naive,
    ),
    Measure(
        "DINOv2-S's forward pass in bfloat16 against float32",
        1,
        dinov2.half_precision,
        False,
        ("cuda",),
    ),
)


def lines(devices: tuple[str, ...], said: Callable[[str], object]) -> Iterator[str]:
    """The table in Markdown, row by row as it is measured, then what it was measured on.

    said: is told the name of each measure before it begins.
    """
    yield "| measure | device | ratio | goal | met |"
    yield "| --- | --- | ---: | ---: | --- |"
    for device in devices:
        for measure in MEASURES:
            if device in measure.devices:
                said(measure.what)
                yield row(measure, device, measure.ratio(device))
    yield ""
    yield machine(devices)


def row(measure: Measure, device: str, ratio: float) -> str:
    bound = ">=" if measure.at_least else "<="
    met = "yes" if measure.is_met(ratio) else "no"
    return f"| {measure.what} | {device} | {ratio:.3g} | {bound} {measure.goal:g} | {met} |"


def machine(devices: tuple[str, ...]) -> str:
    names = [
        torch.cuda.get_device_name() if name == "cuda" else platform.machine() for name in devices
    ]
    return (
        f"{os.cpu_count()} cores ({', '.join(names)}), torch {torch.__version__}; times on the"
        " processor are processor time of one torch thread; DINOv2-S and VGGT have random weights."
    )
