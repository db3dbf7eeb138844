"""CKA against slow formulas, and sketches that are comparable between models."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.errors import BenchError
from bench.geometry.similarity import cka, hsic, own_hsic, u_centred_gram
from bench.sketches import Sketch, compare_sketches, read_sketch, sample_rays, write_sketch
from bench.tasks.feature_similarity import FeatureSimilarity, sketch_of
from bench.types import FeatureMap, ItemScore, TaskItem, ViewSet
from tests.unit.sphere_scene import context, feature_map_of, grids_of, noise_tokens, view_set_of


def slow_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al. 2012, equation 5, term by term."""
    n = len(x)
    k, h = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(h, 0)
    one = np.ones(n)
    total = np.trace(k @ h)
    total += (one @ k @ one) * (one @ h @ one) / ((n - 1) * (n - 2))
    total -= 2 / (n - 2) * (one @ k @ h @ one)
    return float(total / (n * (n - 3)))


def grams(*rows: np.ndarray) -> np.ndarray:
    return np.stack([u_centred_gram(r) for r in rows])


def test_hsic_agrees_with_the_definition() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(30, d)) + 3 for d in (4, 7, 2)]
    rows[2] = rows[0][:, :2]
    found = hsic(grams(*rows), grams(*rows[:2]))
    expected = [[slow_hsic(a, b) for b in rows[:2]] for a in rows]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(own_hsic(grams(*rows)), [slow_hsic(a, a) for a in rows])


def test_cka_approaches_the_biased_one_on_many_rows() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(1500, 5))
    b = a @ rng.normal(size=(5, 8)) + rng.normal(size=(1500, 8))
    centred = [x - x.mean(0) for x in (a, b)]
    cross = np.linalg.norm(centred[0].T @ centred[1]) ** 2
    norms = [float(np.linalg.norm(c.T @ c)) for c in centred]
    first, second = grams(a), grams(b)
    found = cka(hsic(first, second), own_hsic(first), own_hsic(second))
    assert found[0, 0] == pytest.approx(cross / (norms[0] * norms[1]), abs=0.005)


def test_cka_ignores_rotation_and_scale_and_is_zero_for_independent_rows() -> None:
    rng = np.random.default_rng(0)
    a, other = rng.normal(size=(2, 200, 6))
    rotated = 7 * a @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    first, second = grams(a), grams(rotated, other, np.ones((200, 3)))
    found = cka(hsic(first, second), own_hsic(first), own_hsic(second))[0]
    assert found[0] == pytest.approx(1.0)
    assert abs(found[1]) < 0.05
    assert math.isnan(found[2])


# Rays and sketches


def test_rays_are_the_same_for_all_and_spread_over_cells() -> None:
    rays = sample_rays(256, 4, 0, "demo", "room", "0")
    np.testing.assert_array_equal(rays, sample_rays(256, 4, 0, "demo", "room", "0"))
    assert (np.bincount(rays[:, 0].astype(int)) == 64).all()
    for other in ((256, 4, 1, "demo", "room", "0"), (256, 4, 0, "demo", "room", "1")):
        assert not np.array_equal(rays, sample_rays(*other))
    cells = {(v, int(x * 37), int(y * 28)) for v, x, y in rays.tolist()}
    assert len(cells) == 256


@pytest.mark.parametrize("patch", [14, 16, 32])
def test_sketches_hold_the_token_under_each_ray(patch: int) -> None:
    view_set = view_set_of([0, 30], height=100, width=150)
    grids = grids_of(view_set, patch)
    numbered = [torch.arange(g.rows * g.cols).reshape(g.rows, g.cols, 1) + 1000 * i
                for i, g in enumerate(grids)]  # fmt: skip
    rays = sample_rays(40, 2, 0)
    (tokens,) = sketch_of(rays, {"a": feature_map_of(numbered, grids)}).layers.values()
    for (view, x, y), token in zip(rays.tolist(), tokens[:, 0].tolist(), strict=True):
        grid = grids[int(view)]
        row, col = divmod(token - 1000 * int(view), grid.cols)
        assert 0 <= x * 150 + grid.pad_left - col * patch < patch
        assert 0 <= y * 100 + grid.pad_top - row * patch < patch


def features(view_set: ViewSet, patch: int, seed: int, dim: int = 8) -> dict[str, FeatureMap]:
    """Three layers; the second is the first, rotated; the third is independent."""
    grids = grids_of(view_set, patch)
    first = noise_tokens(grids, seed, dim)
    turn = torch.linalg.qr(torch.randn(dim, dim, generator=torch.Generator().manual_seed(9)))[0]
    layers = {
        "block_0": first,
        "block_1": [t @ turn for t in first],
        "block_2": noise_tokens(grids, seed + 50, dim),
    }
    return {name: feature_map_of(t, grids, name) for name, t in layers.items()}


