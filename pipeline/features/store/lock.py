"""One process after the other, where several would compute the same features at once."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import StoreError

LOCKS = "locks"


@contextmanager
def one_at_a_time(cache: Path, recipe_id: str) -> Iterator[None]:
    """Wait until nobody else computes this recipe, in this process or another of this machine.

    Only a courtesy: the cache is safe without it, but two would compute the same pictures. Where
    the system or the file system has no such locks, nobody waits.

    Raises:
        StoreError: The folder cannot be written.
    """
    folder = cache / LOCKS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / f"{recipe_id[-12:]}.lock", "ab")  # noqa: SIM115
    except OSError as error:
        raise StoreError(
            f"cannot write {folder}: {error.strerror or error}; name another cache folder or make "
            f"this one writable"
        ) from error
    with file:  # closing it ends the lock, and so does any end of the process
        with suppress(ImportError, OSError):  # Windows, or a network file system without locks
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
