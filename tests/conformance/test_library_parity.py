"""Features equal the library's own: its native call, and its blocks as a forward hook sees them.

The library's model is made by its public entry point and given the extractor's weights; images are
normalised here, by hand. Sizes: native, off-native and not square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from transformers import (
    AutoModel,
    BeitConfig,
    BeitModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    ConvNextConfig,
    ConvNextModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    PreTrainedModel,
    ResNetConfig,
    ResNetModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    SwinConfig,
    SwinModel,
    ViTConfig,
    ViTMAEConfig,
    ViTMAEModel,
    ViTModel,
)

from bench.models.feature_extractors import get_extractor_from_id
from bench.models.feature_extractors.base import FeatureExtractor
from tests.conformance.small_extractors import write_folder

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
FOLDER = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
Constants = tuple[tuple[float, float, float], tuple[float, float, float]]


@pytest.fixture(autouse=True)
def _no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def images(height: int, width: int) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def normalised(pixels: Tensor, constants: Constants) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in constants)
    return (pixels - mean) / std


def randomised(model: nn.Module) -> nn.Module:
    """Every parameter random, norms and scales near one, so that none can go unnoticed."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        base = 1.0 if bool((parameter == parameter.flatten()[0]).all()) else parameter.detach()
        parameter.data.copy_(base + 0.1 * noise)
    return model.eval()


def block_list(model: nn.Module) -> nn.ModuleList:
    """The four blocks, wherever this version of transformers keeps them."""
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == 4]
    return lists[0]


def hooked(model: nn.Module, blocks: Any, call: Callable[[], Any]) -> tuple[Any, list[Tensor]]:
    """What `call` gives, and what every block gave meanwhile."""
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    handles = [block.register_forward_hook(keep) for block in blocks]
    result = call()
    for handle in handles:
        handle.remove()
    return result, seen


def compare(
    extractor: FeatureExtractor, pixels: Tensor, last: Tensor, blocks: list[Tensor], prefix: int
) -> None:
    """All tokens of the output, and patch and class tokens of every block, without a norm."""
    output = extractor(pixels)
    torch.testing.assert_close(output["x_norm"], last, rtol=0, atol=2e-5)
    torch.testing.assert_close(output["x_norm_patchtokens"], last[:, prefix:], rtol=0, atol=2e-5)
    found = list(extractor.iter_layers(pixels[:, None], extractor.layer_names))
    assert len(found) == len(blocks)
    for (_, tokens), block in zip(found, blocks, strict=True):
        torch.testing.assert_close(tokens.patches[:, 0], block[:, prefix:], rtol=0, atol=2e-5)
        if prefix:
            assert tokens.cls is not None
            torch.testing.assert_close(tokens.cls[:, 0], block[:, 0], rtol=0, atol=2e-5)


def extractor_with(name: str, model: nn.Module | None, **config: Any) -> FeatureExtractor:
    """An extractor of random weights, or of the weights of `model`."""
    extractor = get_extractor_from_id(name, {"pretrained": False, "norm": "none", **config})
    if model is not None:
        randomised(model)
        extractor.model.load_state_dict(model.state_dict())
    return extractor


DINOV2: dict[str, Any] = {
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "image_size": 518,
    "patch_size": 14,
}


@pytest.mark.parametrize(
    ("with_registers", "height", "width"),
    [(False, 518, 518), (True, 518, 518), (True, 70, 112), (True, 140, 140)],
)
def test_dinov2_in_transformers(with_registers: bool, height: int, width: int) -> None:
    """Without registers only at the native size: elsewhere we follow the authors' release."""
    model: Any
    if with_registers:
        config: Any = Dinov2WithRegistersConfig(hidden_size=32, num_register_tokens=4, **DINOV2)
        model = Dinov2WithRegistersModel(config)
    else:
        model = Dinov2Model(Dinov2Config(hidden_size=32, **DINOV2))
    extractor = extractor_with("dinov2", model, backbone="tiny", with_registers=with_registers)
    pixels = images(height, width)[: 1 if height == 518 else 2]
    result, blocks = hooked(model, block_list(model), lambda: model(normalised(pixels, IMAGENET)))
    compare(extractor, pixels, result.last_hidden_state, blocks, 5 if with_registers else 1)


