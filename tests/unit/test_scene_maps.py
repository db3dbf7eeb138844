"""PCA and k-means maps: same colours for the same surface, and pictures of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import special_ortho_group
from sklearn.decomposition import PCA

from bench.geometry.components import k_means, principal_components
from bench.geometry.matching import find_queries, lattice, lift
from bench.plots.artifacts import CellArtifacts, write_artifact_figures
from bench.plots.feature_maps import (
    SceneMaps,
    coloured,
    contact_sheet,
    feature_maps,
    read_scene_maps,
    write_feature_maps,
    write_png,
)
from bench.plots.matches import Matches, matches
from bench.tasks.feature_similarity import FeatureSimilarity
from bench.tasks.geometric_matching import GeometricMatching
from bench.tasks.kmeans import BLANK, KMeansMaps
from bench.tasks.pca import PCAMaps
from bench.types import TaskItem, ViewSet
from tests.unit.sphere_scene import (
    context,
    grids_of,
    item_of,
    noise_tokens,
    oracle_tokens,
    view_set_of,
)

Task = PCAMaps | KMeansMaps


def example(seed: int = 0, count: int = 80, dim: int = 12) -> tuple[Any, Any]:
    """Rows of falling variance, and cues of which the first follows the first component."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, dim)) * np.linspace(3, 0.2, dim)
    cues = np.stack([rows[:, 0] + rows[:, 1] + rows[:, 2], *rng.normal(size=(2, count))], axis=1)
    return rows, cues


def run(task: Task, items: list[TaskItem], folder: Path) -> list[dict[str, float]]:
    state = task.prepare(context(folder))
    for item in items:
        task.update(state, item)
    scores = task.finish(state)
    for score in scores:
        assert set(score.values) == {metric.key for metric in task.metrics}
    return [dict(score.values) for score in scores]


# Pure functions


def test_components_agree_with_a_full_decomposition() -> None:
    rows, cues = example()
    found = principal_components(rows, 3, cues)
    reference = PCA(3, svd_solver="full").fit(rows)
    assert found is not None
    np.testing.assert_allclose(np.abs(found.scores), np.abs(reference.transform(rows)), atol=1e-8)
    np.testing.assert_allclose(found.explained, reference.explained_variance_ratio_)
    for component in found.scores.T:
        assert np.corrcoef(component, cues[:, 0])[0, 1] > 0


def test_signs_do_not_depend_on_the_basis() -> None:
    """A backbone whose channels are rotated or negated gives the same picture."""
    rows, cues = example()
    rotation = special_ortho_group.rvs(rows.shape[1], random_state=0)
    first = principal_components(rows, 3, cues)
    for other in (-rows, rows @ rotation, 5 * rows + 2):
        second = principal_components(other, 3, cues)
        assert first is not None and second is not None
        scale = np.std(second.scores, axis=0) / np.std(first.scores, axis=0)
        np.testing.assert_allclose(second.scores / scale, first.scores, atol=1e-6)


def test_clusters_are_numbered_by_brightness() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 90)
    rows = np.eye(5)[truth] + 0.01 * rng.normal(size=(90, 5))
    cues = np.array([7.0, 1.0, 4.0])[truth][:, None]
    found = k_means(rows, 3, cues, seed=0)
    assert found is not None and found.explained > 0.99
    assert (found.labels == np.array([2, 0, 1])[truth]).all()
    again = k_means(rows * rng.uniform(0.1, 9, (90, 1)), 3, cues, seed=5)
    assert again is not None and (again.labels == found.labels).all()


def test_degenerate_rows_have_neither() -> None:
    rows, cues = example(count=5)
    assert principal_components(rows, 3, cues) is None
    assert principal_components(np.ones((50, 8)), 3, np.ones((50, 1))) is None
    assert k_means(np.ones((50, 8)), 3, np.ones((50, 1)), 0) is None
    assert k_means(rows[:2], 3, cues[:2], 0) is None


# Tasks


