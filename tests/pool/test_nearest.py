"""The nearest rows, exactly, whatever the blocks; near-duplicates fold."""

import numpy as np
import pytest

from pipeline.pool.nearest import CERTAIN, Standard, folded, nearest

FEATURES = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
STANDARD = Standard.of(FEATURES)


def in_blocks(size):
    order = np.random.default_rng(1).permutation(len(FEATURES))
    return lambda: (
        (order[at : at + size], FEATURES[order[at : at + size]])
        for at in range(0, len(order), size)
    )


@pytest.mark.parametrize("size", [7, 64, 300])
@pytest.mark.parametrize("n", [1, 9, 400])
def test_they_are_those_of_the_whole_product(size, n):
    queries = FEATURES[[3, 250]] + 0.1
    unit = STANDARD.unit(FEATURES)
    expected = STANDARD.unit(queries) @ unit.T
    for found, values in zip(nearest(queries, STANDARD, in_blocks(size), n), expected, strict=True):
        order = np.argsort(-values, kind="stable")[:n]
        assert found[:, 0].astype(int).tolist() == order.tolist()
        assert found[:, 1] == pytest.approx(values[order], abs=1e-6)


def test_features_that_never_vary_count_for_nothing():
    same = np.column_stack([FEATURES, np.full(len(FEATURES), 5, np.float32)])
    unit = Standard.of(same).unit(same)
    assert (unit[:, -1] == 0).all()
    assert np.linalg.norm(unit, axis=1) == pytest.approx(1, abs=1e-5)


def test_near_duplicates_of_one_another_count_once():
    features = FEATURES[[0, 0, 1, 0, 2, 1]] + np.linspace(0, 0.01, 6, dtype=np.float32)[:, None]
    found = np.column_stack([np.arange(10, 16), np.linspace(0.9, 0.4, 6)])
    kept = list(folded(found, features, STANDARD, 2))
    assert [(one.row, one.folded) for one in kept] == [(10, (11, 13)), (12, (15,))]
    assert kept[0].similarity == 0.9
    alike = STANDARD.unit(features)
    assert alike[0] @ alike[1] >= CERTAIN
