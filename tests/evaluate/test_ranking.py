import numpy as np
import pytest
from sklearn import metrics

from pipeline.evaluate import evaluate, rank_figures, top_accuracy


def made(n=300, k=7, seed=0):
    """Probabilities that are right more often than not; coarse, so that some are equal."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    scores = rng.dirichlet(np.ones(k), n)
    scores[np.arange(n), labels] += rng.random(n)
    scores = np.round(scores, 2) + 1e-3
    return scores / scores.sum(1, keepdims=True), labels


def test_several_classes_equal_scikit_learns():
    probabilities, labels = made()
    assert rank_figures(probabilities, labels)[0].value == pytest.approx(
        metrics.roc_auc_score(labels, probabilities, multi_class="ovr")
    )
    assert rank_figures(probabilities, labels)[1] == pytest.approx(
        metrics.average_precision_score(np.eye(7)[labels], probabilities, average="macro")
    )


def test_the_first_five_equal_scikit_learns():
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(9), 200), rng.integers(0, 9, 200)
    assert top_accuracy(probabilities, labels).value == pytest.approx(
        metrics.top_k_accuracy_score(labels, probabilities, k=5)
    )


def test_two_classes_equal_scikit_learns():
    probabilities, labels = made(k=2)
    assert rank_figures(probabilities, labels)[0].value == pytest.approx(
        metrics.roc_auc_score(labels, probabilities[:, 1])
    )
    assert rank_figures(probabilities, labels)[1] == pytest.approx(
        metrics.average_precision_score(labels, probabilities[:, 1])
    )


def test_absent_classes_count_in_no_average():
    probabilities, labels = made()
    kept = labels < 3
    judged = rank_figures(probabilities[kept], labels[kept])[0]
    expected = [
        metrics.roc_auc_score(labels[kept] == number, probabilities[kept, number])
        for number in range(3)
    ]
    assert judged.value == pytest.approx(np.mean(expected))


def test_one_class_and_few_classes_say_nothing():
    probabilities, labels = made(k=3)
    one = labels == 1
    judged = evaluate(probabilities[one], labels[one])
    assert (judged.roc_auc, judged.average_precision, judged.top5_accuracy) == (None, None, None)
    assert evaluate(*made(k=5)).top5_accuracy is None
    assert evaluate(*made(k=6)).top5_accuracy is not None


def test_equal_probabilities_name_the_first_classes():
    probabilities = np.full((8, 8), 1 / 8)
    assert top_accuracy(probabilities, np.arange(8)).value == 5 / 8
    assert evaluate(probabilities, np.arange(8)).accuracy.value == 1 / 8


@pytest.mark.parametrize("k", [2, 4])
def test_interval_of_the_area_is_about_the_bootstraps(k):
    probabilities, labels = made(n=400, k=k, seed=3)
    rng = np.random.default_rng(0)
    drawn = [
        rank_figures(probabilities[rows], labels[rows])[0].value
        for rows in (rng.integers(0, 400, 400) for _ in range(600))
    ]
    np.testing.assert_allclose(
        rank_figures(probabilities, labels)[0].ci95, np.percentile(drawn, [2.5, 97.5]), atol=0.006
    )


def test_nothing_wrong_is_an_interval_without_width():
    judged = rank_figures(np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0]))[0]
    assert judged.value == 1.0
    assert judged.ci95 == (1.0, 1.0)


def test_the_order_of_rows_does_not_matter():
    probabilities, labels = made()
    shuffled = np.random.default_rng(1).permutation(len(labels))
    ours = evaluate(probabilities, labels)
    other = evaluate(probabilities[shuffled], labels[shuffled])
    assert ours.roc_auc.ci95 == pytest.approx(other.roc_auc.ci95)
    assert ours.average_precision == pytest.approx(other.average_precision)
    for one, same in zip(ours.reliability.points, other.reliability.points, strict=True):
        assert vars(one) == pytest.approx(vars(same))
