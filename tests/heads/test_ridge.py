"""Our own ridge against scikit-learn's, refitted for every fold and strength."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.heads import parse_head
from pipeline.heads.fit import fit_head, out_of_fold_scores
from pipeline.heads.moments import MomentSource
from pipeline.heads.preparation import parse_preparation
from pipeline.heads.ridge import LAMBDAS, RidgePath
from pipeline.heads.sample import Sample, make_folds
from tests.heads.paths import ridge_head, ridge_path

STRENGTHS = (0.01, 3.0, 1000.0)
SHAPES = [(150, 12), (40, 90)]
"""More rows than features, and fewer."""


def data(n, d, n_classes, seed=0):
    """Features of very different scales, far from zero; float32, as from the cache."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    rows = rng.normal(size=(n, d)) + rng.normal(size=(n_classes, d))[labels]
    return (rows * np.logspace(-2, 2, d) + 5).astype(np.float32), labels


def theirs(features, labels, strength, n_classes):
    """scikit-learn's Ridge on standardised rows and one-hot targets from -1 to 1."""
    targets = 2.0 * np.eye(n_classes)[labels] - 1
    if n_classes == 2:
        targets /= 2
    model = make_pipeline(StandardScaler(), Ridge(strength))
    return model.fit(features.astype(np.float64), targets)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_path_is_every_fold_refitted(n, d, n_classes):
    features, labels = data(n, d, n_classes)
    folds = make_folds(labels, 4, 0)
    got = ridge_path(Sample(features, labels, n_classes), folds, STRENGTHS)
    for place, strength in enumerate(STRENGTHS):
        for fit, held_out in folds:
            model = theirs(features[fit], labels[fit], strength, n_classes)
            expected = model.predict(features[held_out].astype(np.float64))
            np.testing.assert_allclose(got[place, held_out], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_path_keeps_seven_digits_in_double_precision(n, d):
    features, labels = data(n, d, 3)
    fit, held_out = make_folds(labels, 4, 0)[0]
    for places, rows, scores in RidgePath(Sample(features, labels, 3)).out_of_fold(
        [(fit, held_out)], LAMBDAS
    ):
        np.testing.assert_array_equal(rows, held_out)
        for place, given in zip(places, scores, strict=True):
            model = theirs(features[fit], labels[fit], LAMBDAS[place], 3)
            expected = model.predict(features[held_out].astype(np.float64))
            np.testing.assert_allclose(given, expected, atol=1e-7)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_heads_score_as_ridge_classifiers(n, d, n_classes):
    features, labels = data(n, d, n_classes)
    heads = RidgePath(Sample(features, labels, n_classes)).heads(STRENGTHS)
    for strength, head in zip(STRENGTHS, heads, strict=True):
        model = make_pipeline(StandardScaler(), RidgeClassifier(strength)).fit(features, labels)
        expected = model.decision_function(features)
        if n_classes == 2:
            expected = np.stack([-expected / 2, expected / 2], 1)
        np.testing.assert_allclose(head.scores(features), expected, atol=2e-3)
        alone = ridge_head(Sample(features, labels, n_classes), strength)
        np.testing.assert_allclose(alone.kernels[0], head.kernels[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("prepare", ["l2", "pca(5)", "pca(0.9)", "sqrt-l2,standard,pca(5)"])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_preparations_are_those_of_other_heads(n, d, prepare):
    """Components come from the ridge's own decomposition: fit them in scikit-learn to compare."""
    features, labels = data(n, d, 3)
    preparation, blocks = parse_preparation(prepare), (d - 4, 4)
    head = ridge_head(Sample(features, labels, 3, blocks=blocks), 2.0, preparation)
    plain = fit_head(
        parse_head(f"logistic(prepare='{prepare}')"), Sample(features, labels, 3, 0, 0, blocks)
    )
    assert (head.rowwise, head.blocks) == (plain.rowwise, plain.blocks)
    from pipeline.heads.affine import fit_affine
    from pipeline.heads.preparation import apply_rowwise

    rows = apply_rowwise(features, preparation.rowwise, head.blocks).astype(np.float64)
    _, prepared = fit_affine(preparation, rows, 0)
    expected = Ridge(2.0).fit(prepared, 2.0 * np.eye(3)[labels] - 1).predict(prepared)
    np.testing.assert_allclose(head.scores(features), expected, atol=5e-3)


def test_components_inside_folds():
    features, labels = data(150, 12, 3)
    folds = make_folds(labels, 3, 0)
    got = ridge_path(
        Sample(features, labels, 3), folds, (2.0,), preparation=parse_preparation("pca(4)")
    )
    fit, held_out = folds[0]
    model = make_pipeline(StandardScaler(), PCA(4), Ridge(2.0))
    model.fit(features[fit].astype(np.float64), 2.0 * np.eye(3)[labels[fit]] - 1)
    np.testing.assert_allclose(got[0, held_out], model.predict(features[held_out]), atol=1e-4)


def test_path_is_the_catalogs_head_with_views_too():
    clean, labels = data(60, 10, 3)
    rng = np.random.default_rng(1)
    views = [clean + rng.normal(size=clean.shape).astype("f4") * clean.std(0) / 4 for _ in "ab"]
    features, folds = np.concatenate([clean, *views]), make_folds(labels, 3, 0)
    spec = parse_head("ridge(alpha=3.0)")
    expected = out_of_fold_scores(spec, Sample(features, labels, 3, 0, n_views=2), folds)
    got = ridge_path(Sample(features, labels, 3, n_views=2), folds, (3.0, 4.0))
    np.testing.assert_allclose(got[0], expected, atol=1e-3)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_a_unit_that_is_alive_in_the_held_out_rows_only(n, d):
    """What is left of its variance after subtraction is rounding, and must not be blown up."""
    features, labels = data(n, d, 2)
    fit, held_out = make_folds(labels, 4, 0)[2]
    features[:, 3] = 0
    features[held_out, 3] = 1e4 * np.random.default_rng(0).normal(size=len(held_out))
    got = ridge_path(Sample(features, labels, 2), [(fit, held_out)], (1e-3,))[0, held_out]
    features[:, 3] = 0
    expected = ridge_path(Sample(features, labels, 2), [(fit, held_out)], (1e-3,))[0, held_out]
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_moments_of_nearly_all_rows_are_those_of_the_rows():
    features, labels = data(100, 6, 3)
    features[:, 1] = 1e-3 * (np.arange(100) > 90)
    source = MomentSource(features, labels, 3)
    rows = np.arange(90)
    left, again = source.of(rows), MomentSource(features[rows], labels[rows], 3).of(rows)
    exact = features[rows].astype(np.float64)
    np.testing.assert_array_equal(left.counts, again.counts)
    np.testing.assert_allclose(source.shift + left.mean, exact.mean(0), rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(left.variances, exact.var(0), rtol=1e-9)
    np.testing.assert_allclose(left.products, again.products, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(left.rows, again.rows, rtol=1e-9, atol=1e-12)


def test_a_class_that_a_fold_has_not_seen_gets_no_say():
    features, labels = data(90, 8, 3)
    fit = np.flatnonzero(labels != 1)
    scores = ridge_path(
        Sample(features, labels, 3), [(fit, np.flatnonzero(labels == 1))], (1.0, 2.0)
    )
    assert np.isnan(scores[:, labels != 1]).all()
    assert (scores[:, labels == 1, 1] == -1e3).all()
    expected = theirs(features[fit], labels[fit] // 2, 1.0, 2).predict(features[labels == 1])
    np.testing.assert_allclose(scores[0, labels == 1][:, [0, 2]], expected, atol=1e-4)


def test_many_coefficients_come_in_parts(monkeypatch):
    features, labels = data(40, 90, 3)
    folds = make_folds(labels, 2, 0)
    whole = ridge_path(Sample(features, labels, 3), folds, STRENGTHS)
    monkeypatch.setattr("pipeline.heads.ridge._MOST_NUMBERS", 600)
    monkeypatch.setattr("pipeline.heads.moments.BLOCK", 7 * 90)
    path = RidgePath(Sample(features, labels, 3))
    assert [len(places) for places, _, _ in path.out_of_fold(folds, STRENGTHS)] == [2, 1, 2, 1]
    np.testing.assert_allclose(
        ridge_path(Sample(features, labels, 3), folds, STRENGTHS), whole, atol=1e-6
    )
