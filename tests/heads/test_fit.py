import warnings

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from pipeline.errors import DataError, InputError, UnknownNameError
from pipeline.heads import HEADS, NetworkHead, parse_head, parse_heads, softmax
from pipeline.heads.affine import Scaler
from pipeline.heads.discriminant import PooledDiscriminant
from pipeline.heads.fit import fit_folds, fit_head, fitting_factor, out_of_fold_scores
from pipeline.heads.sample import Sample, make_folds

FAST = {
    "dense": "dense(hidden=32,epochs=60,learning_rate=0.01,dropout=0.2)",
    "random-forest": "random-forest(n_trees=40)",
    "extra-trees": "extra-trees(n_trees=40)",
    "boosting": "boosting(rounds=30)",
    "mlp": "mlp(learning_rate=0.01)",
}


def data(n_classes, n=240, seed=0):
    """Separable classes on features of very different scales, one of them constant."""
    features, labels = make_classification(
        n,
        12,
        n_informative=8,
        n_redundant=0,
        n_classes=n_classes,
        class_sep=2.0,
        n_clusters_per_class=1,
        random_state=seed,
    )
    features = features * np.logspace(-2, 2, 12) + 5
    features[:, 3] = 7.0
    return features.astype(np.float32), labels


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", HEADS)
def test_every_head_learns(name, n_classes):
    features, labels = data(n_classes)
    spec = parse_head(FAST.get(name, name))
    head = fit_head(spec, Sample(features[:180], labels[:180], n_classes, seed=0))
    scores = head.scores(features[180:])
    assert scores.shape == (60, n_classes)
    assert np.mean(scores.argmax(1) == labels[180:]) > 0.8
    np.testing.assert_allclose(softmax(scores).sum(1), 1)
    assert isinstance(head, NetworkHead) == (spec.head.kind != "sklearn")


@pytest.mark.parametrize("name", HEADS)
def test_same_seed_same_head(name):
    features, labels = data(3)
    spec = parse_head(FAST.get(name, name))
    first, second = (
        fit_head(spec, Sample(features, labels, 3, seed=5)).scores(features) for _ in "ab"
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", [name for name in HEADS if name != "dense"])
def test_absent_class_gets_no_probability(name):
    features, labels = data(3)
    seen = labels != 1
    head = fit_head(
        parse_head(FAST.get(name, name)), Sample(features[seen], labels[seen], 3, seed=0)
    )
    probabilities = softmax(head.scores(features))
    assert probabilities[:, 1].max() < 1e-9
    assert np.isfinite(probabilities).all()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_folded_logistic_is_the_pipeline_it_came_from(n_classes):
    features, labels = data(n_classes)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, tol=1e-8, max_iter=20_000))
    expected = pipeline.fit(features, labels).predict_proba(features)
    head = fit_head(parse_head("logistic"), Sample(features, labels, n_classes, seed=0))
    np.testing.assert_allclose(softmax(head.scores(features)), expected, atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_folded_network_is_the_pipeline_it_came_from(n_classes):
    features, labels = data(n_classes)
    network = MLPClassifier((20, 7), max_iter=60, learning_rate_init=0.01, random_state=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = make_pipeline(StandardScaler(), network).fit(features, labels)
    spec = parse_head("mlp(hidden=(20,7),max_iter=60,learning_rate=0.01)")
    head = fit_head(spec, Sample(features, labels, n_classes, seed=3))
    assert [kernel.shape for kernel in head.kernels] == [(12, 20), (20, 7), (7, n_classes)]
    got = softmax(head.scores(features))
    np.testing.assert_allclose(got, expected.predict_proba(features), atol=1e-3)


def test_a_solver_that_stops_early_is_told(caplog):
    features, labels = data(4)
    fit_head(parse_head("logistic(max_iter=2)"), Sample(features, labels, 4, seed=0))
    assert "logistic(max_iter=2) stopped before it converged" in caplog.text


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_centroid_predicts_the_nearest_mean(metric):
    features, labels = data(3)
    rows = StandardScaler().fit_transform(features.astype(np.float64))
    seen = normalize(rows) if metric == "cosine" else rows
    means = np.stack([seen[labels == number].mean(0) for number in range(3)])
    expected = pairwise_distances(rows, means, metric=metric).argmin(1)
    head = fit_head(parse_head(f"centroid(metric='{metric}')"), Sample(features, labels, 3, seed=0))
    np.testing.assert_array_equal(head.scores(features).argmax(1), expected)


def test_one_picture_a_class_is_enough_for_centroids():
    features, labels = data(3, n=300)
    first = [int(np.flatnonzero(labels == number)[0]) for number in range(3)]
    head = fit_head(parse_head("centroid"), Sample(features[first], labels[first], 3, seed=0))
    assert np.mean(head.scores(features).argmax(1) == labels) > 0.6


def test_discriminant_without_shrinkage_is_scikit_learns():
    features, labels = data(4)
    features = StandardScaler().fit_transform(np.delete(features, 3, axis=1).astype(np.float64))
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(features, labels)
    ours = PooledDiscriminant(shrinkage=0.0).fit(features, labels)
    expected = theirs.decision_function(features)
    expected -= expected.mean(1, keepdims=True)  # ours leave out what all classes share
    np.testing.assert_allclose(
        features @ ours.coef_.T + ours.intercept_, expected, rtol=1e-5, atol=1e-8
    )


def test_discriminant_with_fewer_rows_than_features():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    features = rng.normal(size=(40, 300)) + 0.5 * labels[:, None]
    head = PooledDiscriminant().fit(features[:20], labels[:20])
    scores = features[20:] @ head.coef_.T + head.intercept_
    assert np.mean(head.classes_[scores.argmax(1)] == labels[20:]) > 0.9


def test_factor_makes_scores_into_log_probabilities():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 3))
    labels = np.array([rng.choice(3, p=p) for p in softmax(scores)])
    assert fitting_factor(scores / 5, labels) == pytest.approx(5, rel=0.1)


