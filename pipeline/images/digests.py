"""Digest the files of a source: many at once, and those that are unchanged not at all.

What remembers the digests is a pure accelerator: one file per location, trusted only where a file's
identity proves that it is unchanged. A memory that is damaged, newer or foreign is ignored, and so
is one that cannot be written.

The file: a line with name and version, the SHA-256 of what follows, three counts (rows, numbers
per identity, bytes of paths), identities int64, digests 32 bytes each, paths with NUL between.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pipeline.errors import StoreError
from pipeline.images.files import Files
from pipeline.images.identity import Identities
from pipeline.images.sources import Source
from pipeline.system.files import EXHAUSTED, atomic_path, read_file, unreadable
from pipeline.system.machine import N_WAITING_THREADS, thread_count
from pipeline.system.progress import SILENT, Reporter

logger = logging.getLogger(__name__)

MAGIC = b"bottleneck-index 1\n"

_MOST_BYTES = 1 << 34
_COUNTS = np.dtype(("<i8", 3))


class DigestMemory:
    """The digests of one location's files, as they were last time, kept in a folder."""

    def __init__(self, folder: Path, location: str) -> None:
        name = hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()
        self.path = folder / f"{name[:32]}.index"

    def recall(
        self, paths: tuple[str, ...], identities: Identities
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return digests of n files as they are now, uint8 (n, 32), and which are known, (n,)."""
        digests = np.zeros((len(paths), 32), np.uint8)
        content = self._content()
        if content is None:
            return digests, np.zeros(len(paths), bool)
        old, old_digests, names = content
        if old.shape[1:] != identities.values.shape[1:]:
            return digests, np.zeros(len(paths), bool)
        rows = _rows(names, paths)
        known = (rows >= 0) & identities.settled
        rows = rows[known]
        same = (old[rows] == identities.values[known]).all(axis=1)
        known[known] = same
        digests[known] = old_digests[rows[same]]
        return digests, known

    def _content(self) -> tuple[np.ndarray, np.ndarray, bytes] | None:
        """Return identities, digests and paths; None if there is nothing to be trusted."""
        try:
            content = read_file(self.path, _MOST_BYTES)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logger.debug("%s is not used: %s", self.path, error)
            return None
        start = len(MAGIC) + 32
        body = memoryview(content)[start:]
        if content[:start] != MAGIC + hashlib.sha256(body).digest():
            logger.info("%s is damaged or of another version: files are read again", self.path)
            return None
        n_rows, width, n_bytes = np.frombuffer(body, _COUNTS.base, 3).tolist()
        values = np.frombuffer(body, "<i8", n_rows * width, 24).reshape(n_rows, width)
        at = 24 + values.nbytes
        digests = np.frombuffer(body, np.uint8, n_rows * 32, at).reshape(n_rows, 32)
        return values, digests, bytes(body[at + digests.nbytes :][:n_bytes])

    def keep(self, paths: tuple[str, ...], identities: Identities, digests: np.ndarray) -> None:
        """Write down n files with their digests (n, 32); those that are not settled are left out.

        Their identities are from before they were read.
        """
        settled = identities.settled
        values = identities.values[settled]
        names = _joined([path for path, kept in zip(paths, settled.tolist(), strict=True) if kept])
        counts = np.array([len(values), values.shape[1], len(names)], "<i8")
        parts = (counts, values.astype("<i8"), np.ascontiguousarray(digests[settled]))
        body = b"".join((*(part.tobytes() for part in parts), names))
        try:
            with atomic_path(self.path) as temporary:
                temporary.write_bytes(MAGIC + hashlib.sha256(body).digest() + body)
        except StoreError as error:
            logger.debug("digests are not remembered: %s", error)


def _joined(paths: list[str]) -> bytes:
    return "\0".join(paths).encode("utf-8", "surrogateescape")


def _rows(names: bytes, paths: tuple[str, ...]) -> np.ndarray:
    """Return where each path stands in a memory, -1 where it does not."""
    if names == _joined(list(paths)):
        return np.arange(len(paths))
    known = names.decode("utf-8", "surrogateescape").split("\0")
    rows = dict(zip(known, range(len(known)), strict=True))
    return np.array([rows.get(path, -1) for path in paths], np.int64)


_TASK = 16
# Reading less than this again costs less than a file of memories is worth.
_FEW_FILES, _FEW_BYTES = 200, 1 << 26


def digest_files(
    source: Source,
    memory: Path | None,
    reporter: Reporter = SILENT,
    remember: bool = True,
    n_threads: int | None = None,
) -> tuple[np.ndarray, dict[int, str]]:
    """Return the SHA-256 of every file's bytes, and why there is none.

    Args:
        source: The files.
        memory: Folder to remember digests in; None to read everything.
        reporter: Told of files, the remembered ones at once, from the calling thread.
        remember: Whether what was read now is written down.
        n_threads: Threads that read; None for one a core, and more where they only wait.

    Returns:
        uint8 (n, 32), row-aligned with ``source.paths``; and reasons by the numbers of the rows
        whose digest is none.
    """
    if n_threads is None and source.files.waits:
        n_threads = N_WAITING_THREADS
    n_threads = thread_count(n_threads)
    n_files, readable = len(source.paths), np.ones(len(source.paths), bool)
    digests, known = np.zeros((n_files, 32), np.uint8), np.zeros(n_files, bool)
    if memory is not None:
        kept = DigestMemory(memory, source.location)
        identities = source.files.identities(source.paths)
        digests, known = kept.recall(source.paths, identities)
    reasons: dict[int, str] = {}
    done = int(known.sum())
    for n_before in dict.fromkeys((0, done)):
        reporter.advance("index", n_before, n_files, "files")
    rows = np.flatnonzero(~known).tolist()
    for row, result in zip(rows, _results(source, rows, n_threads), strict=True):
        if isinstance(result, bytes):
            digests[row] = np.frombuffer(result, np.uint8)
        else:
            reasons[row], readable[row] = result, False
        done += 1
        reporter.advance("index", done, n_files, "files")
    if memory is not None and remember:
        fresh = identities.values[~known & identities.settled & readable]
        few = 1 if source.files.waits else _FEW_FILES
        if len(fresh) >= few or int(fresh[:, 0].sum()) >= _FEW_BYTES:
            whole = Identities(identities.values, identities.settled & readable)
            kept.keep(source.paths, whole, digests)
    return digests, reasons


def _results(source: Source, rows: Sequence[int], n_threads: int) -> Iterator[bytes | str]:
    """Yield, per row, the digest or the reason why there is none."""
    if not rows:
        return

    def digest_some(rows: Sequence[int]) -> list[bytes | str]:
        paths = (source.paths[row] for row in rows)
        return [source.unreadable.get(path) or _digest(source.files, path) for path in paths]

    tasks = [rows[at : at + _TASK] for at in range(0, len(rows), _TASK)]
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="hash")
    try:
        for results in pool.map(digest_some, tasks):
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def _digest(files: Files, path: str) -> bytes | str:
    try:
        return files.digest(path)
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise unreadable(path, error) from error
        return error.strerror or type(error).__name__
