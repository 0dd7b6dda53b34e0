"""Labelling with few labels, on cached features of the material: ``python -m benchmarks suggest``.

Which strategy of `suggest` helps most, against random; how many planted wrong labels are among the
suspects of the page for labelling; how well `typical` tells pictures of none of the classes.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.check import suspect_labels, unseen_probabilities
from pipeline.config import FeaturesConfig
from pipeline.evaluate import proportion
from pipeline.evaluate.ranking import rank_figures
from pipeline.features import resolve
from pipeline.features.extract import extract
from pipeline.heads import parse_head, parse_preparation, softmax
from pipeline.heads.fit import fit_head
from pipeline.heads.sample import Sample
from pipeline.heads.typical import fit_density, sampled
from pipeline.images import index, write_digits
from pipeline.pool.nearest import Standard
from pipeline.pool.strategies import STRATEGIES

MATERIAL = Path(__file__).resolve().parents[2] / "shared" / "material"
N_DRAWS = 5
EIGHT = 8
Task = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Features and labels of train, features and labels of test."""


def _material() -> Path:
    return Path(os.environ.get("PIPELINE_MATERIAL", MATERIAL))


def _task(name: str, n_classes: int, cache: Path) -> Task:
    config = FeaturesConfig(cache=cache)
    cached = extract(config, resolve(config), index(_material() / name))
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


def _strategies(cache: Path) -> None:
    """Print mean accuracies in five draws, and the difference from random with its interval."""
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


WRONG, LOOKED_AT = 0.05, 0.08
"""Share of labels that are made wrong, and share of the pictures that a person looks at."""


def _planted(cache: Path) -> None:
    """Print how many of the wrong labels are among the first suspects, and how many these are."""
    train, labels, test, truth = _task("caltech10", 10, cache)
    features, labels = np.concatenate([train, test]), np.concatenate([labels, truth])
    n = len(labels)
    print(f"caltech10: {WRONG:.0%} of {n} labels wrong, the first {LOOKED_AT:.0%} looked at")
    for seed in range(N_DRAWS):
        rng = np.random.default_rng(seed)
        wrong, given = rng.choice(n, round(WRONG * n), replace=False), labels.copy()
        given[wrong] = (given[wrong] + rng.integers(1, 10, len(wrong))) % 10
        unseen = unseen_probabilities(features, given, 10, None, 5, 0)
        first = [one.row for one in suspect_labels(unseen, given)][: int(LOOKED_AT * n)]
        found, right = np.isin(wrong, first), np.isin(first, wrong)
        low, high = proportion(found.mean(), len(found)).ci95
        print(
            f"  draw {seed}: {found.mean():.3f} of {len(wrong)} found ({low:.3f} to {high:.3f}), "
            f"{right.mean():.3f} of {len(first)} suspects wrong"
        )


def _told_apart(name: str, features: np.ndarray, own: np.ndarray, others: dict[str, np.ndarray]):
    """Print false alarms on a data set's own test, and how well other pictures are told."""
    density = fit_density(features[sampled(len(features), 0)])
    typical = density.typical(own)
    for least in (0.01, 0.05):
        alarms = proportion(np.mean(typical < least), len(own))
        low, high = alarms.ci95
        told = f"below {least}: {alarms.value:.4f} of {len(own)} ({low:.4f} to {high:.4f})"
        print(f"  {name}, own test {told}")
    for other, rows in others.items():
        strange = density.typical(rows)
        scores = np.concatenate([typical, strange])
        area, _ = rank_figures(
            np.column_stack([1 - scores, scores]), np.repeat([1, 0], [len(own), len(rows)])
        )
        low, high = area.ci95
        print(
            f"  {name} against {other}: AUROC {area.value:.4f} ({low:.4f} to {high:.4f}), "
            f"{np.mean(strange < 0.01):.3f} of {len(rows)} below 0.01"
        )


def _typical(cache: Path) -> None:
    """Print figures of other domains, and of each class of Caltech against the nine others."""
    write_digits(cache / "digits")
    pets, things, digits = (
        _task(name, 10, cache) for name in ("cats_dogs_small", "caltech10", str(cache / "digits"))
    )
    names = sorted(path.name for path in (_material() / "caltech10" / "test").iterdir())
    each = {name: things[2][things[3] == k] for k, name in enumerate(names)}
    print("how typical: pictures of another kind")
    _told_apart("cats and dogs", pets[0], pets[2], {**each, "digits": digits[2]})
    _told_apart("Caltech", things[0], things[2], {"cats and dogs": pets[2], "digits": digits[2]})
    print("how typical: one class left out of ten")
    for k, name in enumerate(names):
        own = things[2][things[3] != k]
        _told_apart(f"Caltech without {name}", things[0][things[1] != k], own, {name: each[name]})


def main() -> None:
    """Print all figures."""
    cache = Path(os.environ.get("PIPELINE_BENCH_CACHE", "") or tempfile.mkdtemp())
    for part in (_planted, _typical, _strategies):
        part(cache)


if __name__ == "__main__":
    main()
