"""What each strategy takes: as many as were asked for, each once, and the kind that it is for."""

import numpy as np
import pytest

from pipeline.config.features import STRATEGIES as KNOWN
from pipeline.pool.strategies import STRATEGIES, margins

RNG = np.random.default_rng(0)
CENTRES = np.eye(6, 12)
GROUPS = np.repeat(np.arange(6), [30, 25, 20, 15, 10, 1])


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


POOL = unit(CENTRES[GROUPS] + 0.05 * RNG.normal(size=(len(GROUPS), 12)))
LIKELY = RNG.dirichlet([1, 1, 1], len(GROUPS))
LABELLED = POOL[[0, 1, 30]]


def test_the_setting_names_them_all():
    assert tuple(STRATEGIES) == KNOWN


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("n", [1, 12, 101])
def test_each_picture_is_taken_once_and_the_same_again(name, n):
    given = (POOL, LABELLED, LIKELY, n, 3)
    found = STRATEGIES[name](*given)
    assert len(found) == len(set(found.tolist())) == n
    assert (STRATEGIES[name](*given) == found).all()


@pytest.mark.parametrize("name", ["typical", "centres"])
def test_without_labels_the_first_are_of_different_groups(name):
    chosen = STRATEGIES[name](POOL, POOL[:0], np.ones((len(POOL), 1)), 5, 0)
    assert len(set(GROUPS[chosen])) >= 4


def test_centres_are_unlike_what_is_labelled():
    chosen = STRATEGIES["centres"](POOL, LABELLED, LIKELY, 4, 0)
    assert set(GROUPS[chosen]) == {2, 3, 4, 5}


def test_margin_takes_the_least_sure():
    chosen = STRATEGIES["margin"](POOL, LABELLED, LIKELY, 5, 0)
    assert margins(LIKELY)[chosen].max() <= np.sort(margins(LIKELY))[4]


def test_uncertain_ones_are_of_different_groups_and_unsure():
    likely = np.where((np.arange(len(POOL)) % 2)[:, None], [0.98, 0.01, 0.01], [0.4, 0.35, 0.25])
    chosen = STRATEGIES["uncertain"](POOL, LABELLED, likely, 5, 0)
    assert (chosen % 2 == 0).all()
    assert len(set(GROUPS[chosen])) == 5
