"""Errors that are part of the interface: one line that says what is wrong and what to do."""

from __future__ import annotations


class BenchError(Exception):
    """A mistake a user can mend. The command line prints it without a traceback.

    Args:
        what: what was wrong and where, in one sentence.
        hint: what would be right, or what to run next.
    """

    def __init__(self, what: str, hint: str | None = None) -> None:
        self.what = what
        self.hint = hint
        super().__init__(f"{what} {hint}" if hint else what)
