"""Who is told how long work goes on. Defined low and handed down, so that every stage knows it."""

from typing import Any


class Reporter:
    """Is told how work goes on; this one tells nobody. The command line's prints.

    What a reporter raises is its own fault and nobody else's: it is called outside of every
    ``try`` that explains something else.
    """

    def advance(
        self, part: str, done: int, total: int, unit: str = "pictures", where: str = ""
    ) -> None:
        """Tell that ``done`` of ``total`` are done.

        Args:
            part: What goes on: ``"index"``, ``"features"``, ``"search"``, ``"epoch 3"``.
            done: How many are done. The clock starts anew with the first call, and with one that
                tells of fewer than the one before.
            total: How many there are.
            unit: What is counted.
            where: Where the time goes, if that is known.
        """

    def advance_unlike(
        self, part: str, done: int, total: int, unit: str, seconds_left: float | None
    ) -> None:
        """Tell that ``done`` of ``total`` pieces are done, of which each takes its own time.

        Args:
            part: What goes on.
            done: How many are done.
            total: How many there are.
            unit: What is counted.
            seconds_left: When the rest will be done; None where nobody can know.
        """
        self.advance(part, done, total, unit)

    def epoch(self, epoch: Any) -> None:
        """Tell the figures of an epoch of training, epoch 0 being what was there before."""


SILENT = Reporter()
