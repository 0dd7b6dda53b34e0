"""What a pipeline of stages waits for: the one figure that says which of them is the slowest."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from time import perf_counter
from typing import TypeVar

Item = TypeVar("Item")
Source = Generator[Item, None, None]


class Waits:
    """Seconds that the thread which drives a pipeline spent waiting, by what it waited for.

    >>> waits = Waits()
    >>> list(waits.inner("pictures", (letter for letter in "ab")))
    ['a', 'b']
    >>> list(waits.seconds)
    ['pictures', 'engine', 'disk']
    """

    def __init__(self) -> None:
        self.seconds = {"pictures": 0.0, "engine": 0.0, "disk": 0.0}

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what another pipeline waited, by what it waited for."""
        for name, more in seconds.items():
            self.seconds[name] += more

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count what the block takes."""
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += perf_counter() - began

    def inner(self, name: str, items: Source[Item]) -> Source[Item]:
        """Pass items on, and count the waiting for each."""
        return self._counted(name, items, inside=False)

    def outer(self, name: str, items: Source[Item]) -> Source[Item]:
        """Do the same for a stage that pulls from inner ones, without their waiting."""
        return self._counted(name, items, inside=True)

    def _counted(self, name: str, items: Source[Item], inside: bool) -> Source[Item]:
        with closing(items):
            while True:
                before = self._others(name)
                with self.of(name):
                    item = next(items, None)
                if inside:
                    self.seconds[name] -= self._others(name) - before
                if item is None:
                    return
                yield item

    def _others(self, name: str) -> float:
        return sum(seconds for other, seconds in self.seconds.items() if other != name)

    def describe(self) -> str:
        """Say where the time went: ``waiting for pictures 3 %, engine 96 %, disk 1 %``."""
        total = sum(self.seconds.values()) or 1.0
        shares = (f"{name} {seconds / total:.0%}" for name, seconds in self.seconds.items())
        return f"waiting for {', '.join(shares)}"
