"""PCA and k-means maps: same colours for the same surface, and pictures of them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import special_ortho_group
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from bench.errors import BenchError
from bench.geometry.components import Clusters, Components, Undefined, k_means, principal_components
from bench.geometry.matching import find_queries, lattice, lift
from bench.plots.artifacts import CellArtifacts, write_artifact_figures
from bench.plots.feature_maps import KINDS, contact_sheet, feature_maps, write_feature_maps
from bench.plots.map_colours import SceneMaps, coloured, read_scene_maps
from bench.plots.matches import COLOURS, MAX_PNG_COLOURS, Matches, matches
from bench.plots.picture_grid import DPI, MAX_HEIGHT, WIDTH, RowName, write_png
from bench.plots.similarity import layer_similarity
from bench.tasks.feature_similarity import FeatureSimilarity
from bench.tasks.geometric_matching import GeometricMatching
from bench.tasks.kmeans import BLANK, KMeansMaps
from bench.tasks.pca import PCAMaps
from bench.types import TaskItem, ViewSet
from tests.unit.hostile import HOSTILE
from tests.unit.sphere_scene import (
    camera_at,
    context,
    feature_map_of,
    grids_of,
    item_of,
    noise_tokens,
    oracle_tokens,
    view_of,
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
    assert isinstance(found, Components)
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
        assert isinstance(first, Components) and isinstance(second, Components)
        scale = np.std(second.scores, axis=0) / np.std(first.scores, axis=0)
        np.testing.assert_allclose(second.scores / scale, first.scores, atol=1e-6)


def test_clusters_are_numbered_by_brightness() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 90)
    rows = np.eye(5)[truth] + 0.01 * rng.normal(size=(90, 5))
    cues = np.array([7.0, 1.0, 4.0])[truth][:, None]
    found = k_means(rows, 3, cues, seed=0)
    assert isinstance(found, Clusters) and found.explained > 0.99
    assert (found.labels == np.array([2, 0, 1])[truth]).all()
    again = k_means(rows * rng.uniform(0.1, 9, (90, 1)), 3, cues, seed=5)
    assert isinstance(again, Clusters) and (again.labels == found.labels).all()


def test_clusters_agree_with_scikit_learn_s_on_unit_rows() -> None:
    """The same partition and share of variance, from its own fit."""
    rows, cues = example(count=300)
    found = k_means(rows, 4, cues, seed=3)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    reference = KMeans(4, n_init=2, random_state=3).fit(unit)
    assert isinstance(found, Clusters)
    assert adjusted_rand_score(found.labels, reference.labels_) == 1
    total = ((unit - unit.mean(0)) ** 2).sum()
    assert found.explained == pytest.approx(1 - reference.inertia_ / total, abs=1e-4)


def test_degenerate_rows_have_neither() -> None:
    rows, cues = example(count=5)
    flat = np.ones((50, 8)), 3, np.ones((50, 1))
    assert principal_components(rows, 3, cues) == Undefined("5 usable patches, 6 needed")
    assert principal_components(*flat) == Undefined("all features are equal")
    assert k_means(*flat, 0) == Undefined("1 different features, 3 needed")
    assert k_means(rows[:2], 3, cues[:2], 0) == Undefined("2 different features, 3 needed")
    assert k_means(rows[:0], 3, cues[:0], 0) == Undefined("0 different features, 3 needed")


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("dim", [2, 3, 12])
def test_components_beyond_the_rank_are_zero(rank: int, dim: int) -> None:
    """Rounding would otherwise fill a colour channel with noise."""
    rows, cues = example()
    low = rows[:, :rank] @ np.random.default_rng(1).normal(size=(rank, dim))
    found = principal_components(low, 3, cues)
    assert isinstance(found, Components)
    assert found.explained.sum() == pytest.approx(1)
    assert (found.scores[:, :rank].std(0) > 0.1).all() and not found.scores[:, rank:].any()
    shown = found.scores.reshape(2, 4, 10, 3)
    (pictures,) = coloured([maps_of(shown)], None)
    assert not np.stack(pictures)[..., rank:3].any()


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
    found, shown = {}, {}
    for name, tokens in (
        ("oracle", oracle_tokens(view_set, grids)),
        ("noise", noise_tokens(grids)),
    ):
        (scores,) = run(PCAMaps(), [item_of(view_set, tokens, grids)], tmp_path / name)
        assert scores["num_patches"] == 2 * 16 * 20 and scores["num_unscored_patches"] == 0
        maps = read_scene_maps(tmp_path / name / "pca" / "sphere--layer.npz", RowName(name))
        found[name] = disagreement(list(maps.maps), view_set, grids)
        (pictures,) = coloured([maps], None)
        shown[name] = disagreement([picture[..., :3] for picture in pictures], view_set, grids)
    for values in (found, shown):
        assert values["oracle"] < 0.15 < 0.5 < values["noise"]


def test_clusters_are_shared_by_the_views(tmp_path: Path) -> None:
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 7)
    item = item_of(view_set, oracle_tokens(view_set, grids), grids)
    (scores,) = run(KMeansMaps(clusters=4), [item], tmp_path)
    assert 0.5 < scores["explained_variance"] < 1
    maps = read_scene_maps(tmp_path / "kmeans" / "sphere--layer.npz", RowName("oracle"))
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
    (path,) = tmp_path.rglob("*.npz")
    maps = read_scene_maps(path, RowName("a"))
    assert len(maps.images) == 2 and not maps.maps and maps.reason
    assert coloured([maps], RowName("a")) == [[]]


def test_background_and_broken_patches_are_blank(tmp_path: Path) -> None:
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 7)
    tokens = noise_tokens(grids)
    tokens[0][8, 10] = math.nan
    item = item_of(view_set, tokens, grids)
    run(PCAMaps(foreground="mask"), [item], tmp_path)
    run(KMeansMaps(foreground="mask", clusters=3), [item], tmp_path)
    pca = read_scene_maps(tmp_path / "pca" / "sphere--layer.npz", RowName("a"))
    clusters = read_scene_maps(tmp_path / "kmeans" / "sphere--layer.npz", RowName("a"))
    blank = np.isnan(pca.maps[0]).all(-1)
    assert blank[8, 10] and blank[0, 0] and not blank[7, 9]
    assert ((clusters.maps[0] == BLANK) == blank).all()
    for row in (pca, clusters):
        (pictures,) = coloured([row], None)
        assert ((pictures[0][..., 3] == 0) == blank).all()


@pytest.mark.parametrize("task", [PCAMaps(foreground="mask"), KMeansMaps(foreground="mask")])
def test_a_foreground_without_patches_is_blank(task: Task, tmp_path: Path) -> None:
    empty = [replace(view, mask=torch.zeros(view.size).bool()) for view in view_set_of([0]).views]
    view_set = replace(view_set_of([0]), views=tuple(empty))
    grids = grids_of(view_set, 14)
    (scores,) = run(task, [item_of(view_set, oracle_tokens(view_set, grids), grids)], tmp_path)
    assert math.isnan(scores[next(iter(scores))]) and scores["num_patches"] == 0
    assert scores["num_unscored_patches"] == 8 * 10
    assert write_feature_maps({RowName("a"): tmp_path}, task.name, tmp_path / "x")


@pytest.mark.parametrize("task", [PCAMaps(), KMeansMaps(clusters=3)])
def test_views_of_different_sizes_share_one_picture(task: Task, tmp_path: Path) -> None:
    views = (view_of(camera_at(0)), view_of(camera_at(30), 140, 84))
    view_set = replace(view_set_of([0]), views=views)
    grids = grids_of(view_set, 14)
    (scores,) = run(task, [item_of(view_set, oracle_tokens(view_set, grids), grids)], tmp_path)
    assert scores["num_patches"] == 8 * 10 + 10 * 6
    (path,) = tmp_path.rglob("*.npz")
    maps = read_scene_maps(path, RowName("a"))
    figure = feature_maps([maps], coloured([maps], None))
    sizes = [axis.bbox.height / axis.bbox.width for axis in figure.axes]
    assert sizes == pytest.approx([112 / 140, 140 / 84] * 2, abs=0.01)


# Pictures


def maps_of(values: Any, label: str = "a", clusters: int | None = None) -> SceneMaps:
    image = np.zeros((20, 30, 3), np.uint8)
    extent = np.array([0.0, 30.0, 20.0, 0.0])
    name = RowName(label)
    return SceneMaps(name, (image, image), (values[0], values[1]), (extent, extent), clusters)


def blank_of(label: str, reason: str = "all features are equal") -> SceneMaps:
    image = np.zeros((20, 30, 3), np.uint8)
    return SceneMaps(RowName(label), (image, image), (), (), None, reason)


def words(figure: Figure) -> list[str]:
    texts = [text.get_text() for text in figure.texts]
    return texts + [text.get_text() for axis in figure.axes for text in axis.texts]


def test_colours_follow_the_reference() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 4, 6, 3))
    rotated = values @ special_ortho_group.rvs(3, random_state=1)
    rows = [maps_of(values), maps_of(rotated, "b")]
    aligned, own = coloured(rows, RowName("a")), coloured(rows, None)
    np.testing.assert_allclose(aligned[1][0], aligned[0][0], atol=0.12)
    assert np.abs(own[1][0] - own[0][0]).max() > 0.3
    labels = rng.integers(0, 5, (2, 4, 6)).astype(np.uint8)
    renamed = rng.permutation(5)[labels].astype(np.uint8)
    rows = [maps_of(labels, clusters=5), maps_of(renamed, "b", clusters=5)]
    first, second = coloured(rows, RowName("a"))
    np.testing.assert_array_equal(first[1], second[1])


def test_a_blank_reference_leaves_each_row_its_own_colours() -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    rows = [blank_of("a"), maps_of(values, "b")]
    for one, two in zip(coloured(rows, RowName("a")), coloured(rows, None), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.filterwarnings("error")
def test_a_reference_without_common_places_is_not_followed() -> None:
    """One saw the first view alone, the other the second."""
    first = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    second = first.copy()
    first[1], second[0] = np.nan, np.nan
    rows = [maps_of(first), maps_of(second, "b")]
    followed, own = coloured(rows, RowName("a")), coloured(rows, None)
    for one, two in zip(followed[1], own[1], strict=True):
        np.testing.assert_array_equal(one, two)
    assert not own[1][0][..., 3].any() and own[1][1][..., 3].all()


def test_rows_of_different_grids_are_aligned() -> None:
    y, x = np.mgrid[:8, :12]
    fine = np.stack([x / 12, y / 8, (x * y) % 5 / 9], axis=-1)[None].repeat(2, 0)
    coarse = fine[:, ::2, ::2]
    flipped = coarse * [-1, 1, 1]
    first, second = coloured([maps_of(fine), maps_of(flipped, "b")], RowName("a"))
    assert second[0].shape == (4, 6, 4)
    np.testing.assert_allclose(second[0][..., 0], first[0][::2, ::2, 0], atol=0.2)


def test_twenty_clusters_have_twenty_colours() -> None:
    labels = np.arange(40, dtype=np.uint8).reshape(2, 4, 5) % 20
    (pictures,) = coloured([maps_of(labels, clusters=20)], None)
    assert len(np.unique(pictures[0].reshape(-1, 4), axis=0)) == 20


def test_patches_are_sharp_squares_over_their_pixels(tmp_path: Path) -> None:
    """Also where the model padded: what lies beyond the image is cut off, and nothing is moved."""
    image = np.zeros((20, 30, 3), np.uint8)
    labels = np.array([[0, 1], [2, 3]], np.uint8)
    extent = np.array([-5.0, 35.0, 30.0, -10.0])
    row = SceneMaps(RowName("a"), (image,), (labels,), (extent,), clusters=4)
    pictures = coloured([row], None)
    figure = feature_maps([row], pictures)
    with Image.open(write_png(figure, tmp_path / "a.png")) as opened:
        drawn = np.asarray(opened).astype(float) / 255
    box = figure.axes[1].bbox
    left, right, bottom, top = (round(v) for v in (box.x0, box.x1, box.y0, box.y1))
    shown = drawn[drawn.shape[0] - top : drawn.shape[0] - bottom, left:right]
    y, x = (
        (np.arange(size) + 0.5) / size * edge
        for size, edge in zip(shown.shape[:2], (20, 30), strict=True)
    )
    expected = pictures[0][0][np.ix_(((y + 10) // 20).astype(int), ((x + 5) // 20).astype(int))]
    wrong = np.abs(shown - expected[..., :3]).max(-1) > 0.01
    assert wrong.mean() < 0.003  # a line of pixels on the edge of a patch


def test_a_row_without_maps_says_why() -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    rows = [maps_of(values), blank_of("b", "no patch")]
    pictures = coloured(rows, RowName("a"))
    assert words(feature_maps(rows, pictures)).count("no patch") == 2
    scenes = {"one": rows, "two": rows[:1]}
    sheet = contact_sheet(scenes, {"one": pictures, "two": pictures[:1]})
    found = words(sheet)
    assert (
        found.count("no patch") == 1
        and found.count("not\nmeasured") + found.count("not measured") == 1
    )


def test_a_model_is_named_once_for_all_its_layers() -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    names = [RowName("A", "block_1"), RowName("A", "block_2"), RowName("B")]
    rows = [replace(maps_of(values), name=name) for name in names]
    pictures = coloured(rows, names[0])
    for figure in (feature_maps(rows, pictures), contact_sheet({"s": rows}, {"s": pictures})):
        shown = words(figure)
        assert [shown.count(word) for word in ("A", "B", "block_1", "block_2")] == [1] * 4


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_stay_in_the_figure(label: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    rows = [replace(maps_of(values), name=RowName(label, layer)) for layer in ("x", label)]
    pictures = coloured(rows, None)
    figures = [feature_maps(rows, pictures), contact_sheet({label: rows}, {label: pictures})]
    for figure in figures:
        write_png(figure, tmp_path / "a.png")
        for text in figure.texts:
            box = text.get_window_extent()
            assert box.x0 > -2 and box.y0 > -2 and box.x1 < figure.bbox.x1 + 2, text.get_text()


def test_pictures_fit_a_page() -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    rows = [replace(maps_of(values), name=RowName("A", f"block_{i}")) for i in range(8)]
    width, height = feature_maps(rows, coloured(rows, None)).get_size_inches() * DPI
    assert width <= WIDTH and height <= MAX_HEIGHT


def saved_scenes(folder: Path) -> dict[RowName, Path]:
    """Artifacts of two models and two layers, with names that need not be safe."""
    view_set = view_set_of([0, 30])
    grids = grids_of(view_set, 14)
    tokens = {"oracle": oracle_tokens(view_set, grids), "noise": noise_tokens(grids)}
    found = {}
    for name, features in tokens.items():
        run(PCAMaps(), [item_of(view_set, features, grids)], folder / name)
        run(KMeansMaps(clusters=3), [item_of(view_set, features, grids)], folder / name)
        found[RowName(name)] = folder / name
    return found


def test_figures_are_written_with_equal_bytes(tmp_path: Path) -> None:
    """In another process too, with its own hashes and addresses."""
    folders = saved_scenes(tmp_path)
    code = (
        "import sys; from pathlib import Path; from bench.plots.feature_maps import *;"
        "root = Path(sys.argv[1]); names = [RowName(n) for n in ('oracle', 'noise')];"
        "rows = {n: root / n.model for n in names};"
        "[write_feature_maps(rows, k, root / sys.argv[2] / k, names[0]) for k in KINDS]"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-c", code, str(tmp_path), "other"]
    subprocess.run(command, check=True, env=environment)
    for kind in KINDS:
        written = write_feature_maps(folders, kind, tmp_path / "own" / kind, RowName("oracle"))
        assert [path.name for path in written] == [
            f"{kind}_sphere.png",
            f"{kind}_contact_sheet.png",
        ]
        for path in written:
            assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()
    assert write_feature_maps({RowName("a"): tmp_path / "empty"}, "pca", tmp_path / "z") == []


def test_many_rows_take_several_figures(tmp_path: Path) -> None:
    (place,) = list(saved_scenes(tmp_path).values())[:1]
    rows = {RowName("A", f"block_{i}"): place for i in range(9)}
    written = write_feature_maps(rows, "pca", tmp_path / "pca")
    assert [path.name for path in written] == [
        "pca_sphere_1.png", "pca_sphere_2.png", "pca_contact_sheet_1.png",
        "pca_contact_sheet_2.png",
    ]  # fmt: skip


def test_a_run_s_artifacts_become_figures(tmp_path: Path) -> None:
    """Also where the reference has no map of a scene, and where a task is there twice."""
    cells = []
    tasks: list[tuple[Any, str]] = [
        (PCAMaps(), "pca"),
        (PCAMaps(foreground="mask"), "on the sphere"),
        (GeometricMatching(save_matches=True), ""),
        (FeatureSimilarity(tokens=64), ""),
    ]
    for number, model in enumerate(("A", "B b")):
        for place, (task, label) in zip(range(4), tasks, strict=True):
            folder = tmp_path / f"{number}-{place}"
            state: Any = task.prepare(context(folder, ("layer",), model))
            for scene in ("one", "two")[: number + 1]:
                view_set = view_set_of([0, 30], scene)
                grids = grids_of(view_set, 14)
                tokens = noise_tokens(grids, number)
                names = ("a", "b") if task.layers == "group" else ("layer",)
                features = {name: feature_map_of(tokens, grids, name) for name in names}
                item = TaskItem(view_set, features)
                task.update(state, item)
                task.score(state, item)
            task.finish(state)
            cells.append(CellArtifacts(model, "layer", "spheres", task.name, folder, label))
    written = write_artifact_figures(cells, tmp_path / "figures")
    assert sorted(path.name for path in written if path.suffix == ".png") == [
        "cka_A.png", "cka_A_B-b-90c71e.png", "cka_B-b-90c71e.png", "matches_one.png",
        "matches_two.png", "pca_on-the-sphere-dddbb5_contact_sheet.png",
        "pca_on-the-sphere-dddbb5_one.png", "pca_on-the-sphere-dddbb5_two.png",
        "pca_pca_contact_sheet.png", "pca_pca_one.png", "pca_pca_two.png",
    ]  # fmt: skip
    assert all(path.parent == tmp_path / "figures" / "spheres" for path in written)
    with pytest.raises(BenchError, match="No model is called 'C'"):
        write_artifact_figures(cells, tmp_path / "figures", reference="C")


def test_the_colours_come_from_the_last_layer_of_the_reference(tmp_path: Path) -> None:
    cells = [
        CellArtifacts(name.model, layer, "spheres", "pca", place)
        for name, place in saved_scenes(tmp_path).items()
        for layer in ("a", "b")
    ]
    looks: list[dict[str, Any]] = [{}, {"reference": "oracle"}, {"reference": "noise"}]
    drawn = []
    for i, look in enumerate([*looks, {"align": False}]):
        write_artifact_figures(cells, tmp_path / f"{i}", **look)
        drawn.append((tmp_path / f"{i}" / "spheres" / "pca_contact_sheet.png").read_bytes())
    assert drawn[0] == drawn[1] and len(set(drawn)) == 3


def test_similarity_of_few_layers_with_many_takes_no_empty_room() -> None:
    rows = [("A", "B", f"block_{i}", "output", 0.5) for i in range(4)]
    frame = pd.DataFrame(rows, columns=["model_a", "model_b", "layer_a", "layer_b", "value"])
    figure = layer_similarity(frame).figure
    width, height = figure.get_size_inches()
    assert width < height
    figure.canvas.draw()
    box = figure.axes[0].get_tightbbox()
    assert box is not None and box.x0 < 0.25 * figure.bbox.width


def test_matches_by_class_of_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = np.zeros((40, 60, 3), np.uint8)
    points = rng.uniform(0, 40, (5, 2))
    errors = np.array([1.0, 17.0, 25.0, 60.0, np.inf])
    none = points[:0]
    rows = [
        Matches(RowName("one"), image, image[:20, :30], points, points / 2, errors, 640.0),
        Matches(RowName("none", "block_3"), image, image, none, none, errors[:0], 640.0),
    ]
    plot = matches(rows)
    assert plot.data["within_20px"].tolist()[0] == 0.4
    assert plot.data["num_matches"].tolist() == [5, 0]
    one, none_panel, bar = plot.figure.axes
    lines = [found for found in one.collections if isinstance(found, LineCollection)]
    drawn = np.concatenate([found.get_edgecolor() for found in lines if found.get_paths()])
    np.testing.assert_array_equal(drawn, to_rgba_array(COLOURS))
    assert "no matches" in words(plot.figure) and "none, block_3" in words(plot.figure)
    assert "[px" in bar.get_xlabel() and none_panel.images
    files = [
        write_png(matches(rows).figure, tmp_path / f"{i}.png", MAX_PNG_COLOURS) for i in range(2)
    ]
    assert files[0].read_bytes() == files[1].read_bytes()
    with Image.open(files[0]) as picture:
        assert picture.info["dpi"][0] == pytest.approx(DPI, abs=0.1)
