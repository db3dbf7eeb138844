"""The suite file: one YAML file, one published table.

Every mistake comes with its file and line. What the names in it mean is checked by ``bench.check``.
"""

from bench.suite.mistakes import Mistake, Place, SuiteError
from bench.suite.parse import ParsedSuite, parse_suite
from bench.suite.schema import (
    DatasetEntry,
    Entry,
    ModelEntry,
    Suite,
    TableEntry,
    TaskEntry,
    resolution_of,
)
from bench.suite.shipped import find_suite, shipped_folder, shipped_suites

__all__ = [
    "DatasetEntry", "Entry", "Mistake", "ModelEntry", "ParsedSuite", "Place", "Suite", "SuiteError",
    "TableEntry", "TaskEntry", "find_suite", "parse_suite", "resolution_of", "shipped_folder",
    "shipped_suites",
]  # fmt: skip
