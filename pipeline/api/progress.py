"""Who is told how a long call goes on: nobody, the terminal, or a function."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from pipeline.errors import InputError

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


class Shown:
    """The command line's own progress, on stderr.

    Args:
        silent: Show nothing.
    """

    def __init__(self, silent: bool = False) -> None:
        self._silent = silent

    def counter(self, name: str, unit: str) -> AbstractContextManager[Told]:
        """Return a bar on a terminal, or plain lines."""
        from pipeline import show

        return show.progress(name, unit, self._silent)

    def epochs(self) -> AbstractContextManager[ToldEpochs]:
        """Return what prints a line after each epoch."""
        from pipeline import show

        return show.epochs(self._silent)


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
