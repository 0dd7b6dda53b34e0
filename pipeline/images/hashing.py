"""Digest the files of a source: many at once, and those that are unchanged not at all."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pipeline.images.identity import Identities
from pipeline.images.memory import Memory
from pipeline.images.reading import Files
from pipeline.images.sources import Source
from pipeline.images.threads import N_WAITING_THREADS, thread_count

Progress = Callable[[int, int], None]

_TASK = 16
# Reading less than this again costs less than a file of memories is worth.
_FEW_FILES, _FEW_BYTES = 200, 1 << 26


def digest_files(
    source: Source, memory: Path | None, n_threads: int | None, progress: Progress | None
) -> tuple[np.ndarray, dict[int, str]]:
    """Return the SHA-256 of every file's bytes, and why there is none.

    Args:
        source: The files.
        memory: Folder to remember digests in; None to read everything.
        n_threads: Threads that read; None for one a core, and more where they only wait.
        progress: Called with (files done, files in all) from the calling thread.

    Returns:
        uint8 (n, 32), row-aligned with ``source.paths``; and reasons by the numbers of the rows
        whose digest is none.
    """
    if n_threads is None and source.files.waits:
        n_threads = N_WAITING_THREADS
    hasher = _Hasher(source, thread_count(n_threads), progress)
    if memory is None:
        hasher.run(np.ones(len(source.paths), bool))
        return hasher.digests, hasher.reasons
    kept = Memory(memory, source.location)
    identities = source.files.identities(source.paths)
    hasher.digests, known = kept.recall(source.paths, identities)
    hasher.run(~known)
    readable = np.ones(len(known), bool)
    readable[list(hasher.reasons)] = False
    fresh = ~known & identities.settled & readable
    if _is_worth(identities.values[fresh], source.files.waits):
        values = Identities(identities.values, identities.settled & readable)
        kept.keep(source.paths, values, hasher.digests)
    return hasher.digests, hasher.reasons


def _is_worth(values: np.ndarray, waits: bool) -> bool:
    few = 1 if waits else _FEW_FILES
    return len(values) >= few or int(values[:, 0].sum()) >= _FEW_BYTES


class _Hasher:
    """Files being digested; ``digests`` and ``reasons`` fill row by row."""

    def __init__(self, source: Source, n_threads: int, progress: Progress | None) -> None:
        self._source, self._n_threads, self._progress = source, n_threads, progress
        self.digests = np.zeros((len(source.paths), 32), np.uint8)
        self.reasons: dict[int, str] = {}

    def run(self, wanted: np.ndarray) -> None:
        """Digest the rows that are wanted: bool (n,)."""
        total = len(wanted)
        rows = np.flatnonzero(wanted).tolist()
        done = total - len(rows)
        if done and self._progress:
            self._progress(done, total)
        for row, result in zip(rows, self._results(rows), strict=True):
            if isinstance(result, bytes):
                self.digests[row] = np.frombuffer(result, np.uint8)
            else:
                self.reasons[row] = result
            done += 1
            if self._progress:
                self._progress(done, total)

    def _results(self, rows: Sequence[int]) -> Iterator[bytes | str]:
        """Yield, per row, the digest or the reason why there is none."""
        if not rows:
            return
        tasks = [rows[at : at + _TASK] for at in range(0, len(rows), _TASK)]
        pool = ThreadPoolExecutor(self._n_threads, thread_name_prefix="hash")
        try:
            for results in pool.map(self._digest_some, tasks):
                yield from results
        finally:
            pool.shutdown(cancel_futures=True)

    def _digest_some(self, rows: Sequence[int]) -> list[bytes | str]:
        paths = (self._source.paths[row] for row in rows)
        return [
            self._source.unreadable.get(path) or _digest(self._source.files, path) for path in paths
        ]


def _digest(files: Files, path: str) -> bytes | str:
    try:
        return files.digest(path)
    except OSError as error:
        return error.strerror or type(error).__name__
