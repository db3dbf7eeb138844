"""Matching under a homography: known answers, the ceiling from above and chance from below."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.api import prepare
from bench.geometry.grid import patch_centres
from bench.geometry.matching import Points, homography_queries
from bench.models.preprocessing import padded_grid
from bench.plan import Selection
from bench.results import load_results
from bench.runner.loop import Settings, run_plan
from bench.tasks.homography_matching import HomographyMatching
from bench.types import PatchGrid, TaskItem, View, ViewSet
from tests.rooms import save_image
from tests.unit.sphere_scene import context, item_of, noise_tokens

SIZES = ((96, 128), (120, 100))
#: Turned, enlarged and in perspective.
TILTED = torch.tensor(
    [[0.9, -0.15, 12.0], [0.2, 1.0, -5.0], [4e-4, -3e-4, 1.0]], dtype=torch.float64
)
IDENTITY = torch.eye(3, dtype=torch.float64)


def pair_of(b_from_a: Tensor, sizes: tuple[tuple[int, int], ...] = SIZES) -> ViewSet:
    views = tuple(
        View(str(i), torch.zeros(3, *size, dtype=torch.uint8)) for i, size in enumerate(sizes)
    )
    both = {(0, 1): b_from_a, (1, 0): torch.linalg.inv(b_from_a)}
    return ViewSet("planes", "wall", "1-2", "test", views, metric=False, homographies=both)


def grids_of(view_set: ViewSet, patch: int) -> list[PatchGrid]:
    return [padded_grid(*view.size, patch, patch) for view in view_set.views]


def moved(pixels: Tensor, homography: Tensor) -> Tensor:
    homogeneous = torch.nn.functional.pad(pixels, (0, 1), value=1.0) @ homography.T
    return homogeneous[..., :2] / homogeneous[..., 2:]


def plane_tokens(view_set: ViewSet, grids: list[PatchGrid]) -> list[Tensor]:
    """Features that say which pixel of b a patch centre is, nearest in cosine where nearest in
    pixels (inverse stereographic projection)."""
    assert view_set.homographies is not None
    tokens = []
    for grid, b_from_own in zip(grids, (view_set.homographies[0, 1], IDENTITY), strict=True):
        x = moved(patch_centres(grid), b_from_own) / 1000
        square = x.square().sum(-1, keepdim=True)
        tokens.append((torch.cat([2 * x, 1 - square], -1) / (1 + square)).float())
    return tokens


def scores(item: TaskItem, **options: Any) -> dict[str, float]:
    task = HomographyMatching(**options)
    (score,) = task.score(task.prepare(context(Path("unused"))), item)
    assert set(score.values) == {metric.key for metric in task.metrics}
    return dict(score.values)


@pytest.mark.parametrize("patch", [14, 16, 32])
def test_identity_has_no_error(patch: int) -> None:
    view_set = pair_of(IDENTITY, ((100, 150), (100, 150)))
    grids = grids_of(view_set, patch)
    assert grids[0].pad_left or grids[0].pad_top
    item = item_of(view_set, plane_tokens(view_set, grids), grids)
    found = scores(item, thresholds_px=(1e-6, 1, 5), min_queries=1)
    assert found["recall@1e-06px"] == found["ceiling@1e-06px"] == 1.0
    assert found["auc@5px"] == pytest.approx(1.0)
    assert found["num_pairs"] == 2 and found["num_unscored_pairs"] == 0


def test_a_shift_is_its_own_length() -> None:
    """Features know only their place, so that every error is the homography's 16 pixels."""
    shift = IDENTITY.clone()
    shift[0, 2] = 16.0
    view_set = pair_of(shift, ((96, 128), (96, 128)))
    grids = grids_of(view_set, 16)
    still = plane_tokens(pair_of(IDENTITY, ((96, 128), (96, 128))), grids)
    edges = (15.999, 16.0, 16.001)
    found = scores(item_of(view_set, still, grids), thresholds_px=edges, reference_px=128)
    assert (found["recall@15.999px"], found["recall@16.001px"]) == (0.0, 1.0)
    # The true target is itself a patch centre.
    assert found["ceiling@15.999px"] == 1.0
    assert found["num_queries"] == 2 * 6 * 7


