"""Who is told how a long call goes on: nobody, the terminal, or a function."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)

from pipeline.errors import InputError
from pipeline.system.processes import check_interrupted
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.units import time_text

PLAIN_LINE_SECONDS = 10.0
BAR_WIDTH = 30

OnProgress = Callable[[int, int, str], None]
"""Called with (done, total, what): what is ``"index"``, ``"features"``, ``"classify"``, ….

Fine-tuning calls it for each step, with ``"epoch 3"``.
"""

ProgressWanted = bool | OnProgress | None
"""What a public function takes: None or False for silence, True for stderr, or a function."""


@contextmanager
def reporting(progress: ProgressWanted) -> Iterator[Reporter]:
    """Yield who is told, and leave the terminal as it was; raises InputError for anything else."""
    if progress is None or progress is False:
        yield SILENT
    elif progress is True:
        terminal = Terminal()
        try:
            yield terminal
        finally:
            terminal.close()
    elif callable(progress):
        yield Called(progress)
    else:
        raise InputError(
            f"expected progress as True, None or a function of (done, total, what), received "
            f"progress={progress!r}"
        )


@dataclass
class Called(Reporter):
    """A function that is called with (done, total, part)."""

    function: OnProgress

    def advance(
        self, part: str, done: int, total: int, unit: str = "pictures", where: str = ""
    ) -> None:
        """Call the function."""
        self.function(done, total, part)


@dataclass
class _Running:
    """One part of the work: since when, and from how many on, its rate is taken, and its bar."""

    began: float
    first: int
    said: float
    done: int = 0
    warm: bool = False
    bar: TaskID | None = None

    def seconds_a_piece(self, now: float, done: int) -> float | None:
        """Return what a piece took; None if none was done.

        The first ones do not count as soon as there are others: the remembered take no time, and
        those that a network is prepared for take long.
        """
        if done < self.done:
            self.began, self.first, self.warm = now, 0, False
        self.done, n = done, done - self.first
        seconds = (now - self.began) / n if n > 0 else None
        if n > 0 and not self.warm:
            self.began, self.first, self.warm = now, done, True
        return seconds


class Quiet(Reporter):
    """Says nothing; as every step is told, an interruption that was lost is made good here."""

    def advance(
        self, part: str, done: int, total: int, unit: str = "pictures", where: str = ""
    ) -> None:
        """Go on, unless somebody has asked for the end."""
        check_interrupted()


class Terminal(Quiet):
    """Progress on stderr: a bar on a terminal, plain lines now and then where there is none."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._parts: dict[str, _Running] = {}
        self._bars: Progress | None = None

    def advance(
        self, part: str, done: int, total: int, unit: str = "pictures", where: str = ""
    ) -> None:
        """Show how far a part is, its rate, the time that is left, and where the time goes."""
        super().advance(part, done, total)
        now = monotonic()
        known = self._parts.setdefault(part, _Running(now, done, now))
        each = known.seconds_a_piece(now, done)
        rate, left = "", None
        if each is not None:
            rate, left = _rate(each, unit), each * (total - done)
        self._show(part, known, (done, total), (f"{done}/{total} {unit}", rate, _left(left), where))

    def advance_unlike(
        self, part: str, done: int, total: int, unit: str, seconds_left: float | None
    ) -> None:
        """Show how far a part is, and the time that is left if it is known."""
        super().advance(part, done, total)
        now = monotonic()
        known = self._parts.setdefault(part, _Running(now, done, now))
        self._show(
            part, known, (done, total), (f"{done}/{total} {unit}", "", _left(seconds_left), "")
        )

    def _show(
        self, part: str, known: _Running, count: tuple[int, int], said: tuple[str, ...]
    ) -> None:
        with suppress(OSError):  # who cannot be told is not told; the work goes on
            now = monotonic()
            if self._console.is_terminal:
                self._draw(part, known, count, " ".join(filter(None, said[1:])))
            elif now - known.said >= PLAIN_LINE_SECONDS:
                known.said = now
                print(f"{part}: {', '.join(filter(None, said))}", file=sys.stderr)

    def _draw(self, name: str, part: _Running, count: tuple[int, int], said: str) -> None:
        done, total = count
        if self._bars is None:
            self._bars = _bars(self._console)
        if part.bar is None:
            self._bars.start()
            part.bar = self._bars.add_task(name, total=total, said="")
        # What does not fit is cut here; rich would take it from the bar and the counts.
        room = self._console.width - len(name) - BAR_WIDTH - 2 * len(str(total)) - 5
        self._bars.update(part.bar, completed=done, total=total, said=said[: max(room, 0)])
        if done >= total:
            self._bars.remove_task(part.bar)
            part.bar = None
            if not self._bars.tasks:
                self._bars.stop()

    def epoch(self, epoch: Any) -> None:
        """Print the figures of an epoch as one line."""
        text = epoch_line(vars(epoch))
        with suppress(OSError):
            if self._bars is not None and self._bars.live.is_started:
                self._bars.console.print(text, markup=False)
            else:
                print(text, file=sys.stderr)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bars is not None:
            self._bars.stop()
        self._bars, self._parts = None, {}


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(BAR_WIDTH),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        console=console,
        transient=True,
    )


def _rate(seconds_a_piece: float, unit: str) -> str:
    """Write a rate, or how long one takes where that is long."""
    if seconds_a_piece > 10:
        return f"{time_text(seconds_a_piece)} a {unit.removesuffix('s')}"
    return f"{1 / max(seconds_a_piece, 1e-9):.1f} {unit}/s"


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f"{time_text(seconds)} left"


def epoch_line(epoch: dict[str, Any]) -> str:
    """Return one line of an epoch's figures."""
    trained = "before training"
    if epoch["train_loss"] is not None:
        trained = f"train loss {epoch['train_loss']:.4f} accuracy {epoch['train_accuracy']:.4f}"
    return (
        f"epoch {epoch['epoch']:>2}: {trained}, validation loss {epoch['validation_loss']:.4f} "
        f"accuracy {epoch['validation_accuracy']:.4f} ({epoch['seconds']:.1f} s)"
    )
