"""One set of weights in every published layout gives the same features.

Layouts of a library are written by that library. The authors' own are written here, from their
published names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    ViTMAEConfig,
    ViTMAEForPreTraining,
)

from bench.errors import BenchError
from bench.models.feature_extractors import get_extractor_from_id
from bench.models.feature_extractors.base import FeatureExtractor
from bench.models.layouts import Layout, canonical_state
from tests.conformance.small_extractors import register_small

State = dict[str, Tensor]
IMAGES = torch.rand(1, 3, 70, 112, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        register_small(patch)
        yield


def randomised(model: nn.Module) -> Any:
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def features(kind: str, state: State, path: Path, **config: Any) -> Tensor:
    """All tokens of an extractor that loads `state` from a file."""
    torch.save(state, path)
    extractor = get_extractor_from_id(kind, {**config, "checkpoint_path": str(path)})
    tokens: Tensor = extractor(IMAGES)["x_norm"]
    return tokens


def random_extractor(name: str, **config: Any) -> FeatureExtractor:
    extractor = get_extractor_from_id(name, {**config, "pretrained": False})
    randomised(extractor.model)
    return extractor


def renamed(state: State, rules: list[tuple[str, str]]) -> State:
    """`state` with regular-expression replacements applied to every key, in order."""
    found = {}
    for key, value in state.items():
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        found[key] = value
    return found


def fused_attention(state: State, query: str, rule: str) -> State:
    """Separate query, key and value tensors stacked into one, as the authors store them."""
    found = {}
    for key, value in state.items():
        if re.search(r"\.(k|key|v|value)(_proj)?\.(weight|bias)$", key):
            continue
        if match := re.search(rf"(.*)\.{query}\.(weight|bias)$", key):
            names = [key.replace(f".{query}.", f".{n}.") for n in rule.split()]
            found[f"{match[1]}.qkv.{match[2]}"] = torch.cat([state[n] for n in names])
        else:
            found[key] = value
    return found


def current_names(state: State) -> State:
    """transformers' names of today, whichever version is installed."""
    joined = renamed(
        state,
        [
            (r"^vision_model\.", ""),
            (r"attention\.attention\.(q|k|v)\w+\.", r"attention.\1_proj."),
            (r"attention\.output\.dense", "attention.o_proj"),
            (r"^encoder\.layer\.(?=\d+\.layernorm|\d+\.intermediate|\d+\.output)", "layers."),
            (r"intermediate\.dense", "mlp.fc1"),
            (r"(layers\.\d+)\.output\.dense", r"\1.mlp.fc2"),
            (r"weights_out", "down_proj"),
        ],
    )
    if any(key.startswith("layers.") for key in joined):
        joined = renamed(joined, [(r"^encoder\.layer\.", "layers.")])
    split = {}
    for key, value in joined.items():
        if "weights_in" in key:
            gate, up = value.chunk(2)
            split[key.replace("weights_in", "gate_proj")] = gate
            split[key.replace("weights_in", "up_proj")] = up
        else:
            split[key] = value
    return split


