"""Shifted systems against one solution of each."""

import numpy as np
import pytest

from pipeline.heads.shifted import System, Tridiagonal, products

SHIFTS = np.array([1e-3, 1.0, 1e4])


def gram_of(width, n_rows=80, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n_rows, width)) * np.logspace(-2, 2, width)
    return rows.T @ rows


@pytest.mark.parametrize("width", [1, 2, 3, 60])
def test_every_shift_is_solved(width):
    gram, right = gram_of(width), np.random.default_rng(1).normal(size=(width, 3))
    found = Tridiagonal(gram.copy()).solutions(SHIFTS, right)
    for shift, solved in zip(SHIFTS, found, strict=True):
        # How far off a solution is follows from how ill the matrix is; what it leaves does not.
        left_over = gram @ solved + shift * solved - right
        size = np.linalg.norm(gram) * np.abs(solved).max()
        assert np.abs(left_over).max() < 1e-13 * max(size, 1)


def test_what_rounding_made_negative_counts_as_zero():
    values = np.array([-1e-6, 1.0, 2.0])
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    (found,) = Tridiagonal(turn * values @ turn.T).solutions([1e-9], np.eye(3))
    expected = turn / (np.maximum(values, 0) + 1e-9) @ turn.T
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("shared", [0, 2, 30])
def test_systems_that_share_columns_are_each_solved(shared):
    """Nothing in common; little; and so much that only the rest is eliminated."""
    gram, rng = gram_of(50), np.random.default_rng(1)
    left, right = rng.normal(size=(7, 50)), rng.normal(size=(50, 4))
    some = [np.r_[0:shared, 30:35], np.r_[0:shared, 35:50], np.r_[0:shared, 30:50]]
    systems = [System(columns, SHIFTS * (1 + i)) for i, columns in enumerate(some)]
    for (columns, shifts), found in zip(systems, products(gram, left, right, systems), strict=True):
        for shift, one in zip(shifts, found, strict=True):
            part = gram[np.ix_(columns, columns)] + shift * np.eye(len(columns))
            expected = left[:, columns] @ np.linalg.solve(part, right[columns])
            np.testing.assert_allclose(one, expected, rtol=1e-7, atol=1e-10)
