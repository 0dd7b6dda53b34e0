"""Our logistic regression against scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as Theirs

from pipeline.heads.logistic import LogisticRegression

KINDS = {"plain": 1.0, "collinear": 0.0, "ill-conditioned": 1e-3}


def data(kind, n_classes, n_rows=120, width=20):
    rng, labels = np.random.default_rng(0), np.arange(n_rows) % n_classes
    rows = rng.normal(size=(n_rows, width)) + rng.normal(size=(n_classes, width))[labels] / 2
    rows[:, 1] = rows[:, 0] + KINDS[kind] * rows[:, 1]
    rows[:, 2] = 1.0
    return rows.astype(np.float32), labels * 2 + 1


@pytest.mark.parametrize("weight", [None, "balanced"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_probabilities_are_scikit_learns(kind, n_classes, weight, strength):
    rows, labels = data(kind, n_classes)
    rows, labels = rows[20:], labels[20:]
    ours = LogisticRegression(strength, class_weight=weight).fit(rows, labels)
    theirs = Theirs(C=strength, class_weight=weight, max_iter=2000, tol=1e-6).fit(
        rows.astype(np.float64), labels
    )
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.coef_.shape == theirs.coef_.shape
    expected = theirs.decision_function(rows).reshape(len(rows), -1)
    got = rows @ ours.coef_.T + ours.intercept_
    np.testing.assert_allclose(got, expected, atol=0.02)


def test_fewer_rows_than_features():
    rows, labels = data("plain", 3, n_rows=15, width=40)
    ours = LogisticRegression(0.1).fit(rows, labels)
    theirs = Theirs(C=0.1, tol=1e-6, max_iter=2000).fit(rows.astype(np.float64), labels)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-3)


def test_it_begins_where_another_fit_ended():
    rows, labels = data("plain", 3)
    first = LogisticRegression(1.0).fit(rows, labels)
    again = LogisticRegression(1.0, begin=first).fit(rows, labels)
    assert first.converged_
    assert again.n_iter_ == 0


def test_it_says_that_it_stopped_early():
    assert not LogisticRegression(100.0, max_iter=1).fit(*data("plain", 3)).converged_
