"""What every feature extractor promises, over everything that is registered."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.cameras import pixel_centres
from bench.geometry.grid import patch_centres, split_into_patches
from bench.models.feature_extractors import feature_extractors, get_extractor_from_id
from bench.models.feature_extractors.base import FeatureExtractor, validate_output_schema
from tests.conformance.conftest import Build
from tests.conformance.small_extractors import CASES, COVERED, PLUG_INS, Case

ALL = pytest.mark.parametrize("case", [*CASES, *PLUG_INS], ids=lambda case: case.id)
#: No multiple of any patch: 8, 14, 16 and 32 all pad both sides, by even and odd amounts.
HEIGHT, WIDTH = 75, 121


@pytest.fixture(autouse=True)
def _no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def pictures(*lead: int, seed: int = 0) -> Tensor:
    """Smooth random images [*lead, 3, H, W] in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(*lead, 3, 6, 9, generator=generator).flatten(0, -4)
    fine = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear")
    return fine.reshape(*lead, 3, HEIGHT, WIDTH)


def layer_patches(output: dict[str, Any]) -> dict[str, Tensor]:
    return {name: tokens["x_norm_patchtokens"] for name, tokens in output.items()}


def every_layer(extractor: FeatureExtractor, images: Tensor) -> dict[str, Tensor]:
    """Patch tokens [B, S, P, D] of all layers and of the output."""
    names = [*extractor.layer_names, "output"]
    return {name: tokens.patches for name, tokens in extractor.iter_layers(images, names)}


def test_everything_registered_is_tested() -> None:
    assert set(feature_extractors.names()) == COVERED | {case.extractor for case in PLUG_INS}


@ALL
def test_single_schema(case: Case, build: Build) -> None:
    extractor = build(case)
    grid = extractor.grid(HEIGHT, WIDTH)
    flat = extractor.forward_features(pictures(2, 3))
    assert validate_output_schema(flat) == "single"
    patches = flat["x_norm_patchtokens"]
    assert patches.shape == (2, 3, grid.rows * grid.cols, extractor.embed_dim)
    assert all(value.dtype == torch.float32 for value in flat.values())
    assert flat["x_norm"].shape[:2] == (2, 3)
    assert flat["x_norm"].shape[2] >= patches.shape[2]
    torch.testing.assert_close(flat["x_norm"][:, :, -patches.shape[2] :], patches, rtol=0, atol=0)
    if "x_norm_clstoken" in flat:
        torch.testing.assert_close(flat["x_norm"][:, :, 0], flat["x_norm_clstoken"], rtol=0, atol=0)
    maps = extractor.forward_features(pictures(2, 3), unflatten_patches=True)["x_norm_patchtokens"]
    assert maps.shape == (2, 3, *grid.shape, extractor.embed_dim)
    assert torch.equal(maps.flatten(2, 3), patches)


@ALL
def test_four_and_five_dimensions_agree(case: Case, build: Build) -> None:
    """[B, 3, H, W] gives [B, ...]; a joint model takes it as one sequence."""
    extractor = build(case)
    images = pictures(3)
    four = extractor(images)
    five = extractor(extractor.as_sequences(images))
    assert four["x_norm_patchtokens"].shape[0] == 3
    assert torch.equal(four["x_norm_patchtokens"].flatten(), five["x_norm_patchtokens"].flatten())


@ALL
def test_multi_schema(case: Case, build: Build) -> None:
    extractor = build(case, layers="all")
    output = extractor.forward_features(pictures(1, 2), unflatten_patches=True)
    assert validate_output_schema(output) == "multi"
    assert tuple(output) == (extractor.layer_names or ("output",))
    for name, patches in layer_patches(output).items():
        grid = extractor.grid(HEIGHT, WIDTH, name)
        assert patches.shape == (1, 2, *grid.shape, extractor.architecture.dim_of(name))


@ALL
def test_description_needs_no_model(case: Case, build: Build, config_of: Any) -> None:
    kind = feature_extractors.get(case.extractor)
    described = kind.describe(kind.parse(config_of(case)))
    built = build(case)
    assert described == built.architecture
    assert (built.patch_size, built.embed_dim) == (described.stride, described.embed_dim)
    assert isinstance(built.img_size, int)


