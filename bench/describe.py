"""Plans, models, datasets, tasks and suites in words, for ``show``, ``check`` and ``--dry-run``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from bench.datasets import datasets
from bench.datasets._lists import list_hash
from bench.errors import BenchError
from bench.models import EXTRACTOR_PREFIX, VGGT_ID, get_model_class, model_ids
from bench.models.feature_extractors.base import ExtractorOptions
from bench.plan import Cell, Plan
from bench.registry import suggestion
from bench.results import CELLS, is_done
from bench.runner.keeping import keeping
from bench.runner.settings import Settings
from bench.suite import find_suite, shipped_suites
from bench.tasks import tasks
from bench.types import Task


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


def describe(name: str) -> str:
    """Everything to know about one named thing.

    Raises:
        BenchError: nothing has this name.
    """
    if name in model_ids():
        return _model(name)
    if name in datasets.names():
        return _dataset(name)
    if name in tasks.names():
        return _task(name)
    if name in shipped_suites() or Path(name).is_file():
        return find_suite(name).read_text(encoding="utf-8")
    if name in {model_id.removeprefix(EXTRACTOR_PREFIX) for model_id in model_ids()}:
        return _model(EXTRACTOR_PREFIX + name)
    known = [*model_ids(), *datasets.names(), *tasks.names(), *shipped_suites()]
    raise BenchError(f"Nothing is called '{name}'.", f"{suggestion(name, known)} Run `bench list`.")


def _model(name: str) -> str:
    kind = get_model_class(name)
    entry = {"label": name.rpartition("/")[2], "model_id": name, "model_config": _defaults(kind)}
    if name != VGGT_ID:
        entry["layers"] = "quarters"
    parts = [f"{name}: {_doc(kind)}", "Options:", *_options(kind.Options)]
    return "\n".join([*parts, "", "In a suite:", _yaml({"models": [entry]})])


def _dataset(name: str) -> str:
    kind = datasets.get(name)
    lines = [
        f"{name}: {_doc(kind)}",
        f"Provides: {', '.join(sorted(kind.provides))}",
        f"Licence: {kind.licence}",
        f"Citation: {kind.citation}",
        f"How to get it: {kind.how_to_get}",
        "Options:",
        *_options(kind.Options),
    ]
    try:
        dataset = kind()
        splits: dict[str, int] = {}
        for ref in dataset.view_sets():
            splits[ref.split] = splits.get(ref.split, 0) + 1
        counts = ", ".join(f"{count} {split}" for split, count in splits.items())
        lines.append(f"View sets: {counts}; list {list_hash(dataset)[:12]}")
    except BenchError as error:
        lines.append(f"Not at hand: {error}")
    return "\n".join([*lines, "", "In a suite:", _yaml({"datasets": [{"name": name}]})])


def _task(name: str) -> str:
    kind = tasks.get(name)
    task: Task = kind()
    metrics = [
        f"  {metric.key}{f' [{metric.unit}]' if metric.unit else ''}: {metric.description}"
        + ("" if metric.chance is None else f" (chance {metric.chance:g})")
        for metric in task.metrics
        if "/" not in metric.key
    ]
    parted = sorted({m.key.partition("/")[2] for m in task.metrics if "/" in m.key})
    lines = [
        f"{name}: {_doc(kind)}",
        f"Needs: {', '.join(sorted(kind.needs))}; version {kind.version}",
        "Options:",
        *_options(kind.Options),
        "Metrics:",
        *metrics,
    ]
    if parted:
        lines.append(f"  (and by part: {', '.join(parted)})")
    return "\n".join([*lines, "", "In a suite:", _yaml({"tasks": [{"name": name}]})])


def _doc(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").strip()


def _options(model: type[BaseModel]) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        default = (
            "required"
            if field.default is PydanticUndefined and field.is_required()
            else (f"default {field.get_default(call_default_factory=True)!r}")
        )
        kind = getattr(field.annotation, "__name__", None) or str(field.annotation)
        if "typing." in str(field.annotation) or "|" in str(field.annotation):
            kind = str(field.annotation).replace("typing.", "")
        text = f": {field.description}" if field.description else ""
        lines.append(f"  {name} ({kind}, {default}){text}")
    return lines or ["  none"]


def _defaults(kind: Any) -> dict[str, Any]:
    shared = ExtractorOptions.model_fields.keys()
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in kind.Options.model_fields.items()
        if name not in shared and not field.is_required()
    }


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=100).rstrip()
