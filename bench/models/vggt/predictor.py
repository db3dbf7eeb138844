"""Full VGGT as a row of a suite: predictions instead of features."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from bench.models.described import Architecture, Described
from bench.models.feature_extractors.base import seeded
from bench.models.sources import Source
from bench.models.vggt.model import VGGT
from bench.models.vggt.options import VGGTOptions
from bench.types import Scope

HUB_ID = "facebook/VGGT-1B"
#: Options of the row that are not options of the network.
OF_THE_ROW = frozenset({"checkpoint_path", "pretrained", "init_seed"})


class VGGTPredictorOptions(VGGTOptions):
    """Options of VGGT, and where its weights come from.

    checkpoint_path: folder, .pt, .pth or .safetensors. pretrained: VGGT-1B from the hub. Neither:
    random initialisation under `init_seed`.
    """

    checkpoint_path: str | None = None
    pretrained: bool = False
    init_seed: int = 0


class VGGTPredictor(Described, nn.Module):
    """Cameras, depth and points of a view set (Wang et al., CVPR 2025)."""

    Options = VGGTPredictorOptions
    scope: ClassVar[Scope] = "view_set"
    offers: ClassVar[frozenset[str]] = frozenset({"predictions"})
    layer_names: tuple[str, ...] = ()

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.options: VGGTPredictorOptions = self.parse(config)
        self.architecture = self.describe(self.options)
        own = self.options.model_dump(exclude=set(OF_THE_ROW), exclude_unset=True)
        if self.options.checkpoint_path is not None:
            self.model = VGGT.from_pretrained(self.options.checkpoint_path, **own)
        elif self.options.pretrained:
            self.model = VGGT.from_pretrained(HUB_ID, **own)
        else:
            with seeded(self.options.init_seed):
                self.model = VGGT(**own)

    @classmethod
    def describe(cls, options: Any) -> Architecture:
        patch = options.patch_size
        return Architecture((), patch, options.embed_dim, options.img_size, patch)

    @classmethod
    def source(cls, options: Any) -> Source:
        return Source("hub", HUB_ID)

    def predict(self, images: Tensor) -> dict[str, Any]:
        """Predictions for images [B, S, 3, H, W] in [0, 1]; see `VGGT.forward`."""
        predictions: dict[str, Any] = self.model(images)
        return predictions
