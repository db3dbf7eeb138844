"""The suite file: one YAML file, one published table.

``parse_suite`` reads, merges presets and validates the form; every mistake comes with its file and
line. What the names in it mean is checked by ``bench.check``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import BenchError
from bench.registry import suggestion
from bench.types import Resolution

MAX_BYTES = 1_000_000
Place = tuple[str | int, ...]


class _Entry(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), populate_by_name=True
    )


def _printable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be printable text")
    return text


Text = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]


class ResolutionEntry(_Entry):
    """``{patches: N}`` or ``{pixels: P}``; ``native`` is a plain word."""

    patches: int | None = Field(None, ge=1, le=1000)
    pixels: int | None = Field(None, ge=1, le=20000)

    @model_validator(mode="after")
    def _one_of(self) -> ResolutionEntry:
        if (self.patches is None) == (self.pixels is None):
            raise ValueError("say either {patches: N}, {pixels: P} or native")
        return self


ResolutionRule = Literal["native"] | ResolutionEntry


def resolution_of(rule: ResolutionRule) -> Resolution:
    """The value behind a suite's ``resolution``."""
    if isinstance(rule, str):
        return Resolution("native")
    if rule.patches is not None:
        return Resolution("patches", rule.patches)
    assert rule.pixels is not None
    return Resolution("pixels", rule.pixels)


class Defaults(_Entry):
    """resolution: fair input size; precision: of the forward pass (auto: bfloat16 autocast on CUDA,
    float32 elsewhere); storage: of the features that are scored and cached; num_views: for
    datasets that sample their view sets."""

    resolution: ResolutionRule = ResolutionEntry(patches=37)
    num_views: int | None = Field(None, ge=1, le=1000)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    storage: Literal["float16", "float32"] = "float16"


class ModelEntry(_Entry):
    """A row of the table. `extends` names a preset whose fields this entry overrides."""

    model_id: Text
    label: Text
    config: dict[str, Any] = Field(default_factory=dict, alias="model_config")
    layers: list[int | str] | Literal["all", "quarters"] | None = None
    norm: Literal["final", "none"] = "final"
    cache_layers: bool = False


class DatasetEntry(_Entry):
    """`resolution` overrides the suite's default for this dataset."""

    name: Text
    label: Text | None = None
    root: Text | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    resolution: ResolutionRule | None = None

    @property
    def title(self) -> str:
        return self.label or self.name


class TaskEntry(_Entry):
    """`datasets` restricts the task to some of the suite's datasets, by label."""

    name: Text
    label: Text | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    datasets: list[str] | None = None

    @property
    def title(self) -> str:
        return self.label or self.name


class TableEntry(_Entry):
    """One table of the leaderboard: which metrics of which task."""

    title: Text
    task: Text
    metrics: list[Text] = Field(min_length=1)
    note: str | None = None


class Suite(_Entry):
    """A whole suite."""

    name: Identifier
    version: int = Field(1, ge=1)
    description: str = ""
    seed: int = Field(0, ge=0, lt=2**31)
    defaults: Defaults = Defaults()
    models: list[ModelEntry] = Field(min_length=1)
    datasets: list[DatasetEntry] = Field(min_length=1)
    tasks: list[TaskEntry] = Field(min_length=1)
    tables: list[TableEntry] = Field(default_factory=list)


@dataclass(frozen=True, order=True)
class Mistake:
    """Something wrong in a suite, and where."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class SuiteError(BenchError):
    """A suite with mistakes; all of them at once."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(set(mistakes))
        count = len(self.mistakes)
        lines = "\n".join(str(mistake) for mistake in self.mistakes)
        super().__init__(
            f"{lines}\n{count} mistake{'s' if count > 1 else ''}; nothing was run.",
            "Mend the suite, then run `bench check` on it.",
        )


