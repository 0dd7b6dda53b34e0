import numpy as np
import pytest

from pipeline.evaluate import reliability


def sure(confidence, right):
    """Probabilities of two classes, called 0 with that confidence, and labels."""
    confidence = np.asarray(confidence, float)
    return np.stack([confidence, 1 - confidence], 1), np.where(right, 0, 1)


def test_error_is_the_mean_gap():
    probabilities, labels = sure([0.6] * 10 + [0.9] * 10, [True] * 5 + [False] * 5 + [True] * 10)
    curve = reliability(probabilities, labels)
    assert [point.n for point in curve.points] == [10, 10]
    assert [point.confidence for point in curve.points] == pytest.approx([0.6, 0.9])
    assert [point.accuracy for point in curve.points] == pytest.approx([0.5, 1.0])
    assert curve.error == pytest.approx((0.1 + 0.1) / 2)


def test_bins_hold_equally_many_pictures():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 1500)
    curve = reliability(*sure(confidence, rng.random(1500) < confidence))
    assert [point.n for point in curve.points] == [100] * 15
    assert all(
        low.confidence < high.confidence
        for low, high in zip(curve.points, curve.points[1:], strict=False)
    )


def test_calibrated_predictions_have_a_small_error_and_sure_ones_a_large():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 30_000)
    right = rng.random(30_000) < confidence
    assert reliability(*sure(confidence, right)).error < 0.015
    boasting = np.clip(confidence + 0.2, 0, 0.999)
    assert reliability(*sure(boasting, right)).error > 0.1


@pytest.mark.parametrize("n", [1, 3])
def test_few_pictures(n):
    curve = reliability(*sure([0.8] * n, [True] * n))
    assert curve.error == pytest.approx(0.2)
    assert sum(point.n for point in curve.points) == n
