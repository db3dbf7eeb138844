"""VGGT's inputs, predictions, layers and training mode, on a model of a few thousand weights."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from bench.errors import BenchError
from bench.models.preprocessing import IMAGENET
from bench.models.vggt import VGGT, cameras_from_pose_encoding
from bench.models.vggt.patch_embed import normalise_and_pad
from tests.unit.small_vggt import DEPTH, PATCH, PYRAMID, TRACK, WIDTH, random_images, small_vggt

HEAD_KEYS = {
    "camera": {"pose_enc", "pose_enc_list"},
    "depth": {"depth", "depth_conf"},
    "point": {"world_points", "world_points_conf"},
    "track": {"track", "vis", "conf"},
}
ALL_KEYS = {"images", *(key for keys in HEAD_KEYS.values() for key in keys)}


def predict(model: VGGT, images: Tensor, queries: Tensor | None = None) -> dict[str, Any]:
    with torch.no_grad():
        predictions: dict[str, Any] = model(images, queries)
    return predictions


@pytest.mark.parametrize(
    ("frames", "height", "width"),
    [(1, 42, 42), (10, 28, 28), (2, 28, 56), (2, 30, 45), (2, 13, 40)],
    ids=["one frame", "ten frames", "not square", "not whole patches", "less than a patch"],
)
def test_keys_and_shapes(frames: int, height: int, width: int) -> None:
    queries = torch.tensor([[3.0, 4.0], [10.0, 5.0], [7.0, 7.0]])
    images = random_images(frames, 3, height, width)
    found = predict(small_vggt(), images, queries)
    lead = (1, frames)
    assert found.keys() == ALL_KEYS
    assert {key: tuple(v.shape) for key, v in found.items() if key != "pose_enc_list"} == {
        "pose_enc": (*lead, 9),
        "depth": (*lead, height, width, 1),
        "depth_conf": (*lead, height, width),
        "world_points": (*lead, height, width, 3),
        "world_points_conf": (*lead, height, width),
        "track": (*lead, 3, 2),
        "vis": (*lead, 3),
        "conf": (*lead, 3),
        "images": (*lead, 3, height, width),
    }
    assert len(found["pose_enc_list"]) == 4
    assert_close(found["pose_enc_list"][-1], found["pose_enc"], atol=0, rtol=0)
    assert_close(found["images"][0], images, atol=0, rtol=0)
    assert_close(found["track"][0, 0], queries, atol=1e-5, rtol=0)
    assert all(v.isfinite().all() for k, v in found.items() if k != "pose_enc_list")
    assert (found["depth"] > 0).all()
    assert (found["depth_conf"] > 1).all()


@pytest.mark.parametrize("off", HEAD_KEYS)
def test_every_head_can_be_left_out(off: str) -> None:
    model = small_vggt(**{f"enable_{off}": False})
    queries = None if off == "track" else torch.ones(2, 2)
    assert predict(model, random_images(2, 3, 28, 28), queries).keys() == ALL_KEYS - HEAD_KEYS[off]
    assert not any(key.startswith(f"{off}_head.") for key in model.state_dict())


def test_no_head_at_all() -> None:
    off = {f"enable_{head}": False for head in HEAD_KEYS}
    assert predict(small_vggt(**off), random_images(2, 3, 28, 28)).keys() == {"images"}


def test_defaults_enable_camera_and_depth() -> None:
    with torch.device("meta"):
        model = VGGT()
    assert {key.split(".")[0] for key in model.state_dict()} == {
        "aggregator",
        "camera_head",
        "depth_head",
    }


def test_tracks_only_where_there_are_query_points() -> None:
    model = small_vggt()
    images = random_images(2, 3, 28, 28)
    assert predict(model, images).keys() == ALL_KEYS - HEAD_KEYS["track"]
    one, several = torch.ones(4, 2), torch.ones(1, 4, 2)
    assert_close(predict(model, images, one)["track"], predict(model, images, several)["track"])


def test_sequences_do_not_see_each_other() -> None:
    model = small_vggt()
    images = random_images(2, 3, 3, 28, 42)
    queries = torch.rand(2, 5, 2) * 28
    together = predict(model, images, queries)
    for index in range(2):
        alone = predict(model, images[index], queries[index])
        for key in ALL_KEYS - {"pose_enc_list"}:
            assert_close(together[key][index : index + 1], alone[key], atol=1e-4, rtol=1e-4)


def test_frames_of_a_sequence_do_see_each_other() -> None:
    model = small_vggt()
    images = random_images(3, 3, 28, 28)
    changed = torch.cat([images[:2], 1 - images[2:]])
    before, after = predict(model, images)["depth"], predict(model, changed)["depth"]
    assert (before[0, :2] - after[0, :2]).abs().max() > 1e-6


def test_only_the_first_frame_is_special() -> None:
    model = small_vggt()
    images = random_images(4, 3, 28, 28)
    depth = predict(model, images)["depth"][0]
    tail = predict(model, images[[0, 3, 2, 1]])["depth"][0]
    assert_close(tail[[0, 3, 2, 1]], depth, atol=1e-5, rtol=1e-5)
    # The tokens of the first frame start out 1e-6 apart from the others': make it visible.
    with torch.no_grad():
        model.aggregator.camera_token[:, 1].normal_()
    head, depth = (predict(model, images[order])["depth"][0] for order in ([1, 0, 2, 3], range(4)))
    assert (head[[1, 0, 2, 3]] - depth).abs().max() > 1e-4


def test_integer_images() -> None:
    model = small_vggt()
    images = (random_images(2, 3, 28, 28) * 255).to(torch.uint8)
    assert_close(predict(model, images)["depth"], predict(model, images / 255)["depth"])


def test_padding_is_with_the_mean_colour_and_leaves_predictions_in_place() -> None:
    model = small_vggt()
    images, queries = random_images(2, 3, 30, 45), torch.tensor([[4.0, 6.0]])
    top, left, height, width = 6, 5, 42, 56
    padded = torch.tensor(IMAGENET.mean).view(3, 1, 1).expand(2, 3, height, width).clone()
    padded[..., top : top + 30, left : left + 45] = images
    found = predict(model, images, queries)
    whole = predict(model, padded, queries + torch.tensor([left, top]))
    for key in ("depth", "depth_conf", "world_points", "world_points_conf"):
        crop = whole[key][:, :, top : top + 30, left : left + 45]
        assert_close(found[key], crop, atol=1e-5, rtol=1e-5)
    assert_close(found["track"], whole["track"] - torch.tensor([left, top]), atol=1e-3, rtol=1e-3)
    cameras, intrinsics = cameras_from_pose_encoding(found["pose_enc"], (30, 45))
    whole_cameras, whole_intrinsics = cameras_from_pose_encoding(whole["pose_enc"], (height, width))
    assert_close(cameras, whole_cameras)
    focal = intrinsics.diagonal(dim1=-2, dim2=-1), whole_intrinsics.diagonal(dim1=-2, dim2=-1)
    finite = focal[1].isfinite()
    assert finite.any()
    assert_close(focal[0][finite], focal[1][finite], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_the_chunk_of_frames_does_not_change_numbers(chunk: int) -> None:
    images = random_images(5, 3, 28, 28)
    expected = predict(small_vggt(), images)
    pyramid = {**PYRAMID, "frames_chunk_size": chunk}
    found = predict(small_vggt(depth_head_config=pyramid), images)
    assert_close(found["depth"], expected["depth"], atol=1e-6, rtol=1e-6)
    assert_close(found["depth_conf"], expected["depth_conf"], atol=1e-6, rtol=1e-6)


def test_layers_come_one_by_one_in_network_order() -> None:
    model = small_vggt(aggregator_config={"aa_block_size": 2, "aa_order": ["global", "frame"]})
    images = random_images(2, 3, 3, 28, 42)
    with torch.no_grad():
        layers = dict(model.aggregator.iter_layers(images))
        concatenated = model.aggregator(images)
    assert list(layers) == [
        *("patch_embed", "global_0", "global_1", "frame_0", "frame_1"),
        *("global_2", "global_3", "frame_2", "frame_3"),
    ]
    assert tuple(layers) == model.aggregator.layer_names
    assert list(concatenated) == [0, 1, 2, 3]
    for index, tokens in concatenated.items():
        assert tokens.shape == (2, 3, 5 + 6, 2 * WIDTH)
        assert_close(tokens[:, :, 5:, :WIDTH], layers[f"frame_{index}"], atol=0, rtol=0)
        assert_close(tokens[:, :, 5:, WIDTH:], layers[f"global_{index}"], atol=0, rtol=0)


def test_the_patch_embedding_is_a_layer() -> None:
    model = small_vggt()
    images = random_images(1, 2, 3, 28, 42)
    with torch.no_grad():
        name, tokens = next(model.aggregator.iter_layers(images))
        normalised = normalise_and_pad(images[0], PATCH)
        expected = model.get_submodule("aggregator.patch_embed.proj")(normalised)
    assert name == "patch_embed"
    assert_close(tokens[0], expected.flatten(2).transpose(1, 2), atol=0, rtol=0)


def test_a_layer_that_nobody_keeps_is_freed() -> None:
    model = small_vggt(aggregator_config={"depth": 12})
    alive: list[weakref.ref[torch.UntypedStorage]] = []
    with torch.no_grad():
        for _, tokens in model.aggregator.iter_layers(random_images(1, 2, 3, 28, 28)):
            alive = [ref for ref in alive if ref() is not None]
            alive.append(weakref.ref(tokens.untyped_storage()))
            assert len(alive) <= 3


def test_nothing_is_computed_beyond_what_is_asked_for() -> None:
    model = small_vggt()
    images = random_images(1, 2, 3, 28, 28)
    ran: list[int] = []
    for index, block in enumerate(model.aggregator.global_blocks):
        block.register_forward_hook(lambda *_, index=index: ran.append(index))
    with torch.no_grad():
        assert list(model.aggregator(images, [1])) == [1]
        assert ran == [0, 1]
        for name, _ in model.aggregator.iter_layers(images):
            if name == "global_0":
                break
    assert ran == [0, 1, 0]


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 4, 28, 28), "4"), ((28, 28), "28"), ((1, 1, 2, 3, 28, 28), "28")],
)
def test_images_of_another_shape_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        small_vggt()(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 2), (5,)])
def test_query_points_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BenchError, match="Query points"):
        small_vggt()(random_images(2, 3, 28, 28), torch.zeros(shape))


def test_query_points_need_a_track_head() -> None:
    with pytest.raises(BenchError, match="enable_track"):
        small_vggt(enable_track=False)(random_images(2, 3, 28, 28), torch.zeros(1, 2))


def test_images_too_small_for_the_correlation_pyramid_are_refused() -> None:
    model = small_vggt(track_head_config={**TRACK, "corr_levels": 7})
    with pytest.raises(BenchError, match="at least 128 pixels"):
        model(random_images(2, 3, 126, 140), torch.zeros(1, 2))


def test_layers_that_do_not_exist_are_refused() -> None:
    with pytest.raises(BenchError, match=r"layers 0 to 3"):
        small_vggt().aggregator(random_images(1, 2, 3, 28, 28), [0, DEPTH])


def test_bfloat16_autocast_leaves_the_heads_in_float32() -> None:
    model, images = small_vggt(), random_images(2, 3, 28, 28)
    queries = torch.ones(2, 2)
    inside: list[torch.dtype] = []
    for part in ("aggregator.frame_blocks.0.attn.proj", "depth_head.scratch.output_conv1"):
        model.get_submodule(part).register_forward_hook(
            lambda module, given, out: inside.append(out.dtype)
        )
    exact = predict(model, images, queries)
    inside.clear()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = predict(model, images, queries)
    assert inside == [torch.bfloat16, torch.float32]
    assert all(rounded[key].dtype == torch.float32 for key in ALL_KEYS - {"pose_enc_list"})
    assert 0 < (rounded["depth"] - exact["depth"]).abs().max() < 0.05


def gradients(model: VGGT, images: Tensor) -> dict[str, Tensor]:
    predictions = model.train()(images, torch.full((3, 2), 9.0))
    assert "images" not in predictions
    loss = sum(
        predictions[key].square().mean()
        for key in ("pose_enc", "depth", "world_points", "vis", "conf", "track")
    )
    loss.backward()
    return {
        name: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def test_gradients_reach_every_part() -> None:
    found = gradients(small_vggt(), random_images(2, 3, 28, 28))
    parts = ("patch_embed.", "frame_blocks.0", "global_blocks.0", "camera_token", "register_token")
    for part in (*(f"aggregator.{part}" for part in parts), *(f"{h}_head." for h in HEAD_KEYS)):
        assert any(name.startswith(part) and g.abs().sum() > 0 for name, g in found.items()), part


def test_gradient_checkpointing_recomputes_and_changes_nothing() -> None:
    images = random_images(2, 3, 28, 28)
    expected = gradients(small_vggt(), images)
    model = small_vggt(aggregator_config={"gradient_checkpointing": True})
    runs: list[int] = []
    block = model.get_submodule("aggregator.frame_blocks.1.attn")
    block.register_forward_hook(lambda *_: runs.append(1))
    found = gradients(model, images)
    assert len(runs) == 2
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)
    runs.clear()
    model.eval()(images)["depth"].mean().backward()
    assert len(runs) == 1


def test_a_frozen_patch_embedding_stays_as_it_is() -> None:
    model = small_vggt(aggregator_config={"freeze_patch_embed": True})
    found = gradients(model, random_images(2, 3, 28, 28))
    assert model.aggregator.frame_blocks[0].training
    assert not model.aggregator.patch_embed.training
    assert not any(name.startswith("aggregator.patch_embed") for name in found)
    assert any(name.startswith("aggregator.frame_blocks") for name in found)


def test_dinov2_trains_with_checkpointing() -> None:
    """The whole ViT-S, once: gradients reach its first layer."""
    model = small_vggt(
        embed_dim=384,
        img_size=2 * PATCH,
        aggregator_config={"patch_embed": "dinov2_vits14_reg", "gradient_checkpointing": True},
        enable_point=False,
        enable_track=False,
    )
    model.train()(random_images(1, 3, 28, 28))["depth"].mean().backward()
    for name in ("patch_embed.proj.weight", "pos_embed", "register_tokens"):
        gradient = model.get_parameter(f"aggregator.patch_embed.{name}").grad
        assert gradient is not None
        assert gradient.abs().sum() > 0
    assert model.get_parameter("aggregator.patch_embed.mask_token").grad is None