OLD_TRANSFORMERS = [
    (r"attention\.q_proj", "attention.attention.query"),
    (r"attention\.k_proj", "attention.attention.key"),
    (r"attention\.v_proj", "attention.attention.value"),
    (r"attention\.o_proj", "attention.output.dense"),
]
DINOV2_AUTHORS = [
    (r"^embeddings\.position_embeddings", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"^embeddings\.(cls_token|mask_token|register_tokens)", r"\1"),
    (r"^encoder\.layer\.", "blocks."),
    (r"attention\.o_proj", "attn.proj"),
    (r"attention\.qkv", "attn.qkv"),
    (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"),
    (r"^layernorm", "norm"),
    (r"mlp\.gate_up", "mlp.w12"),
    (r"mlp\.down_proj", "mlp.w3"),
]


def dinov2_layouts(state: State) -> dict[str, State]:
    """transformers' names of version 5, those before it, and the authors'."""
    gated = {k for k in state if "gate_proj" in k}
    joined = {k: v for k, v in state.items() if "gate_proj" not in k and "up_proj" not in k}
    for key in gated:
        pair = torch.cat([state[key], state[key.replace("gate", "up")]])
        joined[key.replace("gate_proj", "gate_up")] = pair
    old = [*OLD_TRANSFORMERS, ("gate_up", "weights_in"), (r"down_proj", "weights_out")]
    fused = fused_attention(joined, "q_proj", "q_proj k_proj v_proj")
    return {
        "transformers": state,
        "transformers 4": renamed(joined, old),
        "authors": renamed(fused, DINOV2_AUTHORS),
    }


@pytest.mark.parametrize("with_registers", [False, True])
@pytest.mark.parametrize("backbone", ["tiny", "tiny-gated"])
def test_dinov2(backbone: str, with_registers: bool, tmp_path: Path) -> None:
    config = {"backbone": backbone, "with_registers": with_registers}
    original = random_extractor("dinov2", **config)
    expected = original(IMAGES)["x_norm"]
    layouts = dinov2_layouts(current_names(original.model.state_dict()))
    without_mask = {k: v for k, v in layouts["authors"].items() if k != "mask_token"}
    layouts["authors, no mask token"] = without_mask
    nested: Any = {"model": layouts["authors"]}
    layouts["nested"] = nested
    layouts["wrapped"] = {f"module.backbone.{k}": v for k, v in layouts["authors"].items()}
    timm_built = get_extractor_from_id(
        "dinov2", {**config, "use_timm": True, "pretrained": False}
    ).model
    for use_timm in (False, True):
        for name, state in layouts.items():
            tokens = features("dinov2", state, tmp_path / "w.pth", **config, use_timm=use_timm)
            assert (tokens - expected).abs().max() < 2e-5, (name, use_timm)
    randomised(timm_built)
    states = timm_built.state_dict()
    assert all(not k.startswith("embeddings") for k in states)
    one, two = (
        features("dinov2", states, tmp_path / "w.pth", **config, use_timm=use_timm)
        for use_timm in (False, True)
    )
    assert (one - two).abs().max() < 2e-5


def test_dinov2_position_of_the_class_token_with_registers(tmp_path: Path) -> None:
    """timm adds the class token's position to the token; nothing of it may be lost."""
    original: Any = random_extractor("dinov2", backbone="tiny", with_registers=True)
    layout = dinov2_layouts(current_names(original.model.state_dict()))["authors"]
    moved = {**layout, "pos_embed": layout["pos_embed"].clone()}
    # Not a constant: the norms would take it out again.
    moved["pos_embed"][:, 0] += torch.arange(32) / 32
    config = {"backbone": "tiny", "with_registers": True, "use_timm": True}
    before = features("dinov2", layout, tmp_path / "a.pth", **config)
    after = features("dinov2", moved, tmp_path / "b.pth", **config)
    assert (before - after).abs().max() > 1e-3


def test_fit3d(tmp_path: Path) -> None:
    """FiT3D's files are plain timm state dicts; any extractor of that backbone takes them."""
    model: Any = randomised(
        timm.create_model(
            "vit_small_patch14_reg4_dinov2",
            embed_dim=32,
            depth=4,
            num_heads=2,
            num_classes=0,
            dynamic_img_size=True,
        )
    )
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    expected = model.forward_features((IMAGES - mean) / std)
    for use_timm in (False, True):
        tokens = features(
            "dinov2",
            model.state_dict(),
            tmp_path / "w.pth",
            backbone="tiny",
            with_registers=True,
            use_timm=use_timm,
        )
        assert (tokens - expected).abs().max() < 2e-5


def test_timm_takes_its_own_and_the_authors_layout(tmp_path: Path) -> None:
    """The generic timm extractor loads through timm, which knows the authors' names."""
    name = "test_vit3"
    model: Any = randomised(timm.create_model(name, num_classes=0, dynamic_img_size=True))
    tokens = features("timm", model.state_dict(), tmp_path / "w.pth", name=name)
    settings: Any = timm.get_pretrained_cfg(name)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (settings.mean, settings.std))
    padded = get_extractor_from_id("timm", {"name": name, "pretrained": False})
    images = torch.nn.functional.pad((IMAGES - mean) / std, (0, 0, 5, 5))
    assert padded.grid(70, 112).pad_top == 5
    assert (tokens - model.forward_features(images)).abs().max() < 2e-5
    with_head = {**model.state_dict(), "head.weight": torch.zeros(1000, 96)}
    assert torch.equal(features("timm", with_head, tmp_path / "w.pth", name=name), tokens)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"blocks.0.norm1.weight": None}, r"blocks\.0\.norm1\.weight"),
        ({"surprise": torch.zeros(3)}, "surprise"),
        ({"norm.weight": torch.zeros(3)}, r"norm\.weight"),
        ({"pos_embed": torch.zeros(1, 401, 96)}, "pos_embed"),
    ],
)
def test_timm_names_what_does_not_fit(
    change: dict[str, Tensor | None], named: str, tmp_path: Path
) -> None:
    """timm itself would keep random weights, and would resample positions, without a word."""
    state = timm.create_model("test_vit3", num_classes=0).state_dict()
    spoilt = {k: v for k, v in {**state, **change}.items() if v is not None}
    with pytest.raises(BenchError, match=rf"does not fit .*{named}"):
        features("timm", spoilt, tmp_path / "w.pth", name="test_vit3")


