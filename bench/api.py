"""The same as the command line, from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd

    from bench.plan import Plan

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def resolve_device(device: str) -> str:
    """``auto`` is the first CUDA device if there is one, else the processor."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise BenchError(f"Unknown device '{device}'.", "Use auto, cpu, cuda or cuda:N.") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise BenchError(f"No CUDA device for '{device}'.", "Use --device cpu; see `bench doctor`.")
    return device


def prepare(
    suite: str | Path,
    *,
    device: str = "auto",
    precision: Precision | None = None,
    limit: int | None = None,
) -> tuple[Plan, str]:
    """The checked plan of a suite, and the device it is for.

    Raises:
        BenchError: no such suite or device; SuiteError with every mistake of the suite.
    """
    from bench.check import load_suite
    from bench.plan import make_plan
    from bench.runner.features import resolve_precision
    from bench.suite import find_suite

    checked = load_suite(find_suite(str(suite)))
    chosen = resolve_device(device)
    wanted = resolve_precision(precision or checked.defaults.precision, chosen)
    return make_plan(checked, precision=wanted, limit=limit), chosen


def run_suite(
    suite: str | Path,
    out: str | Path | None = None,
    *,
    device: str = "auto",
    limit: int | None = None,
    force: bool = False,
) -> pd.DataFrame:
    """Run a suite and return its scores as a tidy data frame (see ``load_results``).

    Finished cells are not computed again. Failed cells are absent; their reasons are in the
    leaderboard and in ``cells/``.

    Raises:
        BenchError: mistakes in the suite, or no such device.
    """
    from bench.plan import Selection
    from bench.publish import publish
    from bench.results import load_results
    from bench.runner.loop import Settings, run_plan

    plan, chosen = prepare(suite, device=device, limit=limit)
    folder = Path(out) if out is not None else Path("results") / plan.suite.name
    run_plan(plan, folder, Settings(chosen, force=force), Selection())
    publish(folder)
    return load_results(folder)
