"""How many threads to read and decode with."""

from joblib import cpu_count

from pipeline.errors import InputError


def thread_count(n_threads: int | None) -> int:
    """Return ``n_threads``, or one a core that this process may use where it is None.

    joblib counts what a container or a CPU mask leaves, which ``os.cpu_count`` does not.

    Raises:
        InputError: If it is below 1.
    """
    if n_threads is None:
        return int(cpu_count())
    if n_threads < 1:
        raise InputError(f"expected one thread or more; received n_threads={n_threads!r}")
    return n_threads
