"""The loop over models and datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from bench.cache import FeatureStore
from bench.errors import BenchError
from bench.group import GroupRun
from bench.models.described import BuiltModel
from bench.plan import Cell, ModelPlan, Plan, Selection
from bench.results import CELLS, is_done, remember_plan
from bench.settings import Outcome, Settings

__all__ = ["Outcome", "Settings", "run_plan"]


def run_plan(
    plan: Plan,
    out: Path,
    settings: Settings,
    selection: Selection,
) -> Outcome:
    """Compute the selected cells of a plan that are not done yet.

    Failing cells are recorded and the run goes on. Ctrl-C leaves finished cells and batches.
    """
    outcome = Outcome()
    selected = selection.choose(plan)
    about = plan.suite.model_dump(include={"name", "version", "description", "tables"})
    remember_plan(out, about, {cell.name: cell.folder for cell in plan.cells})
    pending = []
    for cell in selected:
        if not settings.force and is_done(out / CELLS / cell.folder, cell.key):
            outcome.skipped += 1
        else:
            pending.append(cell)
    resolved: dict[str, str] = {}
    store = None if settings.cache == "off" else FeatureStore()
    loaded: tuple[ModelPlan, BuiltModel | BenchError] | None = None
    with tqdm(total=len(pending), desc="cells", disable=None, leave=False) as progress:
        for model, dataset, cells in plan.groups(pending):
            if loaded is None or loaded[0] is not model:
                loaded = None
                loaded = (model, _build(model, cells, settings))
            run = GroupRun(plan.suite, out, settings, outcome, store, model, dataset)
            resolved.update(run.compute(cells, loaded[1]))
            progress.update(len(cells))
    if resolved:
        known = {cell.name: cell.folder for cell in plan.cells if cell.name not in resolved}
        remember_plan(out, about, {**known, **resolved})
    if store is not None:
        outcome.problems.extend(store.problems)
    return outcome


def _build(model: ModelPlan, cells: Sequence[Cell], settings: Settings) -> BuiltModel | BenchError:
    """The model on its device, or the reason why it cannot be had."""
    known = next((cell.model.error for cell in cells if cell.model.error), None)
    if known is not None:
        return BenchError(known)
    try:
        extractor: BuiltModel = model.kind(**model.options.model_dump())
        extractor = extractor.eval().requires_grad_(False).to(settings.device)
        if settings.compile:
            extractor.model.compile(dynamic=True)
    except BenchError as error:
        return error
    except Exception as error:
        text = f"{model.label} cannot be built: {type(error).__name__}: {error}"
        wrapped = BenchError(text.splitlines()[0])
        wrapped.__cause__ = error
        return wrapped
    return extractor
