"""Who is told how a long call goes on: nobody, the terminal, or a function."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    TimeRemainingColumn,
)

from pipeline.errors import InputError
from pipeline.system.progress import SILENT, Reporter

PLAIN_LINE_SECONDS = 10.0

OnProgress = Callable[[int, int, str], None]
"""Called with (done, total, what): what is ``"index"``, ``"features"``, ``"classify"``, ….

Fine-tuning calls it for each step, with ``"epoch 3"``.
"""

ProgressWanted = bool | OnProgress | None
"""What a public function takes: None or False for silence, True for stderr, or a function."""


@contextmanager
def reporting(progress: ProgressWanted) -> Iterator[Reporter]:
    """Yield who is told, and leave the terminal as it was.

    Raises:
        InputError: It is nothing of what may be given.
    """
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
    """One part of the work: when its clock started, when it was last told of, and its bar."""

    began: float
    said: float
    bar: TaskID | None = None


class Terminal(Reporter):
    """Progress on stderr: a bar on a terminal, plain lines now and then where there is none."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._parts: dict[str, _Running] = {}
        self._bars: Progress | None = None

    def advance(
        self, part: str, done: int, total: int, unit: str = "pictures", where: str = ""
    ) -> None:
        """Show how far a part is, its rate, the time that is left, and where the time goes."""
        now = monotonic()
        known = self._parts.setdefault(part, _Running(now, now))
        if not done:
            known.began = known.said = now
        rate = f"{done / max(now - known.began, 1e-9):.1f} {unit}/s"
        if self._console.is_terminal:
            self._draw(part, known, done, total, rate, where)
        elif now - known.said >= PLAIN_LINE_SECONDS:
            known.said = now
            left = (now - known.began) / max(done, 1) * (total - done)
            parts = (f"{done}/{total} {unit}", rate, f"{left:.0f} s left", where)
            print(f"{part}: {', '.join(filter(None, parts))}", file=sys.stderr)

    def _draw(
        self, name: str, part: _Running, done: int, total: int, rate: str, where: str
    ) -> None:
        if self._bars is None:
            self._bars = _bars(self._console)
        if part.bar is None:
            self._bars.start()
            part.bar = self._bars.add_task(name, rate="", where="")
        self._bars.update(part.bar, completed=done, total=total, rate=rate, where=where)
        if done >= total:
            self._bars.remove_task(part.bar)
            part.bar = None
            if not self._bars.tasks:
                self._bars.stop()

    def epoch(self, epoch: Any) -> None:
        """Print the figures of an epoch as one line."""
        text = epoch_line(vars(epoch))
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
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[where]}"),
        console=console,
        transient=True,
    )


def epoch_line(epoch: dict[str, Any]) -> str:
    """Return one line of an epoch's figures."""
    trained = "before training"
    if epoch["train_loss"] is not None:
        trained = f"train loss {epoch['train_loss']:.4f} accuracy {epoch['train_accuracy']:.4f}"
    return (
        f"epoch {epoch['epoch']:>2}: {trained}, validation loss {epoch['validation_loss']:.4f} "
        f"accuracy {epoch['validation_accuracy']:.4f} ({epoch['seconds']:.1f} s)"
    )
