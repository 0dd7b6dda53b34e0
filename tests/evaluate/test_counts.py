import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.evaluate import proportion


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 10), (199, 200), (20, 20), (500, 1000)])
def test_wilson_interval_is_scipys(hits, n):
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    low, high = proportion(hits / n, n).ci95
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)


def test_it_covers_what_it_promises():
    rng = np.random.default_rng(0)
    for share in (0.5, 0.9, 0.99):
        drawn = rng.binomial(200, share, 2000) / 200
        low, high = np.array([proportion(value, 200).ci95 for value in drawn]).T
        assert 0.92 < np.mean((low <= share) & (share <= high)) < 0.98