@dataclass
class ParsedSuite:
    """A suite as read: what was understood of it, and where everything stands in the files.

    suite is None while the form has mistakes; entries holds the parts that are well-formed.
    """

    path: Path
    suite: Suite | None
    entries: Mapping[Place, _Entry]
    mistakes: list[Mistake]
    lines: Mapping[Place, tuple[str, int]] = field(default_factory=dict)

    def mistake(self, place: Place, text: str) -> Mistake:
        """A mistake at the nearest known line of `place`."""
        for end in range(len(place), -1, -1):
            if place[:end] in self.lines:
                file, line = self.lines[place[:end]]
                return Mistake(file, line, text)
        return Mistake(str(self.path), 1, text)


def find_suite(name: str) -> Path:
    """A suite by path, or by the name of one that comes with bench.

    Raises:
        BenchError: there is none.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = shipped_suites()
    if name in known:
        return known[name]
    raise BenchError(f"No suite at '{name}'.", suggestion(name, known))


def shipped_suites() -> dict[str, Path]:
    """Suites that come with bench, by name."""
    return {path.stem: path for path in sorted(shipped_folder("suites").glob("*.yaml"))}


def shipped_folder(name: str) -> Path:
    """A data folder of the project: in a checkout beside the package, in a wheel inside it."""
    package = Path(__file__).resolve().parent
    inside = package / "_shipped" / name
    return inside if inside.is_dir() else package.parent / name


def parse_suite(path: Path) -> ParsedSuite:
    """Read a suite and check its form.

    Raises:
        SuiteError: the file is not YAML of a usable size, or not a mapping.
    """
    reader = _Reader()
    raw = reader.read(path, ())
    if not isinstance(raw, dict):
        raise SuiteError(
            [Mistake(str(path), 1, "a suite is a mapping with models, datasets, tasks")]
        )
    parsed = ParsedSuite(path, None, {}, reader.mistakes, reader.lines)
    _merge_models(raw, path, reader)
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


_SECTIONS: dict[str, type[_Entry]] = {
    "models": ModelEntry,
    "datasets": DatasetEntry,
    "tasks": TaskEntry,
    "tables": TableEntry,
}


def _items(raw: Mapping[str, Any], section: str) -> list[Any]:
    found = raw.get(section)
    return found if isinstance(found, list) else []


def _valid(kind: type[_Entry], item: object) -> _Entry | None:
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


def _kind_at(loc: tuple[str | int, ...]) -> type[_Entry] | None:
    if "resolution" in loc[:-1]:
        return ResolutionEntry
    return Defaults if loc[0] == "defaults" else _SECTIONS.get(str(loc[0]))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class _Reader:
    """Reads YAML with the line of every value; duplicate keys are mistakes."""

    def __init__(self) -> None:
        self.lines: dict[Place, tuple[str, int]] = {}
        self.mistakes: list[Mistake] = []

    def read(self, path: Path, place: Place) -> Any:
        file = str(path)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise SuiteError([Mistake(file, 1, f"larger than {MAX_BYTES} bytes")])
            text = path.read_text(encoding="utf-8")
            if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
                raise SuiteError([Mistake(file, 1, "YAML aliases (*name) are not used in suites")])
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            return None if node is None else self._value(node, file, place)
        except UnicodeDecodeError as error:
            raise SuiteError([Mistake(file, 1, f"not UTF-8 text: {error.reason}")]) from error
        except OSError as error:
            raise SuiteError([Mistake(file, 1, f"cannot be read: {error.strerror}")]) from error
        except RecursionError as error:
            raise SuiteError([Mistake(file, 1, "nested too deeply")]) from error
        except (yaml.YAMLError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            problem = getattr(error, "problem", None) or str(error).splitlines()[0]
            raise SuiteError([Mistake(file, line, f"not valid YAML: {problem}")]) from error

    def _value(self, node: yaml.Node, file: str, place: Place) -> Any:
        self.lines[place] = (file, node.start_mark.line + 1)
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind not in {"map", "seq", "str", "int", "float", "bool", "null"}:
            text = f"a value of type {kind} has no place in a suite; write plain text in quotes"
            raise SuiteError([Mistake(file, node.start_mark.line + 1, text)])
        if isinstance(node, yaml.MappingNode):
            found: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                line = key_node.start_mark.line + 1
                key = self._scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
                if not isinstance(key, str):
                    self.mistakes.append(Mistake(file, line, "keys must be plain words"))
                    continue
                if key in found:
                    self.mistakes.append(Mistake(file, line, f"key '{key}' stands here twice"))
                found[key] = self._value(value_node, file, (*place, key))
                self.lines[(*place, key)] = (file, line)
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._value(n, file, (*place, i)) for i, n in enumerate(node.value)]
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(node, deep=True)
        finally:
            loader.dispose()

    def move(self, old: Place, new: Place) -> None:
        """Lines of everything under `old` now stand for `new`."""
        for place in [p for p in self.lines if p[: len(old)] == old]:
            self.lines[(*new, *place[len(old) :])] = self.lines[place]


def _merge_models(raw: dict[str, Any], path: Path, reader: _Reader) -> None:
    """Apply ``include:`` and ``extends:`` in place, so that the schema sees plain entries."""
    presets = _presets(path)
    models = raw.get("models", [])
    included = raw.pop("include", [])
    if not isinstance(included, list) or not isinstance(models, list):
        if not isinstance(included, list):
            reader.mistakes.append(_at(reader, ("include",), path, "include is a list of files"))
        return
    for index, name in enumerate(included):
        place: Place = ("include", index)
        file = (path.parent / str(name)).resolve()
        if not file.is_relative_to(path.parent.resolve()):
            text = f"'{name}' lies outside of the suite's folder"
            reader.mistakes.append(_at(reader, place, path, text))
        elif not file.is_file():
            text = f"no file '{name}' beside the suite"
            reader.mistakes.append(_at(reader, place, path, text))
        else:
            content = reader.read(file, ("included", index))
            entries = content.get("models") if isinstance(content, dict) else None
            for i, entry in enumerate(entries if isinstance(entries, list) else []):
                reader.move(("included", index, "models", i), ("models", len(models)))
                models.append(entry)
    for index, entry in enumerate(models):
        if not isinstance(entry, dict):
            continue
        entry.pop("preset", None)
        preset = entry.pop("extends", None)
        if preset is not None:
            if preset not in presets:
                text = f"no preset '{preset}'. {suggestion(str(preset), presets)}"
                reader.mistakes.append(_at(reader, ("models", index, "extends"), path, text))
                continue
            entry = _extended(presets[preset], entry)
        if "label" not in entry and isinstance(entry.get("model_id"), str):
            entry["label"] = entry["model_id"].removeprefix("feature_extractor/")
        models[index] = entry
    raw["models"] = models


def _at(reader: _Reader, place: Place, path: Path, text: str) -> Mistake:
    file, line = reader.lines.get(place, (str(path), 1))
    return Mistake(file, line, text)


def _extended(preset: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**preset, **entry}
    if isinstance(preset.get("model_config"), dict) and isinstance(entry.get("model_config"), dict):
        merged["model_config"] = {**preset["model_config"], **entry["model_config"]}
    return merged


def _presets(path: Path) -> dict[str, dict[str, Any]]:
    """Presets of ``models/*.yaml`` beside the suite, and of those that come with bench."""
    found: dict[str, dict[str, Any]] = {}
    for folder in (shipped_folder("suites") / "models", path.parent / "models"):
        for file in sorted(folder.glob("*.yaml")):
            content = _Reader().read(file, ())
            entries = content.get("models", []) if isinstance(content, dict) else []
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and isinstance(entry.get("preset"), str):
                    found[entry["preset"]] = {k: v for k, v in entry.items() if k != "preset"}
    return found