DINOV3_AUTHORS = [
    (r"^reg_token", "storage_tokens"),
    (r"gamma_(\d)", r"ls\1.gamma"),
    (r"mlp\.fc1_g", "mlp.w1"),
    (r"mlp\.fc1_x", "mlp.w2"),
]


@pytest.mark.parametrize(("backbone", "dim"), [("tiny", 32), ("tiny-gated", 48)])
def test_dinov3_of_the_authors(backbone: str, dim: int, tmp_path: Path) -> None:
    original = random_extractor("dinov3", backbone=backbone)
    expected = original(IMAGES)["x_norm"]
    rules = DINOV3_AUTHORS + ([(r"mlp\.fc2", "mlp.w3")] if "gated" in backbone else [])
    state = renamed(original.model.state_dict(), rules)
    state |= {"mask_token": torch.zeros(1, dim), "rope_embed.periods": torch.ones(4)}
    for i in range(4):
        state[f"blocks.{i}.attn.qkv.bias"] = torch.zeros(3 * dim)
        state[f"blocks.{i}.attn.qkv.bias_mask"] = torch.ones(3 * dim)
    tokens = features("dinov3", state, tmp_path / "w.pth", backbone=backbone)
    torch.testing.assert_close(tokens, expected, rtol=0, atol=0)
    state["blocks.0.attn.qkv.bias"][:dim] = 3.0
    biased = features("dinov3", state, tmp_path / "w.pth", backbone=backbone)
    assert (biased - expected).abs().max() > 1e-3
    state["blocks.0.attn.qkv.bias"][:dim] = 0
    state["blocks.0.attn.qkv.bias"][dim : 2 * dim] = 3.0
    key_only = features("dinov3", state, tmp_path / "w.pth", backbone=backbone)
    torch.testing.assert_close(key_only, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("backbone", "dim", "hidden", "gated"),
    [("tiny", 32, 128, False), ("tiny-gated", 48, 192, True)],
)
@pytest.mark.parametrize("biased", [False, True])
def test_dinov3_of_transformers(
    backbone: str, dim: int, hidden: int, gated: bool, biased: bool, tmp_path: Path
) -> None:
    """timm's model with transformers' weights computes what transformers computes."""
    shape: dict[str, Any] = {"hidden_size": dim, "intermediate_size": hidden}
    config = DINOv3ViTConfig(
        **shape,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_register_tokens=4,
        patch_size=16,
        image_size=224,
        use_gated_mlp=gated,
        hidden_act="silu" if gated else "gelu",
    )
    model: Any = randomised(DINOv3ViTModel(config))
    state = model.state_dict()
    if not biased:
        for key in state:
            if re.search(r"[qv]_proj\.bias", key):
                state[key].zero_()
    images = torch.rand(1, 3, 80, 112)
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    expected = model((images - mean) / std).last_hidden_state
    for layout in (state, renamed(state, [(r"^model\.layer", "layer")])):
        torch.save(layout, tmp_path / "w.pth")
        extractor = get_extractor_from_id(
            "dinov3", {"backbone": backbone, "checkpoint_path": str(tmp_path / "w.pth")}
        )
        assert (extractor(images)["x_norm"] - expected).abs().max() < 1e-4


