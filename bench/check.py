"""What the names in a suite mean: every mistake at once, before anything is run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.datasets import datasets
from bench.errors import BenchError
from bench.models import get_model_class
from bench.models.feature_extractors.base import resolve_layers
from bench.options import parse_options
from bench.plan import dataset_options, model_options
from bench.registry import suggestion
from bench.suite import (
    DatasetEntry,
    Mistake,
    ModelEntry,
    ParsedSuite,
    Place,
    Suite,
    SuiteError,
    TableEntry,
    TaskEntry,
    parse_suite,
)
from bench.tasks import tasks
from bench.types import Task

MODEL_OUTPUTS = frozenset({"features", "predictions"})


def load_suite(path: Path) -> Suite:
    """Read and check a suite.

    Raises:
        SuiteError: with every mistake of the file, each with its line.
    """
    parsed = parse_suite(path)
    mistakes = [*parsed.mistakes, *find_mistakes(parsed)]
    if mistakes or parsed.suite is None:
        raise SuiteError(mistakes)
    return parsed.suite


def find_mistakes(parsed: ParsedSuite) -> Iterator[Mistake]:
    """Unknown names, options, layers and metrics, and tasks whose needs are not met."""
    built: dict[str, Task] = {}
    for place, entry in parsed.entries.items():
        try:
            if isinstance(entry, ModelEntry):
                _check_model(entry)
            elif isinstance(entry, DatasetEntry):
                _check_dataset(entry, parsed)
            elif isinstance(entry, TaskEntry):
                built[entry.title] = _build_task(entry)
        except BenchError as error:
            yield parsed.mistake(_closest(place, error), str(error))
    yield from _unmet_needs(parsed, built)
    for place, entry in parsed.entries.items():
        if isinstance(entry, TableEntry):
            yield from _table_mistakes(parsed, place, entry, built)


def _check_model(entry: ModelEntry) -> None:
    kind = get_model_class(entry.model_id)
    options = kind.parse(model_options(entry))
    try:
        architecture = kind.describe(options)
    except BenchError:
        # Not a mistake of the suite: weights or packages that are not here fail their own cells.
        return
    if architecture is not None:
        resolve_layers(options.layers, architecture.layer_names)


def _check_dataset(entry: DatasetEntry, parsed: ParsedSuite) -> None:
    kind = datasets.get(entry.name)
    if parsed.suite is not None:
        options = dataset_options(entry, parsed.suite)
        parse_options(kind.Options, options, f"Dataset '{entry.name}'")


def _build_task(entry: TaskEntry) -> Task:
    kind = tasks.get(entry.name)
    parse_options(kind.Options, entry.params, f"Task '{entry.name}'")
    return kind(**entry.params)


def _closest(place: Place, error: BenchError) -> Place:
    """The line of the field that an error speaks of."""
    fields = {
        "models": {"Unknown feature_extractor": "model_id", "Layer": "layers"},
        "datasets": {"Unknown dataset": "name"},
        "tasks": {"Unknown task": "name"},
    }
    for start, name in fields[str(place[0])].items():
        if error.what.startswith(start):
            return (*place, name)
    return (*place, "model_config" if place[0] == "models" else "params")


def _unmet_needs(parsed: ParsedSuite, built: dict[str, Task]) -> Iterator[Mistake]:
    entries = parsed.entries
    dataset_entries = [e for e in entries.values() if isinstance(e, DatasetEntry)]
    titles = {entry.title for entry in dataset_entries}
    for place, entry in entries.items():
        if not isinstance(entry, TaskEntry):
            continue
        for name in entry.datasets or []:
            if name not in titles:
                text = f"no dataset '{name}' in this suite. {suggestion(name, titles)}"
                yield parsed.mistake((*place, "datasets"), text)
        task = built.get(entry.title)
        if task is None:
            continue
        for data in dataset_entries:
            if entry.datasets is not None and data.title not in entry.datasets:
                continue
            try:
                provided = datasets.get(data.name).provides
            except BenchError:
                continue
            missing = sorted(task.needs - MODEL_OUTPUTS - provided)
            if missing:
                yield parsed.mistake(
                    place,
                    f"task '{entry.title}' needs {', '.join(missing)}, which dataset "
                    f"'{data.title}' does not provide (it has {', '.join(sorted(provided))}). "
                    "Restrict the task with `datasets:`.",
                )
        yield from _wrong_models(parsed, place, entry, task)


def _wrong_models(
    parsed: ParsedSuite, place: Place, entry: TaskEntry, task: Task
) -> Iterator[Mistake]:
    wanted = task.needs & MODEL_OUTPUTS
    for model in parsed.entries.values():
        if not isinstance(model, ModelEntry):
            continue
        try:
            offered = get_model_class(model.model_id).offers
        except BenchError:
            continue
        if not wanted <= offered:
            yield parsed.mistake(
                place,
                f"task '{entry.title}' needs {', '.join(sorted(wanted))}; model "
                f"'{model.label}' gives {', '.join(sorted(offered))}. "
                "Put them into different suites.",
            )


def _table_mistakes(
    parsed: ParsedSuite, place: Place, entry: TableEntry, built: dict[str, Task]
) -> Iterator[Mistake]:
    titles = {e.title for e in parsed.entries.values() if isinstance(e, TaskEntry)}
    if entry.task not in titles:
        text = f"no task '{entry.task}' in this suite. {suggestion(entry.task, titles)}"
        yield parsed.mistake((*place, "task"), text)
    task = built.get(entry.task)
    if task is None:
        return
    known = [metric.key for metric in task.metrics]
    for index, metric in enumerate(entry.metrics):
        if metric not in known:
            text = f"task '{entry.task}' has no metric '{metric}'. {suggestion(metric, known)}"
            yield parsed.mistake((*place, "metrics", index), text)
