"""Options, facts and an example entry of one named thing, for ``bench show``."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bench.datasets import datasets
from bench.datasets._lists import list_hash
from bench.errors import BenchError
from bench.models import EXTRACTOR_PREFIX, VGGT_ID, get_model_class, model_ids
from bench.models.feature_extractors.base import ExtractorOptions
from bench.registry import suggestion
from bench.suite import find_suite, shipped_suites
from bench.tasks import tasks
from bench.types import Task

WIDTH = 100


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


def meanings(options: type[BaseModel]) -> dict[str, str]:
    """What each option means, as the docstrings of its class and of those above it say.

    They explain options as ``name: text.`` or ``name, other: text.``, sentence after sentence.
    """
    names = "|".join(map(re.escape, options.model_fields))
    opening = re.compile(rf"(?:^|(?<=\.\s))((?:{names})(?:, (?:{names}))*): ")
    found: dict[str, str] = {}
    for kind in reversed(options.__mro__):
        if not issubclass(kind, BaseModel) or kind is BaseModel:
            continue
        _, *parts = opening.split(" ".join((kind.__doc__ or "").split()))
        for heading, text in zip(parts[::2], parts[1::2], strict=True):
            found |= dict.fromkeys(heading.split(", "), text.strip())
    return found


def _model(name: str) -> str:
    kind = get_model_class(name)
    entry = {
        "label": name.rpartition("/")[2],
        "model_id": name,
        "model_config": _example_config(kind),
    }
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
    lines = [
        f"{name}: {_doc(kind)}",
        f"Needs: {', '.join(sorted(kind.needs))}; version {kind.version}",
        "Options:",
        *_options(kind.Options),
        "Metrics:",
        *_metrics(task),
    ]
    return "\n".join([*lines, "", "In a suite:", _yaml({"tasks": [{"name": name}]})])


def _metrics(task: Task) -> Iterator[str]:
    """One line for the metrics that say the same at several thresholds."""
    alike: dict[tuple[str, str, float | None], list[str]] = {}
    for metric in task.metrics:
        if "/" not in metric.key:
            about = (metric.description, metric.unit, metric.chance)
            alike.setdefault(about, []).append(metric.key)
    for (description, unit, chance), keys in alike.items():
        note = "" if chance is None else f" (chance {chance:g})"
        yield from _entry(", ".join(keys) + (f" [{unit}]" if unit else ""), description + note)
    parted = list(dict.fromkeys(m.key.partition("/")[2] for m in task.metrics if "/" in m.key))
    if parted:
        yield from _entry("by part, as in metric/part", ", ".join(parted))


def _options(model: type[BaseModel]) -> Iterator[str]:
    texts = meanings(model)
    for name, field in model.model_fields.items():
        yield from _entry(f"{name} ({_type(field.annotation)}, {_default(field)})", texts.get(name))
    if not model.model_fields:
        yield "  none"


def _entry(heading: str, text: str | None) -> list[str]:
    whole = heading + (f": {text}" if text else "")
    return textwrap.wrap(
        whole, WIDTH, initial_indent="  ", subsequent_indent=" " * 6, break_on_hyphens=False
    )


def _type(annotation: Any) -> str:
    """An annotation as one would write it in YAML's words: choices and lists, no module names."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"{{{', '.join(annotation.model_fields)}}}"
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (Union, UnionType):
        return " | ".join(map(_type, inner))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "mapping"
    if origin in (tuple, list):
        return f"list of {_type(inner[0])}"
    if origin is not None:
        return _type(inner[0]) if inner else str(origin)
    return str(getattr(annotation, "__name__", annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return f"default {'null' if plain is None else _plain(plain)}"


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_plain, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _doc(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").strip()


def _example_config(kind: Any) -> dict[str, Any]:
    """A configuration that is complete: where an option has no default, its example."""
    shared = ExtractorOptions.model_fields.keys()
    return {
        name: (field.examples or [None])[0]
        if field.is_required()
        else field.get_default(call_default_factory=True)
        for name, field in kind.Options.model_fields.items()
        if name not in shared
    }


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=None, width=WIDTH).rstrip()