def disagreement(values: list[Any], view_set: ViewSet, grids: Any) -> float:
    """Median difference of map values at corresponding patches, in standard deviations."""
    spread = np.concatenate([v.reshape(-1, 3) for v in values]).std(0)
    a, b = view_set.views
    queries = find_queries(a, b, lift(a, lattice(grids[0], 1)), metric=True, occlusion=True)
    keep = queries.visible
    cells = (queries.targets[keep] / grids[1].stride).floor().long().numpy()
    first = values[0].reshape(-1, 3)[queries.index[keep].numpy()]
    second = values[1][cells[:, 1], cells[:, 0]]
    return float(np.median(np.abs(first - second) / spread))


def test_one_surface_has_one_colour_in_every_view(tmp_path: Path) -> None:
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 7)
    found = {}
    for name, tokens in (
        ("oracle", oracle_tokens(view_set, grids)),
        ("noise", noise_tokens(grids)),
    ):
        (scores,) = run(PCAMaps(), [item_of(view_set, tokens, grids)], tmp_path / name)
        assert scores["num_patches"] == 2 * 16 * 20 and scores["num_unscored_patches"] == 0
        maps = read_scene_maps(tmp_path / name / "pca" / "sphere--layer.npz", name)
        found[name] = disagreement(list(maps.maps), view_set, grids)
    assert found["oracle"] < 0.15 < 0.5 < found["noise"]


def test_clusters_are_shared_by_the_views(tmp_path: Path) -> None:
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 7)
    item = item_of(view_set, oracle_tokens(view_set, grids), grids)
    (scores,) = run(KMeansMaps(clusters=4), [item], tmp_path)
    assert 0.5 < scores["explained_variance"] < 1
    maps = read_scene_maps(tmp_path / "kmeans" / "sphere--layer.npz", "oracle")
    assert maps.clusters == 4
    assert set(np.unique(maps.maps[0])) == set(np.unique(maps.maps[1])) == {0, 1, 2, 3}


@pytest.mark.parametrize("task", [PCAMaps(), KMeansMaps(clusters=3)])
def test_one_set_per_scene_and_equal_bytes(task: Task, tmp_path: Path) -> None:
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 14)
    other = ViewSet(**{**vars(view_set), "set_id": "1"})
    items = [item_of(v, oracle_tokens(v, grids), grids) for v in (view_set, other)]
    for name in ("one", "two"):
        assert len(run(task, items, tmp_path / name)) == 1
    first, second = (list((tmp_path / name).rglob("*.npz")) for name in ("one", "two"))
    assert len(first) == 1 and first[0].read_bytes() == second[0].read_bytes()


@pytest.mark.parametrize("task", [PCAMaps(), KMeansMaps()])
@pytest.mark.parametrize("value", [math.nan, 1.0])
def test_features_without_content_are_unscored(task: Task, value: float, tmp_path: Path) -> None:
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 14)
    tokens = [torch.full((g.rows, g.cols, 8), value) for g in grids]
    (scores,) = run(task, [item_of(view_set, tokens, grids)], tmp_path)
    assert math.isnan(scores[next(iter(scores))])
    assert (scores["num_unscored_patches"] > 0) == math.isnan(value)
    assert not list(tmp_path.rglob("*.npz"))


def test_background_and_broken_patches_are_blank(tmp_path: Path) -> None:
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 7)
    tokens = noise_tokens(grids)
    tokens[0][8, 10] = math.nan
    item = item_of(view_set, tokens, grids)
    run(PCAMaps(foreground="mask"), [item], tmp_path)
    run(KMeansMaps(foreground="mask", clusters=3), [item], tmp_path)
    pca = read_scene_maps(tmp_path / "pca" / "sphere--layer.npz", "")
    clusters = read_scene_maps(tmp_path / "kmeans" / "sphere--layer.npz", "")
    blank = np.isnan(pca.maps[0]).all(-1)
    assert blank[8, 10] and blank[0, 0] and not blank[7, 9]
    assert ((clusters.maps[0] == BLANK) == blank).all()
    for row in (pca, clusters):
        (pictures,) = coloured([row], None)
        assert ((pictures[0][..., 3] == 0) == blank).all()


# Pictures


def maps_of(values: Any, label: str = "a", clusters: int | None = None) -> SceneMaps:
    image = np.zeros((20, 30, 3), np.uint8)
    extent = np.array([0.0, 30.0, 20.0, 0.0])
    return SceneMaps(label, (image, image), (values[0], values[1]), (extent, extent), clusters)


