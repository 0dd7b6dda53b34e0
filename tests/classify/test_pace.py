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
    pace = Pace(["slow", "slow", "quick", "quick", "quick"])
    assert pace.seconds_left is None
    clock.now += 20
    pace.finish("slow", 20.0)
    assert pace.seconds_left is None
    clock.now += 1
    pace.finish("quick", 1.0)
    assert pace.seconds_left == 22.0
    clock.now += 3
    pace.finish("quick", 3.0)
    assert pace.seconds_left == 20.0 + 2.0


def test_two_at_once_take_half_the_time(clock):
    pace = Pace(["a"] * 4)
    clock.now += 10
    pace.finish("a", 10.0)
    pace.finish("a", 10.0)
    assert pace.seconds_left == 10.0


def test_costs_that_are_known_are_scaled_by_what_they_took(clock):
    """The first of four was the longest: the others do not take as long."""
    pace = Pace(range(4), {0: 100.0, 1: 1.0, 2: 2.0, 3: 2.0})
    assert pace.seconds_left is None
    clock.now += 1541
    pace.finish(0, 1541.0)
    assert pace.seconds_left == pytest.approx(5 * 15.41)
    for piece in (1, 2, 3):
        pace.finish(piece)
    assert pace.seconds_left == 0.0
