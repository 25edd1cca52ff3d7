"""Tests of precision, recall, density and coverage."""

import numpy as np
import pytest

from ltgans_tf.evaluation import metrics


def _rotation(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def _normal(rows, columns, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns))


def _brute_force(real, fake, k):
    """Precision, recall, density and coverage by their definitions, row by row."""
    apart = lambda row, rows: np.sqrt(np.square(rows - row).sum(axis=1))
    rims = [
        np.array([sorted(np.delete(apart(row, rows), i))[k - 1] for i, row in enumerate(rows)])
        for rows in (real, fake)
    ]
    inside = np.array([apart(row, fake) < rim for row, rim in zip(real, rims[0])])
    recalled = [np.any(apart(row, fake) < rims[1]) for row in real]
    return {
        "precision": np.mean(inside.any(axis=0)),
        "recall": np.mean(recalled),
        "density": inside.sum() / (k * len(fake)),
        "coverage": np.mean(inside.any(axis=1)),
    }


@pytest.mark.parametrize(
    "rows, columns, k",
    [((40, 40), 3, 5), ((50, 20), 8, 3), ((20, 50), 1, 1), ((7, 60), 30, 6), ((300, 200), 16, 12)],
)
def test_manifold_scores_agree_with_their_definitions(rows, columns, k, monkeypatch):
    real, fake = _normal(rows[0], columns), _normal(rows[1], columns, seed=1) * 0.8 + 0.3
    expected = _brute_force(real, fake, k)
    assert 0 < expected["precision"] and 0 < expected["recall"] < 1
    assert metrics.manifold_scores(real, fake, k) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(metrics, "_BLOCK", 130)  # several blocks of a few rows each
    assert metrics.manifold_scores(real, fake, k) == pytest.approx(expected, abs=1e-12)


def test_manifold_scores_of_sets_far_apart_are_zero():
    scores = metrics.manifold_scores(_normal(30, 4), _normal(20, 4, seed=1) + 50, k=3)
    assert scores == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_manifold_scores_of_the_same_set():
    """Each open ball holds its centre and the k - 1 nearest others, so density is exactly 1."""
    rows = _normal(30, 4)
    scores = metrics.manifold_scores(rows, rows[::-1], k=3)
    assert scores == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_manifold_scores_by_hand():
    """Radii with k = 1 are 1, 1 and 4 for the real rows and 2, 1 and 1 for the fake ones."""
    real, fake = np.array([[0.0], [1.0], [5.0]]), np.array([[0.5], [2.5], [3.5]])
    # In (-1, 1): 0.5. In (0, 2): 0.5. In (1, 9): 2.5 and 3.5. So all three fake rows are inside.
    # Of the real ones 0 and 1 are in (-1.5, 2.5), and 5 is in none of that, (1.5, 3.5), (2.5, 4.5).
    scores = metrics.manifold_scores(real, fake, k=1)
    assert scores == pytest.approx({"precision": 1, "recall": 2 / 3, "density": 4 / 3, "coverage": 1})
    scores = metrics.manifold_scores(fake, real, k=1)
    # Now 0 and 1 are in the first ball, 5 in none, and no real row is in the other two.
    assert scores == pytest.approx({"precision": 2 / 3, "recall": 1, "density": 2 / 3, "coverage": 1 / 3})


@pytest.mark.parametrize(
    "turn, offset",
    [(np.eye(2), 0.0), (np.eye(2) / 4, -7e4), (np.eye(2) * 0.1, 0.1), (_rotation(16)[:2], 3.0)],
)
def test_a_row_at_the_radius_is_outside(turn, offset):
    """A grid, also turned, where every distance in question equals a radius."""
    real = np.stack([np.arange(6.0), np.zeros(6)], axis=1)
    real, fake = (rows @ turn + offset for rows in (real, real + [0.0, 1.0]))
    scores = metrics.manifold_scores(real, fake, k=1)
    assert scores == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


@pytest.mark.parametrize("offset, less", [(0, 1e-9), (1e6, 1e-4)])
def test_rows_just_inside_the_radius_are_inside(offset, less):
    real = np.array([[0.0, 0.0], [1.0, 0.0]]) + offset
    scores = metrics.manifold_scores(real, real + [0.0, 1 - less], k=1)
    assert scores == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_rows_that_are_all_alike_have_no_neighbourhood():
    real = np.zeros((6, 3))
    scores = metrics.manifold_scores(real, _normal(6, 3), k=2)
    assert scores["precision"] == scores["density"] == scores["coverage"] == 0


@pytest.mark.parametrize("rows, k", [((5, 9), 5), ((9, 5), 5), ((9, 9), 0), ((9, 9), -1)])
def test_neighbours_that_there_are_not_are_refused(rows, k):
    with pytest.raises(
        ValueError,
        match=f"there are {rows[0]} real and {rows[1]} fake rows with k of {k}; k must be at least",
    ):
        metrics.manifold_scores(_normal(rows[0], 3), _normal(rows[1], 3), k)
