"""VGGT's and MuM's features, as users get them, against the authors' numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bench.errors import BenchError
from bench.models.feature_extractors import get_extractor_from_id, mumvisiontransformer
from bench.models.feature_extractors.vggtfeatureextractor import VGGTFeatureExtractor
from bench.models.vggt import VGGT
from tests.golden.reference import fill_state, largest_difference, read_golden, uniform

TINY = read_golden("tiny")
DIM, DEPTH, SPECIAL = 384, 4, 5
CONFIG: dict[str, Any] = {
    "embed_dim": DIM,
    "aggregator_config": {"depth": DEPTH, "num_heads": 6, "patch_embed": "dinov2_vits14_reg"},
}
PYRAMID = {
    "features": 64,
    "out_channels": [32, 64, 128, 128],
    "intermediate_layer_idx": [0, 1, 2, 3],
}


@pytest.fixture(scope="module")
def vggt() -> VGGTFeatureExtractor:
    """The reference's weights, which were drawn for the whole model, in the extractor."""
    with torch.device("meta"):
        whole = VGGT(
            **CONFIG,
            enable_point=True,
            camera_head_config={"num_heads": 12},
            depth_head_config=PYRAMID,
            point_head_config=PYRAMID,
        )
    whole.to_empty(device="cpu")
    extractor = get_extractor_from_id("vggtfeatureextractor", {"vggt_config": CONFIG})
    assert isinstance(extractor, VGGTFeatureExtractor)
    with torch.inference_mode():
        fill_state(whole)
        extractor.model.load_state_dict(whole.aggregator.state_dict())
    return extractor


@pytest.mark.parametrize(
    ("tag", "frames", "height", "width"), [("s3_140x154", 3, 140, 154), ("s1_98x98", 1, 98, 98)]
)
def test_vggt_layers(
    vggt: VGGTFeatureExtractor, tag: str, frames: int, height: int, width: int
) -> None:
    """Every listed value of a patch token; it also proves that images are normalised once."""
    images = uniform(1234, 1, frames, 3, height, width)
    with torch.inference_mode():
        found = {n: t.patches for n, t in vggt.iter_layers(images, vggt.layer_names)}
    compared = 0
    for step in range(DEPTH):
        golden = TINY[f"vggt_tiny/{tag}"][f"tokens_{step}"]
        index = golden.get("index", golden.get("idx"))
        values = golden.get("value", golden.get("val"))
        for place, value in zip(index, values, strict=True):
            _, frame, token, channel = (int(i) for i in np.unravel_index(place, golden["shape"]))
            if token < SPECIAL:
                continue
            kind = "frame" if channel < DIM else "global"
            ours = found[f"{kind}_{step}"][0, frame, token - SPECIAL, channel % DIM]
            assert abs(float(ours) - value) < 2e-5
            compared += 1
    assert compared >= DEPTH * 4


def test_vggt_output_is_the_last_layer(vggt: VGGTFeatureExtractor) -> None:
    images = uniform(1234, 1, 2, 3, 42, 56)
    with torch.inference_mode():
        found = {n: t.patches for n, t in vggt.iter_layers(images, ["global_3", "output"])}
        single = vggt(images[0])
    assert torch.equal(found["output"], found["global_3"])
    assert torch.equal(single["x_norm_patchtokens"], found["output"][0])
    assert "x_norm_clstoken" not in single


def test_vggt_is_joint_and_the_first_view_is_special(vggt: VGGTFeatureExtractor) -> None:
    images = uniform(1234, 1, 3, 3, 42, 56)
    with torch.inference_mode():
        both, swapped = (vggt(i)["x_norm_patchtokens"][0] for i in (images, images[:, [1, 0, 2]]))
        alone = vggt(images[:, :1])["x_norm_patchtokens"][0]
    assert (both[0] - alone[0]).abs().max() > 1e-2
    assert (both[2] - swapped[2]).abs().max() > 1e-4
    last_two = images[:, [0, 2, 1]]
    with torch.inference_mode():
        exchanged = vggt(last_two)["x_norm_patchtokens"][0]
    torch.testing.assert_close(exchanged[[0, 2, 1]], both, rtol=0, atol=2e-4)