CLIP_AUTHORS = [
    (r"^embeddings\.class_embedding", "class_embedding"),
    (r"^embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^embeddings\.patch_embedding", "conv1"),
    (r"^pre_layrnorm", "ln_pre"),
    (r"^post_layernorm", "ln_post"),
    (r"^encoder\.layers", "transformer.resblocks"),
    (r"self_attn\.qkv\.(weight|bias)", r"attn.in_proj_\1"),
    (r"self_attn\.out_proj", "attn.out_proj"),
    (r"layer_norm(\d)", r"ln_\1"),
    (r"mlp\.fc1", "mlp.c_fc"),
    (r"mlp\.fc2", "mlp.c_proj"),
]


def test_clip(tmp_path: Path) -> None:
    original = random_extractor("clip", backbone="tiny")
    expected = original(IMAGES)["x_norm"]
    state = current_names(original.model.state_dict())
    authors = renamed(fused_attention(state, "q_proj", "q_proj k_proj v_proj"), CLIP_AUTHORS)
    text = {
        "positional_embedding": torch.zeros(77, 32),
        "transformer.resblocks.0.ln_1.weight": torch.zeros(32),
        "text_projection": torch.zeros(32, 32),
        "logit_scale": torch.zeros(()),
    }
    layouts = {
        "transformers": state,
        "transformers 4": {f"vision_model.{k}": v for k, v in state.items()},
        "authors": {**{f"visual.{k}": v for k, v in authors.items()}, **text},
    }
    for name, layout in layouts.items():
        tokens = features("clip", layout, tmp_path / "w.pth", backbone="tiny")
        assert torch.equal(tokens, expected), name


def test_clip_of_timm(tmp_path: Path) -> None:
    """transformers' encoder with timm's weights computes what timm computes."""
    model: Any = randomised(
        timm.create_model(
            "vit_base_patch16_clip_quickgelu_224",
            embed_dim=32,
            depth=4,
            num_heads=2,
            num_classes=0,
        )
    )
    torch.save(model.state_dict(), tmp_path / "w.pth")
    extractor = get_extractor_from_id(
        "clip", {"backbone": "tiny", "checkpoint_path": str(tmp_path / "w.pth")}
    )
    images = extractor.prepare_images(torch.rand(1, 3, 224, 224))
    expected = model.forward_features(images)
    ours = dict(extractor.encode(images, ["output"]))["output"].every
    assert ours is not None
    assert (ours - expected).abs().max() < 2e-5


def test_clip_of_images_and_text(tmp_path: Path) -> None:
    """A whole CLIP in a transformers folder: the text tower is left out."""
    tower: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 128,
    }
    vision = {**tower, "patch_size": 16, "image_size": 224}
    config = CLIPConfig(text_config=tower, vision_config=vision, projection_dim=16)
    model: Any = randomised(CLIPModel(config))
    model.save_pretrained(tmp_path)
    extractor = get_extractor_from_id(
        "clip", {"backbone": "tiny", "checkpoint_path": str(tmp_path)}
    )
    images = extractor.prepare_images(torch.rand(1, 3, 224, 224))
    found = dict(extractor.encode(images, ["output"]))["output"].cls
    pooled = model.get_image_features(images)
    pooled = pooled if isinstance(pooled, Tensor) else pooled.pooler_output
    assert found is not None
    projected = model.visual_projection(found)
    assert (projected - pooled).abs().max() < 2e-5 or (found - pooled).abs().max() < 2e-5


