"""Weights out of an ONNX graph that torch exported: tensors only, the graph is never run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError

if TYPE_CHECKING:
    from torch import Tensor


def read_onnx(path: Path) -> dict[str, Tensor]:
    """Floating-point tensors of the graph under the names of the exported modules.

    The exporter keeps the names of biases, norms and convolutions. It transposes the weights of
    linear layers and drops their names; what is left is the name of the node that multiplies by
    them (``/encoder/fc1/MatMul``), which holds the path of the module (``encoder.fc1.weight``).
    Any other nameless constant is called after the node that reads it.

    Raises:
        BenchError: the package `onnx` is missing, or the file is not an ONNX graph.
    """
    graph = _graph(path)
    readers = {name: node for node in graph.node for name in node.input}
    tensors: dict[str, Tensor] = {}
    for initializer in graph.initializer:
        name, node = initializer.name, readers.get(initializer.name)
        value = _array(initializer, path)
        if value.dtype.kind != "f" or value.size < 2:
            continue
        nameless = name.startswith("onnx::")
        if nameless and node is not None:
            path_of_node = node.name.strip("/").replace("/", ".")
            if node.op_type == "MatMul":
                name, value = path_of_node.removesuffix(".MatMul") + ".weight", value.T
            else:
                name = path_of_node
        tensors[name] = _tensor(value)
    return tensors


def _graph(path: Path) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise BenchError(
            f"Reading {path.name} needs the package 'onnx'.", 'Run: pip install "bench3d[demo]"'
        ) from error
    try:
        return onnx.load(path, load_external_data=False).graph
    except Exception as error:
        raise BenchError(
            f"{path.name} is not an ONNX graph ({type(error).__name__}).", "Fetch the file again."
        ) from error


def _array(initializer: Any, path: Path) -> Any:
    from onnx.numpy_helper import to_array

    try:
        return to_array(initializer)
    except Exception as error:
        raise BenchError(
            f"{path.name}: the values of '{initializer.name}' cannot be read ({error}).",
            "Values in files beside the graph are not read; export into one file.",
        ) from error


def _tensor(value: Any) -> Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.array(value, dtype=np.float32, order="C"))
