"""Many heads for the price of few: ridge along its strengths, and a grid of dense heads at once."""

import warnings
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.heads import HeadSpec, parse_head
from pipeline.heads.ridge import LAMBDAS, RidgePath
from pipeline.heads.sample import Sample, make_folds
from pipeline.system.startup import import_tensorflow

N_ROWS, N_FEATURES, N_CLASSES, N_FOLDS = 25_000, 1280, 10, 5
STRENGTHS = (1e-4, 1e-3, 1e-2)
"""Of logistic regression, about its best on these rows."""

GRIDS = ((2000, 384, (32,)), (2000, 384, (256,)), (2000, 1280, (256,)))
"""Rows, features and hidden sizes of the dense grids."""

N_CANDIDATES, N_EPOCHS = 32, 10


def main() -> None:
    """Print the two comparisons, each within one run."""
    ridge()
    import_tensorflow()
    for n_rows, n_features, hidden in GRIDS:
        dense(n_rows, n_features, hidden)


def made_up(n_rows: int, n_features: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features like pooled activations, and classes that a linear head gets mostly right.

    A few directions tell the classes apart; noise is correlated and its strength falls from
    direction to direction, as that of real features does.
    """
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(n_rows) % n_classes)
    mixing = rng.normal(size=(64, n_features)).astype(np.float32) / 8
    centres = 0.45 * rng.normal(size=(n_classes, 64)).astype(np.float32)
    latent = centres[labels] + rng.normal(size=(n_rows, 64)).astype(np.float32)
    noise = rng.normal(size=(n_rows, n_features)).astype(np.float32)
    return np.maximum(latent @ mixing + 0.5 * noise, 0), labels


def ridge() -> None:
    """Compare time for each candidate, all folds, and the best accuracies."""
    features, labels = made_up(N_ROWS, N_FEATURES, N_CLASSES)
    folds = make_folds(labels, N_FOLDS, 0)
    (accuracies, seconds) = _timed(lambda: _path_accuracies(features, labels, folds))
    ours = seconds / len(LAMBDAS)
    best = int(np.argmax(accuracies))
    print(
        f"ridge path: {len(LAMBDAS)} strengths × {N_FOLDS} folds in {seconds:.1f} s, {ours:.3f} s "
        f"a candidate; best accuracy {accuracies[best]:.4f} at {LAMBDAS[best]:.3g}"
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    grid = {"logisticregression__C": STRENGTHS}
    search = GridSearchCV(model, grid, cv=folds, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, seconds = _timed(lambda: search.fit(features, labels))
    theirs = seconds / len(STRENGTHS)
    print(
        f"GridSearchCV(LogisticRegression): {len(STRENGTHS)} C × {N_FOLDS} folds in {seconds:.1f} "
        f"s, {theirs:.1f} s a candidate; best accuracy {search.best_score_:.4f} at "
        f"{search.best_params_}"
    )
    print(f"ratio of the times of a candidate {theirs / ours:.0f}")


def _path_accuracies(features: np.ndarray, labels: np.ndarray, folds: Any) -> np.ndarray:
    hits = np.zeros(len(LAMBDAS))
    path = RidgePath(Sample(features, labels, N_CLASSES))
    for places, held_out, scores in path.out_of_fold(folds):
        hits[places] += np.sum(scores.argmax(2) == labels[held_out], axis=1)
    return hits / len(labels)


def dense(n_rows: int, n_features: int, hidden: tuple[int, ...]) -> None:
    """Compare a grid of candidates trained at once with one of them alone."""
    from pipeline.heads.dense_grid import fit_dense_grid

    sample = Sample(*made_up(n_rows, n_features, N_CLASSES), N_CLASSES)
    schedule = f"hidden={hidden}, epochs={N_EPOCHS}, patience={N_EPOCHS}"
    rates, dropouts = np.logspace(-4, -2, N_CANDIDATES // 4), (0.0, 0.25, 0.5, 0.75)
    candidates = [
        parse_head(f"dense(learning_rate={rate:.6g}, dropout={share}, {schedule})")
        for rate in rates
        for share in dropouts
    ]

    def train(some: list[HeadSpec]) -> Any:
        return fit_dense_grid(some, sample)

    train(candidates[:1])  # what TensorFlow does once in a process
    _, one = _timed(lambda: train(candidates[:1]))
    trained, many = _timed(lambda: train(candidates))
    print(
        f"dense grid, {n_rows} rows of {n_features}, hidden {hidden}, {N_EPOCHS} epochs: one "
        f"{one:.2f} s, {len(candidates)} at once {many:.2f} s, ratio {many / one:.1f}; held-out "
        f"loss {min(result.loss for result in trained):.3f} to "
        f"{max(result.loss for result in trained):.3f}"
    )


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = perf_counter()
    return work(), perf_counter() - began


if __name__ == "__main__":
    main()
