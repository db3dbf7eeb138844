"""Reference rows: noise that is noise, positions that are positions, an oracle that knows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from bench.errors import BenchError
from bench.geometry.cameras import world_points
from bench.geometry.grid import patch_centres
from bench.models.feature_extractors import get_extractor_from_id
from bench.models.feature_extractors.oracle import LENGTH_SCALES, fourier_features
from bench.types import View, ViewSet
from tests.synthetic import Slab


def patches(name: str, images: Tensor, **config: Any) -> Tensor:
    extractor = get_extractor_from_id(name, {"patch_size": 14, **config})
    tokens: Tensor = extractor.forward_features(images, unflatten_patches=True)[
        "x_norm_patchtokens"
    ]
    return tokens


def picture(seed: int, height: int = 140, width: int = 280) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_noise_is_standard_normal_and_uncorrelated() -> None:
    noise = patches("noise", picture(0)).flatten(0, 2)
    assert noise.shape == (200, 384)
    assert abs(float(noise.mean())) < 4 / math.sqrt(noise.numel())
    assert abs(float(noise.var()) - 1) < 4 * math.sqrt(2 / noise.numel())
    correlation = torch.corrcoef(noise) - torch.eye(200)
    assert correlation.abs().max() < 6 / math.sqrt(384)


def test_noise_belongs_to_the_image() -> None:
    both = torch.cat([picture(0), picture(1)])
    together = patches("noise", both)
    assert torch.equal(together[:1], patches("noise", picture(0)))
    assert torch.equal(together[1:], patches("noise", picture(1)))
    assert cosine_similarity(together[0], together[1], dim=-1).abs().max() < 0.4
    almost = picture(0)
    almost[0, 0, 0, 0] += 1e-6
    assert cosine_similarity(patches("noise", almost), together[:1], dim=-1).abs().max() < 0.4
    assert not torch.equal(patches("noise", picture(0), init_seed=1), together[:1])


@pytest.mark.parametrize("name", ["position", "position_xy"])
def test_positions_know_nothing_of_the_image(name: str) -> None:
    """Bit-identical for every image of one grid, so that ties are ties."""
    tokens = patches(name, torch.cat([picture(0), picture(1) * 0]))
    assert torch.equal(tokens[0], tokens[1])
    assert len({tuple(row) for row in tokens[0].flatten(0, 1).tolist()}) == 200


def test_position_xy_is_x_y_1() -> None:
    tokens = patches("position_xy", picture(0))[0]
    expected = patch_centres(get_extractor_from_id("position_xy").grid(140, 280)) / 140 - 1
    torch.testing.assert_close(tokens[..., 0], expected[..., 0].float())
    torch.testing.assert_close(tokens[..., 1], (expected[..., 1] + 0.5).float())
    assert bool((tokens[..., 2] == 1).all())


def test_position_depends_on_the_place_and_not_on_the_patch() -> None:
    fine = patches("position", picture(0, 112, 112), patch_size=14)[0]
    coarse = patches("position", picture(0, 112 * 4, 112 * 4), patch_size=56)[0]
    torch.testing.assert_close(fine, coarse)
    alike = cosine_similarity(fine[4, 4], fine, dim=-1)
    assert alike[4, 4] == alike.max()
    assert alike[4, 5] > alike[4, 7] > alike[0, 0]


def test_weights_of_a_control_are_refused() -> None:
    with pytest.raises(BenchError, match="no weights to load"):
        get_extractor_from_id("noise", {"checkpoint_path": "somewhere.pth"})


def slab(**options: Any) -> ViewSet:
    dataset = Slab(**{"height": 168, "width": 252, **options})
    return dataset.load(dataset.view_sets()[0])


def oracle_tokens(view_set: ViewSet, **config: Any) -> list[Tensor]:
    return get_extractor_from_id("oracle", config).encode_view_set(view_set)


def test_oracle_follows_its_kernel() -> None:
    """Cosine similarity is the mean Gaussian of the distance, up to the number of features."""
    generator = torch.Generator().manual_seed(3)
    frequencies = get_extractor_from_id("oracle").frequencies()  # type: ignore[operator]
    origin = torch.zeros(400, 3, dtype=torch.float64)
    for distance in (0.0, 0.01, 0.03, 0.1, 0.5):
        direction = torch.randn(400, 3, generator=generator, dtype=torch.float64)
        moved = origin + distance * direction / direction.norm(dim=1, keepdim=True)
        found = cosine_similarity(
            fourier_features(origin, frequencies), fourier_features(moved, frequencies), dim=-1
        )
        expected = sum(math.exp(-((distance / s) ** 2) / 2) for s in LENGTH_SCALES) / 2
        assert abs(float(found.mean()) - expected) < 0.04


def test_oracle_agrees_across_views_and_only_there() -> None:
    """AUROC of same voxel against more than two voxels apart, 5 % of the scene scale: one."""
    view_set = slab()
    assert view_set.scene_scale is not None
    voxel = 0.05 * view_set.scene_scale
    extractor = get_extractor_from_id("oracle")
    tokens = [t.half().float().flatten(0, 1) for t in extractor.encode_view_set(view_set)]
    points = []
    for view in view_set.views:
        assert view.depth is not None
        assert view.intrinsics is not None
        assert view.camera_from_world is not None
        x, y = patch_centres(extractor.grid(*view.size)).long().unbind(-1)
        world = world_points(view.depth, view.intrinsics, view.camera_from_world)
        points.append(world[y, x].flatten(0, 1))
    similarity = cosine_similarity(tokens[0][:, None], tokens[1][None], dim=-1)
    cells = [(p / voxel).floor() for p in points]
    same = (cells[0][:, None] == cells[1][None]).all(-1)
    far = torch.cdist(points[0], points[1]) > 2 * voxel
    assert same.sum() > 30
    ranks = (similarity[same][:, None] > similarity[far][None]).float().mean()
    assert ranks > 0.999


def test_oracle_does_not_know_the_unit() -> None:
    """The same scene in millimetres gives the same features."""
    view_set = slab()

    def scaled(view: View) -> View:
        assert view.depth is not None
        assert view.camera_from_world is not None
        pose = view.camera_from_world.clone()
        pose[:3, 3] *= 1000
        return replace(view, depth=view.depth * 1000, camera_from_world=pose)

    assert view_set.scene_scale is not None
    large = replace(
        view_set,
        views=tuple(scaled(view) for view in view_set.views),
        scene_scale=view_set.scene_scale * 1000,
    )
    for small, big in zip(oracle_tokens(view_set), oracle_tokens(large), strict=True):
        torch.testing.assert_close(small, big, rtol=0, atol=1e-3)


def test_oracle_leaves_out_what_is_unknown() -> None:
    view_set = slab()
    (first, second) = view_set.views
    assert first.depth is not None
    depth = first.depth.clone()
    depth[:14, :14] = 0
    depth[14:28, :14] = torch.nan
    holed = replace(view_set, views=(replace(first, depth=depth), second))
    tokens, _ = oracle_tokens(holed)
    norms = tokens.norm(dim=-1)
    assert float(norms[0, 0]) == float(norms[1, 0]) == 0
    rest = norms.flatten()[norms.flatten() > 0]
    assert len(rest) == norms.numel() - 2
    torch.testing.assert_close(rest, torch.ones_like(rest))


def test_oracle_marks_padding_as_unknown() -> None:
    """At patch 100 the outer cells' centres fall outside of the image."""
    view_set = slab(height=110, width=110)
    tokens, _ = oracle_tokens(view_set, patch_size=100)
    assert tokens.shape[:2] == (2, 2)
    tokens, _ = oracle_tokens(slab(height=20, width=110), patch_size=100)
    assert tokens.shape[:2] == (1, 2)
    assert bool(tokens.norm(dim=-1).gt(0).all())


@pytest.mark.parametrize("missing", ["depth", "intrinsics", "camera_from_world"])
def test_oracle_says_what_it_needs(missing: str) -> None:
    view_set = slab()
    changes: dict[str, Any] = {missing: None}
    broken = replace(view_set, views=(replace(view_set.views[0], **changes), view_set.views[1]))
    with pytest.raises(BenchError, match="lacks depth, intrinsics or a pose"):
        oracle_tokens(broken)
    with pytest.raises(BenchError, match="no scene scale"):
        oracle_tokens(replace(view_set, scene_scale=None))


def test_oracle_is_blind_to_images() -> None:
    extractor = get_extractor_from_id("oracle")
    assert extractor.scope == "view_set_with_geometry"
    with pytest.raises(BenchError, match="not from images"):
        extractor(torch.rand(1, 3, 28, 28))
    with pytest.raises(BenchError, match="not from geometry"):
        get_extractor_from_id("rgb").encode_view_set(slab())


def test_roles() -> None:
    roles = {n: get_extractor_from_id(n).role for n in ("noise", "position", "position_xy", "rgb")}
    assert set(roles.values()) == {"floor"}
    assert get_extractor_from_id("oracle").role == "ceiling"
