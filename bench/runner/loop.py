"""The loop over models and datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from tqdm import tqdm

from bench.atomic import sweep
from bench.errors import BenchError
from bench.models.described import BuiltModel
from bench.models.feature_extractors.base import resolve_layers
from bench.plan import Cell, ModelPlan, Plan, Selection
from bench.results import CELLS, JOURNAL, is_done, is_stored, remember_plan, remember_resolved
from bench.runner.cache import FeatureStore
from bench.runner.features import weights_fingerprint
from bench.runner.group import GroupRun
from bench.runner.journal import drop
from bench.runner.settings import Outcome, Settings

__all__ = ["Outcome", "Settings", "run_plan"]


def run_plan(
    plan: Plan,
    out: Path,
    settings: Settings,
    selection: Selection,
) -> Outcome:
    """Compute the selected cells of a plan that are not done yet.

    Failing cells are recorded and the run goes on. Ctrl-C leaves finished cells and view sets.

    Raises:
        OSError: results cannot be written.
    """
    outcome = Outcome()
    selected = selection.choose(plan)
    about = plan.suite.model_dump(include={"name", "version", "description", "tables"})
    remember_plan(out, about, {cell.name: cell.folder for cell in plan.cells})
    sweep(out)
    drop(out / CELLS / JOURNAL, lambda cell: is_stored(out, cell))
    pending = _pending(selected, out, settings, outcome)
    store = None if settings.cache == "off" else FeatureStore(cap_bytes=settings.cache_bytes)
    with tqdm(total=len(pending), desc="cells", disable=None, leave=False) as progress:
        for model, parts in groupby(plan.groups(pending), key=itemgetter(0)):
            groups = [
                (GroupRun(plan.suite, out, settings, outcome, store, model, dataset), cells)
                for _, dataset, cells in parts
            ]
            _run_model(model, groups, settings)
            progress.update(sum(len(cells) for _, cells in groups))
    if store is not None:
        outcome.problems.extend(store.problems)
    return outcome


def _pending(cells: Sequence[Cell], out: Path, settings: Settings, outcome: Outcome) -> list[Cell]:
    """Cells that are not done; the others are counted."""
    if settings.force:
        return list(cells)
    pending = [cell for cell in cells if not is_done(out / CELLS / cell.folder, cell.key)]
    outcome.skipped += len(cells) - len(pending)
    return pending


def _run_model(
    model: ModelPlan, groups: Sequence[tuple[GroupRun, list[Cell]]], settings: Settings
) -> None:
    """All datasets of one model, which is built once, and only if one of them is there."""
    usable = []
    for group, cells in groups:
        error = model.error or group.dataset.error
        if error is None:
            usable.append((group, cells))
        else:
            group.fail_all(cells, BenchError(error))
    if not usable:
        return
    try:
        extractor = _build(model, settings)
        known = model if model.is_known else _identified(model, extractor)
    except BenchError as reason:
        for group, cells in usable:
            group.fail_all(cells, reason)
        return
    for group, cells in usable:
        if known is not model:
            group.model = known
            cells = list(_resolved(cells, known, group.out))
            cells = _pending(cells, group.out, settings, group.outcome)
        if cells:
            group.compute(cells, extractor)


def _build(model: ModelPlan, settings: Settings) -> BuiltModel:
    """The model on its device; BenchError says why it cannot be had."""
    try:
        extractor: BuiltModel = model.kind(**model.options.model_dump())
        extractor = extractor.eval().requires_grad_(False).to(settings.device)
        if settings.compile:
            extractor.model.compile(dynamic=True)
    except BenchError:
        raise
    except Exception as error:
        text = f"{model.label} cannot be built: {type(error).__name__}: {error}"
        raise BenchError(text.splitlines()[0]) from error
    return extractor


def _identified(model: ModelPlan, extractor: BuiltModel) -> ModelPlan:
    """The plan of a model with what only the built one tells."""
    return replace(
        model,
        fingerprint=weights_fingerprint(extractor),
        layers=resolve_layers(extractor.options.layers, extractor.layer_names),
        layer_names=extractor.layer_names,
        stride=extractor.architecture.stride,
    )


def _resolved(cells: Sequence[Cell], model: ModelPlan, out: Path) -> Iterator[Cell]:
    """The cells that planned ones turn out to be, which is noted for reports."""
    for cell in cells:
        each = cell.task.kind.layers == "each"
        choices = [(layer,) for layer in model.layers] if each else [model.layers]
        found = [replace(cell, model=model, layers=layers) for layers in choices]
        remember_resolved(out, cell.folder, [own.folder for own in found])
        yield from found
