"""Formulas of the trained probes against slow implementations of their own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import root_mean_squared_error
from torch.nn.functional import normalize

from bench.geometry.depth import align_affine, align_median, depth_scores, relative_depth
from bench.geometry.normals import angles_deg, normal_scores, normals_from_depth
from bench.probes.objectives import depth_loss, depth_objective, gradient_loss, normal_loss
from tests.unit.sphere_scene import camera_at, view_of


def test_depth_scores_by_hand_and_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(1, 5, 200)
    predicted = true * rng.uniform(0.5, 2, 200)
    t, p = torch.from_numpy(true), torch.from_numpy(predicted)
    scores = depth_scores(p, t)
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(true, predicted))
    ratio = np.maximum(predicted / true, true / predicted)
    for k in (1, 2, 3):
        assert scores[f"delta{k}"] == pytest.approx(np.mean(ratio < 1.25**k))
    assert scores["abs_rel"] == pytest.approx(np.mean(np.abs(predicted - true) / true))
    assert depth_scores(t, t) == {"delta1": 1, "delta2": 1, "delta3": 1, "rmse": 0, "abs_rel": 0}
    assert depth_scores(t[:0], t[:0]) == {}
    assert math.isfinite(depth_scores(-t, t)["rmse"])


@pytest.mark.parametrize("seed", range(5))
def test_alignment_is_least_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, t = rng.uniform(1, 5, (2, 50))
    design = np.stack([p, np.ones(50)], axis=1)
    (scale, shift), *_ = np.linalg.lstsq(design, t, rcond=None)
    found = align_affine(torch.from_numpy(p), torch.from_numpy(t))
    np.testing.assert_allclose(found, scale * p + shift, rtol=1e-10)
    np.testing.assert_allclose(align_affine(3 * torch.from_numpy(t) - 1, torch.from_numpy(t)), t)


def test_a_constant_is_only_shifted() -> None:
    true = torch.linspace(1, 5, 50, dtype=torch.float64)
    torch.testing.assert_close(align_affine(torch.ones(50).double(), true), true.mean().expand(50))
    torch.testing.assert_close(align_median(4 * true, true), true)


def test_relative_depth_spans_its_own_range() -> None:
    depth = torch.tensor([[0.0, 2.0], [3.0, 6.0]])
    expected = torch.tensor([[0.0, 0.01], [0.2575, 1.0]])
    torch.testing.assert_close(relative_depth(depth), expected)
    assert not relative_depth(torch.zeros(2, 2)).any()


def test_normals_of_a_sphere_and_a_wall() -> None:
    view = view_of(camera_at(30), 120, 150)
    assert view.depth is not None and view.intrinsics is not None and view.normals is not None
    found = normals_from_depth(view.depth, view.intrinsics)
    known = found.norm(dim=0) > 0
    torch.testing.assert_close(found.norm(dim=0)[known], torch.ones(int(known.sum())))
    assert not known[0].any() and not known[:, -1].any()
    angles = angles_deg(found[:, known].T, view.normals[:, known].T)
    assert float(angles.median()) < 0.5 and float(angles.quantile(0.99)) < 8
    # The sphere's silhouette is a depth edge; most of everything else is known.
    assert 0.9 < float(known[1:-1, 1:-1].float().mean()) < 1
    shifted = view.intrinsics.clone()
    shifted[0, 2] += 40
    wrong = normals_from_depth(view.depth, shifted)
    assert float(angles_deg(wrong[:, known].T, view.normals[:, known].T).median()) > 3


def test_normals_face_the_camera_and_shun_unknown_depth() -> None:
    depth = torch.full((9, 9), 2.0)
    depth[4, 4] = 0
    intrinsics = torch.tensor([[50.0, 0, 4.5], [0, 50, 4.5], [0, 0, 1]])
    found = normals_from_depth(depth, intrinsics)
    torch.testing.assert_close(found[:, 2, 2], torch.tensor([0.0, 0.0, -1.0]))
    blank = found.norm(dim=0) == 0
    assert blank[4, 3:6].all() and blank[3:6, 4].all() and not blank[3, 3]


def test_angles_by_hand() -> None:
    true = torch.tensor([[0.0, 0, -1]]).expand(4, 3)
    predicted = torch.tensor([[0.0, 0, -3], [0, 1, -1], [0, 0, 1], [0, 0, 0]])
    angles = angles_deg(predicted, true)
    torch.testing.assert_close(angles, torch.tensor([0.0, 45, 180, 90]).double())
    scores = normal_scores(angles)
    assert scores["within_30deg"] == 0.25 and scores["mean_deg"] == pytest.approx(78.75)
    assert scores["rmse_deg"] == pytest.approx(float(np.sqrt(np.mean([0, 45**2, 180**2, 90**2]))))
    assert normal_scores(angles[:0]) == {}


Array = NDArray[np.float64]


def pixels(known: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Image, row and column of every known pixel."""
    images, rows, cols = known.shape
    for place in itertools.product(range(images), range(rows), range(cols)):
        if known[place]:
            yield place


def slow_scale_invariant(g: Array, known: NDArray[np.bool_]) -> float:
    values = [g[place] for place in pixels(known)]
    mean = sum(values) / len(values)
    return math.sqrt(sum(v * v for v in values) / len(values) - 0.85 * mean * mean)


