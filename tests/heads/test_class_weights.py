"""Weighted classes: rare ones are found more often, and scikit-learn's weights are ours."""

import warnings

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.class_weight import compute_class_weight

from pipeline.errors import InputError, UnknownNameError
from pipeline.heads import HEADS, parse_head, parse_heads
from pipeline.heads import dense_grid as dense
from pipeline.heads.class_weights import class_weights
from pipeline.heads.dense_grid import fit_dense_grid
from pipeline.heads.discriminant import PooledDiscriminant
from pipeline.heads.fit import fit_head, out_of_fold_scores
from pipeline.heads.fitted import estimator_scores, two_columns
from pipeline.heads.moments import weighted_moments
from pipeline.heads.preparation import parse_preparation
from pipeline.heads.ridge import RidgePath
from pipeline.heads.sample import Sample, make_folds
from tests.heads.paths import ridge_head, ridge_path

WEIGHABLE = [name for name, head in HEADS.items() if head.weighs]
TEXTS = {
    "dense": "dense(hidden=16,learning_rate=0.01,dropout=0.2)",
    "random-forest": "random-forest(n_trees=60,max_depth=4)",
    "extra-trees": "extra-trees(n_trees=60,max_depth=4)",
    "boosting": "boosting(rounds=20)",
    "rbf-svm": "rbf-svm(C=1.0)",
    "mlp": "mlp(hidden=16,max_iter=20,learning_rate=0.01)",
}
SHAPES = [(150, 12), (40, 90)]
"""More rows than features, and fewer."""


