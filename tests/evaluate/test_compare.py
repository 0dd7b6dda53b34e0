import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.evaluate import compare_paired, holm, mcnemar_p_value


def runs(won, lost, both=50):
    """Two runs of which one alone is right on ``won`` pictures and the other alone on ``lost``."""
    ours = np.array([True] * won + [False] * lost + [True] * both)
    return ours, np.array([False] * won + [True] * lost + [True] * both)


@pytest.mark.parametrize(("won", "lost"), [(0, 1), (5, 0), (6, 0), (12, 3), (40, 41), (300, 240)])
def test_p_value_is_the_binomial_tests(won, lost):
    expected = binomtest(won, won + lost, 0.5).pvalue
    assert mcnemar_p_value(*runs(won, lost)) == pytest.approx(expected)
    assert mcnemar_p_value(*runs(lost, won)) == pytest.approx(expected)


def test_five_pictures_are_too_few_and_six_are_enough():
    assert not compare_paired(*runs(5, 0)).distinguishable
    assert compare_paired(*runs(6, 0)).distinguishable


def test_runs_that_never_disagree():
    comparison = compare_paired(*runs(0, 0))
    assert (comparison.value, comparison.ci95, comparison.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_pictures_on_which_both_agree_do_not_matter():
    assert mcnemar_p_value(*runs(9, 2, both=1)) == mcnemar_p_value(*runs(9, 2, both=5000))


def test_equal_runs_are_rarely_called_different():
    rng = np.random.default_rng(0)
    p_values = [mcnemar_p_value(rng.random(400) < 0.9, rng.random(400) < 0.9) for _ in range(2000)]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.06  # at most 5 %, and the noise of the draws


def test_correction_keeps_the_order_and_never_exceeds_one():
    given = [0.04, 0.001, 0.9, 0.02]
    assert holm(given) == pytest.approx([0.08, 0.004, 0.9, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
