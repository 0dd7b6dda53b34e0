"""Our logistic regression against scikit-learn's, brought to its minimum."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as Theirs
from threadpoolctl import threadpool_limits

from pipeline.heads.logistic import LogisticRegression

KINDS = ("plain", "collinear", "ill-conditioned", "wide", "one column", "far from zero")
BESIDE = {"collinear": 0.0, "ill-conditioned": 1e-3}


def data(kind, n_classes, n_rows=120, width=20):
    width = {"wide": 3 * n_rows, "one column": 1}.get(kind, width)
    rng, labels = np.random.default_rng(0), np.arange(n_rows) % n_classes
    rows = rng.normal(size=(n_rows, width)) + rng.normal(size=(n_classes, width))[labels] / 2
    if width > 2:
        rows[:, 1] = rows[:, 0] + BESIDE.get(kind, 1.0) * rows[:, 1]
        rows[:, 2] = 1.0
    if kind == "far from zero":
        rows += np.linspace(-50, 50, width)
    return rows.astype(np.float32), labels * 2 + 1


def probabilities(coef, intercept, rows):
    logits = rows.astype(np.float64) @ coef.T + intercept
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def ours(rows, labels, strength, weight=None):
    fitted = LogisticRegression(strength, class_weight=weight).fit(rows, labels)
    assert fitted.converged_
    return fitted


@pytest.mark.parametrize("weight", [None, "balanced"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [1e-3, 10.0])
def test_probabilities_are_scikit_learns(kind, n_classes, weight, strength):
    rows, labels = data(kind, n_classes)
    fit = slice(20, None)  # of unlike numbers of rows a class
    found = ours(rows[fit], labels[fit], strength, weight)
    solver = "lbfgs" if kind == "wide" else "newton-cholesky"  # whichever gets there at all
    theirs = Theirs(C=strength, class_weight=weight, solver=solver, tol=1e-8, max_iter=10_000)
    theirs.fit(rows[fit].astype(np.float64), labels[fit])
    np.testing.assert_array_equal(found.classes_, theirs.classes_)
    assert found.coef_.shape == theirs.coef_.shape
    expected = theirs.predict_proba(rows.astype(np.float64))
    got = probabilities(found.coef_, found.intercept_, rows)
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_many_classes():
    rows, labels = data("plain", 100, n_rows=400)
    found = ours(rows, labels, 1.0)
    theirs = Theirs(C=1.0, max_iter=10_000, tol=1e-8).fit(rows.astype(np.float64), labels)
    got = probabilities(found.coef_, found.intercept_, rows)
    np.testing.assert_allclose(got, theirs.predict_proba(rows.astype(np.float64)), atol=1e-3)


@pytest.mark.parametrize("strength", [0.1, 10.0, 1e6])
@pytest.mark.parametrize("kind", ["ill-conditioned", "wide"])
def test_neither_scale_nor_order_nor_threads_decide_where_it_ends(kind, strength):
    rows, labels = data(kind, 3, n_rows=90, width=60)
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(rows.shape[1],) * 2))[0]
    shuffled = np.random.default_rng(2).permutation(len(rows))
    with threadpool_limits(1):
        one = ours(rows, labels, strength)
    with threadpool_limits(2):
        other = ours((rows @ turned).astype(np.float32)[shuffled], labels[shuffled], strength)
    first = probabilities(one.coef_, one.intercept_, rows)
    second = probabilities(other.coef_ @ turned.T, other.intercept_, rows)
    np.testing.assert_allclose(first, second, atol=1e-3)
    np.testing.assert_array_equal(first.argmax(1), second.argmax(1))


@pytest.mark.parametrize("strength", [1e-3, 1.0, 10.0, 1e3])
def test_few_steps_suffice(strength):
    rows, labels = data("ill-conditioned", 3, n_rows=300, width=150)
    assert ours(rows, labels, strength).n_iter_ < 150


def test_rows_that_tell_nothing():
    labels = np.array([0, 0, 0, 1])
    found = ours(np.ones((4, 3), np.float32), labels, 1.0)
    got = probabilities(found.coef_, found.intercept_, np.ones((1, 3)))
    np.testing.assert_allclose(got, [[0.75, 0.25]], atol=1e-3)


def test_it_says_that_it_stopped_early():
    assert not LogisticRegression(100.0, max_iter=1).fit(*data("plain", 3)).converged_
