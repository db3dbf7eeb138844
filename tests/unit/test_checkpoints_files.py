"""Weight files are found, read safely, and named in one line when they cannot be."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.errors import BenchError
from bench.models.checkpoints import read_state_dict, resolve_path

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.arange(2.0)}


def same(found: dict[str, Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[k], STATE[k]) for k in STATE)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
@pytest.mark.parametrize("nest", [None, "model", "state_dict", "teacher"])
def test_torch_files(suffix: str, nest: str | None, tmp_path: Path) -> None:
    content: Any = STATE if nest is None else {nest: STATE, "epoch": 3}
    torch.save(content, tmp_path / f"w{suffix}")
    assert same(read_state_dict(tmp_path / f"w{suffix}"))


def test_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "w.safetensors")
    assert same(read_state_dict(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_folder(name: str, tmp_path: Path) -> None:
    if name.endswith("bin"):
        torch.save(STATE, tmp_path / name)
    else:
        save_file(STATE, tmp_path / name)
    assert same(read_state_dict(tmp_path))


def shard(folder: Path, names: tuple[str, str] = ("one.safetensors", "two.safetensors")) -> None:
    for name, key in zip(names, STATE, strict=True):
        save_file({key: STATE[key]}, folder / name)
    index = {"weight_map": dict(zip(STATE, names, strict=True))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_shards(tmp_path: Path) -> None:
    shard(tmp_path)
    assert same(read_state_dict(tmp_path))


def test_shards_stay_in_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    shard(folder, ("../outside.safetensors", "two.safetensors"))
    with pytest.raises(BenchError, match="outside of its folder"):
        read_state_dict(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}'])
def test_bad_index(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(BenchError, match="is not an index"):
        read_state_dict(tmp_path)


class RunsCode:
    """What a hostile file holds."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("way", ["torch", "pickle"])
def test_code_is_refused(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = {**STATE, "payload": RunsCode()}
    if way == "torch":
        torch.save(content, "evil.pth")
    else:
        Path("evil.pth").write_bytes(pickle.dumps(content))
    with pytest.raises(BenchError, match=r"could run code .*use safetensors"):
        read_state_dict(Path("evil.pth"))
    assert not Path("executed").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_cut_off(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("pth"):
        torch.save(STATE, path)
    else:
        save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BenchError, match="damaged"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.h5", b"", "unknown kind of checkpoint"),
        ("w.pth", None, "holds no tensors"),
    ],
)
def test_nothing_to_read(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is None:
        torch.save({"epoch": 3}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(BenchError, match=message):
        read_state_dict(path)


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds no weights"):
        read_state_dict(tmp_path)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "weights_for_tests"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "w.pth").touch()
    (tmp_path / "secret.pth").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_path("package://weights_for_tests/w.pth") == package / "w.pth"
    with pytest.raises(BenchError, match="leaves the package"):
        resolve_path("package://weights_for_tests/../secret.pth")
    with pytest.raises(BenchError, match="No checkpoint at"):
        resolve_path("package://weights_for_tests/other.pth")
    with pytest.raises(BenchError, match=r'not installed\. Run: pip install "no_such_package"'):
        resolve_path("package://no_such_package/w.pth")
    with pytest.raises(BenchError, match="No checkpoint at"):
        resolve_path(str(tmp_path / "nowhere.pth"))
