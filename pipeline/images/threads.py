"""How many threads to read and decode with."""

from pipeline.errors import InputError
from pipeline.machine import core_count

N_WAITING_THREADS = 16
"""Where files come over a network, threads mostly wait."""


def thread_count(n_threads: int | None) -> int:
    """Return ``n_threads``, or one a core that this process may use where it is None.

    Raises:
        InputError: If it is below 1.
    """
    if n_threads is None:
        return core_count()
    if n_threads < 1:
        raise InputError(f"expected one thread or more; received n_threads={n_threads!r}")
    return n_threads
