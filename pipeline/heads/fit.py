"""Fitting a head to features: standardise, fit, and fold what is linear into one layer."""

import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from pipeline.errors import InputError
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.discriminant import PooledDiscriminant
from pipeline.heads.fitted import FittedHead, SklearnHead, fold_linear, safe_scale
from pipeline.startup import import_tensorflow

logger = logging.getLogger("pipeline")

Params = Mapping[str, Any]
FACTOR_RANGE = (-14.0, 8.0)
"""Natural logarithms of the smallest and largest factor tried in `fitting_factor`."""


def _logistic(params: Params, seed: int) -> Any:
    return LogisticRegression(C=params["C"], max_iter=params["max_iter"])


def _linear_svm(params: Params, seed: int) -> Any:
    return LinearSVC(C=params["C"], dual="auto", max_iter=5000, random_state=seed)


def _ridge(params: Params, seed: int) -> Any:
    return RidgeClassifier(alpha=params["alpha"])


def _lda(params: Params, seed: int) -> Any:
    return PooledDiscriminant(params["shrinkage"])


def _rbf_svm(params: Params, seed: int) -> Any:
    return SVC(C=params["C"], gamma=params["gamma"], decision_function_shape="ovr")


def _knn(params: Params, seed: int) -> Any:
    return KNeighborsClassifier(params["k"], metric=params["metric"], weights="distance")


def _random_forest(params: Params, seed: int) -> Any:
    return RandomForestClassifier(
        params["n_trees"], max_depth=params["max_depth"], n_jobs=-1, random_state=seed
    )


ESTIMATORS: Mapping[str, Callable[[Params, int], Any]] = {
    "logistic": _logistic,
    "linear-svm": _linear_svm,
    "ridge": _ridge,
    "lda": _lda,
    "rbf-svm": _rbf_svm,
    "knn": _knn,
    "random-forest": _random_forest,
}


def fit_head(
    spec: HeadSpec,
    features: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    seed: int,
    n_views: int = 0,
) -> FittedHead:
    """Fit a head on standardised features.

    Args:
        spec: Which head, with its parameters.
        features: (n, d) float, one row per picture; with augmented views all pictures, then view 1
            of each in the same order, ….
        labels: (n,) int in 0 … n_classes-1, row-aligned with ``features``.
        n_classes: k, also where some class is absent from ``labels``.
        seed: Seed of everything random in the head.
        n_views: Augmented views of each picture.

    Raises:
        InputError: The features are not finite, or a parameter cannot work with this data.

    A solver that stops before it converged is reported in the log and its head is used as it is.
    """
    _check_finite(features)
    if spec.head.kind == "dense":
        import_tensorflow()
        from pipeline.heads.dense import fit_dense

        return fit_dense(spec.params, features, labels, n_classes, seed, n_views)
    params = _fitting(spec, len(labels))
    scaler = StandardScaler().fit(features)
    scaler.scale_ = safe_scale(scaler.mean_, scaler.scale_)
    estimator = ESTIMATORS[spec.head.name](params, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, in our words
        estimator.fit(scaler.transform(features), labels)
    _report_convergence(spec, estimator)
    if spec.head.kind == "sklearn":
        return SklearnHead(make_pipeline(scaler, estimator), n_classes)
    head = fold_linear(estimator.coef_, estimator.intercept_, scaler, estimator.classes_, n_classes)
    if not all(np.isfinite(array).all() for array in (*head.kernels, *head.biases)):
        raise InputError(
            f"expected {spec} to have finite weights, it has not on these {len(labels)} pictures; "
            f"choose another head, or more regularisation"
        )
    return head


def _report_convergence(spec: HeadSpec, estimator: Any) -> None:
    limit = getattr(estimator, "max_iter", None)
    if limit is not None and limit > 0 and np.max(estimator.n_iter_) >= limit:
        logger.warning(
            "%s stopped after %d iterations before it converged; a smaller C converges sooner",
            spec,
            limit,
        )


def _fitting(spec: HeadSpec, n_rows: int) -> Params:
    """A neighbourhood cannot be larger than what there is."""
    if spec.params.get("k", 0) <= n_rows:
        return spec.params
    logger.warning("%s: only %d training pictures, all of them vote", spec, n_rows)
    return {**spec.params, "k": n_rows}


def _check_finite(features: np.ndarray) -> None:
    if not np.isfinite(features).all():
        rows = np.flatnonzero(~np.isfinite(features).all(axis=1))
        raise InputError(
            f"expected finite features, received NaN or infinity in {len(rows)} of {len(features)} "
            f"rows (first: row {rows[0]}); use --precision float32 or check the weights"
        )


def fitting_factor(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor by which scores become log probabilities of labels they have not seen.

    Temperature scaling (Guo et al. 2017): one positive factor, so no prediction changes. As Platt
    (1999) did, a label counts as certain only up to 1/(n+2): n pictures without a mistake do not
    show that there never is one.

    Args:
        scores: Scores (n, k) of pictures that their head was not fitted on.
        labels: (n,) int, row-aligned with ``scores``.
    """
    rows, (n_rows, n_classes) = np.arange(len(labels)), scores.shape
    doubt = 1 / (n_rows + 2)
    wanted = np.full(scores.shape, doubt / max(1, n_classes - 1))
    wanted[rows, labels] = 1 - doubt

    def loss(log_factor: float) -> float:
        # Never clipped: a plateau where all is certain would have no way down.
        return float(-(wanted * log_softmax(scores * np.exp(log_factor), axis=1)).sum())

    best = minimize_scalar(loss, bounds=FACTOR_RANGE, method="bounded")
    return float(np.exp(best.x))
