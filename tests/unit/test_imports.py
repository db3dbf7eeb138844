"""Light imports stay light, and imports run one way."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import bench

ROOT = Path(bench.__file__).parent
HEAVY = {"torch", "torchvision", "pandas", "timm", "transformers", "matplotlib", "scipy", "skimage"}


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys, json; print('@@' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    names = json.loads(done.stdout.rpartition("@@")[2])
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "code",
    [
        "import bench",
        "import bench.cli; bench.cli.app(['list'], standalone_mode=False)",
        "import bench.cli; bench.cli.app(['list', 'models'], standalone_mode=False)",
    ],
)
def test_light(code: str) -> None:
    assert not loaded_by(code) & HEAVY


def imported(path: Path) -> set[str]:
    """Modules of bench that a file imports, lazily or not; type-checking imports left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for child in block.body
        for node in ast.walk(child)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return {name for name in found if name.startswith("bench")}


#: Parts of the package, and what each of them must never import.
FORBIDDEN = {
    "tasks": {"bench.models", "bench.datasets", "bench.runner", "bench.plan"},
    "models": {"bench.tasks", "bench.datasets", "bench.runner", "bench.plan"},
    "datasets": {"bench.tasks", "bench.models", "bench.runner", "bench.plan"},
    "geometry": {"bench.tasks", "bench.models", "bench.datasets", "bench.runner", "bench.plan"},
    "tables": {"torch", "bench.models", "bench.tasks", "bench.datasets", "bench.runner"},
    "plots": {"torch", "bench.models", "bench.tasks", "bench.datasets", "bench.runner"},
    "report": {"torch", "bench.models", "bench.tasks", "bench.datasets", "bench.runner"},
    "compare.py": {"torch", "bench.models", "bench.tasks", "bench.datasets", "bench.runner"},
    "merge.py": {"torch", "bench.models", "bench.tasks", "bench.datasets", "bench.runner"},
    "conditions.py": {"torch", "bench.models", "bench.tasks", "bench.datasets", "bench.runner"},
    "stats.py": {"bench.models", "bench.tasks", "bench.datasets", "bench.runner"},
    "types.py": {"bench.models", "bench.tasks", "bench.datasets", "bench.runner", "bench.geometry"},
    "results.py": {"bench.models", "bench.tasks", "bench.datasets", "bench.runner", "bench.plan"},
    "suite": {"bench.models", "bench.tasks", "bench.datasets", "bench.runner", "bench.plan"},
}


@pytest.mark.parametrize("part", sorted(FORBIDDEN))
def test_one_way(part: str) -> None:
    place = ROOT / part
    files = [place] if place.suffix else list(place.rglob("*.py"))
    for file in files:
        for module in imported(file):
            for banned in FORBIDDEN[part]:
                assert not (module + ".").startswith(banned + "."), f"{file.name} imports {module}"


def test_nobody_imports_the_command_line() -> None:
    for file in ROOT.rglob("*.py"):
        if file.name != "__main__.py" and file.parent.name != "cli":
            assert "bench.cli" not in imported(file), file