MAE_AUTHORS = [
    (r"^embeddings\.position_embeddings", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"^embeddings\.cls_token", "cls_token"),
    (r"^(encoder\.layer|layers)\.", "blocks."),
    (r"attention\.o_proj", "attn.proj"),
    (r"attention\.qkv", "attn.qkv"),
    (r"layernorm_before", "norm1"),
    (r"layernorm_after", "norm2"),
    (r"^layernorm", "norm"),
]
MAE_OLD = [
    *OLD_TRANSFORMERS,
    (r"^layers\.", "encoder.layer."),
    (r"mlp\.fc1", "intermediate.dense"),
    (r"mlp\.fc2", "output.dense"),
]


def test_mae(tmp_path: Path) -> None:
    original = random_extractor("mae", backbone="tiny")
    expected = original(IMAGES)["x_norm"]
    state = current_names(original.model.state_dict())
    authors = renamed(fused_attention(state, "q_proj", "q_proj k_proj v_proj"), MAE_AUTHORS)
    decoder = {
        "mask_token": torch.zeros(1, 1, 16),
        "decoder_pos_embed": torch.zeros(1, 197, 16),
        "decoder_blocks.0.norm1.weight": torch.zeros(16),
        "decoder_pred.weight": torch.zeros(768, 16),
    }
    layouts = {
        "transformers": state,
        "transformers 4": renamed(state, MAE_OLD),
        "authors": authors,
        "authors, with decoder": {**authors, **decoder},
    }
    for name, layout in layouts.items():
        tokens = features("mae", layout, tmp_path / "w.pth", backbone="tiny")
        assert torch.equal(tokens, expected), name


def test_mae_of_timm(tmp_path: Path) -> None:
    """transformers' encoder with timm's weights computes what timm computes."""
    model: Any = randomised(
        timm.create_model(
            "vit_base_patch16_224.mae", embed_dim=32, depth=4, num_heads=2, num_classes=0
        )
    )
    torch.save(model.state_dict(), tmp_path / "w.pth")
    extractor = get_extractor_from_id(
        "mae", {"backbone": "tiny", "checkpoint_path": str(tmp_path / "w.pth")}
    )
    images = extractor.prepare_images(torch.rand(1, 3, 224, 224))
    ours = dict(extractor.encode(images, ["output"]))["output"].every
    assert ours is not None
    assert (ours - model.forward_features(images)).abs().max() < 2e-5


