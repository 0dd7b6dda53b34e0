"""Which base: what screening saves, and which score of a sample foretells the accuracy of all.

LogME: You, Liu, Wang and Long (2021); the regularised H-score: Bao et al. (2019), Ibrahim,
Ponomareva and Mazumder (2022). Both are held against ridge regression on the same sample, which is
what ``classify`` screens with.
"""

import os
import tempfile
from pathlib import Path
from time import monotonic

import numpy as np
from scipy.stats import spearmanr
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pipeline as product
from benchmarks.processes import pipeline
from pipeline.classify.search.grids import grid
from pipeline.classify.search.searcher import best_of
from pipeline.classify.search.trial import Pool, Unit, measure
from pipeline.heads import parse_head
from pipeline.heads.sample import make_folds

BASES = ("EfficientNetLite0", "EfficientNetLite1", "EfficientNetLite2")
PER_CLASS = 20
LAYERS = ("top", "block3", "block4", "block5", "block6", "block7")
N_DRAWS = 3


def main() -> None:
    """Print what screening saves in time, and rank correlations of scores with accuracy."""
    material = os.environ.get("PIPELINE_MATERIAL")
    if material is None:
        print("PIPELINE_MATERIAL is not set: no real photos")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipeline("digits", str(folder / "digits"))
        _savings(folder, Path(material) / "caltech10")
        sets = (folder / "digits", Path(material) / "caltech10", Path(material) / "cats_dogs_small")
        for data in sets:
            _correlations(folder, data, 96 if data.name == "digits" else None)


def _savings(folder: Path, data: Path) -> None:
    """Time three bases with screening and without, nothing cached, models converted before."""
    names = ",".join(BASES)
    models = folder / "converted" / "models"
    for base in BASES:
        pipeline("features", str(data), "--backbone", base, "--cache", str(models.parent))
    seconds = []
    for number, more in enumerate(([], ["--budget", "9h"])):
        cache = folder / f"savings{number}"
        cache.mkdir()
        (cache / "models").symlink_to(models)
        places = ("--cache", str(cache), "--runs", str(folder / f"runs{number}"), "--json")
        did = pipeline(
            "classify", str(data), "--backbone", names, "--heads", "logistic", *more, *places
        )
        seconds.append(did.seconds)
        for row in did.json["bases"]:
            print(row["backbone"], row["sample_accuracy"], row["accuracy"], row["dropped"])
    screened, everything = seconds
    print(
        f"{data.name}, {len(BASES)} bases: screened {screened:.0f} s, all {everything:.0f} s, "
        f"ratio {screened / everything:.2f}"
    )


def _correlations(folder: Path, data: Path, size: int | None) -> None:
    """Print Spearman's correlation of each score with test accuracy, over bases and cuts."""
    scores = {"ridge": _ridge, "LogME": logme, "H-score": h_score}
    found: dict[str, list[list[float]]] = {name: [] for name in scores}
    seconds, accuracies = dict.fromkeys(scores, 0.0), []
    for base in BASES:
        settings = {"backbone": base, "image_size": size, "cache": folder / "correlations"}
        product.extract_features(data, layers="each", **settings)
        for layer in LAYERS:
            opened = product.open_features(data, layers=layer, **settings)
            train, test = opened.split("train"), opened.split("test")
            x, y = np.asarray(train.X, np.float64), np.unique(train.y, return_inverse=True)[1]
            head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
            accuracies.append(head.fit(x, train.y).score(test.X, test.y))
            for name, score in scores.items():
                began = monotonic()
                rows = [_sample(y, draw) for draw in range(N_DRAWS)]
                found[name].append([score(x[some], y[some]) for some in rows])
                seconds[name] += (monotonic() - began) / N_DRAWS
    low, high = min(accuracies), max(accuracies)
    print(f"{data.name}: {len(accuracies)} representations, test accuracy {low:.3f} to {high:.3f}")
    for name, values in found.items():
        draws = zip(*values, strict=True)
        each = [f"{spearmanr(draw, accuracies).statistic:.2f}" for draw in draws]
        a_score = seconds[name] / len(accuracies)
        print(f"  {name}: rank correlation {', '.join(each)}; {a_score * 1000:.0f} ms a score")


def _sample(y: np.ndarray, draw: int) -> np.ndarray:
    rng = np.random.default_rng(draw)
    rows = [rng.permutation(np.flatnonzero(y == label))[:PER_CLASS] for label in np.unique(y)]
    return np.concatenate(rows)


def _ridge(x: np.ndarray, y: np.ndarray) -> float:
    folds = make_folds(y, 5, 0, None)
    pool = Pool((x.astype(np.float32),), y, int(y.max()) + 1, folds)
    return best_of(measure(Unit((0,), grid(parse_head("ridge"))), pool)).accuracy


def logme(x: np.ndarray, y: np.ndarray) -> float:
    """Return the mean log evidence a picture of one-hot labels given features x (n, d)."""
    n, d = x.shape
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    squares, evidences = s**2, []
    for label in np.unique(y):
        target = (y == label).astype(float)
        z = u.T @ target
        rest = max(float(target @ target - z @ z), 0.0)
        alpha = beta = 1.0
        for _ in range(20):
            gamma = float((beta * squares / (alpha + beta * squares)).sum())
            weights = (beta * s * z / (alpha + beta * squares)) ** 2
            missed = float(((alpha * z / (alpha + beta * squares)) ** 2).sum()) + rest
            alpha, beta = gamma / max(float(weights.sum()), 1e-12), (n - gamma) / max(missed, 1e-12)
        weights = (beta * s * z / (alpha + beta * squares)) ** 2
        missed = float(((alpha * z / (alpha + beta * squares)) ** 2).sum()) + rest
        logs = np.log(alpha + beta * squares).sum() + max(d - len(s), 0) * np.log(alpha)
        evidence = d * np.log(alpha) + n * np.log(beta) - logs - n * np.log(2 * np.pi)
        evidences.append((evidence - beta * missed - alpha * weights.sum()) / 2 / n)
    return float(np.mean(evidences))


def h_score(x: np.ndarray, y: np.ndarray) -> float:
    """Return the H-score with a shrunk covariance: how much of x (n, d) the classes explain."""
    centred = x - x.mean(0)
    covariance, shrinkage = ledoit_wolf(centred, assume_centered=True)
    means = np.stack([centred[y == label].mean(0) for label in range(int(y.max()) + 1)])
    between = means[y].T @ means[y] / len(y)
    return float((1 - shrinkage) * np.trace(np.linalg.solve(covariance, between)))
