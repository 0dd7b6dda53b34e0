import numpy as np
import pytest

from pipeline.check import blocks, near_pairs, neighbours
from pipeline.check.blocks import PairList, distance_of_nth, similar_pairs, unit_rows
from pipeline.errors import InputError
from tests.conftest import Told


def made(n=300, d=64, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def with_copies(features, noise, *pairs):
    """Replace the second row of each pair by the first one with a little noise."""
    copied, rng = features.copy(), np.random.default_rng(9)
    for source, place in pairs:
        copied[place] = features[source] + noise * rng.normal(size=features.shape[1])
    return copied


def found(pairs):
    return {tuple(pair) for pair in pairs.rows.tolist()}


def test_planted_copies_are_found_and_nothing_else():
    planted = [(0, 250), (7, 8), (100, 299)]
    near = near_pairs(with_copies(made(), 0.2, *planted))
    assert found(near) == set(planted)
    assert (near.similarities > 0.9).all()
    assert near.similarities.tolist() == sorted(near.similarities, reverse=True)


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_blocks_change_nothing(monkeypatch, block):
    features = with_copies(made(150), 0.25, (3, 77), (77, 149))
    expected = near_pairs(features)
    monkeypatch.setattr(blocks, "BLOCK", block)
    again = near_pairs(features)
    np.testing.assert_array_equal(again.rows, expected.rows)
    np.testing.assert_allclose(again.similarities, expected.similarities, atol=1e-4)


def test_all_pairs_and_neighbours_equal_the_whole_product(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 32)
    unit = unit_rows(made(100, 8))
    whole = unit @ unit.T
    rows, similarities = similar_pairs(unit, 0.5, 10**6).all()
    expected = np.argwhere(np.triu(whole >= 0.5, 1))
    assert {tuple(pair) for pair in rows.tolist()} == {tuple(pair) for pair in expected.tolist()}
    np.testing.assert_allclose(similarities, whole[rows[:, 0], rows[:, 1]], atol=1e-6)
    np.fill_diagonal(whole, -np.inf)
    some = np.array([0, 31, 32, 99])
    np.testing.assert_allclose(
        distance_of_nth(unit, some, 10), 1 - np.sort(whole[some])[:, -10], atol=1e-6
    )


def test_look_alikes_in_a_crowd_are_no_duplicates():
    rng = np.random.default_rng(0)
    features = made(400)
    features[:40] = features[0] + 0.4 * rng.normal(size=(40, 64))  # one tight class
    features[39] = features[5] + 0.1 * rng.normal(size=64)
    similarities = near_pairs(features, similarity=0.8)
    assert len(similarities.rows) > 100
    assert found(near_pairs(features)) == {(5, 39)}


def test_a_burst_of_copies_is_found_whole():
    features = made(200)
    features[:30] = features[0] + 0.05 * np.random.default_rng(1).normal(size=(30, 64))
    assert len(near_pairs(features).rows) == 30 * 29 // 2


def test_what_all_pictures_share_makes_none_alike():
    assert not len(near_pairs(made() + 1000).rows)


def test_a_channel_of_two_pictures_does_not_make_them_alike():
    features = made(2000)
    features[:, 0] = 0
    features[[10, 20], 0] = 50
    assert (10, 20) not in found(near_pairs(features, similarity=0.7))


def test_features_that_do_not_vary_are_no_evidence():
    assert not len(near_pairs(np.ones((5, 3), np.float32)).rows)
    assert not len(near_pairs(np.empty((0, 3), np.float32)).rows)
    assert not len(near_pairs(np.ones((1, 3), np.float32)).rows)


def test_a_threshold_of_ones_own_replaces_the_rule():
    features = with_copies(made(), 0.3, (0, 1), (2, 3))
    features[5] = features[4] + 0.05 * made(1, seed=4)[0]
    assert found(near_pairs(features, similarity=0.99)) == {(4, 5)}
    assert "of at least 0.99" in near_pairs(features, similarity=0.99).rule
    assert "10th nearest neighbour" in near_pairs(features).rule


@pytest.mark.parametrize("similarity", [0, -0.5, 1.5, float("nan")])
def test_no_such_similarity(similarity):
    with pytest.raises(InputError, match="expected a cosine similarity above 0 and at most 1"):
        near_pairs(made(), similarity)


def test_memory_for_pairs_is_bounded():
    pairs = PairList(0.1, 1000)
    rng = np.random.default_rng(0)
    given = rng.random(20_000).astype(np.float32)
    for begin in range(0, 20_000, 500):
        some = np.arange(begin, begin + 500)
        some = some[given[some] >= pairs.floor]
        pairs.add(some, some + 1, given[some])
    rows, similarities = pairs.all()
    assert len(rows) <= 1000
    assert pairs.floor > 0.9
    kept = set(rows[:, 0].tolist())
    assert kept == set(np.flatnonzero(given >= pairs.floor).tolist())
    assert set(similarities.tolist()) <= set(given.tolist())


def test_a_floor_that_rose_is_told(monkeypatch):
    monkeypatch.setattr(neighbours, "MAX_PAIRS", 50)
    features = made(60)
    features[:] = features[0] + 0.3 * made(60, seed=1)
    near = near_pairs(features + made(60, seed=2) * 0.01, similarity=0.01)
    assert near.floor > 0.01
    assert len(near.rows) <= 50
    assert f"those below {near.floor:.3f} were not looked at" in near.rule


def test_equally_similar_pairs_are_bounded_too():
    pairs = PairList(0.1, 100)
    pairs.add(np.arange(500), np.arange(500) + 1, np.ones(500, np.float32))
    assert len(pairs.all()[0]) == 50


def test_progress_ends_at_the_whole(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 50)
    told = Told()
    near_pairs(made(180), reporter=told)
    assert told.calls == [("check", done, 10, "blocks") for done in (4, 7, 9, 10)]