def test_vggt_stops_at_the_last_layer_wanted(
    vggt: VGGTFeatureExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers come one by one, and nothing is computed after the last of them."""
    ran: list[int] = []
    handles = [
        block.register_forward_hook(lambda *_, i=i: ran.append(i))
        for i, block in enumerate(vggt.model.global_blocks)
    ]
    images = uniform(1234, 1, 1, 3, 28, 28)
    with torch.inference_mode():
        assert [name for name, _ in vggt.iter_layers(images, ["frame_1"])] == ["frame_1"]
    assert ran == [0]
    for handle in handles:
        handle.remove()


def options(**config: Any) -> Any:
    return VGGTFeatureExtractor.parse({"vggt_config": CONFIG, **config})


def test_vggt_layer_names() -> None:
    names = VGGTFeatureExtractor.describe(options()).layer_names
    assert names == (
        "patch_embed", "frame_0", "global_0", "frame_1", "global_1",
        "frame_2", "global_2", "frame_3", "global_3",
    )  # fmt: skip
    some = VGGTFeatureExtractor.describe(options(layer_types=["patch_embed", "global"])).layer_names
    assert some == ("patch_embed", "global_0", "global_1", "global_2", "global_3")


def test_vggt_names_of_the_study() -> None:
    assert options(layers=["patch_embed", "aggregator_global-2-0"]).layers == [
        "patch_embed",
        "global_2",
    ]
    blocks_of_two = {**CONFIG, "aggregator_config": {"depth": 4, "aa_block_size": 2}}
    parsed = options(vggt_config=blocks_of_two, layers=["aggregator_frame-1-1"])
    assert parsed.layers == ["frame_3"]


def test_vggt_configuration_is_never_ignored() -> None:
    """A configuration by itself is a random model, and says so; the default is VGGT-1B."""
    assert VGGTFeatureExtractor.role_of(options()) == "floor"
    fingerprint = VGGTFeatureExtractor.fingerprint(options())
    assert fingerprint is not None
    assert fingerprint.startswith("random:")
    with pytest.raises(BenchError, match="no published weights; give a checkpoint_path"):
        options(pretrained=True)
    with pytest.raises(BenchError, match="no final norm"):
        options(norm="final")
    with pytest.raises(BenchError, match="unknown option 'embed_dims'"):
        VGGTFeatureExtractor.describe(options(vggt_config={"embed_dims": 3}))
    default: Any = VGGTFeatureExtractor.parse({})
    source = VGGTFeatureExtractor.source(default)
    assert source is not None
    assert source.address == "facebook/VGGT-1B"
    assert len(VGGTFeatureExtractor.describe(default).layer_names) == 49


@pytest.fixture
def mum_backbone(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    backbone = mumvisiontransformer.Backbone(192, 4, 3)
    monkeypatch.setitem(mumvisiontransformer.BACKBONES, "golden", backbone)
    return {"backbone": "golden", "pretrained": False, "preprocess_images": False}


def test_mum(mum_backbone: dict[str, Any]) -> None:
    golden = TINY["mum_tiny"]
    images = np.random.RandomState(99).uniform(-2, 2, (2, 3, 64, 96)).astype(np.float32)
    extractor = get_extractor_from_id("mumvisiontransformer", mum_backbone)
    with torch.inference_mode():
        fill_state(extractor.model)
        found = extractor(torch.from_numpy(images))
        ((_, last),) = extractor.iter_layers(torch.from_numpy(images)[:, None], ["block_3"])
    assert largest_difference(found["x_norm_patchtokens"], golden["x_norm_patchtokens"]) < 5e-4
    assert largest_difference(found["x_norm_clstoken"], golden["x_norm_cls_token"]) < 5e-4
    torch.testing.assert_close(last.patches[:, 0], found["x_norm_patchtokens"], rtol=0, atol=0)


def test_mum_without_the_final_norm(mum_backbone: dict[str, Any]) -> None:
    golden = TINY["mum_tiny"]["x_prenorm"]
    images = np.random.RandomState(99).uniform(-2, 2, (2, 3, 64, 96)).astype(np.float32)
    extractor = get_extractor_from_id("mumvisiontransformer", {**mum_backbone, "norm": "none"})
    with torch.inference_mode():
        fill_state(extractor.model)
        ((_, last),) = extractor.iter_layers(torch.from_numpy(images)[:, None], ["block_3"])
    assert last.every is not None
    assert largest_difference(last.every[:, 0], golden) < 5e-4 * golden["std"]
