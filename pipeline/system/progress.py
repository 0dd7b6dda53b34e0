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
            done: How many are done; 0 starts the clock of this part.
            total: How many there are.
            unit: What is counted.
            where: Where the time goes, if that is known.
        """

    def epoch(self, epoch: Any) -> None:
        """Tell the figures of an epoch of training, epoch 0 being what was there before."""


SILENT = Reporter()
