"""Files of datasets: where data lie, that nothing leaves its root, and text, JSON and arrays."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from bench.errors import BenchError
from bench.options import parse_options

M = TypeVar("M", bound=BaseModel)

#: Folder that holds one folder per dataset, used where a dataset's `root` is not given.
DATA_VARIABLE = "BENCH_DATA"


def find_root(root: str | None, dataset: str, folder: str, how_to_get: str) -> Path:
    """Folder of a dataset: `root` (``~`` and ``$VARIABLE`` allowed), else $BENCH_DATA/`folder`.

    Raises:
        BenchError: it does not exist; the hint says how to obtain the data.
    """
    if root is not None:
        path = Path(os.path.expandvars(root)).expanduser()
        where = f"folder {path} does not exist"
        if "$" in str(path):
            where = f"root '{root}' names an environment variable that is not set"
    elif os.environ.get(DATA_VARIABLE):
        path = Path(os.environ[DATA_VARIABLE]).expanduser() / folder
        where = f"folder {path} does not exist"
    else:
        path = Path()
        where = f"neither the option 'root' nor the variable {DATA_VARIABLE} says where it is"
    if path == Path() or not path.is_dir():
        raise BenchError(f"Dataset '{dataset}' is not here: {where}.", how_to_get)
    return path


def inside(root: Path, relative: str) -> Path:
    """`root` / `relative`, where the name comes from a file of the dataset.

    The check is on the name, not on what links point to: users keep large data behind links.

    Raises:
        BenchError: the name leads out of `root`.
    """
    base = os.path.normpath(root)
    path = os.path.normpath(Path(base) / relative)
    if path != base and not path.startswith(base.rstrip(os.sep) + os.sep):
        raise BenchError(
            f"'{relative}' leads out of {root}.", "Names in a dataset must stay inside its folder."
        )
    return Path(path)


def existing(path: Path) -> Path:
    """The path itself; BenchError if there is no such file."""
    if not path.is_file():
        raise BenchError(f"{path} is missing.", "Run `bench data check` for the whole list.")
    return path


def read_text(path: Path) -> str:
    """A text file; BenchError if it is missing or is not text."""
    try:
        return existing(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is not a text file: {error}.") from error


def read_json(path: Path, model: type[M]) -> M:
    """A validated JSON file; BenchError lists every mistake."""
    try:
        values = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise BenchError(f"{path} is not JSON: {error}.") from error
    except RecursionError as error:
        raise BenchError(f"{path} is nested too deeply.") from error
    if not isinstance(values, dict):
        raise BenchError(f"{path}: expected an object, got a {type(values).__name__}.")
    return parse_options(model, values, str(path))


def read_numbers(path: Path) -> list[list[float]]:
    """Numbers of a text file, one list per line that has any; lines with # are comments."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split("#")[0].replace(",", " ").split()
        try:
            values = [float(word) for word in words]
        except ValueError as error:
            raise BenchError(f"{path}:{number}: {error}.", "Expected numbers only.") from error
        if values:
            rows.append(values)
    return rows


def read_array(path: Path, name: str) -> NDArray[Any]:
    """The array of an .npy file, or the one called `name` of an .npz file (or its only one).

    Raises:
        BenchError: missing, damaged, without such an array, or with Python objects in it.
    """
    try:
        loaded = np.load(existing(path), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            (found,) = loaded.files if len(loaded.files) == 1 else (name,)
            return np.asarray(loaded[found])
    except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
        raise BenchError(
            f"{path} cannot be read: {error}.", f"Expected an array '{name}'."
        ) from error
