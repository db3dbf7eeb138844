"""Plans in words, for ``check`` and ``--dry-run``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.plan import Cell, Plan
from bench.results import CELLS, is_done
from bench.runner.keeping import keeping
from bench.runner.settings import Settings


def plan_lines(plan: Plan, cells: Sequence[Cell], out: Path, settings: Settings) -> Iterator[str]:
    """What a run would do: cells per model and dataset, what is done, features kept."""
    for model, dataset, own in plan.groups(cells):
        pending = [
            cell
            for cell in own
            if settings.force or not is_done(out / CELLS / cell.folder, cell.key)
        ]
        sets = len(dataset.refs)
        yield (
            f"{model.label} on {dataset.label}: {len(own)} cells ({len(own) - len(pending)} done), "
            f"{sets} view sets, layers {', '.join(model.layers)}, {dataset.resolution.rule}"
        )
        if own[0].error is not None:
            yield f"  cannot run: {own[0].error}"
            continue
        if not model.is_known:
            yield "  weights or layers are identified after loading"
        if pending:
            yield f"  features: {keeping(pending, settings)}"
    yield f"{len(cells)} of {len(plan.cells)} cells selected; results in {out}"


def warnings(plan: Plan) -> Iterator[str]:
    """What will fail here although the suite is right (absent data, packages or weights), and
    rules under which models are not compared alike."""
    problems = [(model.label, model.error) for model in plan.models]
    problems += [(dataset.label, dataset.error) for dataset in plan.datasets]
    yield from (f"{label}: {error}" for label, error in problems if error is not None)
    strides = sorted({model.stride for model in plan.models if model.stride is not None})
    for dataset in plan.datasets if len(strides) > 1 else ():
        if dataset.resolution.kind in ("native", "padded"):
            yield (
                f"{dataset.label}: under resolution {dataset.resolution.rule} strides of "
                f"{', '.join(map(str, strides))} pixels get grids of their own; {{patches: N}} "
                "gives every model the same."
            )