def test_mae_of_pre_training(tmp_path: Path) -> None:
    """A whole pre-training model in a transformers folder: the decoder is left out."""
    shape: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "decoder_hidden_size": 16,
        "decoder_num_hidden_layers": 1,
        "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 16,
    }
    model: Any = randomised(ViTMAEForPreTraining(ViTMAEConfig(**shape)))
    model.save_pretrained(tmp_path / "folder")
    extractor = get_extractor_from_id(
        "mae", {"backbone": "tiny", "checkpoint_path": str(tmp_path / "folder")}
    )
    ours, theirs = extractor.model.state_dict(), model.vit.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_mum_with_decoder(tmp_path: Path) -> None:
    """The encoder may be taken from the file that also holds the decoder."""
    original = random_extractor("mumvisiontransformer", backbone="tiny")
    state = original.model.state_dict()
    decoder = {
        "mask_token": torch.zeros(1, 1, 8),
        "decoder_embed.weight": torch.zeros(8, 32),
        "decoder_norm.weight": torch.zeros(8),
        "rope_embed_decoder.periods": torch.zeros(4),
    }
    tokens = features(
        "mumvisiontransformer", {**state, **decoder}, tmp_path / "w.pt", backbone="tiny"
    )
    assert torch.equal(tokens, original(IMAGES)["x_norm"])


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("dinov2", "tiny"),
        ("dinov3", "tiny"),
        ("clip", "tiny"),
        ("mae", "tiny"),
        ("mumvisiontransformer", "tiny"),
        ("xfeat", None),
    ],
)
def test_what_does_not_fit_is_named(name: str, backbone: str | None, tmp_path: Path) -> None:
    """Missing, unexpected and mis-shaped tensors are errors, never a random backbone."""
    config = {} if backbone is None else {"backbone": backbone}
    state = random_extractor(name, **config).model.state_dict()
    keys = [key for key, value in state.items() if value.ndim >= 2 and "mask_token" not in key]
    missing = {k: v for k, v in state.items() if k != keys[-1]}
    with pytest.raises(BenchError, match="1 missing"):
        features(name, missing, tmp_path / "w.pth", **config)
    with pytest.raises(BenchError, match="1 unexpected: surprise"):
        features(name, {**state, "surprise": torch.zeros(3)}, tmp_path / "w.pth", **config)
    with pytest.raises(BenchError, match="1 of another shape"):
        features(name, {**state, keys[-1]: torch.zeros(7, 5)}, tmp_path / "w.pth", **config)
    with pytest.raises(BenchError, match="does not fit this model"):
        features(name, {"fc.weight": torch.zeros(3)}, tmp_path / "w.pth", **config)


def test_hf_names_what_is_missing(tmp_path: Path) -> None:
    """transformers itself would keep random weights without a word."""
    from tests.conformance.small_extractors import write_vit

    write_vit(tmp_path)
    model: Any = get_extractor_from_id("hf", {"name": str(tmp_path)}).model
    state = model.state_dict()
    weight = "embeddings.patch_embeddings.projection.weight"
    missing = {k: v for k, v in state.items() if k != weight}
    with pytest.raises(BenchError, match=f"1 missing: {weight}"):
        features("hf", missing, tmp_path / "w.pth", name=str(tmp_path))
    with pytest.raises(BenchError, match=f"1 of another shape: {weight}"):
        features("hf", {**state, weight: torch.zeros(2, 2)}, tmp_path / "w.pth", name=str(tmp_path))
    foreign = {f"blocks.{i}.weight": torch.zeros(3) for i in range(4)}
    with pytest.raises(BenchError, match="missing"):
        features("hf", foreign, tmp_path / "w.pth", name=str(tmp_path))


def test_clip_with_another_activation_is_refused(tmp_path: Path) -> None:
    """FiT3D's CLIP is a 384-pixel model with exact GELU: another model, whose positions differ."""
    state = random_extractor("clip", backbone="tiny").model.state_dict()
    state["embeddings.position_embedding.weight"] = torch.zeros(577, 32)
    with pytest.raises(BenchError, match=r"position_embedding\.weight \(577, 32\)"):
        features("clip", state, tmp_path / "w.pth", backbone="tiny")


def test_names() -> None:
    layout = Layout(
        {"layer.#": ("blocks.#",), "layer.#.qkv": ("blocks.#.q", "blocks.#.k", "blocks.#.v")},
        wrappers=("net.",),
        ignored=("head.",),
    )
    assert layout.names("module.net.layer.11.norm1.weight") == ("blocks.11.norm1.weight",)
    assert layout.names("layer.3.qkv.bias") == (
        "blocks.3.q.bias",
        "blocks.3.k.bias",
        "blocks.3.v.bias",
    )
    assert layout.names("head.weight") == ()
    assert layout.names("other.weight") == ("other.weight",)
    parts = canonical_state({"layer.0.qkv.bias": torch.arange(6)}, layout)
    assert parts["blocks.0.k.bias"].tolist() == [2, 3]