def test_heads_are_parsed_once_each():
    names = [str(spec) for spec in parse_heads("logistic, knn(k=5),logistic(C=1.0),knn(k=3)")]
    assert names == ["logistic", "knn", "knn(k=3)"]
    assert [spec.head.name for spec in parse_heads("all")] == list(HEADS)


@pytest.mark.parametrize("text", ["dense(hidden=64)", "dense(hidden=[64])", "dense(hidden=(64,))"])
def test_hidden_layers_in_any_form(text):
    assert parse_head(text).params["hidden"] == (64,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("logistc", r"unknown head 'logistc'; nearest: logistic"),
        ("logistic(c=1)", r"unknown parameter of logistic 'c'; nearest: C; logistic knows C, max"),
        ("logistic(C=-1)", r"expected C of logistic above 0, received C=-1"),
        ("lda(shrinkage=2)", r"shrinkage of lda from 0 to 1, or 'auto', received shrinkage=2"),
        ("ridge(alpha=1e999)", r"expected alpha of ridge above 0, received alpha=inf"),
        ("knn(k=2.5)", r"expected k of knn as a whole number above 0, received k=2.5"),
        ("dense(dropout=1)", r"expected dropout of dense from 0 to below 1, received dropout=1"),
        (
            "centroid(metric='manhattan')",
            r"expected metric of centroid 'cosine' or 'euclidean', received",
        ),
        ("boosting(max_leaves=1)", r"expected max_leaves of boosting as a whole number above 1"),
        (
            "mlp(hidden=0)",
            r"hidden of mlp as whole numbers above 0, such as \(256,\), received hidden=0",
        ),
        ("dense(hidden='a')", r"hidden of dense as whole numbers above 0, .*, received hidden='a'"),
        ("knn(k=0)", r"expected k of knn as a whole number above 0, received k=0"),
        ("knn(metric='x')", r"expected metric of knn 'cosine' or 'euclidean' or 'manhattan', rec"),
        ("rbf-svm(gamma=0)", r"expected gamma of rbf-svm above 0, or 'scale', received gamma=0"),
        ("random-forest(max_depth=0)", r"as a whole number above 0, or None, received max_depth=0"),
        ("dense(weight_decay=-1)", r"weight_decay of dense of at least 0, received"),
        ("pca(3)", r"a head, received 'pca\(3\)', which prepares features: give it with --prepare"),
        ("knn(3)", r"arguments as NAME\(argument=value\), received 'knn\(3\)': every argument"),
    ],
)
def test_bad_heads_are_one_sentence(text, message):
    with pytest.raises(InputError, match=message):
        parse_head(text)


