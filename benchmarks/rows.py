"""A million pictures through everything that grows with their number but the base itself.

``python -m benchmarks rows`` makes 100,000 and 1,000,000 files of a few bytes and features for them
(1,280 numbers in float16, 2.6 GB for a million, in a temporary folder), and asks what a user would
ask: which pictures are there, what is cached, is the cache whole, and a head that learns in blocks.
Every question is a process of its own. ``python -m benchmarks.rows N…`` takes other numbers.
"""

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.processes import Finished, pipeline, python
from pipeline.config import FeaturesConfig
from pipeline.features import resolve
from pipeline.features.store import FeatureCache

SIZES = (100_000, 1_000_000)
N_CLASSES, IN_A_FOLDER, AT_ONCE = 10, 10_000, 4096
APART = 0.075
"""Standard deviation of class means, in that of the noise: nine of ten rows can be told."""
DTYPE = "float16"

FREE = 4 << 30
"""Memory that the head is told is free: a million rows then have to be learnt in blocks."""
IN_BLOCKS = f"""
import sys
from pipeline.system import machine
machine.available_memory = lambda: {FREE}
from pipeline.cli import run
sys.exit(run(sys.argv[1:]))
"""

QUESTIONS = {
    "index and explain, first time": ("explain",),
    "nothing to do": ("features",),
    "explain": ("explain",),
    "ridge, 4 GiB of memory free": ("classify", "--heads", "ridge"),
    "the same again": ("classify", "--heads", "ridge"),
}


def main(sizes: tuple[int, ...] = SIZES) -> None:
    """Print a line per question and size, and how it grows from the smallest to the largest."""
    took: dict[str, list[Finished]] = {}
    for n_rows in sizes:
        with tempfile.TemporaryDirectory() as name:
            print(f"{n_rows:,} pictures", flush=True)
            for question, finished in _ask(Path(name), n_rows):
                took.setdefault(question, []).append(finished)
                print(
                    f"  {question:<30} {finished.seconds:7.1f} s, "
                    f"peak {finished.peak_bytes / 2**20:5.0f} MiB",
                    flush=True,
                )
    if len(sizes) > 1:
        print(f"growth from {sizes[0]:,} to {sizes[-1]:,} pictures, which are "
              f"{sizes[-1] / sizes[0]:.0f} times as many")  # fmt: skip
        for question, runs in took.items():
            seconds = runs[-1].seconds / runs[0].seconds
            print(f"  {question:<30} {seconds:5.1f} times the seconds, "
                  f"{runs[-1].peak_bytes / runs[0].peak_bytes:4.1f} times the memory")  # fmt: skip


def _ask(root: Path, n_rows: int) -> Iterator[tuple[str, Finished]]:
    """Yield what each question took."""
    pictures, cache, runs = root / "pictures", root / "cache", root / "runs"
    write_files(pictures, n_rows)
    for question, (command, *flags) in QUESTIONS.items():
        places = ["--cache", str(cache), "--dtype", DTYPE, "--json"]
        if command == "classify":
            places += ["--runs", str(runs)]
        yield question, python("-c", IN_BLOCKS, command, str(pictures), *flags, *places)
        if command == "explain" and not any(cache.glob("*/shard-*")):
            write_features(cache, n_rows)
    yield "verify", pipeline("verify", "--cache", str(cache), "--json")


def content(number: int) -> bytes:
    """Return the bytes of a file, unlike those of every other."""
    return b"made up %d" % number


def write_files(root: Path, n_rows: int) -> None:
    """Write files in folders of classes; they are no pictures, and nothing decodes them."""
    for label in range(N_CLASSES):
        for number in range(label, n_rows, N_CLASSES):
            folder = root / f"class-{label}" / f"{number // IN_A_FOLDER:04}"
            if number % IN_A_FOLDER < N_CLASSES:
                folder.mkdir(parents=True)
            (folder / f"{number:09}.jpg").write_bytes(content(number))


def write_features(cache: Path, n_rows: int) -> None:
    """Write seeded rows for the files: the mean of their class and noise."""
    base = resolve(FeaturesConfig(cache=cache, dtype=DTYPE))
    (cut,) = base.recipe.cuts
    width, rng = 1280, np.random.default_rng(0)
    means = APART * rng.standard_normal((N_CLASSES, width), np.float32)
    with FeatureCache(cache, base.recipe).writer("none", {}) as writer:
        for start in range(0, n_rows, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, n_rows))
            digests = [hashlib.sha256(content(number)).digest() for number in numbers]
            rows = rng.standard_normal((len(numbers), width), np.float32)
            rows += means[np.arange(numbers.start, numbers.stop) % N_CLASSES]
            writer.add(np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32), {cut: rows})


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or SIZES)