def rare(n=1200, seed=0):
    """Two classes that overlap, 95 to 5; float32, as from the cache."""
    rng = np.random.default_rng(seed)
    labels = (rng.permutation(n) < n // 20).astype(int)
    return (rng.normal(size=(n, 8)) + 0.5 * labels[:, None]).astype(np.float32), labels


def uneven(n, d, n_classes, seed=0):
    """Classes of very different numbers, features of very different scales, far from zero."""
    rng = np.random.default_rng(seed)
    rest = 0.25 / (n_classes - 1)
    drawn = rng.choice(n_classes, n - 6 * n_classes, p=[0.75] + [rest] * (n_classes - 1))
    labels = rng.permutation(np.concatenate([np.tile(np.arange(n_classes), 6), drawn]))
    rows = rng.normal(size=(n, d)) + rng.normal(size=(n_classes, d))[labels]
    return (rows * np.logspace(-2, 2, d) + 5).astype(np.float32), labels


def recalls(spec, features, labels):
    """Recall of each class among the rows that the head was not fitted on."""
    half = len(labels) // 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        head = fit_head(spec, Sample(features[:half], labels[:half], 2, seed=0))
    called = head.scores(features[half:]).argmax(1)
    return np.array([np.mean(called[labels[half:] == number] == number) for number in (0, 1)])


@pytest.mark.parametrize("name", WEIGHABLE)
def test_every_head_finds_more_of_a_rare_class(name):
    features, labels = rare()
    spec = parse_head(TEXTS.get(name, name))
    plain, weighted = (recalls(one, features, labels) for one in (spec, spec.balanced()))
    assert weighted[1] > plain[1] + 0.1
    assert weighted.mean() > plain.mean() + 0.05


def test_heads_of_a_dense_grid_find_more_of_a_rare_class():
    features, labels = rare()
    half = len(labels) // 2
    spec = parse_head("dense(learning_rate=0.01, hidden=16, epochs=20, patience=5)")
    found = []
    for weighed in (spec, spec.balanced()):
        (one,) = fit_dense_grid([weighed], Sample(features[:half], labels[:half], 2))
        called = one.head.scores(features[half:]).argmax(1)
        found.append(np.mean(called[labels[half:] == 1]))
    assert found[1] > found[0] + 0.3


def test_balanced_weights_of_even_classes_change_nothing_in_a_grid():
    features, labels = rare(n=200)
    labels = np.arange(200) % 2
    spec = parse_head("dense(learning_rate=0.01, hidden=8, epochs=4)")
    (plain,), (weighted,) = (
        fit_dense_grid([one], Sample(features, labels, 2)) for one in (spec, spec.balanced())
    )
    assert weighted.loss == pytest.approx(plain.loss, rel=1e-6)
    np.testing.assert_allclose(
        weighted.head.scores(features), plain.head.scores(features), atol=1e-5
    )


def test_a_grid_reports_the_weighted_mean_of_its_held_out_losses():
    features, labels = rare(n=400)
    spec = parse_head("dense(learning_rate=1e-9, hidden=(), epochs=1, class_weight='balanced')")
    (one,) = fit_dense_grid([spec], Sample(features, labels, 2))
    unseen = dense.held_out(labels, 0)
    scores = one.head.scores(features[unseen]).astype(np.float64)
    given = scores[np.arange(len(scores)), labels[unseen]]
    losses = np.log(np.exp(scores).sum(1)) - given
    weights = class_weights(labels, 2, "balanced")[labels[unseen]]
    assert one.loss == pytest.approx(np.average(losses, weights=weights), rel=1e-4)


THEIRS = {
    "logistic": LogisticRegression(C=1.0, tol=1e-8, max_iter=20_000, class_weight="balanced"),
    "linear-svm": LinearSVC(
        C=0.01, dual="auto", max_iter=5000, random_state=0, class_weight="balanced"
    ),
    "ridge(alpha=3.0)": RidgeClassifier(3.0, class_weight="balanced"),
    "rbf-svm": SVC(C=10.0, class_weight="balanced"),
    "random-forest(n_trees=30)": RandomForestClassifier(
        30, random_state=0, class_weight="balanced"
    ),
    "extra-trees(n_trees=30)": ExtraTreesClassifier(30, random_state=0, class_weight="balanced"),
    "boosting(rounds=10)": HistGradientBoostingClassifier(
        max_iter=10,
        max_leaf_nodes=8,
        early_stopping=False,
        random_state=0,
        class_weight="balanced",
    ),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("text", THEIRS)
def test_weights_are_scikit_learns(text, n_classes):
    features, labels = uneven(200, 10, n_classes)
    model = make_pipeline(StandardScaler(), THEIRS[text]).fit(features, labels)
    head = fit_head(parse_head(text).balanced(), Sample(features, labels, n_classes, seed=0))
    np.testing.assert_allclose(
        head.scores(features), estimator_scores(model, features), atol=5e-3, rtol=1e-3
    )


def test_weights_of_the_network_are_told_row_by_row():
    features, labels = uneven(200, 10, 3)
    spec = parse_head("mlp(hidden=(9,),max_iter=30)").balanced()
    weights = compute_class_weight("balanced", classes=np.arange(3), y=labels)[labels]
    network = MLPClassifier((9,), max_iter=30, random_state=0)
    rows = StandardScaler().fit_transform(features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = network.fit(rows, labels, sample_weight=weights).predict_proba(rows)
    scores = fit_head(spec, Sample(features, labels, 3, seed=0)).scores(features)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(shares, expected, atol=1e-3)


def test_discriminant_takes_classes_for_equally_likely():
    """The covariance stays pooled over rows: Fisher's rule with priors of 1/k."""
    features, labels = uneven(200, 6, 3)
    rows = StandardScaler().fit_transform(features.astype(np.float64))
    means = np.stack([rows[labels == number].mean(0) for number in range(3)])
    inverse = np.linalg.inv(np.cov((rows - means[labels]).T, bias=True))
    away = rows[:, None] - means
    expected = -np.einsum("nkd,de,nke->nk", away, inverse, away) / 2
    fitted = PooledDiscriminant(0.0, "balanced").fit(rows, labels)
    got = rows @ fitted.coef_.T + fitted.intercept_
    np.testing.assert_allclose(got - got[:, :1], expected - expected[:, :1], rtol=1e-6, atol=1e-7)


def ridge_scores(features, labels, n_classes, strength, *steps):
    """RidgeClassifier's decisions by one column a class, as a function of other features."""
    model = RidgeClassifier(strength, class_weight="balanced")
    model = make_pipeline(StandardScaler(), *steps, model).fit(features.astype(np.float64), labels)

    def scores(rows):
        decisions = model.decision_function(rows.astype(np.float64))
        return two_columns(decisions) if n_classes == 2 else decisions

    return scores


@pytest.mark.parametrize("prepare", ["standard", "pca(5)"])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_ridge_path_is_every_fold_refitted(n, d, n_classes, prepare):
    features, labels = uneven(n, d, n_classes)
    folds, strengths, steps = make_folds(labels, 3, 0), (0.01, 3.0, 1000.0), []
    if prepare != "standard":
        steps = [PCA(5)]
    got = ridge_path(
        Sample(features, labels, n_classes),
        folds,
        strengths,
        preparation=parse_preparation(prepare),
        class_weight="balanced",
    )
    for place, strength in enumerate(strengths):
        for fit, held_out in folds:
            scores = ridge_scores(features[fit], labels[fit], n_classes, strength, *steps)
            np.testing.assert_allclose(got[place, held_out], scores(features[held_out]), atol=1e-4)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_ridge_heads_are_those_of_the_path(n, d):
    features, labels = uneven(n, d, 3)
    heads = RidgePath(Sample(features, labels, 3), class_weight="balanced").heads((0.5, 3.0))
    for strength, head in zip((0.5, 3.0), heads, strict=True):
        expected = ridge_scores(features, labels, 3, strength)(features)
        np.testing.assert_allclose(head.scores(features), expected, atol=2e-3)
        alone = ridge_head(Sample(features, labels, 3), strength, class_weight="balanced")
        np.testing.assert_allclose(alone.scores(features), expected, atol=2e-3)


@pytest.mark.parametrize("name", ["ridge", "logistic"])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_views_are_weighed_as_their_pictures(n, d, name):
    """Views that are copies double n and every count: heads are those of doubled rows."""
    clean, labels = uneven(n, d, 3)
    features, folds = np.concatenate([clean, clean]), make_folds(labels, 3, 0)
    spec = parse_head(name).balanced()
    got = out_of_fold_scores(spec, Sample(features, labels, 3, 0, n_views=1), folds)
    twice = {"ridge": "ridge(alpha=50.0)", "logistic": "logistic(C=2.0)"}[name]
    expected = out_of_fold_scores(parse_head(twice).balanced(), Sample(clean, labels, 3, 0), folds)
    np.testing.assert_allclose(got, expected, atol=1e-2)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_a_unit_that_is_alive_in_the_held_out_rows_only(n, d):
    features, labels = uneven(n, d, 2)
    folds, given = make_folds(labels, 3, 0)[1:2], {"class_weight": "balanced"}
    _, held_out = folds[0]
    features[:, 3] = 0
    expected = ridge_path(Sample(features, labels, 2), folds, (1e-3,), **given)[0, held_out]
    features[held_out, 3] = 1e4 * np.random.default_rng(0).normal(size=len(held_out))
    got = ridge_path(Sample(features, labels, 2), folds, (1e-3,), **given)[0, held_out]
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_weighted_moments_are_those_of_repeated_rows(monkeypatch):
    monkeypatch.setattr("pipeline.heads.moments.BLOCK", 7 * 5)
    features, labels = uneven(60, 5, 3)
    rows, times = np.arange(40), np.array([1, 3, 2])
    moments, mean, variances = weighted_moments(features, labels, times.astype(float), rows)
    exact = features[rows].astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(0))
    np.testing.assert_allclose(variances, exact.var(0))
    repeated, given = (np.repeat(a, times[labels[rows]], axis=0) for a in (exact, labels[rows]))
    np.testing.assert_allclose(mean + moments.mean, repeated.mean(0))
    centred = repeated - repeated.mean(0)
    np.testing.assert_allclose(moments.products, centred.T @ centred, atol=1e-6)
    np.testing.assert_allclose(moments.rows, centred.T @ np.eye(3)[given], atol=1e-7)
    np.testing.assert_array_equal(moments.counts, np.bincount(given))


@pytest.mark.parametrize("name", [name for name in WEIGHABLE if name != "dense"])
def test_absent_class_gets_no_probability(name):
    features, labels = uneven(120, 6, 3)
    seen = labels != 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        spec = parse_head(TEXTS.get(name, name)).balanced()
        head = fit_head(spec, Sample(features[seen], labels[seen], 3, seed=0))
    scores = head.scores(features)
    assert (scores[:, 1] == -1e3).all()
    assert np.isfinite(scores).all()


def test_weights_are_n_over_k_n_c_of_the_classes_that_are_there():
    labels = np.array([0, 0, 0, 3, 3, 0])
    first, last = compute_class_weight("balanced", classes=np.array([0, 3]), y=labels)
    got = class_weights(labels, 5, "balanced")
    np.testing.assert_allclose(got, [first, 0, 0, last, 0])
    assert class_weights(labels, 5, None) is None


@pytest.mark.parametrize("text", ["ridge(class_weight=None)", "ridge"])
def test_unweighted_is_unsaid(text):
    """Else the runs of before would be other experiments than the same ones now."""
    spec = parse_head(text)
    assert (str(spec), dict(spec.params)) == ("ridge", {"alpha": 100.0})
    assert spec.class_weight is None


def test_texts_name_the_weights():
    spec = parse_head("dense(class_weight='balanced', prepare='l2', hidden=8)")
    assert str(spec) == "dense(class_weight='balanced', hidden=(8,), prepare='l2')"
    assert parse_head(str(spec)) == spec
    assert spec.class_weight == "balanced"
    assert spec.prepared(parse_preparation("standard")).class_weight == "balanced"
    assert str(parse_head("lda").balanced().prepared(parse_preparation("l2"))) == (
        "lda(class_weight='balanced', prepare='l2')"
    )
    assert [str(one) for one in parse_heads("ridge(class_weight=None),ridge")] == ["ridge"]


@pytest.mark.parametrize("value", ["'even'", "True", "{0: 2.0}", "1.0"])
def test_other_weights_are_refused(value):
    with pytest.raises(
        InputError, match=r"expected class_weight to be None or 'balanced', received"
    ):
        parse_head(f"logistic(class_weight={value})")


def test_the_path_refuses_other_weights():
    with pytest.raises(InputError, match=r"received class_weight='even'; leave it out"):
        RidgePath(Sample(*rare(), 2), class_weight="even")


@pytest.mark.parametrize("name", ["knn", "centroid"])
def test_heads_that_cannot_weigh_say_so(name):
    with pytest.raises(UnknownNameError, match=f"unknown parameter of {name} 'class_weight'"):
        parse_head(f"{name}(class_weight='balanced')")
    with pytest.raises(InputError, match=f"can weigh classes, received {name}; choose one of log"):
        parse_head(name).balanced()


def test_estimators_by_path_are_weighed_where_they_know_how():
    features, labels = rare()
    spec = parse_head("sklearn.linear_model:SGDClassifier(alpha=0.01)")
    plain, weighted = (recalls(one, features, labels) for one in (spec, spec.balanced()))
    assert weighted[1] > plain[1] + 0.1
    with pytest.raises(UnknownNameError, match=r"QuadraticDiscriminantAnalysis 'class_weight'"):
        parse_head("sklearn.discriminant_analysis:QuadraticDiscriminantAnalysis").balanced()