def test_unknown_head_carries_the_nearest_names():
    with pytest.raises(UnknownNameError) as caught:
        parse_head("linearsvm")
    assert caught.value.nearest[0] == "linear-svm"


def test_nan_features_are_named():
    features, labels = data(2)
    features[17, 2] = np.nan
    with pytest.raises(InputError, match=r"NaN or infinity in 1 of 240 rows \(first: row 17\)"):
        fit_head(parse_head("ridge"), Sample(features, labels, 2, seed=0))


def test_more_neighbours_than_pictures(caplog):
    features, labels = data(2)
    head = fit_head(parse_head("knn"), Sample(features[:4], labels[:4], 2, seed=0))
    assert np.isfinite(head.scores(features)).all()
    assert "knn: only 4 training pictures, all of them vote" in caplog.text


def test_folds_keep_groups_together():
    labels = np.arange(60) % 2
    groups = np.arange(60) // 4
    for fit, held_out in make_folds(labels, 5, 0, groups):
        assert not set(groups[fit]) & set(groups[held_out])


def test_every_picture_is_held_out_once():
    features, labels = data(3)
    folds = make_folds(labels, 5, 0)
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(240))
    scores = out_of_fold_scores(parse_head("ridge"), Sample(features, labels, 3, seed=0), folds)
    assert np.mean(scores.argmax(1) == labels) > 0.8


@pytest.mark.parametrize("text", ["logistic", "lda", "ridge", "centroid", "knn", "linear-svm"])
def test_folds_side_by_side_are_the_same_as_one_by_one(text):
    features, labels = data(3)
    sample, folds = Sample(features, labels, 3, seed=0), make_folds(labels, 4, 0)
    together = fit_folds(parse_head(text), sample, folds)
    for (fit, held_out), head in zip(folds, together, strict=True):
        alone = fit_head(parse_head(text), sample.only(fit))
        wanted = alone.scores(features[held_out])
        np.testing.assert_array_equal(head.scores(features[held_out]), wanted)


def test_what_an_older_solver_fitted_is_told_apart():
    assert parse_head("logistic").solver == {"solver": 2}
    assert parse_head("ridge").solver == {}  # so that its runs keep their names


def test_fewer_folds_for_a_small_class():
    labels = np.array([0] * 20 + [1] * 3)
    assert len(make_folds(labels, 5, 0)) == 3


def test_a_class_of_one_picture_cannot_be_cross_validated():
    with pytest.raises(DataError, match=r"at least 2 different training pictures"):
        make_folds(np.array([0, 0, 0, 1]), 5, 0)


def test_factor_stays_modest_where_every_score_is_right():
    labels = np.arange(60) % 3
    scores = np.eye(3)[labels] * 2.0 - 1.0
    factor = fitting_factor(scores, labels)
    doubt = 1 - softmax(scores * factor)[np.arange(60), labels].min()
    assert doubt == pytest.approx(1 / 62, rel=0.05)


def test_factor_of_large_scores_with_mistakes_is_small():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    scores = np.eye(2)[labels] * 300.0 + rng.normal(size=(200, 2)) * 20
    scores[:3] = scores[:3, ::-1]
    factor = fitting_factor(scores, labels)
    assert 0.001 < factor < 0.05
    assert softmax(scores[:3] * factor)[np.arange(3), labels[:3]].min() > 1e-4


