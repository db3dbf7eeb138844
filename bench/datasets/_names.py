"""Lists of names in .npy files, as Map-Anything publishes its scene lists."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.datasets._files import existing
from bench.errors import BenchError

#: All that a pickled array of text is built from, whatever NumPy version wrote it.
ARRAY_PARTS: Mapping[str, Any] = MappingProxyType(
    {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}
)


class _NamesOnly(pickle.Unpickler):
    """Builds arrays of text and nothing else: a pickle could otherwise run any program."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] != "numpy" or name not in ARRAY_PARTS:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a list of names")
        return ARRAY_PARTS[name]


def read_names(path: Path) -> list[str]:
    """Names of an .npy array of text, also where they are stored as Python objects.

    Raises:
        BenchError: the file holds anything but text.
    """
    data = io.BytesIO(existing(path).read_bytes())
    try:
        version = np.lib.format.read_magic(data)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        _, _, kind = read_header(data)
        stored = _NamesOnly(data).load() if kind.hasobject else np.load(path, allow_pickle=False)
        names = [str(name) for name in np.asarray(stored).ravel()]
    except (ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise BenchError(f"{path} is not a list of names: {error}.") from error
    return names
