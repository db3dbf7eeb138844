"""Weights of VGGT: files, folders, the heads they hold, and checkpoints of swapped backbones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model, PreTrainedModel

from bench.errors import BenchError
from bench.models.feature_extractors import feature_extractors
from bench.models.sources import Source
from bench.models.vggt import VGGT
from tests.unit.small_vggt import WIDTH, SmallBackbone, random_images, small_config, small_vggt

HEADS = ("camera", "depth", "point", "track")


def without_switches(**changes: Any) -> dict[str, Any]:
    """Options of the small model that leave the choice of heads to the file."""
    return {k: v for k, v in small_config(**changes).items() if not k.startswith("enable_")}


def assert_same_state(found: VGGT, expected: dict[str, Tensor]) -> None:
    state = found.state_dict()
    assert state.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(state[key], value), key


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_file(tmp_path: Path, suffix: str) -> None:
    state = small_vggt().state_dict()
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    model = VGGT.from_pretrained(path, **without_switches())
    assert_same_state(model, state)
    assert not model.training
    assert not any(parameter.is_meta for parameter in model.parameters())
    with torch.no_grad():
        assert model(random_images(2, 3, 28, 28))["depth"].isfinite().all()


def test_a_training_checkpoint(tmp_path: Path) -> None:
    state = small_vggt().state_dict()
    path = tmp_path / "epoch.pt"
    torch.save({"model": state, "epoch": 3, "steps": 7, "optimizer": {}, "scaler": None}, path)
    assert_same_state(VGGT.from_pretrained(path, **without_switches()), state)


def test_a_folder_may_bring_its_options(tmp_path: Path) -> None:
    state = small_vggt().state_dict()
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(small_config(enable_camera=False)))
    assert_same_state(VGGT.from_pretrained(str(tmp_path)), state)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_damaged_config_is_an_error(tmp_path: Path, text: str) -> None:
    save_file(small_vggt().state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BenchError, match=r"config\.json"):
        VGGT.from_pretrained(tmp_path)


@pytest.mark.parametrize("head", HEADS)
def test_the_file_decides_which_heads_there_are(tmp_path: Path, head: str) -> None:
    state = small_vggt(**{f"enable_{head}": False}).state_dict()
    torch.save(state, tmp_path / "weights.pt")
    model = VGGT.from_pretrained(tmp_path / "weights.pt", **without_switches())
    assert_same_state(model, state)
    with pytest.raises(BenchError, match=f"missing: {head}_head"):
        VGGT.from_pretrained(
            tmp_path / "weights.pt", **{**without_switches(), f"enable_{head}": True}
        )


def test_heads_can_be_left_out(tmp_path: Path) -> None:
    state = small_vggt().state_dict()
    torch.save(state, tmp_path / "weights.pt")
    off = {f"enable_{head}": False for head in HEADS}
    model = VGGT.from_pretrained(tmp_path / "weights.pt", **without_switches(), **off)
    assert_same_state(model, {k: v for k, v in state.items() if k.startswith("aggregator.")})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("aggregator.camera_token", None, r"1 missing: aggregator\.camera_token"),
        ("depth_head.norm.weight", torch.ones(3), r"another shape: depth_head\.norm\.weight"),
        ("aggregator.extra", torch.ones(3), r"1 unexpected: aggregator\.extra"),
    ],
)
def test_weights_that_do_not_fit_are_listed(
    tmp_path: Path, key: str, value: Tensor | None, message: str
) -> None:
    state = small_vggt().state_dict()
    if value is None:
        del state[key]
    else:
        state[key] = value
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(BenchError, match=message):
        VGGT.from_pretrained(tmp_path / "weights.pt", **without_switches())


def test_code_in_a_file_is_refused(tmp_path: Path) -> None:
    torch.save({"model": VGGT}, tmp_path / "weights.pt")
    with pytest.raises(BenchError, match="run code"):
        VGGT.from_pretrained(tmp_path / "weights.pt")


@pytest.mark.parametrize("source", ["./absent", "/absent/weights.pt", "absent.safetensors"])
def test_a_path_with_nothing_there(source: str) -> None:
    with pytest.raises(BenchError, match="No checkpoint at"):
        VGGT.from_pretrained(source)


def test_a_hub_repository_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = small_vggt().state_dict()
    save_file(state, tmp_path / "model.safetensors")
    asked: list[Source] = []

    def obtain(source: Source) -> Path:
        asked.append(source)
        return tmp_path / "model.safetensors"

    monkeypatch.setattr("bench.models.vggt.checkpoint.obtain", obtain)
    assert_same_state(VGGT.from_pretrained("facebook/VGGT-1B", **without_switches()), state)
    assert asked == [Source("hub", "facebook/VGGT-1B")]


SWAP = {"patch_size": 16, "patch_embed_config": {"model_id": "feature_extractor/small"}}


def test_a_checkpoint_with_a_swapped_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such checkpoints also stored the pixel constants, under two spellings."""
    monkeypatch.setitem(feature_extractors._registered, "small", SmallBackbone)
    state = small_vggt(**SWAP).state_dict()
    constants = {
        f"aggregator.patch_embed.{processor}.{name}": torch.zeros(1, 3, 1, 1)
        for processor in ("processor", "proecessor")
        for name in ("mean", "std")
    }
    torch.save({"model": state | constants}, tmp_path / "weights.pt")
    assert_same_state(
        VGGT.from_pretrained(tmp_path / "weights.pt", **without_switches(**SWAP)), state
    )


class TransformersBackbone(SmallBackbone):
    """A one-block DINOv2 of transformers."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.model = Dinov2Model(
            Dinov2Config(
                hidden_size=WIDTH,
                num_hidden_layers=1,
                num_attention_heads=2,
                image_size=32,
                patch_size=16,
            )
        )


@pytest.fixture
def saved_by_transformers_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A state dict, and the same with the backbone's names as transformers 4 had them."""
    monkeypatch.setitem(feature_extractors._registered, "small", TransformersBackbone)
    model = small_vggt(**SWAP)
    # Saving writes the old names, whatever the names in memory are.
    backbone = model.get_submodule("aggregator.patch_embed.model")
    assert isinstance(backbone, PreTrainedModel)
    backbone.save_pretrained(tmp_path / "backbone")
    old = load_file(tmp_path / "backbone" / "model.safetensors")
    prefix = "aggregator.patch_embed.model."
    assert any("attention.attention.query" in key for key in old)
    state = model.state_dict()
    others = {k: v for k, v in state.items() if not k.startswith(prefix)}
    return state, others | {prefix + k: v for k, v in old.items()}


def test_a_backbone_under_the_names_of_transformers_4(
    tmp_path: Path, saved_by_transformers_4: tuple[dict[str, Tensor], dict[str, Tensor]]
) -> None:
    state, old = saved_by_transformers_4
    torch.save({"model": old}, tmp_path / "weights.pt")
    assert_same_state(
        VGGT.from_pretrained(tmp_path / "weights.pt", **without_switches(**SWAP)), state
    )


def test_a_backbone_tensor_that_is_missing_is_never_left_random(
    tmp_path: Path, saved_by_transformers_4: tuple[dict[str, Tensor], dict[str, Tensor]]
) -> None:
    _, old = saved_by_transformers_4
    (query,) = (k for k in old if k.endswith("attention.attention.query.weight"))
    torch.save({k: v for k, v in old.items() if k != query}, tmp_path / "weights.pt")
    with pytest.raises(BenchError, match="missing"):
        VGGT.from_pretrained(tmp_path / "weights.pt", **without_switches(**SWAP))
