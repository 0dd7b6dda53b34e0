"""How long pieces of work will take that are not alike, such as fitting one head and another."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from time import monotonic
from typing import Any


class Pace:
    """What is left of the work, in seconds; its clock starts when it is made.

    Args:
        pieces: The kind of each piece of work.
        costs: What a piece of each kind costs, in any unit; what those of its kind took that are
            done, if left out.
    """

    def __init__(
        self, pieces: Iterable[Hashable], costs: Mapping[Any, float] | None = None
    ) -> None:
        self._waiting = Counter(pieces)
        self._costs = costs
        self._took: dict[Hashable, list[float]] = {}
        self._began, self._done = monotonic(), 0.0

    def finish(self, kind: Hashable, seconds: float = 0.0) -> None:
        """Take a piece as done, in so many seconds of whoever did it."""
        self._waiting[kind] -= 1
        self._took.setdefault(kind, []).append(seconds)
        self._done += seconds if self._costs is None else self._costs[kind]

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is done; None where it is not known of every kind what it costs."""
        waiting = {kind: n for kind, n in self._waiting.items() if n > 0}
        costs = self._costs
        if costs is None:
            costs = {kind: sum(all_) / len(all_) for kind, all_ in self._took.items()}
        if not self._done or not waiting.keys() <= costs.keys():
            return None
        left = sum(n * costs[kind] for kind, n in waiting.items())
        return left * (monotonic() - self._began) / self._done
