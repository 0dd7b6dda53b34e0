"""What is left of work whose pieces are not alike."""

import pytest

from pipeline.classify import pace as module
from pipeline.classify.pace import Pace


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def test_nothing_is_said_until_every_kind_is_known(clock):
    slow, quick = (("slow",), 1), (("quick",), 1)
    pace = Pace([slow, slow, quick, quick, quick])
    assert pace.seconds_left is None
    clock.now += 20
    pace.finish(slow, 20.0)
    assert pace.seconds_left is None
    clock.now += 1
    pace.finish(quick, 1.0)
    assert pace.seconds_left == 22.0
    clock.now += 3
    pace.finish(quick, 3.0)
    assert pace.seconds_left == 20.0 + 2.0


def test_a_piece_takes_as_long_as_it_is_large(clock):
    pace = Pace([(("lda",), 100), (("lda",), 300), (("lda", "pca"), 50)])
    clock.now += 10
    pace.finish((("lda",), 100), 10.0)
    assert pace.seconds_left == 30.0 + 5.0
    pace.learn((("lda", "pca"), 100), 40.0)
    assert pace.seconds_left == 30.0 + 20.0


def test_what_may_follow_counts_until_it_is_known_not_to(clock):
    small, large = (("ridge",), 1), (("ridge",), 5)
    pace = Pace([small, large, large])
    clock.now += 2
    pace.finish(small, 2.0)
    assert pace.seconds_left == 20.0
    pace.expect([small])
    assert pace.seconds_left == 2.0
    pace.expect([])
    assert pace.seconds_left == 0.0


def test_workers_that_are_known_are_halfway_through_what_they_do(clock):
    """Six pieces of 10 s, two at a time: what one worker has in hand is half done."""
    pieces = [(("a",), i) for i in [1] * 6]
    pace = Pace(pieces, workers=2)
    pace.learn(pieces[0], 10.0)
    assert pace.seconds_left == 30.0
    clock.now += 1000  # however long that took here
    pace.finish(pieces[0], 10.0)
    assert pace.seconds_left == (50.0 - 5.0) / 2
    for piece in pieces[:4]:
        pace.finish(piece, 10.0)
    assert pace.seconds_left == 5.0
    pace.finish(pieces[0], 10.0)
    assert pace.seconds_left == 0.0


def test_two_at_once_take_half_the_time(clock):
    pieces = [(("a",), 1)] * 4
    pace = Pace(pieces)
    clock.now += 10
    pace.finish(pieces[0], 10.0)
    pace.finish(pieces[1], 10.0)
    assert pace.seconds_left == 10.0


def test_costs_that_are_known_are_scaled_by_what_they_took(clock):
    """The first of four was the longest: the others do not take as long."""
    pieces = [(("search",), cost) for cost in (100.0, 1.0, 2.0, 2.0)]
    pace = Pace(pieces)
    assert pace.seconds_left is None
    clock.now += 1541
    pace.finish(pieces[0], 1541.0)
    assert pace.seconds_left == pytest.approx(5 * 15.41)
    for piece in pieces[1:]:
        pace.finish(piece, 1.0)
    assert pace.seconds_left == 0.0