def test_dinov2_gated_in_transformers() -> None:
    model: Any = Dinov2Model(Dinov2Config(hidden_size=48, use_swiglu_ffn=True, **DINOV2))
    extractor = extractor_with("dinov2", model, backbone="tiny-gated")
    pixels = images(518, 518)[:1]
    result, blocks = hooked(model, block_list(model), lambda: model(normalised(pixels, IMAGENET)))
    compare(extractor, pixels, result.last_hidden_state, blocks, 1)


@pytest.mark.parametrize(
    ("name", "config", "height", "width"),
    [
        ("vit_small_patch14_dinov2", {"backbone": "tiny"}, 518, 518),
        ("vit_giant_patch14_dinov2", {"backbone": "tiny-gated"}, 518, 518),
        (
            "vit_small_patch14_reg4_dinov2",
            {"backbone": "tiny", "with_registers": True},
            70,
            112,
        ),
        (
            "vit_giant_patch14_reg4_dinov2",
            {"backbone": "tiny-gated", "with_registers": True},
            140,
            140,
        ),
    ],
)
def test_dinov2_in_timm(name: str, config: dict[str, Any], height: int, width: int) -> None:
    dim = 32 if config["backbone"] == "tiny" else 48
    model: Any = timm.create_model(
        name, embed_dim=dim, depth=4, num_heads=2, num_classes=0, dynamic_img_size=True
    )
    extractor = extractor_with("dinov2", model, use_timm=True, **config)
    pixels = images(height, width)[: 1 if height == 518 else 2]
    last, blocks = hooked(
        model, model.blocks, lambda: model.forward_features(normalised(pixels, IMAGENET))
    )
    compare(extractor, pixels, last, blocks, 5 if "reg4" in name else 1)


@pytest.mark.parametrize("with_registers", [False, True])
@pytest.mark.parametrize("backbone", ["tiny", "tiny-gated"])
def test_dinov2_is_the_same_in_both_libraries(
    backbone: str, with_registers: bool, tmp_path: Path
) -> None:
    config = {"backbone": backbone, "with_registers": with_registers}
    ours = extractor_with("dinov2", None, **config)
    randomised(ours.model)
    torch.save(ours.model.state_dict(), tmp_path / "weights.pth")
    theirs = get_extractor_from_id(
        "dinov2", {**config, "use_timm": True, "checkpoint_path": str(tmp_path / "weights.pth")}
    )
    for height, width in ((70, 112), (518, 518)):
        pixels = images(height, width)[:1]
        torch.testing.assert_close(
            theirs(pixels)["x_norm"], ours(pixels)["x_norm"], rtol=0, atol=2e-5
        )


@pytest.mark.parametrize(
    ("name", "backbone", "dim"),
    [
        ("vit_small_patch16_dinov3", "tiny", 32),
        ("vit_small_plus_patch16_dinov3", "tiny-gated", 48),
    ],
)
@pytest.mark.parametrize(("height", "width"), [(256, 256), (80, 112)])
def test_dinov3(name: str, backbone: str, dim: int, height: int, width: int) -> None:
    model: Any = timm.create_model(name, embed_dim=dim, depth=4, num_heads=2, num_classes=0)
    extractor = extractor_with("dinov3", model, backbone=backbone)
    pixels = images(height, width)
    last, blocks = hooked(
        model, model.blocks, lambda: model.forward_features(normalised(pixels, IMAGENET))
    )
    compare(extractor, pixels, last, blocks, 5)


VIT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 128,
}


def post_norm(model: nn.Module) -> Any:
    names = [name for name, _ in model.named_modules() if name.endswith("post_layernorm")]
    return model.get_submodule(names[0])


@pytest.mark.parametrize(("patch", "backbone"), [(16, "tiny"), (14, "tiny-patch14")])
@pytest.mark.parametrize(("height", "width"), [(224, 224), (112, 224)])
def test_clip(patch: int, backbone: str, height: int, width: int) -> None:
    """The post-norm, which the library applies to the pooled class token, is on every token."""
    model: Any = CLIPVisionModel(CLIPVisionConfig(**VIT, patch_size=patch, image_size=224))
    extractor = extractor_with("clip", model, backbone=backbone)
    pixels = images(height, width)
    result, blocks = hooked(
        model,
        block_list(model),
        lambda: model(normalised(pixels, OPENAI), interpolate_pos_encoding=True),
    )
    last = post_norm(model)(result.last_hidden_state)
    compare(extractor, pixels, last, blocks, 1)
    pooled = extractor(pixels)["x_norm_clstoken"]
    torch.testing.assert_close(pooled, result.pooler_output, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("patch", "backbone"), [(16, "tiny"), (14, "tiny-patch14")])
