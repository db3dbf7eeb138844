"""Every feature extractor at a size that runs in milliseconds.

Backbones of a published size have small siblings: entries that tests put into the same tables that
the options are validated against. Everything else about them is what users get.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel, SwinConfig, SwinModel, ViTConfig, ViTModel

from bench.models.feature_extractors import clip, dinov2, dinov3, mae, mumvisiontransformer
from bench.models.feature_extractors import feature_extractors as registry

TABLES: tuple[tuple[dict[str, Any], dict[str, object]], ...] = (
    (
        dinov2.BACKBONES,
        {
            "tiny": dinov2.Backbone(32, 4, 2),
            "tiny-gated": dinov2.Backbone(48, 4, 2, swiglu=True),
        },
    ),
    (
        dinov3.BACKBONES,
        {
            "tiny": dinov3.Backbone("vit_small_patch16_dinov3", 32, 4, 2),
            "tiny-gated": dinov3.Backbone("vit_small_plus_patch16_dinov3", 48, 4, 2, swiglu=True),
        },
    ),
    (
        clip.BACKBONES,
        {
            "tiny": clip.Backbone(32, 4, 2, 16),
            "tiny-patch14": clip.Backbone(32, 4, 2, 14),
            "tiny-patch32": clip.Backbone(32, 4, 2, 32),
        },
    ),
    (
        mae.BACKBONES,
        {"tiny": mae.Backbone(32, 4, 2, 16), "tiny-patch14": mae.Backbone(32, 4, 2, 14)},
    ),
    (mumvisiontransformer.BACKBONES, {"tiny": mumvisiontransformer.Backbone(32, 4, 2)}),
)
VGGT_CONFIG = {
    "img_size": 56,
    "embed_dim": 48,
    "aggregator_config": {"depth": 2, "num_heads": 3, "mlp_ratio": 1.0, "patch_embed": "conv"},
}


@dataclass(frozen=True)
class Case:
    """One configuration. config: without weights; folder: writes what `name` points to."""

    id: str
    extractor: str
    config: Mapping[str, Any] = field(default_factory=dict)
    folder: Callable[[Path], None] | None = None
    has_weights: bool = True


def register_small(patch: pytest.MonkeyPatch) -> None:
    """Put the small siblings into the tables of their families."""
    for table, entries in TABLES:
        for name, backbone in entries.items():
            patch.setitem(table, name, backbone)


def write_folder(folder: Path, model: PreTrainedModel) -> None:
    """A transformers folder with weights, configuration and pixel constants."""
    model.save_pretrained(folder)
    constants = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(constants))


def write_vit(folder: Path) -> None:
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=64,
        patch_size=16,
    )
    write_folder(folder, ViTModel(config))


def write_swin(folder: Path) -> None:
    config = SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1], num_heads=[1, 2, 2], window_size=2
    )
    write_folder(folder, SwinModel(config))


RANDOM = {"pretrained": False}
TINY = {"backbone": "tiny", **RANDOM}
GATED = {"backbone": "tiny-gated", **RANDOM}
PATCH_14 = {"backbone": "tiny-patch14", **RANDOM}
CASES = (
    Case("noise", "noise", has_weights=False),
    Case("position", "position", has_weights=False),
    Case("position_xy", "position_xy", {"patch_size": 16}, has_weights=False),
    Case("rgb", "rgb", {"patch_size": 16}, has_weights=False),
    Case("rgb-32", "rgb", {"patch_size": 32}, has_weights=False),
    Case("dinov2", "dinov2", TINY),
    Case("dinov2-timm", "dinov2", {**TINY, "use_timm": True}),
    Case("dinov2-reg", "dinov2", {**TINY, "with_registers": True}),
    Case("dinov2-reg-timm", "dinov2", {**TINY, "with_registers": True, "use_timm": True}),
    Case("dinov2-gated", "dinov2", GATED),
    Case("dinov2-gated-timm", "dinov2", {**GATED, "use_timm": True}),
    Case("dinov3", "dinov3", TINY),
    Case("dinov3-gated", "dinov3", GATED),
    Case("clip", "clip", TINY),
    Case("clip-patch14", "clip", PATCH_14),
    Case("clip-patch32", "clip", {"backbone": "tiny-patch32", **RANDOM}),
    Case("mae", "mae", TINY),
    Case("mae-patch14", "mae", PATCH_14),
    Case("mumvisiontransformer", "mumvisiontransformer", TINY),
    Case("timm-vit", "timm", {"name": "test_vit", **RANDOM}),
    Case("timm-vit-registers", "timm", {"name": "test_vit3", **RANDOM}),
    Case("timm-convnext", "timm", {"name": "test_convnext", **RANDOM}),
    Case("timm-resnet", "timm", {"name": "test_resnet", **RANDOM}),
    Case("hf-vit", "hf", {}, write_vit),
    Case("hf-swin", "hf", {}, write_swin),
    Case("xfeat", "xfeat", RANDOM),
    Case("vggtfeatureextractor", "vggtfeatureextractor", {"vggt_config": VGGT_CONFIG}),
)
#: Features of the oracle come from geometry; it has tests of its own.
COVERED = {case.extractor for case in CASES} | {"oracle"}
#: A plug-in takes part under its default options, without weights.
PLUG_INS = tuple(Case(name, name, RANDOM) for name in registry.names() if name not in COVERED)