def slow(view_set: ViewSet, grids: list[PatchGrid], tokens: list[Tensor], limit: float) -> Any:
    """Recall, ceiling and chance from a to b, pixel by pixel."""
    assert view_set.homographies is not None
    H = view_set.homographies[0, 1].numpy()
    height, width = view_set.views[1].size
    rows = []
    candidates = [
        (c, f)
        for c, f in zip(
            patch_centres(grids[1]).flatten(0, 1).numpy(), tokens[1].flatten(0, 1).numpy(),
            strict=True,
        )
        if 0 <= c[0] < width and 0 <= c[1] < height
    ]  # fmt: skip
    h, w = view_set.views[0].size
    for (x, y), f in zip(
        patch_centres(grids[0]).flatten(0, 1).numpy(), tokens[0].flatten(0, 1).numpy(), strict=True
    ):
        u, v, s = H @ (x, y, 1)
        if not (0 <= x < w and 0 <= y < h and 0 <= u / s < width and 0 <= v / s < height):
            continue
        errors = [math.dist((u / s, v / s), c) * 640 / max(height, width) for c, _ in candidates]
        cosines = [f @ g / np.linalg.norm(f) / np.linalg.norm(g) for _, g in candidates]
        e = np.array(errors)
        rows.append((e[int(np.argmax(cosines))] <= limit, e.min() <= limit, (e <= limit).mean()))
    return len(rows), np.mean(rows, axis=0)


@pytest.mark.parametrize("patch", [8, 14])
def test_agrees_with_a_slow_version(patch: int) -> None:
    view_set = pair_of(TILTED)
    grids = grids_of(view_set, patch)
    exact, noise = plane_tokens(view_set, grids), noise_tokens(grids, dim=3)
    tokens = [t + 0.02 * n for t, n in zip(exact, noise, strict=True)]
    found = scores(
        item_of(view_set, tokens, grids), directions="forward", thresholds_px=(40.0, 80.0)
    )
    count, expected = slow(view_set, grids, tokens, 40.0)
    assert found["num_queries"] == count > 30
    kinds = ("recall", "ceiling", "chance")
    for kind, value in zip(kinds, expected, strict=True):
        assert found[f"{kind}@40px"] == pytest.approx(float(value), abs=1e-9), kind
    assert expected[2] < expected[0] < expected[1] <= 1


def test_the_true_place_reaches_the_ceiling() -> None:
    view_set = pair_of(TILTED)
    grids = grids_of(view_set, 8)
    item = item_of(view_set, plane_tokens(view_set, grids), grids)
    found = scores(item, directions="forward", thresholds_px=(10, 20, 40))
    for threshold in (10, 20, 40):
        assert found[f"recall@{threshold}px"] == pytest.approx(found[f"ceiling@{threshold}px"])
    assert 0 < found["recall@10px"] < found["ceiling@40px"] == 1
    assert found["unfiltered@20px"] < found["recall@20px"]


def test_noise_is_at_chance() -> None:
    view_set = pair_of(TILTED)
    grids = grids_of(view_set, 4)
    totals = dict.fromkeys(("recall", "chance"), 0.0)
    for seed in range(4):
        found = scores(item_of(view_set, noise_tokens(grids, seed), grids), thresholds_px=(90, 120))
        for kind in totals:
            totals[kind] += found[f"{kind}@90px"] / 4
    assert 0.02 < totals["chance"] < 0.2
    assert totals["recall"] == pytest.approx(totals["chance"], rel=0.15)


def test_beyond_the_horizon_nothing_is_seen() -> None:
    """x -> x / (1 - x / 60): pixels from 60 on are mapped to the other side."""
    steep = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1 / 60, 0, 1]], dtype=torch.float64)
    pixels = torch.tensor([[10.0, 5], [50, 5], [70, 5], [110, 5]], dtype=torch.float64)
    points = Points(pixels, torch.full((4, 3), torch.nan).double())
    for homography in (steep, -steep):
        found = homography_queries(points, homography, (20, 100), (20, 400))
        assert found.visible.tolist() == [True, False, False, False]
        torch.testing.assert_close(found.targets[0], torch.tensor([12.0, 6.0]).double())
        assert torch.isnan(found.targets[2:]).all()
    everything = homography_queries(points, steep, (20, 100), (100, 1000))
    assert everything.visible.tolist() == [True, True, False, False]