@pytest.mark.parametrize("shrinkage", ["auto", 0.2])
def test_discriminant_is_the_same_on_either_side_of_square(shrinkage):
    """More features than rows go through the small matrix; the answer is the definition's."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 3
    features = rng.normal(size=(40, 60)) + labels[:, None] * 0.3
    ours = PooledDiscriminant(shrinkage).fit(features, labels)
    means = np.stack([features[labels == i].mean(0) for i in range(3)])
    centred = features - means[labels]
    covariance = centred.T @ centred / 40
    share = ledoit_wolf_shrinkage(centred, assume_centered=True) if shrinkage == "auto" else 0.2
    level = np.trace(covariance) / 60
    inverse = np.linalg.inv((1 - share) * covariance + share * level * np.eye(60))
    expected = means @ inverse
    np.testing.assert_allclose(ours.coef_, expected - expected.mean(0), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("labels", [[0, 1], [0, 0, 1, 1]])
def test_discriminant_without_variance_is_the_nearest_mean(labels):
    features = np.array([[0.0, 1.0], [2.0, 1.0]])[labels]
    head = PooledDiscriminant().fit(features, np.array(labels))
    scores = np.array([[0.2, 1.0], [1.9, 1.0]]) @ head.coef_.T + head.intercept_
    assert head.classes_[scores.argmax(1)].tolist() == [0, 1]


def test_discriminant_of_unpooled_maps_fits_into_memory():
    features = np.random.default_rng(0).normal(size=(30, 60_000)).astype(np.float32)
    labels = np.arange(30) % 2
    head = fit_head(parse_head("lda"), Sample(features, labels, 2, seed=0))
    assert np.isfinite(head.scores(features)).all()


@pytest.mark.parametrize("name", ["logistic", "dense(epochs=3)"])
def test_rounding_of_a_constant_feature_is_not_learnt(name):
    features, labels = data(2)
    features[:, 3] = np.where(labels, np.nextafter(np.float32(3), np.float32(4)), 3)
    head = fit_head(parse_head(name), Sample(features, labels, 2, seed=0))
    moved = features.copy()
    moved[:, 3] *= 1 + 1e-6
    np.testing.assert_allclose(head.scores(moved), head.scores(features), atol=1e-3)


def test_folds_that_copies_leave_without_a_class():
    labels = np.array([0, 0, 0, 1, 1, 0, 0, 0])
    groups = np.array([0, 3, 4, 3, 3, 3, 0, 4])
    with pytest.raises(DataError, match="byte-identical pictures"):
        make_folds(labels, 2, 0, groups)


def test_groups_of_several_classes_count_for_each():
    labels = np.array([0, 1] * 9 + [1])
    groups = np.array([i // 2 for i in range(18)] + [9])
    folds = make_folds(labels, 5, 0, groups)
    assert len(folds) == 5
    for fit, held_out in folds:
        assert not set(groups[fit]) & set(groups[held_out])


def test_groups_that_leave_no_folds_are_named():
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 2, 3])
    with pytest.raises(DataError, match="groups count once"):
        make_folds(labels, 3, 0, groups)


def test_groups_are_held_out_as_a_whole():
    from pipeline.heads.dense_grid import held_out

    labels = np.repeat([0, 1], 60)
    groups = np.arange(120) // 4
    marked = held_out(labels, 0, groups)
    assert 12 <= marked.sum() <= 24
    assert all(len(set(marked[groups == group])) == 1 for group in np.unique(groups))
    one_group_each = held_out(labels, 0, labels)
    assert one_group_each.sum() == 1


@pytest.mark.parametrize("n_splits", [2, 5])
def test_folds_are_scikit_learns(n_splits):
    labels = np.random.default_rng(0).permutation(np.repeat([2, 0, 5], (13, 29, 7)))
    theirs = StratifiedKFold(n_splits, shuffle=True, random_state=3).split(labels, labels)
    for ours, expected in zip(make_folds(labels, n_splits, 3), theirs, strict=True):
        for some, rows in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(some, rows)


def test_scaler_is_scikit_learns():
    rows = (np.random.default_rng(0).normal(size=(50, 6)) * 3 + 100).astype(np.float32)
    ours, theirs = Scaler.fit(rows), StandardScaler().fit(rows)
    np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol=1e-9)
    np.testing.assert_allclose(ours.transform(rows), theirs.transform(rows), atol=1e-5)
    kept = ours.as_standard_scaler()
    np.testing.assert_array_equal(kept.transform(rows), ours.transform(rows))