@pytest.mark.parametrize(("height", "width"), [(224, 224), (112, 224)])
def test_mae(patch: int, backbone: str, height: int, width: int) -> None:
    """Like the library's masked model put back into order, for one random order per image."""
    config = ViTMAEConfig(
        **VIT, patch_size=patch, image_size=224, mask_ratio=0.0, layer_norm_eps=1e-6
    )
    model: Any = ViTMAEModel(config)
    extractor = extractor_with("mae", model, backbone=backbone)
    pixels = images(height, width)
    result, blocks = hooked(
        model,
        block_list(model),
        lambda: model(normalised(pixels, IMAGENET), interpolate_pos_encoding=True),
    )
    order = result.ids_restore[:, :, None].expand(-1, -1, 32)

    def in_order(tokens: Tensor) -> Tensor:
        return torch.cat([tokens[:, :1], tokens[:, 1:].gather(1, order)], dim=1)

    compare(extractor, pixels, in_order(result.last_hidden_state), [in_order(b) for b in blocks], 1)


@pytest.mark.parametrize(
    ("name", "prefix", "constants"),
    [
        ("test_vit", 1, HALF),
        ("deit3_small_patch16_224", 1, IMAGENET),
        ("eva02_tiny_patch14_224", 1, OPENAI),
    ],
)
def test_plain_timm(name: str, prefix: int, constants: Constants) -> None:
    extractor = get_extractor_from_id("timm", {"name": name, "pretrained": False, "norm": "none"})
    model: Any = timm.create_model(name, num_classes=0, dynamic_img_size=True)
    model.load_state_dict(extractor.model.state_dict())
    patch = extractor.patch_size
    for height, width in ((224, 224), (5 * patch, 8 * patch)):
        pixels = images(height, width)[:1]
        last, blocks = hooked(
            model,
            model.eval().blocks,
            partial(model.forward_features, normalised(pixels, constants)),
        )
        compare(extractor, pixels, last, blocks, prefix)


@pytest.mark.parametrize(
    ("name", "stages", "constants", "channels_last"),
    [
        ("test_resnet", ("layer1", "layer2", "layer3", "layer4"), HALF, False),
        ("test_convnext", ("stages.0", "stages.1", "stages.2", "stages.3"), HALF, False),
        (
            "swin_tiny_patch4_window7_224",
            ("layers.0", "layers.1", "layers.2", "layers.3"),
            IMAGENET,
            True,
        ),
    ],
)
def test_hierarchical_timm(
    name: str, stages: tuple[str, ...], constants: Constants, channels_last: bool
) -> None:
    extractor = get_extractor_from_id(
        "timm", {"name": name, "pretrained": False, "norm": "none", "layers": "all"}
    )
    model: Any = extractor.model
    pixels = images(160, 224)[:1]
    last, seen = hooked(
        model,
        [model.get_submodule(stage) for stage in stages],
        lambda: model.forward_features(normalised(pixels, constants)),
    )
    output = extractor.forward_features(pixels, unflatten_patches=True)
    ours = [output[layer]["x_norm_patchtokens"] for layer in extractor.layer_names[-len(seen) :]]
    for found, stage in zip(ours, seen, strict=True):
        expected = stage if channels_last else stage.permute(0, 2, 3, 1)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    ((_, tokens),) = extractor.iter_layers(pixels[:, None], ["output"])
    expected = last if channels_last else last.permute(0, 2, 3, 1)
    torch.testing.assert_close(tokens.patches[:, 0], expected.flatten(1, 2), rtol=0, atol=2e-5)


def folder_of(model: PreTrainedModel, path: Path) -> dict[str, Any]:
    randomised(model)
    write_folder(path, model)
    return {"name": str(path), "norm": "none"}


