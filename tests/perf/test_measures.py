"""Every measure under pytest-benchmark; the ratio is in its extra information, never asserted.

Run: ``pytest tests/perf -o addopts= --benchmark-json=FILE``, or ``python -m tests.perf`` for the
table alone; ``-m gpu`` for what needs a CUDA device.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.perf.measure import Measure
from tests.perf.table import MEASURES

GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CASES = [
    pytest.param(
        measure,
        device,
        id=f"{measure.ratio.__module__}.{measure.ratio.__name__}-{device}",
        marks=GPU if device == "cuda" else [],
    )
    for measure in MEASURES
    for device in measure.devices
]


@pytest.mark.parametrize(("measure", "device"), CASES)
def test_ratio(benchmark: Any, measure: Measure, device: str) -> None:
    ratio = benchmark.pedantic(measure.ratio, args=(device,), rounds=1)
    benchmark.extra_info |= {"measure": measure.what, "ratio": ratio, "goal": measure.goal}
    assert math.isfinite(ratio) and ratio > 0
