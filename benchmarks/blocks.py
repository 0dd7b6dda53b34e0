"""Heads that learn in blocks: seconds, peak memory and accuracy, for fewer and for more rows.

``python -m benchmarks blocks`` writes 100,000 and 1,000,000 made-up rows of 1,280 float16 through
the store (2.6 GB, in a temporary folder) and trains each head in a process of its own.
``python -m benchmarks.blocks N…`` does so for other numbers of rows.
"""

import json
import sys
import tempfile
from pathlib import Path
from time import monotonic

import numpy as np

from benchmarks.processes import python
from pipeline.features.store import FeatureCache, Recipe
from pipeline.heads import parse_head
from pipeline.heads.sample import make_folds
from pipeline.heads.streamed import BlockSample, fit_streamed, score_blocks
from pipeline.system.progress import Reporter

SIZES = (100_000, 1_000_000)
HEADS = ("ridge", "lda", "centroid", "linear-svm", "logistic")
N_FOLDS, N_CLASSES, WIDTH = 5, 10, 1280
N_TEST, WRITTEN_AT_ONCE = 10_000, 4096
APART = 0.075
"""Standard deviation of class means, in that of the noise: nine of ten rows can be told."""

CUT = ("top", "avg")
RECIPE = Recipe(
    backbone="made up",
    weights="00" * 32,
    cuts=(CUT,),
    image_size=224,
    preprocessing="none",
    decoding={"version": 1},
    view={"policy": "clean"},
    dtype="float16",
)


def main(sizes: tuple[int, ...] = SIZES) -> None:
    """Print a line per size and head."""
    print(f"{WIDTH} features as float16, {N_CLASSES} classes, {N_FOLDS} folds and the fit to all")
    for n_rows in sizes:
        with tempfile.TemporaryDirectory() as name:
            began = monotonic()
            write_rows(Path(name), n_rows + N_TEST)
            print(f"{n_rows:,} rows, written in {monotonic() - began:.0f} s")
            for head in HEADS:
                child = python("-m", "benchmarks.blocks", "--train", name, str(n_rows), head)
                told = child.json
                print(
                    f"  {head:<10} {told['seconds']:6.0f} s, {told['passes']:3.0f} passes, "
                    f"peak {child.peak_bytes / 2**20:5.0f} MiB, accuracy of unseen rows "
                    f"{told['out_of_fold']:.4f} out of fold, {told['test']:.4f} held out",
                    flush=True,
                )


def write_rows(root: Path, n_rows: int) -> None:
    """Write seeded rows: the mean of a class and noise."""
    rng, labels = np.random.default_rng(0), labels_of(n_rows)
    means = APART * rng.standard_normal((N_CLASSES, WIDTH), np.float32)
    digests = digests_of(n_rows)
    with FeatureCache(root, RECIPE).writer("none", {}) as writer:
        for start in range(0, n_rows, WRITTEN_AT_ONCE):
            some = slice(start, start + WRITTEN_AT_ONCE)
            rows = rng.standard_normal((len(labels[some]), WIDTH), np.float32)
            writer.add(digests[some], {CUT: rows + means[labels[some]]})


def labels_of(n_rows: int) -> np.ndarray:
    """Return the class of each row: (n,) int."""
    return np.random.default_rng(1).integers(0, N_CLASSES, n_rows)


def digests_of(n_rows: int) -> np.ndarray:
    """Return what stands for the digests of pictures: (n, 32) uint8."""
    return np.random.default_rng(2).integers(0, 256, (n_rows, 32), np.uint8)


class Passes(Reporter):
    """Counts passes over the data."""

    n = 0

    def advance(
        self, part: str, done: int, total: int, unit: str = "pictures", where: str = ""
    ) -> None:
        """Count a pass that has come to its end."""
        self.n += done == total


def train(root: Path, n_rows: int, head: str) -> None:
    """Train a head from the store, judge it on the last rows, print what came of it as JSON."""
    labels, digests = labels_of(n_rows + N_TEST), digests_of(n_rows + N_TEST)
    began, passes = monotonic(), Passes()
    cache = FeatureCache(root, RECIPE)
    blocks, test = (cache.blocks((CUT,), part) for part in (digests[:n_rows], digests[n_rows:]))
    given = labels[:n_rows]
    folds = make_folds(given, N_FOLDS, 0)

    sample = BlockSample(blocks, given, N_CLASSES)
    found = fit_streamed(parse_head(head), sample, folds, passes)
    assert found.scores is not None
    scores = score_blocks(found.head, test, N_CLASSES)
    told = {
        "seconds": monotonic() - began,
        "passes": passes.n,
        "out_of_fold": float(np.mean(found.scores.argmax(1) == given)),
        "test": float(np.mean(scores.argmax(1) == labels[n_rows:])),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        main(tuple(map(int, sys.argv[1:])) or SIZES)
