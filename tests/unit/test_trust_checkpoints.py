"""Malformed and hostile weight files, each in its own way: the cell fails with one clear error."""

from __future__ import annotations

import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.check import load_suite
from bench.models.feature_extractors import dinov2, get_extractor_from_id
from bench.plan import Selection, make_plan
from bench.results import load_cells
from bench.runner.loop import Settings, run_plan

State = dict[str, torch.Tensor]
#: A file that appears if a checkpoint manages to run code.
PROOF = "code-was-run"


class Hostile:
    """Unpickled, it creates a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder / PROOF),)


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def header(path: Path, entries: object, data: bytes = b"", length: int | None = None) -> Path:
    """A safetensors file with this header."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return written(path, struct.pack("<Q", len(text) if length is None else length) + text + data)


def changed(state: State, **changes: torch.Tensor | None) -> State:
    merged = {**state, **changes}
    return {name: tensor for name, tensor in merged.items() if tensor is not None}


def legacy_tar(folder: Path) -> Path:
    """The format of torch before 0.1.10, with code in it."""
    member = written(folder / "tensors", pickle.dumps(Hostile(folder)))
    with tarfile.open(folder / "x.pth", "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.add(member, name)
    return folder / "x.pth"


def zip_of(folder: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(folder / "x.pth", "w") as archive:
        for name, content in members.items():
            archive.writestr(f"x/{name.replace('_', '.')}", content)
    return folder / "x.pth"


def shards(folder: Path, content: object) -> Path:
    place = folder / "model"
    place.mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (place / "model.safetensors.index.json").write_text(text)
    return place


def halved(path: Path) -> Path:
    content = path.read_bytes()
    return written(path, content[: len(content) // 2])


def safetensors(folder: Path, state: State) -> Path:
    save_file(state, folder / "x.safetensors")
    return folder / "x.safetensors"


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def link_to_itself(path: Path) -> Path:
    path.symlink_to(path)
    return path


def folder_of(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_bytes(b"")
    return path


Case = Callable[[Path, State], Path | str]
NORM = "layernorm.weight"
ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}

#: What is wrong -> how to make it, and a piece of the message that says so.
CASES: dict[str, tuple[Case, str]] = {
    # Places.
    "nothing there": (lambda f, s: f / "gone.pth", "No checkpoint at"),
    "an empty folder": (lambda f, s: folder_of(f / "x"), "holds no weights"),
    "a folder of something else": (lambda f, s: folder_of(f / "x", "a.txt"), "holds no weights"),
    "a link to itself": (lambda f, s: link_to_itself(f / "x.pth"), "No checkpoint at"),
    "a pipe that nobody writes to": (lambda f, s: fifo(f / "x.pth"), "No checkpoint at"),
    "an endless device": (lambda f, s: "/dev/zero", "No checkpoint at"),
    "a name too long": (lambda f, s: "a" * 5_000, "No checkpoint at"),
    "the home of nobody": (lambda f, s: "~no-such-user/x.pth", "No checkpoint at"),
    "no such package": (lambda f, s: "package://no_such_package/x.pth", "is not installed"),
    "the package of the program": (lambda f, s: "package://__main__/x.pth", "is not installed"),
    "a package that climbs": (lambda f, s: "package://bench/../x.pth", "leaves the package"),
    "an unknown kind": (lambda f, s: written(f / "x.ckpt", b"1"), "unknown kind of checkpoint"),
    # Pickles.
    "an empty file": (lambda f, s: written(f / "x.pth", b""), "cannot be read"),
    "a web page": (lambda f, s: written(f / "x.pth", b"<html>404 Not Found</html>"), "x.pth"),
    "a git-lfs pointer": (
        lambda f, s: written(f / "x.pth", b"version https://git-lfs.github.com/spec/v1\n"), "x.pth"
    ),
    "half a file": (lambda f, s: halved(saved(f / "x.pth", s)), "x.pth"),
    "code": (lambda f, s: saved(f / "x.pth", {"a": Hostile(f)}), "could run code"),
    "code without torch": (
        lambda f, s: written(f / "x.pth", pickle.dumps(Hostile(f))), "could run code"
    ),
    "code in an old archive": (lambda f, s: legacy_tar(f), "x.pth"),
    "a whole module": (lambda f, s: saved(f / "x.pth", torch.nn.Linear(2, 2)), "could run code"),
    "a zip of texts": (lambda f, s: zip_of(f, readme_txt=b"hello"), "x.pth"),
    "a zip whose pickle is none": (lambda f, s: zip_of(f, data_pkl=b"hello"), "x.pth"),
    "a list": (lambda f, s: saved(f / "x.pth", list(s.values())), "holds no tensors"),
    "numbers": (lambda f, s: saved(f / "x.pth", {"epoch": 3, "loss": 0.1}), "holds no tensors"),
    "an empty dictionary": (lambda f, s: saved(f / "x.pth", {}), "holds no tensors"),
    "an optimiser alone": (
        lambda f, s: saved(f / "x.pth", {"optimizer": {"state": s}}), "holds no tensors"
    ),
    # safetensors.
    "half a safetensors": (lambda f, s: halved(safetensors(f, s)), "cannot be read"),
    "a header without end": (
        lambda f, s: header(f / "x.safetensors", b"{", length=2**62), "cannot be read"
    ),
    "a header that is no JSON": (
        lambda f, s: header(f / "x.safetensors", b"{nonsense}"), "cannot be read"
    ),
    "tensors beyond the end": (
        lambda f, s: header(f / "x.safetensors", {"a": ONE}, b"1234"), "cannot be read"
    ),
    "tensors on top of each other": (
        lambda f, s: header(f / "x.safetensors", {"a": ONE, "b": ONE}, b"1234567"), "cannot"
    ),
    "an unknown type": (
        lambda f, s: header(f / "x.safetensors", {"a": ONE | {"dtype": "F3"}}, b"1234567"), "cannot"
    ),
    "a shape of another size": (
        lambda f, s: header(f / "x.safetensors", {"a": ONE | {"shape": [9]}}, b"12345678"), "cannot"
    ),
    "a safetensors of nothing": (lambda f, s: header(f / "x.safetensors", {}), "holds no tensors"),
    "a pickle in disguise": (
        lambda f, s: written(f / "x.safetensors", pickle.dumps(Hostile(f))), "cannot be read"
    ),
    # Shards.
    "an index that is no JSON": (lambda f, s: shards(f, "{"), "not an index"),
    "an index that is a list": (lambda f, s: shards(f, []), "not an index"),
    "an index of numbers": (lambda f, s: shards(f, {"weight_map": {"a": 1}}), "hold no weights"),
    "an index that climbs": (
        lambda f, s: shards(f, {"weight_map": {"a": "../x.safetensors"}}), "outside of its folder"
    ),
    "a shard that is gone": (
        lambda f, s: shards(f, {"weight_map": {"a": "gone.safetensors"}}), "gone.safetensors"
    ),
    "an index of itself": (
        lambda f, s: shards(f, {"weight_map": {"a": "model.safetensors.index.json"}}), "hold no"
    ),
    # ONNX.
    "no graph": (lambda f, s: written(f / "x.onnx", b"not a graph" * 9), "x.onnx"),
    "an empty graph": (lambda f, s: written(f / "x.onnx", b""), "x.onnx"),
    "a graph whose data climb": (lambda f, s: climbing_graph(f), "x.onnx"),
    "a graph of broken data": (lambda f, s: broken_graph(f), "x.onnx"),
    # Tensors that do not fit.
    "a tensor too few": (
        lambda f, s: saved(f / "x.pth", changed(s, **{NORM: None})), "1 missing: norm.weight"
    ),
    "a tensor too many": (
        lambda f, s: saved(f / "x.pth", changed(s, extra=torch.ones(2))), "1 unexpected: extra"
    ),
    "another shape": (
        lambda f, s: saved(f / "x.pth", changed(s, **{NORM: torch.ones(7)})), "of another shape"
    ),
    "a tensor that is three in one, but not quite": (
        lambda f, s: saved(f / "x.pth", {"blocks.0.attn.qkv.weight": torch.ones(8, 2)}),
        "does not hold 3 equal parts",
    ),
    "a tensor larger than the earth": (
        lambda f, s: saved(f / "x.pth", changed(s, **{NORM: torch.ones(1).expand(2**50)})),
        "of another shape",
    ),
    "a scalar": (
        lambda f, s: saved(f / "x.pth", changed(s, **{NORM: torch.tensor(1.0)})), "of another shape"
    ),
    "a sparse tensor": (
        lambda f, s: saved(f / "x.pth", changed(s, **{NORM: s[NORM].to_sparse()})), "x.pth"
    ),
    "a tensor without values": (
        lambda f, s: saved(f / "x.pth", changed(s, **{NORM: s[NORM].to("meta")})), "x.pth"
    ),
    "names that are numbers": (
        lambda f, s: saved(f / "x.pth", dict(enumerate(s.values()))), "missing"
    ),
    "another model": (
        lambda f, s: saved(f / "x.pth", torch.nn.Linear(3, 3).state_dict()), "missing"
    ),
}  # fmt: skip


def graph(folder: Path, change: Callable[[Any], None]) -> Path:
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(np.ones((2, 2), np.float32), "layernorm.weight")
    change(weight)
    made = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [weight]))
    return written(folder / "x.onnx", made.SerializeToString())


def climbing_graph(folder: Path) -> Path:
    """A tensor whose bytes lie in a file of the system."""

    def change(weight: Any) -> None:
        weight.ClearField("raw_data")
        weight.data_location = 1
        entry = weight.external_data.add()
        entry.key, entry.value = "location", "../../../../../../../../etc/passwd"

    return graph(folder, change)


def broken_graph(folder: Path) -> Path:
    def change(weight: Any) -> None:
        weight.raw_data = b"123"

    return graph(folder, change)


@pytest.fixture(scope="module")
def state() -> State:
    """Weights of a tiny DINOv2."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(dinov2.BACKBONES, "small", dinov2.Backbone(24, 1, 2))
        built = get_extractor_from_id("dinov2", {"backbone": "small", "pretrained": False})
    return {name: tensor.clone() for name, tensor in built.model.state_dict().items()}


def suite_with(path: Path, checkpoint: Path | str) -> Path:
    config = json.dumps({"backbone": "small", "checkpoint_path": str(checkpoint)})
    model = f"{{label: model, model_id: feature_extractor/dinov2, model_config: {config}}}"
    path.write_text(
        f"name: trust\nmodels:\n  - {model}\n  - {{model_id: feature_extractor/rgb}}\n"
        "datasets: [{name: slab, params: {num_sets: 1}}]\ntasks: [{name: brightness}]\n"
        "defaults: {resolution: {patches: 6}}\n"
    )
    return path


def test_there_are_more_than_twenty() -> None:
    assert len(CASES) >= 20


@pytest.mark.parametrize("case", CASES)
def test_the_cell_fails_and_the_others_do_not(
    case: str, tmp_path: Path, synthetic: None, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(dinov2.BACKBONES, "small", dinov2.Backbone(24, 1, 2))
    make, text = CASES[case]
    suite = suite_with(tmp_path / "suite.yaml", make(tmp_path, state))
    plan = make_plan(load_suite(suite), precision="float32")
    outcome = run_plan(plan, tmp_path / "run", Settings(), Selection())
    assert (outcome.done, outcome.failed) == (1, 1)
    (reason,) = outcome.failures.values()
    assert text in reason and len(reason) < 6_000
    failed = next(result for result, _ in load_cells(tmp_path / "run") if result.status == "failed")
    assert failed.error == reason and failed.model == "model"
    assert not (tmp_path / PROOF).exists()


def test_the_good_checkpoint_is_good(
    tmp_path: Path, synthetic: None, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cases above fail for what they change, not for what they share."""
    monkeypatch.setitem(dinov2.BACKBONES, "small", dinov2.Backbone(24, 1, 2))
    files = [
        saved(tmp_path / "x.pth", state),
        saved(tmp_path / "nested.pth", {"model": state, "epoch": 3}),
        safetensors(tmp_path, state),
    ]
    for number, file in enumerate(files):
        suite = suite_with(tmp_path / "suite.yaml", file)
        plan = make_plan(load_suite(suite), precision="float32")
        outcome = run_plan(plan, tmp_path / f"run-{number}", Settings(), Selection())
        assert (outcome.done, outcome.failures) == (2, {})
