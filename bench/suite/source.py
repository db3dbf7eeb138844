"""YAML with the line of every value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bench.suite.mistakes import Mistake, Place, SuiteError

MAX_BYTES = 200_000
MAX_DEPTH = 50
MAX_DIGITS = 40
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_BLANKS = str.maketrans("\n\t", "  ")
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


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
            _refuse_traps(text, file)
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            return None if node is None else self._value(node, file, place)
        except UnicodeDecodeError as error:
            raise SuiteError([Mistake(file, 1, f"not UTF-8 text: {error.reason}")]) from error
        except OSError as error:
            raise SuiteError([Mistake(file, 1, f"cannot be read: {error.strerror}")]) from error
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
            found: dict[str, Any] = {}
            for key_node, value_node in node.value:
                line = key_node.start_mark.line + 1
                if key_node.tag != "tag:yaml.org,2002:str":
                    self.mistakes.append(Mistake(file, line, "keys must be plain words"))
                    continue
                key = _scalar(key_node, file)
                if key in found:
                    self.mistakes.append(Mistake(file, line, f"key '{key}' stands here twice"))
                found[key] = self._value(value_node, file, (*place, key))
                self.lines[(*place, key)] = (file, line)
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._value(n, file, (*place, i)) for i, n in enumerate(node.value)]
        return _scalar(node, file)

    def move(self, old: Place, new: Place) -> None:
        """Lines of everything under `old` now stand for `new`."""
        for place in [p for p in self.lines if p[: len(old)] == old]:
            self.lines[(*new, *place[len(old) :])] = self.lines[place]


def _refuse_traps(text: str, file: str) -> None:
    """Raises SuiteError for what makes a small file expensive; stops at the first of them."""
    depth = 0
    for token in yaml.scan(text):
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        line = token.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise SuiteError([Mistake(file, line, "nested too deeply")])
        if isinstance(token, yaml.AliasToken):
            raise SuiteError([Mistake(file, line, "YAML aliases (*name) are not used in suites")])


def _scalar(node: yaml.Node, file: str) -> Any:
    """A word, number or nothing; raises SuiteError with its line."""
    line = node.start_mark.line + 1
    kind = node.tag.rpartition(":")[2]
    if kind != "str" and len(node.value) > MAX_DIGITS:
        raise SuiteError([Mistake(file, line, f"a number of {len(node.value)} characters")])
    loader = yaml.SafeLoader("")
    try:
        value = loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, LookupError) as error:
        text = f"not valid YAML: '{node.value}' is not of type {kind}"
        raise SuiteError([Mistake(file, line, text)]) from error
    finally:
        loader.dispose()
    if isinstance(value, str) and not value.translate(_BLANKS).isprintable():
        raise SuiteError([Mistake(file, line, "control characters have no place in a suite")])
    return value
