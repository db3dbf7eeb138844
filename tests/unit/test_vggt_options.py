"""Mistakes in VGGT's options, and a backbone in place of its patch embedding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from bench.errors import BenchError
from bench.models.feature_extractors import feature_extractors
from bench.models.preprocessing import CLIP
from bench.models.vggt import VGGT
from bench.models.vggt.options import AggregatorOptions
from bench.models.vggt.patch_embed import DinoVisionTransformer
from tests.unit.small_vggt import (
    PYRAMID,
    TRACK,
    WIDTH,
    SmallBackbone,
    random_images,
    small_config,
    small_vggt,
)

SWAP = {"model_id": "feature_extractor/small", "model_config": {"pretrained": False}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"enable_dept": True}, "unknown option 'enable_dept'. Did you mean 'enable_depth'"),
        ({"aggregator_config": {"dept": 3}}, "aggregator_config.*Did you mean 'depth'"),
        ({"aggregator_config": {"embed_dim": 3}}, "unknown option 'embed_dim'"),
        ({"camera_head_config": {"trunk_dept": 1}}, "Did you mean 'trunk_depth'"),
        ({"depth_head_config": {"feature": 16}}, "depth_head_config.*Did you mean 'features'"),
        ({"point_head_config": {"activations": "exp"}}, "Did you mean 'activation'"),
        ({"track_head_config": {"iter": 1}}, "track_head_config.*Did you mean 'iters'"),
        ({"patch_embed_config": {"model": "x"}}, "Did you mean 'model_id'"),
        ({"patch_embed_config": {"model_id": "vggt"}}, "'vggt' is not a feature extractor"),
        ({"patch_embed_config": {}}, "None is not a feature extractor"),
        ({"aggregator_config": {"depth": 4, "aa_block_size": 3}}, "not a multiple of aa_block_siz"),
        ({"aggregator_config": {"aa_order": ["frame", "frame"]}}, "both 'frame' and 'global'"),
        ({"aggregator_config": {"aa_order": ["frame"]}}, "aa_order"),
        ({"aggregator_config": {"rope_freq": 0}}, "rope_freq"),
        ({"aggregator_config": {"num_heads": 3}}, "3 attention heads do not divide .* 32"),
        ({"aggregator_config": {"num_heads": 16}}, "2 channels cannot be rotated"),
        ({"aggregator_config": {"patch_embed": "dinov3"}}, "patch_embed"),
        (
            {"aggregator_config": {"patch_embed": "dinov2_vitb14_reg"}},
            "width 768, VGGT has embed_dim 32",
        ),
        (
            {"aggregator_config": {"patch_embed": "dinov2_vits14_reg"}, "embed_dim": 384}
            | {"img_size": 500},
            "img_size 500 is not a multiple of patch_size 14",
        ),
        ({"depth_head_config": {**PYRAMID, "features": 12}}, "features"),
        ({"depth_head_config": {"activation": "expp"}}, "activation"),
        (
            {"depth_head_config": {"intermediate_layer_idx": [0, 1, 2, 4]}},
            r"\[0, 1, 2, 4\] does not fit an aggregator of depth 4",
        ),
        ({"track_head_config": {**TRACK, "num_heads": 5}}, "hidden_size 32 is not a multiple"),
        ({"track_head_config": {}}, "does not fit an aggregator of depth 4"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message), torch.device("meta"):
        VGGT(**small_config(**changes))


def test_the_schedule_of_blocks() -> None:
    assert AggregatorOptions(depth=2).layer_names == (
        *("patch_embed", "frame_0", "global_0", "frame_1", "global_1"),
    )
    assert len(AggregatorOptions().layer_names) == 49


@pytest.fixture
def small_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(feature_extractors._registered, "small", SmallBackbone)


def swapped(**changes: Any) -> VGGT:
    return small_vggt(**{"patch_size": 16, "patch_embed_config": SWAP, **changes})


@pytest.mark.usefixtures("small_backbone")
@pytest.mark.parametrize("preprocess_images", [True, False])
def test_a_swapped_backbone_gets_its_own_normalisation_exactly_once(
    preprocess_images: bool,
) -> None:
    config = {**SWAP, "model_config": {"preprocess_images": preprocess_images}}
    model = swapped(patch_embed_config=config)
    seen: list[Tensor] = []
    model.get_submodule("aggregator.patch_embed.model").register_forward_hook(
        lambda module, given, out: seen.append(given[0])
    )
    images = random_images(2, 3, 32, 48)
    with torch.no_grad():
        assert model(images)["depth"].shape == (1, 2, 32, 48, 1)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CLIP.mean, CLIP.std))
    (given,) = seen
    assert_close(given, (images - mean) / std)


@pytest.mark.usefixtures("small_backbone")
def test_a_swapped_backbone_pads_once() -> None:
    model = swapped()
    with torch.no_grad():
        found = model(random_images(2, 3, 30, 50), torch.tensor([[3.0, 5.0]]))
    assert found["depth"].shape == (1, 2, 30, 50, 1)
    assert found["track"][0, 0].tolist() == [[3.0, 5.0]]


@pytest.mark.usefixtures("small_backbone")
def test_the_unused_patch_embedding_is_never_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("DINOv2 was built")

    monkeypatch.setattr(DinoVisionTransformer, "__init__", refuse)
    model = swapped(aggregator_config={"patch_embed": "dinov2_vitl14_reg"})
    keys = {k for k in model.state_dict() if k.startswith("aggregator.patch_embed.")}
    assert keys == {f"aggregator.patch_embed.model.{name}" for name in ("weight", "bias")}


@pytest.mark.usefixtures("small_backbone")
@pytest.mark.parametrize("freeze", [False, True])
def test_gradients_reach_a_swapped_backbone_unless_it_is_frozen(freeze: bool) -> None:
    model = swapped(aggregator_config={"freeze_patch_embed": freeze}).train()
    model(random_images(2, 3, 32, 32))["depth"].mean().backward()
    assert model.aggregator.patch_embed.training is not freeze
    gradient = model.get_parameter("aggregator.patch_embed.model.weight").grad
    assert gradient is None if freeze else gradient is not None and gradient.abs().sum() > 0


@pytest.mark.usefixtures("small_backbone")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 14}, "patch_size 16, VGGT has patch_size 14"),
        ({"embed_dim": 64}, f"embed_dim {WIDTH}, VGGT has embed_dim 64"),
        (
            {"patch_embed_config": {**SWAP, "model_config": {"layers": "all"}}},
            "asked for intermediate layers",
        ),
        (
            {"patch_embed_config": {**SWAP, "model_config": {"patch": 16}}},
            "unknown option 'patch'",
        ),
        ({"patch_embed_config": {"model_id": "feature_extractor/smal"}}, "Did you mean 'small'"),
        ({"patch_embed_config": {"model_id": "feature_extractor/oracle"}}, "whole view sets"),
    ],
)
def test_a_backbone_that_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        swapped(**changes)
