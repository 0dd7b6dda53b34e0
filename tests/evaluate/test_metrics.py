import numpy as np
import pytest
from sklearn import metrics

from pipeline.evaluate import evaluate, log_loss, paired_difference


@pytest.fixture
def judged():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 300)
    labels = np.where(rng.random(300) < 0.7, probabilities.argmax(1), rng.integers(0, 4, 300))
    return probabilities, labels


def test_figures_equal_scikit_learns(judged):
    probabilities, labels = judged
    predicted = probabilities.argmax(1)
    ours = evaluate(probabilities, labels)
    assert ours.accuracy.value == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert ours.balanced_accuracy.value == pytest.approx(
        metrics.balanced_accuracy_score(labels, predicted)
    )
    assert ours.macro_f1.value == pytest.approx(
        metrics.f1_score(labels, predicted, average="macro")
    )
    assert ours.log_loss == pytest.approx(metrics.log_loss(labels, probabilities))
    np.testing.assert_array_equal(ours.confusion, metrics.confusion_matrix(labels, predicted))


def test_absent_class_counts_in_no_average():
    probabilities = np.eye(3)[[0, 1, 1, 0]]
    ours = evaluate(probabilities, np.array([0, 1, 1, 1]))
    assert ours.balanced_accuracy.value == pytest.approx((1 + 2 / 3) / 2)


def test_interval_is_the_bootstrap_over_pictures(judged):
    probabilities, labels = judged
    hits = probabilities.argmax(1) == labels
    rng = np.random.default_rng(1)
    means = [hits[rng.integers(0, 300, 300)].mean() for _ in range(4000)]
    expected = np.percentile(means, [2.5, 97.5])
    np.testing.assert_allclose(evaluate(probabilities, labels).accuracy.ci95, expected, atol=0.01)


def test_same_seed_same_interval(judged):
    assert evaluate(*judged, seed=3).accuracy == evaluate(*judged, seed=3).accuracy
    assert evaluate(*judged, seed=3).macro_f1 != evaluate(*judged, seed=4).macro_f1


def test_log_loss_of_what_is_no_number_is_none_either():
    assert np.isnan(log_loss(np.array([[np.nan, np.nan], [1.0, 0.0]]), np.array([1, 0])))
    assert str(log_loss(np.array([[1.0, 0.0]]), np.array([0]))) == "0.0"


def test_log_loss_of_a_certain_mistake_is_finite():
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-15))


def test_pairing_finds_a_small_but_consistent_difference():
    rng = np.random.default_rng(0)
    other = rng.random(1000) < 0.7
    ours = other.copy()
    ours[np.flatnonzero(~other)[:20]] = True
    difference = paired_difference(ours, other)
    assert difference.value == pytest.approx(0.02)
    assert difference.ci95[0] > 0


def test_equal_runs_are_not_distinguishable():
    rng = np.random.default_rng(0)
    low, high = paired_difference(rng.random(200) < 0.9, rng.random(200) < 0.9).ci95
    assert low <= 0 <= high


def test_a_thousand_classes_take_little_memory():
    import tracemalloc

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 1000, 2000)
    probabilities = np.full((2000, 1000), 1e-4)
    probabilities[np.arange(2000), labels] = 0.9
    tracemalloc.start()
    judged = evaluate(probabilities, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert judged.accuracy.value == 1.0
    assert peak < 400e6
