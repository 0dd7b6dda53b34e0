"""What all places add up to is the score: for every pooling, every preparation, several cuts."""

import numpy as np
import pytest

from pipeline.heads import NetworkHead
from pipeline.heads.positions import contributions, is_sum, regrid, shares

CUTS = ((8, 3), (4, 5), (5, 2))  # grids that divide each other, and one that does not


def pooled_of(one, pooling):
    flat = one.reshape(-1, one.shape[2])
    average, maximum = flat.mean(0), flat.max(0)
    return {
        "avg": average,
        "max": maximum,
        "avg+max": np.concatenate([average, maximum]),
        "gem": np.cbrt((np.maximum(flat, 1e-6) ** 3).mean(0)),
        "none": one.reshape(-1),
    }[pooling]


def a_picture(pooling, rng):
    maps = [rng.normal(size=(n, n, c)).astype(np.float32) for n, c in CUTS]
    parts = [pooled_of(one, pooling).astype(np.float32) for one in maps]
    return maps, np.concatenate(parts), tuple(map(len, parts))


@pytest.mark.parametrize("pooling", ["avg", "max", "avg+max", "gem", "none"])
@pytest.mark.parametrize("rowwise", ["none", "l2", "sqrt-l2"])
@pytest.mark.parametrize("apart", [False, True])
def test_all_places_and_the_bias_are_the_score(pooling, rowwise, apart):
    rng = np.random.default_rng(0)
    maps, pooled, widths = a_picture(pooling, rng)
    kernel, bias = rng.normal(size=(len(pooled), 4)), rng.normal(size=4)
    blocks = widths if apart else ()
    kernels = (kernel.astype(np.float32),)
    head = NetworkHead(kernels, (bias.astype(np.float32),), rowwise, blocks)
    cells = contributions(head, pooled, maps, [pooling] * 3, [3, 1])
    assert cells.shape == (8, 8, 2)
    found = cells.sum((0, 1)) + head.biases[0][[3, 1]]
    np.testing.assert_allclose(found, head.scores(pooled[None])[0, [3, 1]], atol=1e-4)


def test_a_place_gets_what_it_adds():
    one = np.zeros((2, 2, 1), np.float32)
    one[0, 1] = 4
    head = NetworkHead((np.array([[2.0, -1.0]], np.float32),), (np.zeros(2, np.float32),))
    cells = contributions(head, np.array([1.0], np.float32), [one], ["avg"], [0, 1])
    assert cells[..., 0].tolist() == [[0, 2], [0, 0]]
    assert cells[..., 1].tolist() == [[0, -1], [0, 0]]


def test_the_greatest_value_is_of_the_place_where_it_is():
    one = np.array([[[1.0], [5.0]], [[5.0], [2.0]]])
    assert shares(one, "max")[..., 0].tolist() == [[0, 5], [0, 0]]  # of equals the first


@pytest.mark.parametrize(("n", "to"), [(4, 7), (7, 4), (3, 9), (1, 5)])
def test_another_grid_keeps_the_sum_and_where_it_lies(n, to):
    cells = np.random.default_rng(0).normal(size=(n, n, 2))
    spread = regrid(cells, (to, to))
    np.testing.assert_allclose(spread.sum((0, 1)), cells.sum((0, 1)))
    ramp = np.zeros((n, n))
    ramp[0, 0] = 1
    moved = regrid(ramp, (to, to))
    assert moved[0, 0] == pytest.approx(moved.max())
    assert n == 1 or moved[-1, -1] == 0


def test_networks_are_no_sums():
    one = np.ones((2, 2), np.float32)
    two = (np.zeros(2, np.float32),) * 2
    assert is_sum(NetworkHead((one,), two[:1]))
    assert not is_sum(NetworkHead((one, one), two))
    assert not is_sum(None)
