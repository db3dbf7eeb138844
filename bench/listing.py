"""What there is, by name. Imports neither torch nor pandas nor any model library."""

from __future__ import annotations

from typing import Any, Literal

from bench.datasets import datasets
from bench.models import EXTRACTOR_PREFIX, VGGT_ID
from bench.models.feature_extractors import feature_extractors
from bench.models.manifest import weights_rows
from bench.suite import shipped_suites
from bench.tasks import tasks

Section = list[dict[str, Any]]
What = Literal["all", "models", "datasets", "tasks", "suites"]


def listing(what: What = "all") -> dict[str, Section]:
    """Names and one-line summaries by section; models also with their published weights."""
    sections: dict[str, Section] = {}
    if what in ("all", "models"):
        names = {
            EXTRACTOR_PREFIX + n: feature_extractors.summary(n) for n in feature_extractors.names()
        }
        names[VGGT_ID] = "Full VGGT: cameras, depth and points of a view set."
        sections["models"] = [{"name": n, "summary": text} for n, text in names.items()]
        if what == "models":
            sections["weights"] = weights_rows()
    if what in ("all", "datasets"):
        sections["datasets"] = [
            {"name": n, "summary": datasets.summary(n)} for n in datasets.names()
        ]
    if what in ("all", "tasks"):
        sections["tasks"] = [{"name": n, "summary": tasks.summary(n)} for n in tasks.names()]
    if what in ("all", "suites"):
        sections["suites"] = [{"name": n, "summary": _first_comment(n)} for n in shipped_suites()]
    return sections


def listing_text(sections: dict[str, Section]) -> str:
    """Aligned columns, a heading per section."""
    return "\n\n".join(f"{title}\n{_aligned(rows)}" for title, rows in sections.items())


def _aligned(rows: Section) -> str:
    if not rows:
        return "  none"
    keys = list(rows[0])
    table = [keys, *([_cell(row.get(key)) for key in keys] for row in rows)]
    if keys == ["name", "summary"]:
        table = table[1:]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)) for row in table)
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _first_comment(name: str) -> str:
    """The description line of a shipped suite, read as text."""
    for line in shipped_suites()[name].read_text(encoding="utf-8").splitlines():
        if line.startswith("description:"):
            return line.removeprefix("description:").strip().strip("\"'")
    return ""
