"""How long pieces of work will take that are not alike, such as fitting one head and another."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from time import monotonic

PortionKind = tuple[str, ...]
"""What pieces are that cost alike for their size, such as ``("lda",)`` or ``("lda", "pca")``."""

Portion = tuple[PortionKind, float]
"""A piece of work: its kind, and its size in a unit of that kind."""


class Pace:
    """What is left of the work, in seconds; its clock starts when it is made.

    What a size of a kind costs is learnt from pieces that are done; of a kind that is not known
    yet, from those that only its first word is said of.

    Args:
        pieces: What there is to do.
        workers: How many do a piece each at a time; told by how fast it goes if left out.
    """

    def __init__(self, pieces: Iterable[Portion] = (), workers: int | None = None) -> None:
        self._took: dict[PortionKind, float] = defaultdict(float)
        self._sizes: dict[PortionKind, float] = defaultdict(float)
        self._workers = workers
        self._began, self._done = monotonic(), 0.0
        self.expect(pieces)

    def expect(self, pieces: Iterable[Portion]) -> None:
        """Take these as all that is left, none of it begun."""
        self._waiting, self._begun = Counter(pieces), False

    def learn(self, piece: Portion, seconds: float) -> None:
        """Take what a piece took whoever did it, now or another time."""
        kind, size = piece
        self._took[kind] += seconds
        self._sizes[kind] += size

    def finish(self, piece: Portion, seconds: float) -> None:
        """Take a piece as done, in so many seconds of whoever did it."""
        self.learn(piece, seconds)
        self._waiting[piece] -= 1
        self._done += seconds
        self._begun = True

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is done; None where it is not known of every kind what it costs."""
        left = 0.0
        for (kind, size), n in self._waiting.items():
            known = kind if kind in self._sizes else kind[:1]
            if n and known not in self._sizes:
                return None
            left += n * size * self._took[known] / self._sizes[known] if n else 0.0
        n_left = self._waiting.total()
        if not n_left:
            return 0.0
        if self._workers is None:
            return left * (monotonic() - self._began) / self._done if self._done else None
        # When one is done the others have done half of theirs.
        n_begun = min(self._workers - 1, n_left) if self._begun else 0
        return left * (1 - n_begun / n_left / 2) / min(self._workers, n_left)