def slow_gradient(g: Array, known: NDArray[np.bool_]) -> float:
    total = 0.0
    for stride in (1, 2, 4, 6):
        thin, ok = g[:, ::stride, ::stride], known[:, ::stride, ::stride]
        for down, right in ((0, 1), (1, 0)):
            steps = []
            for image, row, col in pixels(ok):
                other = (image, row + down, col + right)
                if other[1] < ok.shape[1] and other[2] < ok.shape[2] and ok[other]:
                    steps.append(abs(thin[other] - thin[image, row, col]))
            total += sum(steps) / max(1, len(steps))
    return total


@pytest.mark.parametrize("seed", range(3))
def test_depth_loss_by_the_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, t = rng.uniform(1, 3, (2, 2, 9, 11))
    known = rng.random((2, 9, 11)) < 0.7
    g = np.log(p + 1e-3) - np.log(t + 1e-3)
    expected = 10 * slow_scale_invariant(g, known) + 0.5 * slow_gradient(g, known)
    unknown_is_zero = np.where(known, t, 0.0)
    predicted, true = (torch.from_numpy(a)[:, None] for a in (p, unknown_is_zero))
    assert float(depth_loss(predicted, true, torch.from_numpy(known))) == pytest.approx(expected)


def test_depth_loss_of_the_truth_and_of_a_factor() -> None:
    true = torch.rand(2, 1, 9, 11, dtype=torch.float64) + 1
    known = torch.ones(2, 9, 11, dtype=torch.bool)
    assert float(depth_loss(true, true, known)) == pytest.approx(10 * 1e-4)
    # A factor c leaves no gradient and sqrt(0.15) |ln c|.
    factor = float(depth_loss(1.3 * true + 0.3e-3, true, known))
    assert factor == pytest.approx(10 * math.sqrt(0.15) * math.log(1.3))
    nothing = torch.zeros(2, 9, 11, dtype=torch.bool)
    assert math.isfinite(float(depth_loss(true, 0 * true, nothing)))
    assert float(gradient_loss(torch.ones(1, 1, 9, 9), torch.ones(1, 1, 9, 9) > 0)) == 0


def test_unknown_pixels_have_no_say() -> None:
    torch.manual_seed(0)
    known = torch.rand(2, 9, 11) < 0.7
    for loss, channels, outputs in ((depth_loss, 1, 1), (normal_loss, 3, 4)):
        true = normalize(torch.rand(2, channels, 9, 11) + 0.5, dim=1)
        predicted = (torch.rand(2, outputs, 9, 11) + 0.5).requires_grad_()
        value = loss(predicted, torch.where(known[:, None], true, 0.0), known)
        value.backward()  # type: ignore[no-untyped-call]
        assert predicted.grad is not None and torch.isfinite(predicted.grad).all()
        assert not predicted.grad[(~known[:, None]).expand_as(predicted)].any()
        other = torch.where(known[:, None], predicted.detach(), 7.0)
        assert float(loss(other, true, known)) == pytest.approx(value.item(), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_normal_loss_by_the_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    output = torch.from_numpy(rng.normal(size=(2, 4, 3, 3)))
    true = normalize(torch.from_numpy(rng.normal(size=(2, 3, 3, 3))), dim=1)
    known = rng.random((2, 3, 3)) < 0.7
    total = []
    for n, i, j in pixels(known):
        direction, raw = output[n, :3, i, j].numpy(), float(output[n, 3, i, j])
        angle = math.acos(direction @ true[n, :, i, j].numpy() / np.linalg.norm(direction))
        k = (raw if raw > 0 else math.exp(raw) - 1) + 1.01
        total.append(math.log(1 + math.exp(-k * math.pi)) - math.log(k * k + 1) + k * angle)
    found = normal_loss(output, true, torch.from_numpy(known))
    assert float(found) == pytest.approx(np.mean(total))


@pytest.mark.parametrize("certainty", [0.1, 1.0, 5.0])
def test_the_normal_loss_is_minus_the_log_of_a_density(certainty: float) -> None:
    """exp(-loss) / (2 pi) integrates to one over the sphere (Bae et al., AngMF)."""
    angle = torch.linspace(0, math.pi, 500, dtype=torch.float64)[1:-1]
    raw = certainty - 1.01 if certainty > 1.01 else math.log(certainty - 0.01)
    up = torch.tensor([0.0, 0.0, 1.0]).double()[None, :, None, None]
    densities = []
    for a in angle:
        output = torch.tensor([a.sin(), 0.0, a.cos(), raw]).double()[None, :, None, None]
        loss = normal_loss(output, up, torch.ones(1, 1, 1) > 0)
        densities.append(torch.exp(-loss) * a.sin())
    assert float(torch.trapezoid(torch.stack(densities), angle)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("bins", [64, 256])
def test_bins_are_a_weighted_mean_of_centres(bins: int) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, bins, 3, 2))
    found = depth_objective(10.0, bins).read(torch.from_numpy(logits))
    assert found.shape == (2, 1, 3, 2)
    for n, i, j in np.ndindex(2, 3, 2):
        weights = [max(0.0, logit) + 0.1 for logit in logits[n, :, i, j]]
        centres = [0.001 + k * (10.0 - 0.001) / (bins - 1) for k in range(bins)]
        expected = sum(w * c for w, c in zip(weights, centres, strict=True)) / sum(weights)
        assert float(found[n, 0, i, j]) == pytest.approx(expected)


def test_bins_cover_the_range() -> None:
    read = depth_objective(10.0, 64).read
    logits = torch.full((1, 64, 1, 1), -5.0)
    assert float(read(logits)) == pytest.approx(5.0, abs=0.01)
    for index, depth in ((0, 0.001), (63, 10.0)):
        sharp = logits.clone()
        sharp[0, index] = 1e6
        assert float(read(sharp)) == pytest.approx(depth, abs=0.01)
