"""VGGT against the numbers of its authors' implementation, and against its state dict."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.models.vggt import VGGT, cameras_from_pose_encoding, pose_encoding_from_cameras
from bench.models.vggt.options import TrackHeadOptions
from bench.models.vggt.tracker import Tracker
from tests.golden.reference import (
    fill_state,
    largest_difference,
    read_golden,
    read_keys,
    uniform,
)

TOLERANCE = 2e-5
TINY = read_golden("tiny")
TINY_PYRAMID = {
    "features": 64,
    "out_channels": [32, 64, 128, 128],
    "intermediate_layer_idx": [0, 1, 2, 3],
}
DENSE = ("depth", "depth_conf", "world_points", "world_points_conf")


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def tiny() -> VGGT:
    with torch.device("meta"):
        model = VGGT(
            embed_dim=384,
            enable_point=True,
            aggregator_config={"depth": 4, "num_heads": 6, "patch_embed": "dinov2_vits14_reg"},
            camera_head_config={"num_heads": 12},
            depth_head_config=TINY_PYRAMID,
            point_head_config=TINY_PYRAMID,
        )
    model.to_empty(device="cpu").eval()
    fill_state(model)
    return model


def test_the_tiny_model_has_the_reference_s_tensors(tiny: VGGT) -> None:
    state = tiny.state_dict()
    assert len(state) == TINY["vggt_tiny/state"]["n_tensors"]
    assert sum(t.numel() for t in state.values()) == TINY["vggt_tiny/state"]["n_params"]


@pytest.mark.parametrize("shape", [(3, 140, 154), (1, 98, 98), (10, 70, 56)])
def test_tiny_model(tiny: VGGT, shape: tuple[int, int, int]) -> None:
    frames, height, width = shape
    golden = dict(TINY[f"vggt_tiny/s{frames}_{height}x{width}"])
    images = uniform(1234, 1, frames, 3, height, width)
    found: dict[str, Tensor] = {}
    with tiny.aggregator.register_forward_hook(
        lambda module, given, layers: found.update({f"tokens_{i}": t for i, t in layers.items()})
    ):
        predictions = tiny(images)
    found |= {f"pose_enc_{i}": p for i, p in enumerate(predictions["pose_enc_list"])}
    found |= {name: predictions[name] for name in DENSE}
    assert tiny.aggregator.num_special == golden.pop("patch_start_idx")
    assert found.keys() == golden.keys()
    differences = {name: largest_difference(found[name], golden[name]) for name in golden}
    assert max(differences.values()) <= TOLERANCE, differences


def test_tracker() -> None:
    """The reference ran the tracker with its own defaults, which VGGT's track head overrides.

    The flow embedding multiplies by up to 968, so that every iteration amplifies rounding a
    thousandfold: already the same formulas in float64 are 0.17 and 0.35 pixels away from the
    reference's third and fourth iteration, and 0.04 and 0.08 from its visibilities and
    confidences. What proves the tracker are the first two iterations: the first has no flow, the
    second has flow and updated features.
    """
    golden = TINY["tracker/default"]
    tracker = Tracker(TrackHeadOptions(stride=1, corr_levels=5)).eval()
    fill_state(tracker)
    maps = np.random.RandomState(77).randn(1, 3, 128, 64, 72).astype(np.float32)
    queries = uniform(5678, 1, 4, 2) * torch.tensor([142.0, 126.0])
    tracks, visibility, confidence = tracker(queries, torch.from_numpy(maps))
    found = {f"coords_{i}": t for i, t in enumerate(tracks)}
    found |= {"vis": visibility, "conf": confidence}
    tolerance = {
        "coords_0": TOLERANCE,
        "coords_1": 2e-3,
        "coords_2": 0.5,
        "coords_3": 1.0,
        "vis": 0.15,
        "conf": 0.15,
    }
    assert found.keys() == golden.keys() == tolerance.keys()
    for name, limit in tolerance.items():
        assert largest_difference(found[name], golden[name]) <= limit, name


def test_pose_decoding() -> None:
    golden = TINY["pose_decoding"]
    size = (golden["image_size_hw"][0], golden["image_size_hw"][1])
    extrinsics, intrinsics = cameras_from_pose_encoding(torch.tensor(golden["input"]), size)
    encoded = pose_encoding_from_cameras(extrinsics, intrinsics, size)
    torch.testing.assert_close(
        extrinsics, torch.tensor(golden["extrinsics"]), atol=TOLERANCE, rtol=0
    )
    # Focal lengths are hundreds of pixels: the last bit of a float32 is 3e-5 there.
    torch.testing.assert_close(
        intrinsics, torch.tensor(golden["intrinsics"]), atol=TOLERANCE, rtol=2e-7
    )
    torch.testing.assert_close(encoded, torch.tensor(golden["re_encoded"]), atol=TOLERANCE, rtol=0)


def test_every_key_and_shape_of_the_published_weights() -> None:
    with torch.device("meta"):
        model = VGGT(enable_point=True, enable_track=True)
    assert {k: list(v.shape) for k, v in model.state_dict().items()} == read_keys("vggt")
    assert sum(p.numel() for p in model.parameters()) == 1_256_537_516


@pytest.mark.slow
def test_full_size() -> None:
    """VGGT-1B with every head; about two minutes and 6 GB.

    Tracks see the amplification of `test_tracker`: perturbing the feature maps by 2e-7 moves them
    by up to 0.2 pixels, while an iteration moves them by 4.
    """
    golden = read_golden("full")["vggt"]
    with torch.device("meta"):
        model = VGGT(enable_point=True, enable_track=True)
    model.to_empty(device="cpu").eval()
    fill_state(model)
    images = uniform(1234, 1, 2, 3, 140, 154)
    queries = uniform(5678, 1, 3, 2) * torch.tensor([154.0, 140.0])
    layers = (0, 4, 23)
    found: dict[str, Tensor] = {
        f"tokens_{i}": tokens for i, tokens in model.aggregator(images, layers).items()
    }
    predictions = model(images, queries)
    found |= {name: predictions[name] for name in ("pose_enc", *DENSE)}
    for name, tensor in found.items():
        assert largest_difference(tensor, golden[name]) <= TOLERANCE, name
    for encoding, expected in zip(
        predictions["pose_enc_list"], golden["pose_enc_list"], strict=True
    ):
        assert largest_difference(encoding, expected) <= TOLERANCE
    for name, limit in {"track": 0.4, "vis": 0.05, "conf": 0.05}.items():
        assert largest_difference(predictions[name], golden[name]) <= limit, name
