"""From a file to a suite: read, merge presets, check the form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.registry import suggestion
from bench.suite.mistakes import Mistake, Place, SuiteError
from bench.suite.presets import merge_models
from bench.suite.schema import (
    DatasetEntry,
    Defaults,
    Entry,
    ModelEntry,
    ResolutionEntry,
    Suite,
    TableEntry,
    TaskEntry,
)
from bench.suite.source import Source


@dataclass
class ParsedSuite:
    """A suite as read: what was understood of it, and where everything stands in the files.

    suite is None while the form has mistakes; entries holds the parts that are well-formed.
    """

    path: Path
    suite: Suite | None
    entries: Mapping[Place, Entry]
    mistakes: list[Mistake]
    lines: Mapping[Place, tuple[str, int]] = field(default_factory=dict)

    def mistake(self, place: Place, text: str) -> Mistake:
        """A mistake at the nearest known line of `place`."""
        for end in range(len(place), -1, -1):
            if place[:end] in self.lines:
                file, line = self.lines[place[:end]]
                return Mistake(file, line, text)
        return Mistake(str(self.path), 1, text)


def parse_suite(path: Path) -> ParsedSuite:
    """Read a suite and check its form.

    Raises:
        SuiteError: the file is not YAML of a usable size, or not a mapping.
    """
    source = Source()
    raw = source.read(path, ())
    if not isinstance(raw, dict):
        raise SuiteError(
            [Mistake(str(path), 1, "a suite is a mapping with models, datasets, tasks")]
        )
    parsed = ParsedSuite(path, None, {}, source.mistakes, source.lines)
    merge_models(raw, path, source)
    form: list[tuple[Place, str]] = []
    try:
        parsed.suite = Suite.model_validate(raw)
    except ValidationError as error:
        form = [_explain(mistake, raw) for mistake in error.errors()]
        parsed.mistakes.extend(parsed.mistake(place, text) for place, text in form)
    bad = {place[:2] for place, _ in form}
    parsed.entries = {
        (section, index): entry
        for section, kind in _SECTIONS.items()
        for index, item in enumerate(_items(raw, section))
        if (section, index) not in bad and (section,) not in bad
        if (entry := _valid(kind, item)) is not None
    }
    parsed.mistakes.extend(_duplicates(parsed))
    return parsed


_SECTIONS: dict[str, type[Entry]] = {
    "models": ModelEntry,
    "datasets": DatasetEntry,
    "tasks": TaskEntry,
    "tables": TableEntry,
}


def _items(raw: Mapping[str, Any], section: str) -> list[Any]:
    found = raw.get(section)
    return found if isinstance(found, list) else []


def _valid(kind: type[Entry], item: object) -> Entry | None:
    try:
        return kind.model_validate(item)
    except ValidationError:
        return None


def _duplicates(parsed: ParsedSuite) -> Iterable[Mistake]:
    seen: set[tuple[str | int, str]] = set()
    for place, entry in parsed.entries.items():
        if isinstance(entry, TableEntry):
            continue
        label = entry.label if isinstance(entry, ModelEntry) else entry.title  # type: ignore[attr-defined]
        if (place[0], label) in seen:
            yield parsed.mistake(place, f"two {place[0]} are called '{label}'; give one a label")
        seen.add((place[0], label))


def _explain(mistake: Any, raw: Any) -> tuple[Place, str]:
    """Place and sentence of one pydantic error; union branches are not part of the place."""
    place: Place = ()
    value: Any = raw
    for part in mistake["loc"]:
        inside = isinstance(value, dict) and part in value
        if inside or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            value = value[part]
        elif mistake["type"] not in ("missing", "extra_forbidden") or part != mistake["loc"][-1]:
            continue
        place = (*place, part)
    name = ".".join(str(part) for part in place)
    kind = Suite if len(mistake["loc"]) == 1 else _kind_at(mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        known = [f.alias or n for n, f in kind.model_fields.items()] if kind else []
        return place, f"unknown key '{place[-1]}' in {name}. {suggestion(str(place[-1]), known)}"
    if mistake["type"] == "missing":
        return place[
            :-1
        ], f"'{place[-1]}' is missing in {'.'.join(map(str, place[:-1])) or 'suite'}"
    return place, f"{name}: {mistake['msg']} (found {_short(value)})"


def _kind_at(loc: tuple[str | int, ...]) -> type[Entry] | None:
    if "resolution" in loc[:-1]:
        return ResolutionEntry
    return Defaults if loc[0] == "defaults" else _SECTIONS.get(str(loc[0]))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
