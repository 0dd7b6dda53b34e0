"""Which strategy of `suggest` helps most: accuracy after labelling what it names, against random.

On cached features of the material: ``python -m benchmarks suggest``.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.config import FeaturesConfig
from pipeline.features import resolve
from pipeline.features.extract import extract
from pipeline.heads import parse_head, parse_preparation, softmax
from pipeline.heads.fit import fit_head
from pipeline.heads.sample import Sample
from pipeline.images import index
from pipeline.pool.nearest import Standard
from pipeline.pool.strategies import STRATEGIES

MATERIAL = Path(__file__).resolve().parents[2] / "shared" / "material"
N_DRAWS = 5
EIGHT = 8
Task = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Features and labels of train, features and labels of test."""


def _task(name: str, n_classes: int, cache: Path) -> Task:
    config = FeaturesConfig(cache=cache)
    data = Path(os.environ.get("PIPELINE_MATERIAL", MATERIAL)) / name
    cached = extract(config, resolve(config), index(data))
    table = cached.table()
    (joined,) = [cached.base.cuts]
    found = []
    for split in ("train", "test"):
        rows = table.rows(split)
        rows = rows[cached.dataset.labels[rows] < n_classes]
        found += [table.features(joined, rows), cached.dataset.labels[rows]]
    return found[0], found[1], found[2], found[3]


def _fitted(task: Task, rows: np.ndarray, n_classes: int) -> tuple[float, np.ndarray]:
    """Return accuracy on test of a head that learnt from some rows, and what it says of train."""
    features, labels, others, truth = task
    few = len(rows) <= 10 * n_classes
    spec = parse_head("logistic").or_prepared(parse_preparation("l2" if few else "standard"))
    if len(np.unique(labels[rows])) < 2:
        return float(np.mean(truth == labels[rows[0]])), np.full((len(labels), n_classes), 0.5)
    head = fit_head(spec, Sample(features[rows], labels[rows], n_classes, 0))
    return float(np.mean(head.scores(others).argmax(1) == truth)), softmax(head.scores(features))


def _draws(task: Task, n_classes: int, n_each: int, n_more: int) -> Iterator[dict[str, float]]:
    """Yield, for each draw, the accuracy of every strategy and of random ones."""
    features, labels = task[:2]
    unit = Standard.of(features).unit(features)
    for seed in range(N_DRAWS):
        rng = np.random.default_rng(seed)
        first = [rng.choice(np.flatnonzero(labels == k), n_each, False) for k in range(n_classes)]
        known = np.concatenate(first) if n_each else np.empty(0, int)
        probabilities = np.full((len(labels), n_classes), 1 / n_classes)
        if n_each:
            _, probabilities = _fitted(task, known, n_classes)
        rest = np.setdiff1d(np.arange(len(labels)), known)
        found = {}
        for name, strategy in STRATEGIES.items():
            if n_each or name in ("typical", "centres"):
                new = strategy(unit[rest], unit[known], probabilities[rest], n_more, seed)
                found[name], _ = _fitted(task, np.concatenate([known, rest[new]]), n_classes)
        drawn = [rng.choice(rest, n_more, replace=False) for _ in range(5)]
        each = [_fitted(task, np.concatenate([known, some]), n_classes)[0] for some in drawn]
        yield {"random": float(np.mean(each)), **found}


def main() -> None:
    """Print mean accuracies in five draws, and the difference from random with its interval."""
    cache = Path(os.environ.get("PIPELINE_BENCH_CACHE", "") or tempfile.mkdtemp())
    for data, n_classes, n_each, n_more in (
        ("caltech10", EIGHT, 3, 40),
        ("caltech10", EIGHT, 1, 16),
        ("caltech10", EIGHT, 0, 24),
        ("cats_dogs_small", 2, 5, 20),
        ("cats_dogs_small", 2, 0, 10),
    ):
        rows = list(_draws(_task(data, n_classes, cache), n_classes, n_each, n_more))
        print(f"{data}, {n_classes} classes: {n_each * n_classes} labelled and {n_more} more")
        random = np.array([row["random"] for row in rows])
        print(f"  random     {random.mean():.4f}")
        for name in rows[0].keys() - {"random"}:
            gain = np.array([row[name] for row in rows]) - random
            half = 2.776 * gain.std(ddof=1) / np.sqrt(len(gain))  # t of 4 degrees of freedom
            print(
                f"  {name:10s} {np.mean([row[name] for row in rows]):.4f}, {gain.mean():+.4f} "
                f"({gain.mean() - half:+.4f} to {gain.mean() + half:+.4f}), worst {gain.min():+.4f}"
            )


if __name__ == "__main__":
    main()
