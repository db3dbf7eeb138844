"""Drawing view sets, and what sees what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.datasets._covisibility import PosedDepth, covisibility, overlap
from bench.datasets._sampling import sample_view_sets, thin
from bench.datasets._scene import Frame, pinhole, rotation_from_quaternion
from bench.errors import BenchError
from tests.rooms import RoomView, room


def chain(count: int) -> NDArray[np.float64]:
    """Only consecutive views see each other."""
    return np.eye(count) + 0.5 * (np.eye(count, k=1) + np.eye(count, k=-1))


def test_walks_stay_on_the_graph() -> None:
    for views in sample_view_sets(chain(12), 4, 20, 0.25, "k"):
        span = sorted(views)
        assert span == list(range(span[0], span[0] + 4))


def test_all_sets_are_found_and_none_twice() -> None:
    """A chain of 6 has exactly three connected sets of 4."""
    found = sample_view_sets(chain(6), 4, 50, 0.25, "k")
    assert {frozenset(views) for views in found} == {
        frozenset(range(start, start + 4)) for start in range(3)
    }
    assert len(found) == 3


def test_islands_give_nothing() -> None:
    assert sample_view_sets(np.eye(8), 2, 5, 0.25, "k") == []
    assert sample_view_sets(np.zeros((0, 0)), 2, 5, 0.25, "k") == []
    assert sample_view_sets(np.zeros((3, 3)), 2, 5, 0.0, "k") == []


def test_steps_back_from_dead_ends() -> None:
    """On a star every set but those that begin at the middle needs a step back."""
    star = np.eye(5)
    star[0, :] = star[:, 0] = 1
    found = sample_view_sets(star, 4, 10, 0.25, "k")
    assert len(found) == 4
    assert all(0 in views for views in found)


def test_shares_are_relative_to_what_a_view_sees_of_itself() -> None:
    """Holes in the depth lower all shares of a view alike."""
    holes = np.array([[0.5, 0.2], [0.2, 0.5]])
    assert len(sample_view_sets(holes, 2, 1, 0.39, "k")) == 1
    assert sample_view_sets(holes, 2, 1, 0.41, "k") == []


@given(
    st.integers(2, 9), st.integers(2, 5), st.integers(0, 2**32 - 1), st.integers(1, 8), st.text()
)
@settings(max_examples=25, deadline=None)
def test_sets_are_sets(n: int, size: int, seed: int, count: int, key: str) -> None:
    shares = np.random.default_rng(seed).uniform(0, 1, (n, n))
    np.fill_diagonal(shares, 1)
    found = sample_view_sets(shares, size, count, 0.5, key)
    assert found == sample_view_sets(shares, size, count, 0.5, key)
    assert len(found) <= count
    assert len({frozenset(views) for views in found}) == len(found)
    for views in found:
        assert len(set(views)) == size
        assert set(views) <= set(range(n))
    # A longer list begins with the shorter one.
    assert sample_view_sets(shares, size, count + 3, 0.5, key)[: len(found)] == found


def test_the_draw_is_the_same_everywhere() -> None:
    """Published lists must not move with a Python or NumPy version."""
    drawn = sample_view_sets(np.ones((20, 20)), 4, 3, 0.25, "demo/room/0")
    assert drawn == [(10, 0, 8, 6), (1, 9, 4, 5), (9, 17, 16, 5)]


@given(st.integers(1, 300), st.integers(1, 50))
def test_thinning(count: int, limit: int) -> None:
    kept = thin(count, limit)
    assert len(kept) == min(count, limit) == len(set(kept))
    assert kept == sorted(kept)
    assert kept[0] == 0
    if limit > 1:
        assert kept[-1] == count - 1


def posed(view: RoomView) -> PosedDepth:
    return PosedDepth(view.depth.astype(np.float32), view.intrinsics, view.camera_from_world)


def test_overlap_in_a_closed_room() -> None:
    """Nothing is occluded in a convex room, so whatever lands inside agrees."""
    a, b = room(2, size=(96, 128), focal=120.0)
    shares = overlap(posed(a), posed(b))
    assert 0.5 < shares.inside < 1
    assert shares.consistent > 0.999
    assert shares.visible == pytest.approx(shares.inside, abs=1e-3)
    assert shares.depth_error < 2e-3
    same = overlap(posed(a), posed(a))
    assert (same.inside, same.visible, same.consistent, same.consistent_not_occluded) == (
        1,
        1,
        1,
        1,
    )
    assert same.depth_error < 1e-6


def test_overlap_tells_occlusion_from_contradiction() -> None:
    wall = PosedDepth(np.full((20, 20), 4.0, np.float32), pinhole(20, 20, 10, 10), np.eye(4))
    screen = np.full((20, 20), 4.0, np.float32)
    screen[:, :10] = 2.0
    hidden = overlap(wall, PosedDepth(screen, wall.intrinsics, wall.camera_from_world))
    assert (hidden.inside, hidden.visible, hidden.consistent) == (1, 0.5, 0.5)
    assert hidden.consistent_not_occluded == 1
    screen[:, :10] = 6.0
    wrong = overlap(wall, PosedDepth(screen, wall.intrinsics, wall.camera_from_world))
    assert wrong.consistent == wrong.consistent_not_occluded == 0.5
    screen[:, :10] = 0.0
    unknown = overlap(wall, PosedDepth(screen, wall.intrinsics, wall.camera_from_world))
    assert (unknown.visible, unknown.consistent) == (0.5, 1)


def test_overlap_of_views_back_to_back() -> None:
    (a,) = room(1)
    turned = np.diag([-1.0, 1, -1, 1])
    behind = PosedDepth(posed(a).depth, a.intrinsics, turned @ a.camera_from_world)
    shares = overlap(posed(a), behind)
    assert shares.inside == shares.visible == 0
    assert np.isnan(shares.consistent)


def frame(view: RoomView) -> Frame:
    return Frame(
        view.name, __file__, view.intrinsics, view.camera_from_world,  # type: ignore[arg-type]
        view.depth.astype(np.float32).copy, view.size,
    )  # fmt: skip


def test_covisibility_is_overlap() -> None:
    views = room(3)
    matrix = covisibility([frame(view) for view in views])
    assert (np.diagonal(matrix) == 1).all()
    for i, a in enumerate(views):
        for j, b in enumerate(views):
            if i != j:
                assert matrix[i, j] == pytest.approx(overlap(posed(a), posed(b)).visible)
    assert matrix[0, 1] > matrix[0, 2]


def test_covisibility_refuses_impossible_cameras() -> None:
    (view,) = room(1)
    broken = view.intrinsics * 0
    with pytest.raises(BenchError, match="singular"):
        covisibility([Frame("a", __file__, broken, view.camera_from_world)])  # type: ignore[arg-type]


@given(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: sum(v * v for v in q) > 1e-3))
def test_quaternions_give_rotations(q: tuple[float, float, float, float]) -> None:
    rotation = rotation_from_quaternion(*q)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) > 0
    # It turns its own axis onto itself, by twice the half-angle.
    np.testing.assert_allclose(rotation @ q[1:], q[1:], atol=1e-12)
    length = np.sqrt(sum(v * v for v in q))
    assert np.trace(rotation) == pytest.approx(4 * (q[0] / length) ** 2 - 1, abs=1e-9)


def test_quaternion_of_a_quarter_turn() -> None:
    """About z, x becomes y."""
    turn = rotation_from_quaternion(np.sqrt(0.5), 0, 0, np.sqrt(0.5))
    np.testing.assert_allclose(turn @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    with pytest.raises(BenchError, match="not a rotation"):
        rotation_from_quaternion(0, 0, 0, 0)
