"""A mark in one place is found, whatever else the pictures show; clean pictures raise no alarm."""

import numpy as np
import pytest

from pipeline.evidence.shortcuts import on_seven, place_shares

CORNERS = {
    (0, 0): "in the upper left corner",
    (0, 6): "in the upper right corner",
    (6, 0): "in the lower left corner",
    (6, 6): "in the lower right corner",
    (6, 3): "at the lower border",
    (3, 0): "at the left border",
}


def things(n, k, seed):
    """Return evidence as of photographs: each class is told apart about the middle, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % k
    cells = rng.normal(0, 0.1, (n, 7, 7, k))
    y, x = np.mgrid[-3:4, -3:4]
    for picture, label in enumerate(labels):
        dy, dx = rng.normal(0, 0.8, 2)
        bump = np.exp(-((y - dy) ** 2 + (x - dx) ** 2) / 4)
        cells[picture, :, :, label] += 0.5 * bump
    return cells, labels


@pytest.mark.parametrize("place", CORNERS)
def test_a_mark_is_found_where_it_is(place):
    cells, labels = things(90, 3, 0)
    cells[labels == 1, place[0], place[1], 1] += 4
    first, marked, third = place_shares(cells, labels)
    assert marked.alarm == marked.where == CORNERS[place]
    assert marked.place > 0.25
    assert set(labels[list(marked.rows)]) == {1}
    assert len(marked.rows) == 3
    assert (first.alarm, third.alarm) == ("", "")


def test_a_frame_is_found():
    cells, labels = things(60, 2, 0)
    ring = np.ones((7, 7), bool)
    ring[1:-1, 1:-1] = False
    cells[np.ix_(np.flatnonzero(labels == 0), range(7), range(7), [0])] += ring[..., None] * 0.8
    framed, other = place_shares(cells, labels)
    assert framed.alarm == "at the border"
    assert framed.border > 0.6
    assert other.alarm == ""


@pytest.mark.parametrize("seed", range(10))
def test_things_in_the_middle_and_noise_raise_no_alarm(seed):
    cells, labels = things(90, 3, seed)
    assert not [one for one in place_shares(cells, labels) if one.alarm]
    shuffled = np.random.default_rng(seed).permutation(labels)
    assert not [one for one in place_shares(cells, shuffled) if one.alarm]


def test_few_pictures_and_coarse_maps_say_nothing():
    cells, labels = things(20, 3, 0)
    assert place_shares(cells, labels) == []
    assert on_seven(np.ones((3, 3, 2))) is None
    np.testing.assert_allclose(on_seven(np.ones((14, 14, 2))), 4)