def run(folder: Path, seed: int = 0, patch: int = 4, broken: bool = False) -> list[ItemScore]:
    task = FeatureSimilarity(tokens=128)
    state = task.prepare(context(folder, ("block_0", "block_1", "block_2")))
    for number, scene in enumerate(("one", "one", "two")):
        view_set = view_set_of([0, 30], scene)
        view_set = ViewSet(**{**vars(view_set), "set_id": str(number)})
        maps = features(view_set, patch, seed + number)
        if broken and scene == "two":
            maps["block_2"].tokens[0][:] = math.nan
            maps["block_2"].tokens[1][:] = math.nan
        task.update(state, TaskItem(view_set, maps))
    scores = task.finish(state)
    for score in scores:
        assert set(score.values) == {metric.key for metric in task.metrics}
    return scores


def test_the_task_scores_layers_per_scene(tmp_path: Path) -> None:
    scores = run(tmp_path)
    assert [(s.scene, s.layer) for s in scores] == [
        (scene, f"block_{i}") for scene in ("one", "two") for i in range(3)
    ]
    first, second, last = scores[:3]
    assert first.values["cka_next"] == pytest.approx(1.0, abs=1e-5)
    assert abs(second.values["cka_next"]) < 0.1 and math.isnan(last.values["cka_next"])
    assert last.values["cka_last"] == pytest.approx(1.0)
    assert first.values["num_sets"] == 2


def test_models_are_compared_from_their_folders(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("same", 0), ("other", 500)):
        run(tmp_path / name, seed)
    folders = {name: tmp_path / name / "sketches" for name in ("a", "same", "other")}
    equal = compare_sketches(folders["a"], folders["same"])
    assert equal.num_view_sets == 3 and equal.cka.shape == (3, 3)
    np.testing.assert_allclose(np.diag(equal.cka), 1.0)
    np.testing.assert_allclose(equal.cka, compare_sketches(folders["a"], folders["a"]).cka)
    assert np.abs(compare_sketches(folders["a"], folders["other"]).cka).max() < 0.1
    rows = equal.rows("A", "B")
    assert len(rows) == 9 and rows[1]["layer_b"] == "block_1" and rows[1]["value"] > 0.99
    files = [sorted(folder.glob("*.npz")) for folder in (folders["a"], folders["same"])]
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_models_of_different_grids_are_compared_on_the_same_rays(tmp_path: Path) -> None:
    """Tokens that say where they are agree, whatever the patch."""
    sketches = []
    view_set = view_set_of([0, 30])
    rays = sample_rays(128, 2, 0, "x")
    for patch in (4, 7):
        grids = grids_of(view_set, patch)
        tokens = [
            torch.stack(torch.meshgrid(torch.linspace(0, 1, g.rows), torch.linspace(0, 1, g.cols),
                                       indexing="ij"), dim=-1)
            for g in grids
        ]  # fmt: skip
        sketches.append(sketch_of(rays, {"place": feature_map_of(tokens, grids)}))
    for name, sketch in zip("ab", sketches, strict=True):
        write_sketch(tmp_path / name / "set.npz", sketch)
    assert compare_sketches(tmp_path / "a", tmp_path / "b").cka[0, 0] > 0.99


def test_broken_tokens_are_left_out_and_counted(tmp_path: Path) -> None:
    scores = run(tmp_path, broken=True)
    assert math.isnan(scores[3].values["cka_last"]) and scores[3].values["num_unscored_sets"] == 1
    assert scores[0].values["num_unscored_sets"] == 0
    folder = tmp_path / "sketches"
    assert compare_sketches(folder, folder).num_view_sets == 2


def test_mistakes_are_explained(tmp_path: Path) -> None:
    rays = sample_rays(16, 1, 0)
    sketch = Sketch(rays, {"a": np.random.default_rng(0).normal(size=(16, 3))})
    write_sketch(tmp_path / "a" / "x.npz", sketch)
    write_sketch(tmp_path / "b" / "x.npz", Sketch(rays + 0.001, sketch.layers))
    write_sketch(tmp_path / "c" / "y.npz", sketch)
    with pytest.raises(BenchError, match="different rays"):
        compare_sketches(tmp_path / "a", tmp_path / "b")
    with pytest.raises(BenchError, match="in common"):
        compare_sketches(tmp_path / "a", tmp_path / "c")
    (tmp_path / "a" / "x.npz").write_bytes(b"broken")
    with pytest.raises(BenchError, match="not a sketch"):
        read_sketch(tmp_path / "a" / "x.npz")
