"""How long it takes to list a large tree and say how it is read, beside a bare walk through it."""

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from pipeline.errors import DataError
from pipeline.images import scan

N_ENTRIES = 100_000
N_ROUNDS = 5


def _write(root: Path, n_outer: int, n_inner: int) -> None:
    """Write a tree of two levels whose inner folders have the same names everywhere."""
    n_pictures = N_ENTRIES // (n_outer * n_inner)
    for outer in range(n_outer):
        for inner in range(n_inner):
            folder = root / f"outer{outer}" / f"inner{inner}"
            folder.mkdir(parents=True)
            for number in range(n_pictures):
                (folder / f"{number}.jpg").touch()


def _seconds(work: Callable[[], object]) -> float:
    began = monotonic()
    work()
    return monotonic() - began


def _asked(root: Path) -> None:
    try:
        scan(root)
    except DataError:
        return
    raise AssertionError("of two readings one was taken")


def main() -> None:
    """Print seconds and ratios: one reading that is taken, and two that are asked about."""
    with tempfile.TemporaryDirectory() as name:
        for words, (n_outer, n_inner), read in (
            ("100 classes", (100, 1), scan),
            ("1,000 classes in 3 splits", (3, 1000), None),
            ("500 groups of 4 classes, asked about", (500, 4), _asked),
        ):
            root = Path(name) / words.partition(",")[0].replace(" ", "-")
            _write(root, n_outer, n_inner)
            if read is None:
                read = scan
                for outer, split in enumerate(("train", "validation", "test")):
                    (root / f"outer{outer}").rename(root / split)
            walks, reads = [], []
            for _ in range(N_ROUNDS):
                walks.append(_seconds(lambda root=root: [*os.walk(root)]))
                reads.append(_seconds(lambda root=root, read=read: read(root)))
            walk, taken = statistics.median(walks), statistics.median(reads)
            print(
                f"{N_ENTRIES:,} entries, {words}: {taken:.2f} s, {taken / walk:.1f} times a bare "
                f"walk ({N_ROUNDS} rounds, slowest {max(reads):.2f} s)"
            )