@ALL
def test_layers_by_index_name_and_quarter(case: Case, build: Build) -> None:
    extractor = build(case)
    names = extractor.layer_names
    if not names:
        with pytest.raises(BenchError, match="does not exist"):
            build(case, layers=[0])
        return
    assert build(case, layers=[-1, 0]).layers == ((names[0], names[-1]) if names[1:] else names)
    assert build(case, layers=[names[-1]]).layers == (names[-1],)
    assert build(case, layers="quarters").layers[-1] == names[-1]
    with pytest.raises(BenchError, match="does not exist"):
        build(case, layers=["no such layer"])


@ALL
def test_layers_are_the_same_alone_and_together(case: Case, build: Build) -> None:
    extractor = build(case)
    together = every_layer(extractor, pictures(1, 2))
    for name, patches in together.items():
        ((found, alone),) = extractor.iter_layers(pictures(1, 2), [name])
        assert found == name
        assert torch.equal(alone.patches, patches)


@ALL
def test_norm_applies_to_intermediate_layers(case: Case, build: Build) -> None:
    """The last block under the final norm is the output; without it, it is not."""
    extractor = build(case)
    names = extractor.layer_names
    if extractor.options.norm == "none" or extractor.architecture.layer_strides or not names:
        pytest.skip("no final norm on intermediate layers")
    normed = every_layer(extractor, pictures(1, 1))
    raw = every_layer(build(case, norm="none"), pictures(1, 1))
    torch.testing.assert_close(normed[names[-1]], normed["output"], rtol=0, atol=1e-6)
    torch.testing.assert_close(raw["output"], normed["output"], rtol=0, atol=0)
    assert not torch.allclose(raw[names[-1]], raw["output"])
    assert not torch.allclose(raw[names[0]], normed[names[0]])


@ALL
def test_deterministic(case: Case, build: Build) -> None:
    extractor = build(case)
    first, second = (every_layer(extractor, pictures(1, 2)) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@ALL
def test_batch_independent(case: Case, build: Build) -> None:
    """One sequence does not see another, not even a spoilt one."""
    extractor = build(case)
    images = pictures(2, 2)
    images[1] *= 3
    together = every_layer(extractor, images)
    for index in range(2):
        alone = every_layer(extractor, images[index : index + 1])
        for name in together:
            difference = (together[name][index] - alone[name][0]).abs().max()
            assert difference <= 1e-5 * together[name].abs().max().clamp(min=1)


@ALL
def test_views_are_independent_unless_joint(case: Case, build: Build) -> None:
    extractor = build(case)
    images = pictures(1, 2)
    changed = images.clone()
    changed[:, 1] = 1 - changed[:, 1]
    before, after = (extractor(i)["x_norm_patchtokens"][:, 0] for i in (images, changed))
    assert torch.allclose(before, after, atol=1e-5) == (extractor.scope == "image")


@ALL
def test_integer_images(case: Case, build: Build) -> None:
    """Bytes are scaled by their type, whatever their largest value."""
    extractor = build(case)
    dark = (pictures(1, 1) * 3).to(torch.uint8)
    assert torch.equal(extractor(dark)["x_norm"], extractor(dark.float() / 255)["x_norm"])


@ALL
def test_normalised_images(case: Case, build: Build) -> None:
    """preprocess_images: false takes images that someone else has normalised."""
    if case.extractor in ("xfeat", "noise"):
        pytest.skip("the constants come from each image, or the pixels are a seed")
    extractor = build(case)
    mean, std = (
        torch.tensor(values).view(3, 1, 1)
        for values in (extractor.normalisation.mean, extractor.normalisation.std)
    )
    images = pictures(1, 2)
    ours = extractor(images)["x_norm"]
    theirs = build(case, preprocess_images=False)((images - mean) / std)["x_norm"]
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)


