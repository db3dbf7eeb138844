"""Models: frozen backbones and full VGGT, built by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.models.feature_extractors import feature_extractors
from bench.registry import suggestion

if TYPE_CHECKING:
    from torch import nn

    from bench.models.described import Described

EXTRACTOR_PREFIX = "feature_extractor/"
VGGT_ID = "vggt"


def model_ids() -> list[str]:
    """Every model id, without importing a model."""
    return [*(EXTRACTOR_PREFIX + name for name in feature_extractors.names()), VGGT_ID]


def get_model_class(model_id: str) -> type[Described]:
    """The class behind a model id, for what is known without building it."""
    if model_id == VGGT_ID:
        from bench.models.vggt.predictor import VGGTPredictor

        return VGGTPredictor
    if not model_id.startswith(EXTRACTOR_PREFIX):
        raise BenchError(
            f"Unknown model id '{model_id}'.",
            f"{suggestion(model_id, model_ids())} Run `bench list models`.",
        )
    return feature_extractors.get(model_id.removeprefix(EXTRACTOR_PREFIX))


def get_model_from_model_id(
    model_id: str, model_config: Mapping[str, Any] | None = None
) -> nn.Module:
    """Build a model.

    Args:
        model_id: ``feature_extractor/<name>`` (features) or ``vggt`` (predictions).
        model_config: options of that model; see ``bench show <model_id>``. VGGT's weights are
            random unless its config says ``pretrained: true`` or gives a `checkpoint_path`.

    Raises:
        BenchError: unknown id or option, or weights that cannot be had.
    """
    built: Any = get_model_class(model_id)(**(model_config or {}))
    model: nn.Module = built.model if model_id == VGGT_ID else built
    return model
