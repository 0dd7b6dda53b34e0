"""How processes end: what interrupts the program, and workers that do not outlive it."""

import os
import signal
import threading
from time import sleep
from types import FrameType

LOOK_SECONDS = 1.0


_asked = threading.Event()


def interrupt_on_signals() -> None:
    """Let what asks a program to end do what Ctrl-C does, so that what is finished is kept.

    SIGHUP comes when a terminal is closed; who ignores it, as ``nohup`` does, goes on ignoring it.
    """
    _asked.clear()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _asked.set()
    raise KeyboardInterrupt


def check_interrupted() -> None:
    """Interrupt once more where that was asked for and lost.

    What a signal raises while a library calls Python from C is printed and forgotten there.
    """
    if _asked.is_set():
        raise KeyboardInterrupt


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent ended, however that came about.

    Args:
        parent: Process number of the parent, from `os.getpid` there.
    """
    threading.Thread(target=_watch, args=(parent,), name="end with parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        sleep(LOOK_SECONDS)
    os._exit(1)
