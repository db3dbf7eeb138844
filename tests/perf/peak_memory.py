"""Peak memory of a run beside that of one with ten times as many view sets."""

from __future__ import annotations

import re
import tempfile
from multiprocessing import get_context
from pathlib import Path

from bench.check import load_suite
from bench.datasets import datasets
from bench.plan import Selection, make_plan
from bench.runner.loop import run_plan
from bench.runner.settings import Settings
from tests.synthetic import Slab

#: Enough that as many view sets as ever are in memory: those that are decoded ahead.
VIEW_SETS = 20
SUITE = """\
name: memory
defaults: {{resolution: {{patches: 16}}}}
models: [{{label: RGB patches, model_id: feature_extractor/rgb}}]
datasets: [{{name: slab, params: {{num_sets: {per_split}, height: 518, width: 518}}}}]
tasks: [{{name: multiview_correspondence}}, {{name: geometric_matching}}]
"""


def at_ten_times(device: str) -> float:
    """Resident memory of a process that loads, extracts and scores 200 sets, against 20."""
    return peak_bytes(10 * VIEW_SETS) / peak_bytes(VIEW_SETS)


def peak_bytes(num_sets: int) -> int:
    """Of a run in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (num_sets,))


def _run(num_sets: int) -> int:
    datasets.register(Slab.name)(Slab)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "suite.yaml"
        path.write_text(SUITE.format(per_split=num_sets // 2))
        plan = make_plan(load_suite(path), precision="float32")
        outcome = run_plan(plan, Path(name) / "run", Settings(cache="off"), Selection())
    assert outcome.done == len(plan.cells), outcome.failures
    # Not getrusage: its maximum begins with what the parent process had at the fork.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])
