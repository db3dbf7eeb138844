"""Mistakes in a suite: where, what, and all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.errors import BenchError

Place = tuple[str | int, ...]


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
