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
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.text import Text

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
    """One part of the work: since when, and from how many on, its rate is taken, and its bar.

    Its pieces may not be alike: then there is a share of its time, and that is drawn.
    """

    began: float
    first: int
    said: float
    done: int = 0
    warm: bool = False
    bar: TaskID | None = None
    share: float | None = None
    ends: float | None = None
    room: int = 0

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
        self._show(part, known, (done, total), left, (f"{done}/{total} {unit}", rate, where))

    def advance_unlike(
        self, part: str, done: int, total: int, unit: str, seconds_left: float | None
    ) -> None:
        """Show how far a part is, and the time that is left if it is known."""
        super().advance(part, done, total)
        now = monotonic()
        known = self._parts.setdefault(part, _Running(now, done, now))
        if seconds_left is not None and done < total:
            known.share = (now - known.began) / max(now - known.began + seconds_left, 1e-9)
        said = f"{done}/{total} {unit}", "", ""
        self._show(part, known, (done, total), seconds_left, said)

    def _show(
        self,
        part: str,
        known: _Running,
        count: tuple[int, int],
        seconds_left: float | None,
        said: tuple[str, str, str],
    ) -> None:
        now, (counted, rate, where) = monotonic(), said
        known.ends = None if seconds_left is None else now + seconds_left
        with suppress(OSError):  # who cannot be told is not told; the work goes on
            if self._console.is_terminal:
                self._draw(part, known, count, (rate, where))
            elif now - known.said >= PLAIN_LINE_SECONDS:
                known.said = now
                told = filter(None, (counted, rate, _left(seconds_left), where))
                print(f"{part}: {', '.join(told)}", file=sys.stderr)

    def _draw(
        self, name: str, part: _Running, count: tuple[int, int], said: tuple[str, str]
    ) -> None:
        done, total = count
        if self._bars is None:
            self._bars = _bars(self._console)
        if part.bar is None:
            self._bars.start()
            part.bar = self._bars.add_task(name, total=total, counts="", said=said, part=part)
        # What does not fit is cut; rich would take it from the bar and the counts.
        part.room = self._console.width - len(name) - BAR_WIDTH - 2 * len(str(total)) - 5
        counts, along = f"{done}/{total}", done if part.share is None else part.share * total
        self._bars.update(part.bar, completed=along, total=total, counts=counts, said=said)
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


class _Said(ProgressColumn):
    """Rate, the time that is left, which goes down while nothing is told, and where it goes."""

    def render(self, task: Task) -> Text:
        """Return that of a part as it is now."""
        (rate, where), part = task.fields["said"], task.fields["part"]
        left = None if part.ends is None else max(part.ends - monotonic(), 0.0)
        return Text(" ".join(filter(None, (rate, _left(left), where)))[: max(part.room, 0)])


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(BAR_WIDTH),
        TextColumn("{task.fields[counts]}", markup=False),
        _Said(),
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
