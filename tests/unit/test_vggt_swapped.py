"""Real backbone classes in the place of VGGT's patch embedding."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.errors import BenchError
from bench.models import get_model_from_model_id
from bench.models.preprocessing import CLIP, IMAGENET, Normalisation
from bench.models.vggt import VGGT

SMALL_HEADS: dict[str, Any] = {"enable_camera": True, "enable_depth": False}
DINOV2_B = {
    "model_id": "feature_extractor/dinov2",
    "model_config": {
        "backbone": "base", "use_timm": True, "with_registers": True, "pretrained": False,
    },
}  # fmt: skip
CLIP_B = {
    "model_id": "feature_extractor/clip",
    "model_config": {"backbone": "vit-base-patch16", "pretrained": False},
}


def swapped(patch: int, backbone: dict[str, Any], **options: Any) -> VGGT:
    config = {"depth": 1, "num_heads": 12, "mlp_ratio": 1.0}
    torch.manual_seed(0)
    return VGGT(
        patch_size=patch, embed_dim=768, patch_embed_config=backbone, aggregator_config=config,
        **{**SMALL_HEADS, "camera_head_config": {"trunk_depth": 1}, **options},
    ).eval()  # fmt: skip


@pytest.mark.parametrize(
    ("patch", "backbone", "constants"), [(14, DINOV2_B, IMAGENET), (16, CLIP_B, CLIP)]
)
def test_a_backbone_sees_its_own_constants_exactly_once(
    patch: int, backbone: dict[str, Any], constants: Normalisation
) -> None:
    model = swapped(patch, backbone)
    images = torch.rand(1, 2, 3, 3 * patch, 4 * patch + 5)
    seen: list[torch.Tensor] = []
    convolution = next(
        m for m in model.aggregator.patch_embed.modules() if isinstance(m, torch.nn.Conv2d)
    )
    convolution.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        predictions = model(images)
    assert predictions["pose_enc"].shape == (1, 2, 9)
    mean = torch.tensor(constants.mean).view(3, 1, 1)
    std = torch.tensor(constants.std).view(3, 1, 1)
    expected = (images[0] - mean) / std
    left = (-images.shape[-1] % patch) // 2
    inside = seen[0][..., left : left + images.shape[-1]]
    torch.testing.assert_close(inside, expected, atol=1e-5, rtol=1e-5)


def test_the_unused_backbone_is_never_built() -> None:
    with torch.device("meta"):
        model = swapped(14, DINOV2_B)
        alone = get_model_from_model_id(DINOV2_B["model_id"], DINOV2_B["model_config"])  # type: ignore[arg-type]
    inside = sum(p.numel() for p in model.aggregator.patch_embed.parameters())
    assert inside == sum(p.numel() for p in alone.parameters())


@pytest.mark.parametrize(("patch", "width", "text"), [(16, 768, "16"), (14, 1024, "1024")])
def test_wrong_sizes_are_refused_with_both_numbers(patch: int, width: int, text: str) -> None:
    with pytest.raises(BenchError) as caught, torch.device("meta"):
        VGGT(patch_size=patch, embed_dim=width, patch_embed_config=DINOV2_B)
    message = str(caught.value)
    assert text in message and ("14" in message if patch == 16 else "768" in message)