@ALL
@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("half", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_constants_of_a_protocol(
    case: Case, build: Build, name: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    """normalisation: half is (x - 0.5) / 0.5 for every model, whatever its own constants are."""
    if case.extractor in ("xfeat", "noise"):
        pytest.skip("the constants come from each image, or the pixels are a seed")
    images = pictures(1, 2)
    centre, spread = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    ours = build(case, normalisation=name)(images)["x_norm"]
    theirs = build(case, preprocess_images=False)((images - centre) / spread)["x_norm"]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_constants_for_normalised_images_are_a_mistake() -> None:
    with pytest.raises(BenchError, match="already normalised"):
        get_extractor_from_id("rgb", {"normalisation": "half", "preprocess_images": False})


@ALL
def test_padding_keeps_places(case: Case, build: Build) -> None:
    """A picture of its own pixel coordinates, averaged per cell, gives the patch centres."""
    extractor = build(case, preprocess_images=False)
    places = pixel_centres(HEIGHT, WIDTH, torch.float32)
    coordinates = torch.cat([places, torch.zeros(HEIGHT, WIDTH, 1)], -1).permute(2, 0, 1)
    if case.extractor == "xfeat":
        x, y = (extractor.prepare_images(c.expand(1, 3, -1, -1))[0, 0] for c in coordinates[:2])
        prepared = torch.stack([x, y])
    else:
        prepared = extractor.prepare_images(coordinates[None])[0, :2]
    stride = extractor.patch_size
    cells = prepared.unfold(1, stride, stride).unfold(2, stride, stride).mean((-1, -2))
    grid = extractor.grid(HEIGHT, WIDTH)
    inside = split_into_patches(torch.ones(HEIGHT, WIDTH), grid, fill=0).mean(-1) == 1
    assert inside.any()
    centres = patch_centres(grid)[inside].float()
    torch.testing.assert_close(cells.permute(1, 2, 0)[inside], centres, rtol=0, atol=1e-3)


@ALL
def test_tokens_lie_where_the_grid_says(case: Case, build: Build) -> None:
    """Changing the pixels of one cell changes the token of that cell most."""
    extractor = build(case)
    if case.extractor in ("position", "position_xy", "noise"):
        pytest.skip("blind to pixels, or no pixel in particular")
    grid = extractor.grid(HEIGHT, WIDTH)
    cells = torch.arange(grid.rows * grid.cols).view(grid.rows, grid.cols)
    inside = split_into_patches(torch.ones(HEIGHT, WIDTH), grid, fill=0).mean(-1) == 1
    images = pictures(1, 1)
    before = extractor(images)["x_norm_patchtokens"][0, 0]
    for cell in (int(cells[inside][0]), int(cells[inside][-1])):
        row, col = divmod(cell, grid.cols)
        changed = images.clone()
        top, left = row * grid.stride - grid.pad_top, col * grid.stride - grid.pad_left
        changed[..., top : top + grid.stride, left : left + grid.stride] += 0.5
        moved = (extractor(changed)["x_norm_patchtokens"][0, 0] - before).norm(dim=-1)
        found = divmod(int(moved.argmax()), grid.cols)
        # Convolutions that overlap spread a change to the neighbours.
        tolerance = 1 if case.extractor == "xfeat" else 0
        assert max(abs(found[0] - row), abs(found[1] - col)) <= tolerance


@ALL
def test_options(case: Case, config_of: Any) -> None:
    kind = feature_extractors.get(case.extractor)
    with pytest.raises(BenchError, match=r"unknown option 'norms'.*Did you mean 'norm'"):
        kind.parse({**config_of(case), "norms": "none"})
    assert kind.Options.model_json_schema()["properties"]
    assert kind.parse(config_of(case)).model_dump()["checkpoint_path"] is None


@ALL
def test_other_shapes_are_refused(case: Case, build: Build) -> None:
    with pytest.raises(BenchError, match="Expected images"):
        build(case)(torch.zeros(HEIGHT, WIDTH, 3))


@ALL
def test_pickle(case: Case, build: Build) -> None:
    extractor = build(case)
    loaded = pickle.loads(pickle.dumps(extractor))
    assert torch.equal(loaded(pictures(1, 2))["x_norm"], extractor(pictures(1, 2))["x_norm"])


@ALL
def test_copies_are_independent(case: Case, build: Build) -> None:
    """A copy computes with its own weights, and the original keeps its own."""
    extractor = build(case)
    before = extractor(pictures(1, 1))["x_norm"]
    twin = copy.deepcopy(extractor)
    parameters = list(twin.model.parameters())
    assert bool(parameters) == case.has_weights
    for parameter in parameters:
        parameter.mul_(0.5)
    assert torch.equal(extractor(pictures(1, 1))["x_norm"], before)
    assert torch.equal(twin(pictures(1, 1))["x_norm"], before) != case.has_weights


@ALL
def test_bfloat16_autocast(case: Case, build: Build) -> None:
    extractor = build(case)
    exact = extractor(pictures(1, 2))["x_norm_patchtokens"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = extractor(pictures(1, 2))["x_norm_patchtokens"]
    assert rounded.shape == exact.shape
    alike = torch.nn.functional.cosine_similarity(rounded.float(), exact, dim=-1)
    assert alike.min() > 0.97


def compiled(extractor: FeatureExtractor) -> tuple[Tensor, Tensor]:
    """The last layer, as it is and traced by torch.compile."""
    torch._dynamo.reset()
    fast: Any = torch.compile(extractor.forward_features, backend="aot_eager")
    images = pictures(1, 2)
    return extractor(images)["x_norm"], fast(images)["x_norm"]


@pytest.mark.parametrize("case", [c for c in CASES if c.id == "dinov2"], ids=lambda case: case.id)
def test_compile(case: Case, build: Build) -> None:
    plain, fast = compiled(build(case))
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@ALL
def test_compile_everything(case: Case, build: Build) -> None:
    plain, fast = compiled(build(case))
    torch.testing.assert_close(fast, plain, rtol=1e-3, atol=1e-3)


@ALL
def test_seed_of_random_weights(case: Case, config_of: Any, build: Build) -> None:
    """The same seed gives the same weights whatever came before; another seed others."""
    if not case.has_weights or case.folder is not None:
        pytest.skip("no random weights")
    torch.manual_seed(5)
    again = get_extractor_from_id(case.extractor, config_of(case))
    other = get_extractor_from_id(case.extractor, {**config_of(case), "init_seed": 1})
    first = build(case)
    assert all(map(torch.equal, first.parameters(), again.parameters()))
    assert not all(map(torch.equal, first.parameters(), other.parameters()))
    assert first.fingerprint(first.options) == again.fingerprint(again.options)
    assert first.fingerprint(first.options) != other.fingerprint(other.options)


@ALL
def test_fingerprint_of_a_file(case: Case, config_of: Any, build: Build, tmp_path: Path) -> None:
    """Weights in a file are identified by their bytes, and load into the same features."""
    if not case.has_weights or case.extractor in ("timm", "hf"):
        pytest.skip("no weights, or tested with the library's own layouts")
    extractor = build(case)
    kind = feature_extractors.get(case.extractor)
    state = extractor.model.state_dict()
    if case.extractor == "vggtfeatureextractor":
        state = {f"aggregator.{key}": value for key, value in state.items()}
    torch.save(state, tmp_path / "one.pth")
    weight = next(key for key, value in state.items() if value.ndim > 1)
    torch.save({**state, weight: state[weight] + 1}, tmp_path / "two.pth")
    config = {k: v for k, v in config_of(case).items() if k != "pretrained"}
    prints = []
    for name in ("one.pth", "two.pth"):
        options = {**config, "checkpoint_path": str(tmp_path / name)}
        prints.append(kind.fingerprint(kind.parse(options)))
    assert prints[0] != prints[1]
    loaded = get_extractor_from_id(
        case.extractor, {**config, "checkpoint_path": str(tmp_path / "one.pth"), "init_seed": 7}
    )
    assert torch.equal(loaded(pictures(1, 2))["x_norm"], extractor(pictures(1, 2))["x_norm"])


def test_fingerprints_are_stable_across_processes(config_of: Callable[[Case], Any]) -> None:
    wanted = [[case.extractor, config_of(case)] for case in CASES]
    script = """
import json, sys, pytest
from bench.models.feature_extractors import feature_extractors
from tests.conformance.small_extractors import register_small
register_small(pytest.MonkeyPatch())
found = []
for name, config in json.load(sys.stdin):
    kind = feature_extractors.get(name)
    found.append(kind.fingerprint(kind.parse(config)))
print("@@" + json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = json.loads(done.stdout.rpartition("@@")[2])
    ours = []
    for name, config in wanted:
        kind = feature_extractors.get(name)
        ours.append(kind.fingerprint(kind.parse(config)))
    assert theirs == ours
    assert None not in ours