def test_colours_follow_the_reference() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 4, 6, 3))
    rotated = values @ special_ortho_group.rvs(3, random_state=1)
    rows = [maps_of(values), maps_of(rotated, "b")]
    aligned, own = coloured(rows, "a"), coloured(rows, None)
    np.testing.assert_allclose(aligned[1][0], aligned[0][0], atol=0.12)
    assert np.abs(own[1][0] - own[0][0]).max() > 0.3
    labels = rng.integers(0, 5, (2, 4, 6)).astype(np.uint8)
    renamed = rng.permutation(5)[labels].astype(np.uint8)
    rows = [maps_of(labels, clusters=5), maps_of(renamed, "b", clusters=5)]
    first, second = coloured(rows, "a")
    np.testing.assert_array_equal(first[1], second[1])


def test_rows_of_different_grids_are_aligned() -> None:
    y, x = np.mgrid[:8, :12]
    fine = np.stack([x / 12, y / 8, (x * y) % 5 / 9], axis=-1)[None].repeat(2, 0)
    coarse = fine[:, ::2, ::2]
    flipped = coarse * [-1, 1, 1]
    first, second = coloured([maps_of(fine), maps_of(flipped, "b")], "a")
    assert second[0].shape == (4, 6, 4)
    np.testing.assert_allclose(second[0][..., 0], first[0][::2, ::2, 0], atol=0.2)


def test_figures_are_written_with_equal_bytes(tmp_path: Path) -> None:
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 14)
    for name, tokens in (
        ("oracle", oracle_tokens(view_set, grids)),
        ("noise", noise_tokens(grids)),
    ):
        run(PCAMaps(), [item_of(view_set, tokens, grids)], tmp_path / name)
    folders = {"oracle": tmp_path / "oracle", "noise": tmp_path / "noise"}
    written = [write_feature_maps(folders, "pca", tmp_path / out) for out in ("x", "y")]
    assert [path.name for path in written[0]] == ["pca_sphere.png", "pca_contact_sheet.png"]
    for first, second in zip(*written, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert write_feature_maps(folders, "kmeans", tmp_path / "z") == []
    rows = [read_scene_maps(path / "pca" / "sphere--layer.npz", n) for n, path in folders.items()]
    assert len(feature_maps(rows).axes) == 3 * 2
    assert len(contact_sheet({"sphere": rows}).axes) == 3


def test_a_run_s_artifacts_become_figures(tmp_path: Path) -> None:
    """Also where the reference has no map of a scene."""
    cells = []
    for number, model in enumerate(("A", "B b")):
        for task in (PCAMaps(), GeometricMatching(save_matches=True), FeatureSimilarity(tokens=64)):
            place = tmp_path / f"{number}-{task.name}"
            state: Any = task.prepare(context(place, ("layer",), model))
            for scene in ("one", "two")[: number + 1]:
                view_set = view_set_of([0, 30], scene)
                grids = grids_of(view_set, 14)
                item = item_of(view_set, noise_tokens(grids, number), grids)
                task.update(state, item)
                task.score(state, item)
            task.finish(state)
            cells.append(CellArtifacts(model, "layer", "spheres", task.name, place))
    written = write_artifact_figures(cells, tmp_path / "figures")
    assert sorted(path.name for path in written if path.suffix == ".png") == [
        "cka_A.png", "cka_A_B-b-90c71e.png", "cka_B-b-90c71e.png", "matches_one.png",
        "matches_two.png", "pca_contact_sheet.png", "pca_one.png", "pca_two.png",
    ]  # fmt: skip
    assert all(path.parent == tmp_path / "figures" / "spheres" for path in written)


def test_matches_by_class_of_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = np.zeros((40, 60, 3), np.uint8)
    points = rng.uniform(0, 40, (4, 2))
    errors = np.array([1.0, 7.0, 15.0, np.inf])
    rows = [Matches("one", image, image[:20, :30], points, points / 2, errors, 640.0),
            Matches("none", image, image, points[:0], points[:0], errors[:0], 640.0)]  # fmt: skip
    plot = matches(rows)
    assert plot.data["within_10px"].tolist()[0] == 0.5 and plot.data["num_matches"].tolist() == [
        4,
        0,
    ]
    assert write_png(plot.figure, tmp_path / "matches.png").stat().st_size > 1000
