"""Who is told how a long call goes on: nobody, the terminal, or a function.

How progress looks: a bar on a terminal, plain lines now and then where there is none.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from pipeline.errors import InputError
from pipeline.system import progress as system

OnProgress = Callable[[int, int, str], None]
"""Called with (done, total, what): what is ``"index"``, ``"features"``, ``"classify"``, ….

Fine-tuning calls it for each step, with ``"epoch 3"``.
"""

Wanted = bool | OnProgress | None
"""What a public function takes: None or False for silence, True for stderr, or a function."""


class Told(Protocol):
    """Something countable that goes on."""

    def update(self, done: int, total: int, where: str = "") -> None:
        """Tell that ``done`` of ``total`` are done, and maybe where the time goes."""


class ToldEpochs(Protocol):
    """A training that goes on."""

    def on_epoch(self, epoch: Any) -> None:
        """Tell an epoch's figures."""

    def on_step(self, epoch: int, step: int, n_steps: int, n_pictures: int) -> None:
        """Tell that a step has taken ``n_pictures``."""


class Reporter(Protocol):
    """Opens one of these for each part of the work."""

    def counter(self, name: str, unit: str) -> AbstractContextManager[Told]:
        """Return what is told of one part."""

    def epochs(self) -> AbstractContextManager[ToldEpochs]:
        """Return what is told of a training."""


class Relay(system.Reporter):
    """Passes on what a stage reports: epochs to a training, all else to one counter."""

    def __init__(self, told: Told, training: ToldEpochs | None = None, batch_size: int = 0) -> None:
        self._told, self._training, self._batch_size = told, training, batch_size

    def advance(
        self, part: str, done: int, total: int, unit: str = "pictures", where: str = ""
    ) -> None:
        """Tell the counter, or the training's steps."""
        if self._training is None or not part.startswith("epoch "):
            self._told.update(done, total, where)
        elif done:
            self._training.on_step(int(part.split()[1]), done, total, self._batch_size)

    def epoch(self, epoch: Any) -> None:
        """Tell the training."""
        if self._training is not None:
            self._training.on_epoch(epoch)


class Shown:
    """The command line's own progress, on stderr.

    Args:
        silent: Show nothing.
    """

    def __init__(self, silent: bool = False) -> None:
        self._silent = silent

    def counter(self, name: str, unit: str) -> AbstractContextManager[Told]:
        """Return a bar on a terminal, or plain lines."""
        return progress(name, unit, self._silent)

    def epochs(self) -> AbstractContextManager[ToldEpochs]:
        """Return what prints a line after each epoch."""
        return epochs(self._silent)


class Called:
    """A function that is called."""

    def __init__(self, function: OnProgress) -> None:
        self._function = function

    @contextmanager
    def counter(self, name: str, unit: str) -> Iterator[Told]:
        """Yield what calls the function with (done, total, name)."""
        yield _Counter(self._function, name)

    @contextmanager
    def epochs(self) -> Iterator[ToldEpochs]:
        """Yield what calls the function with (step, steps, "epoch 3")."""
        yield _Epochs(self._function)


class _Counter:
    def __init__(self, function: OnProgress, name: str) -> None:
        self._function, self._name = function, name

    def update(self, done: int, total: int, where: str = "") -> None:
        self._function(done, total, self._name)


class _Epochs:
    def __init__(self, function: OnProgress) -> None:
        self._function = function

    def on_epoch(self, epoch: Any) -> None:
        pass  # its last step told it

    def on_step(self, epoch: int, step: int, n_steps: int, n_pictures: int) -> None:
        self._function(step, n_steps, f"epoch {epoch}")


def reporter(progress: Wanted) -> Reporter:
    """Return who is told.

    Raises:
        InputError: It is nothing of what may be given.
    """
    if progress is None or progress is False:
        return Called(lambda done, total, what: None)
    if progress is True:
        return Shown()
    if callable(progress):
        return Called(progress)
    raise InputError(
        f"expected progress as True, None or a function of (done, total, what), received "
        f"progress={progress!r}"
    )


PLAIN_LINE_SECONDS = 10.0

Value = Mapping[str, Any]


class Counter:
    """Progress of something countable, with its rate and the time that is left."""

    def __init__(self, name: str, unit: str, silent: bool) -> None:
        self._name, self._unit, self._silent = name, unit, silent
        self._began = self._said = monotonic()
        self._console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None

    def update(self, done: int, total: int, where: str = "") -> None:
        """Tell that ``done`` of ``total`` are done, and where the time goes; 0 starts the clock."""
        if not done:
            self._began = self._said = monotonic()
        if self._silent:
            return
        if not self._console.is_terminal:
            self._line(done, total, where)
            return
        if self._bar is None:
            self._bar = _bar(self._console)
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=total, rate="", where="")
        rate = self._rate(done)
        self._bar.update(self._task, completed=done, total=total, rate=rate, where=where)

    def _rate(self, done: int) -> str:
        return f"{done / max(monotonic() - self._began, 1e-9):.1f} {self._unit}/s"

    def _line(self, done: int, total: int, where: str) -> None:
        now = monotonic()
        if now - self._said >= PLAIN_LINE_SECONDS:
            self._said = now
            left = (now - self._began) / max(done, 1) * (total - done)
            parts = (f"{done}/{total} {self._unit}", self._rate(done), f"{left:.0f} s left", where)
            print(f"{self._name}: {', '.join(filter(None, parts))}", file=sys.stderr)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()


def _bar(console: Console) -> Progress:
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


@contextmanager
def progress(name: str, unit: str, silent: bool) -> Iterator[Counter]:
    """Yield a counter that is closed whatever happens."""
    counter = Counter(name, unit, silent)
    try:
        yield counter
    finally:
        counter.close()


class Epochs:
    """Progress of a training: plain lines within each epoch, and one after it."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent
        self._restart()

    def _restart(self) -> None:
        self._n_pictures, self._began = 0, monotonic()
        self._said = self._began

    def on_step(self, epoch: int, step: int, n_steps: int, n_pictures: int) -> None:
        """Tell that a step of an epoch has taken ``n_pictures``."""
        self._n_pictures += n_pictures
        now = monotonic()
        if not self._silent and now - self._said >= PLAIN_LINE_SECONDS:
            self._said = now
            took = now - self._began
            left = took / step * (n_steps - step)
            rate = self._n_pictures / took
            text = (
                f"epoch {epoch:>2}: step {step}/{n_steps}, {rate:.1f} pictures/s, {left:.0f} s left"
            )
            print(text, file=sys.stderr)

    def on_epoch(self, epoch: Any) -> None:
        """Print an epoch's figures."""
        if not self._silent:
            print(epoch_line(vars(epoch)), file=sys.stderr)
        self._restart()


def epoch_line(epoch: Value) -> str:
    """Return one line of an epoch's figures."""
    trained = "before training"
    if epoch["train_loss"] is not None:
        trained = f"train loss {epoch['train_loss']:.4f} accuracy {epoch['train_accuracy']:.4f}"
    return (
        f"epoch {epoch['epoch']:>2}: {trained}, validation loss {epoch['validation_loss']:.4f} "
        f"accuracy {epoch['validation_accuracy']:.4f} ({epoch['seconds']:.1f} s)"
    )


@contextmanager
def epochs(silent: bool) -> Iterator[Epochs]:
    """Yield what reports the epochs of a training."""
    yield Epochs(silent)