SMALL: dict[str, Any] = {**VIT, "image_size": 64, "patch_size": 16}
PLAIN: Mapping[str, tuple[Callable[[], PreTrainedModel], int, bool]] = {
    "vit": (lambda: ViTModel(ViTConfig(**SMALL)), 1, True),
    "siglip": (lambda: SiglipVisionModel(SiglipVisionConfig(**SMALL)), 0, True),
    "dinov2": (
        lambda: Dinov2Model(Dinov2Config(hidden_size=32, **{**DINOV2, "image_size": 70})),
        1,
        False,
    ),
    "dinov3": (
        lambda: DINOv3ViTModel(DINOv3ViTConfig(**SMALL, num_register_tokens=4)),
        5,
        False,
    ),
    "beit": (lambda: BeitModel(BeitConfig(**SMALL, use_mean_pooling=False)), 1, True),
}


@pytest.mark.parametrize("family", sorted(PLAIN))
def test_plain_transformers(family: str, tmp_path: Path) -> None:
    make, prefix, resampled = PLAIN[family]
    model: Any = make()
    extractor = get_extractor_from_id("hf", folder_of(model, tmp_path))
    patch = extractor.patch_size
    more = {"interpolate_pos_encoding": True} if resampled else {}
    for height, width in ((extractor.img_size, extractor.img_size), (3 * patch, 6 * patch)):
        pixels = images(height, width)
        result, blocks = hooked(
            model, block_list(model), partial(model, normalised(pixels, FOLDER), **more)
        )
        compare(extractor, pixels, result.last_hidden_state, blocks, prefix)


def test_clip_by_name_is_normed_like_clip(tmp_path: Path) -> None:
    """The generic extractor sees that the library did not normalise the patches."""
    model: Any = CLIPVisionModel(CLIPVisionConfig(**SMALL))
    extractor = get_extractor_from_id("hf", folder_of(model, tmp_path))
    pixels = images(64, 64)
    last = post_norm(model)(model(normalised(pixels, FOLDER)).last_hidden_state)
    torch.testing.assert_close(extractor(pixels)["x_norm"], last, rtol=0, atol=2e-5)


STAGES: dict[str, Any] = {"depths": [1, 1, 1], "hidden_sizes": [8, 16, 24]}
HIERARCHICAL: Mapping[str, tuple[Callable[[], PreTrainedModel], str]] = {
    "resnet": (
        lambda: ResNetModel(ResNetConfig(**STAGES, embedding_size=8, layer_type="basic")),
        "encoder.stages",
    ),
    "convnext": (lambda: ConvNextModel(ConvNextConfig(**STAGES, num_stages=3)), "encoder.stages"),
    "swin": (
        lambda: SwinModel(
            SwinConfig(
                image_size=64, embed_dim=8, depths=[1, 1, 1], num_heads=[1, 2, 2], window_size=2
            )
        ),
        "encoder.layers",
    ),
}


@pytest.mark.parametrize("family", sorted(HIERARCHICAL))
def test_hierarchical_transformers(family: str, tmp_path: Path) -> None:
    make, path = HIERARCHICAL[family]
    model: Any = make()
    extractor = get_extractor_from_id("hf", {**folder_of(model, tmp_path), "layers": "all"})
    pixels = images(96, 160)
    result, stages = hooked(
        model, model.get_submodule(path), lambda: model(normalised(pixels, FOLDER))
    )
    output = extractor(pixels)
    ours = [output[name]["x_norm_patchtokens"] for name in extractor.layer_names[-len(stages) :]]
    for found, stage in zip(ours, stages, strict=True):
        flat = stage.flatten(2).transpose(1, 2) if stage.ndim == 4 else stage
        torch.testing.assert_close(found, flat, rtol=0, atol=2e-5)
    ((_, tokens),) = extractor.iter_layers(pixels[:, None], ["output"])
    last = result.last_hidden_state
    flat = last.flatten(2).transpose(1, 2) if last.ndim == 4 else last
    torch.testing.assert_close(tokens.patches[:, 0], flat, rtol=0, atol=2e-5)


def test_random_weights_are_the_library_s(tmp_path: Path) -> None:
    """`pretrained: false` takes the architecture of the folder and none of its weights."""
    model: Any = ViTModel(ViTConfig(**SMALL))
    config = {**folder_of(model, tmp_path), "pretrained": False}
    extractor = get_extractor_from_id("hf", config)
    twin: Any = AutoModel.from_pretrained(tmp_path)
    assert extractor.model.state_dict().keys() == twin.state_dict().keys()
    name = "embeddings.patch_embeddings.projection.weight"
    assert not torch.equal(extractor.model.state_dict()[name], twin.state_dict()[name])
