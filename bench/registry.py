"""Names of models, datasets and tasks, found without importing them.

A built-in is a module of one package: the file's name is the registered name, the first line of its
docstring the summary. A plug-in of another distribution is an entry point of the group
``bench.plugins`` called ``<kind>/<name>``, for example::

    [project.entry-points."bench.plugins"]
    "feature_extractor/mybackbone" = "my_package.backbone:MyBackbone"

Only ``get`` imports, so ``bench list`` needs neither torch nor timm.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

from bench.errors import BenchError

T = TypeVar("T")
GROUP = "bench.plugins"


def suggestion(word: str, known: Iterable[str]) -> str:
    """'did you mean ...?' for the closest known name, else the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.55)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Known: {', '.join(names)}." if names else "None are known."


@dataclass
class Registry(Generic[T]):
    """All things of one kind.

    Args:
        kind: for example ``dataset``; the prefix of entry-point names.
        package: package whose modules are the built-ins.
        not_plugins: modules of the package that are shared code.
    """

    kind: str
    package: str
    not_plugins: frozenset[str] = frozenset()
    _registered: dict[str, T] = field(default_factory=dict)

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that binds `name`; a second binding to another object is an error."""

        def bind(item: T) -> T:
            taken = self._registered.get(name)
            if taken is not None and not _same_definition(taken, item):
                raise BenchError(
                    f"{self.kind} '{name}' is registered twice.", "Rename one of them."
                )
            self._registered[name] = item
            return item

        return bind

    def get(self, name: str) -> T:
        """The registered object; imports its module if needed. BenchError for an unknown name."""
        if name not in self._registered:
            if name in self._modules:
                importlib.import_module(f"{self.package}.{name}")
            elif name in self._entry_points:
                self._registered[name] = self._load(name)
        if name not in self._registered:
            raise BenchError(
                f"Unknown {self.kind} '{name}'.",
                f"{suggestion(name, self.names())} Run `bench list`.",
            )
        return self._registered[name]

    def names(self) -> list[str]:
        """All names, sorted, without importing anything."""
        return sorted({*self._modules, *self._entry_points, *self._registered})

    def summary(self, name: str) -> str:
        """First line of the docstring, read without importing the module."""
        path = self._modules.get(name)
        if path is not None:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        elif name in self._entry_points:
            text = f"plug-in {self._entry_points[name].value}"
        else:
            text = getattr(self._registered[name], "__doc__", None) or ""
        return text.strip().split("\n")[0]

    @cached_property
    def _modules(self) -> dict[str, Path]:
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            return {}
        found: dict[str, Path] = {}
        for module in pkgutil.iter_modules(spec.submodule_search_locations):
            if module.name.startswith("_") or module.name in self.not_plugins:
                continue
            base = Path(next(iter(spec.submodule_search_locations))) / module.name
            found[module.name] = base / "__init__.py" if module.ispkg else base.with_suffix(".py")
        return found

    @cached_property
    def _entry_points(self) -> dict[str, EntryPoint]:
        prefix = f"{self.kind}/"
        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=GROUP):
            if not point.name.startswith(prefix):
                continue
            name = point.name.removeprefix(prefix)
            other = found.get(name)
            if name in self._modules or (other is not None and other.value != point.value):
                raise BenchError(
                    f"Plug-in '{point.name}' ({point.value}) collides with an existing name.",
                    "Rename the entry point.",
                )
            found[name] = point
        return found

    def _load(self, name: str) -> T:
        point = self._entry_points[name]
        try:
            item: T = point.load()
        except Exception as error:
            raise BenchError(
                f"Plug-in '{point.name}' ({point.value}) cannot be imported: {error}",
                "Repair or uninstall the package that declares it.",
            ) from error
        return item


def _same_definition(first: object, second: object) -> bool:
    """Whether both come from the same place in the source (a module imported twice)."""
    place = ("__module__", "__qualname__")
    return all(getattr(first, key, None) == getattr(second, key, 0) for key in place)
