"""Labels that people chose, made safe for one line of text."""

from __future__ import annotations


def one_line(text: object) -> str:
    """Without control characters, each run of white space a single blank."""
    kept = (char if char.isprintable() else " " if char.isspace() else "" for char in str(text))
    return " ".join("".join(kept).split())


def shortened(text: object, limit: int) -> str:
    """One line of at most `limit` characters; a long label loses its middle, since the ends are
    what tells labels apart."""
    line = one_line(text)
    if len(line) <= limit:
        return line
    head = limit // 2
    return f"{line[:head]}…{line[len(line) - (limit - head - 1) :]}"