def test_no_overlap_and_missing_homographies_are_unscored_and_counted() -> None:
    away = IDENTITY.clone()
    away[0, 2] = 500.0
    view_set = pair_of(away)
    grids = grids_of(view_set, 8)
    noise = noise_tokens(grids)
    unknown = ViewSet(**{**vars(view_set), "homographies": None})
    for found in (scores(item_of(view_set, noise, grids)), scores(item_of(unknown, noise, grids))):
        assert found["num_pairs"] == found["num_unscored_pairs"] == 2
        assert math.isnan(found["recall@10px"]) and math.isnan(found["chance@10px"])
        assert math.isnan(found["ceiling_auc@20px"])


def test_fewer_queries_than_asked_for_are_unscored() -> None:
    view_set = pair_of(IDENTITY, ((96, 128), (96, 128)))
    grids = grids_of(view_set, 32)
    item = item_of(view_set, plane_tokens(view_set, grids), grids)
    assert scores(item, min_queries=12)["recall@5px"] == 1.0
    found = scores(item, min_queries=13)
    assert math.isnan(found["recall@5px"]) and found["num_unscored_pairs"] == 2


def test_nan_features_are_unscored_and_counted() -> None:
    view_set = pair_of(TILTED)
    grids = grids_of(view_set, 8)
    tokens = plane_tokens(view_set, grids)
    tokens[0][:4] = torch.nan
    partly = scores(item_of(view_set, tokens, grids))
    assert 0 < partly["num_unscored_queries"] < partly["num_queries"]
    assert 0 < partly["recall@20px"] <= 1
    nothing = scores(item_of(view_set, [torch.full_like(t, torch.nan) for t in tokens], grids))
    assert math.isnan(nothing["recall@10px"]) and nothing["num_unscored_pairs"] == 2


def test_a_suite_over_pairs_on_disk(tmp_path: Path) -> None:
    """A turned photograph: pixels find most of their places, noise none, position few."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 16, 21)))
    image = torch.nn.functional.interpolate(coarse, (48, 64), mode="bicubic").clamp(0, 255)[0]
    turned = image.flip(1, 2)
    half_turn = [[-1, 0, 63], [0, -1, 47], [0, 0, 1]]
    folder = tmp_path / "data" / "wall"
    for name, pixels in (("a.png", image), ("b.png", turned)):
        save_image(folder / name, pixels.permute(1, 2, 0).round().numpy().astype(np.uint8))
    content = {"image_a": "a.png", "image_b": "b.png", "H_b_from_a": half_turn}
    (folder / "homography.json").write_text(json.dumps(content))
    suite = tmp_path / "planes.yaml"
    suite.write_text(
        "name: planes\n"
        "defaults: {resolution: native}\n"
        "models:\n"
        "  - {label: RGB, model_id: feature_extractor/rgb, model_config: {patch_size: 1}}\n"
        "  - {label: noise, model_id: feature_extractor/noise, model_config: {patch_size: 4}}\n"
        "  - {label: position, model_id: feature_extractor/position,"
        " model_config: {patch_size: 4}}\n"
        f"datasets: [{{name: homography, root: {tmp_path / 'data'}}}]\n"
        "tasks: [{name: homography_matching}]\n"
    )
    plan, device = prepare(suite, device="cpu")
    run_plan(plan, tmp_path / "out", Settings(device), Selection())
    found = load_results(tmp_path / "out")
    recall = found[found["metric"] == "recall@5px"].set_index("model")["value"]
    ceiling = found[found["metric"] == "ceiling@5px"].set_index("model")["value"]
    assert recall["RGB"] > 0.8 and ceiling["RGB"] == 1
    assert recall["noise"] < 0.05 and recall["position"] < 0.05
