"""YAML with the line of every value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bench.suite.mistakes import Mistake, Place, SuiteError

MAX_BYTES = 1_000_000


class Source:
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
