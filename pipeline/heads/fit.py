"""Fitting a head to features: prepare, fit, and fold what is linear into one layer."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from pipeline.errors import InputError
from pipeline.heads.affine import Steps, fit_affine, folded, layers_of
from pipeline.heads.catalog import HeadSpec, is_dotted
from pipeline.heads.class_weights import class_weights
from pipeline.heads.dotted import fit_estimator, make_estimator
from pipeline.heads.estimators import ESTIMATORS, Params
from pipeline.heads.fitted import FittedHead, NetworkHead, SklearnHead, all_classes
from pipeline.heads.ridge import ridge_head
from pipeline.heads.rowwise import apply_rowwise
from pipeline.system.startup import import_tensorflow

logger = logging.getLogger("pipeline")

FACTOR_RANGE = (-14.0, 8.0)
"""Natural logarithms of the smallest and largest factor tried in `fitting_factor`."""

SMALL_TABLE = 2**22
"""Numbers in features up to which boosting uses one thread."""


def fit_head(
    spec: HeadSpec,
    features: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    seed: int,
    n_views: int = 0,
    blocks: Sequence[int] | None = None,
    groups: np.ndarray | None = None,
) -> FittedHead:
    """Fit a head on features prepared in its way.

    Args:
        spec: Which head, with its parameters and preparation.
        features: (n, d) float, one row per picture; with augmented views all pictures, then view 1
            of each in the same order, ….
        labels: (n,) int in 0 … n_classes-1, row-aligned with ``features``.
        n_classes: k, also where some class is absent from ``labels``.
        seed: Seed of everything random in the head.
        n_views: Augmented views of each picture.
        blocks: Widths of the cuts that lie side by side in ``features``; None for one block. They
            matter to the preparations ``l2`` and ``sqrt-l2`` only.
        groups: (n pictures,) int; where a head holds pictures out to know when to stop, those of
            one group stay together.

    Raises:
        InputError: The features are not finite, or a parameter cannot work with this data.

    The parameter ``class_weight`` of a head weighs the classes by their numbers among ``labels``;
    preparations are fitted to all rows alike.

    A solver that stops before it converged is reported in the log and its head is used as it is.
    """
    _check_finite(features)
    preparation = spec.preparation
    # Of no use to a head that sees rows as they are, and not stored in it.
    widths = tuple(blocks or ()) if preparation.rowwise != "none" else ()
    head: NetworkHead | SklearnHead
    if spec.head.name == "ridge":
        alpha = spec.params["alpha"]
        head = ridge_head(
            features, labels, n_classes, alpha, preparation, widths, spec.class_weight
        )
    elif spec.head.name == "dense":
        import_tensorflow()
        from pipeline.heads.dense_grid import fit_dense_heads

        given = (features, labels, n_classes, seed, n_views, widths, groups)
        (head,) = fit_dense_heads([spec], *given)
    else:
        rows = apply_rowwise(features, preparation.rowwise, widths)
        steps, prepared = fit_affine(preparation, rows, seed)
        head = _fit(spec, prepared, labels, n_classes, seed, steps)
    _check_weights(spec, head, len(labels))
    return replace(head, rowwise=preparation.rowwise, blocks=widths)


def _fit(
    spec: HeadSpec,
    rows: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    seed: int,
    steps: Steps,
) -> NetworkHead | SklearnHead:
    """Fit to prepared rows; what comes back takes rows as they were before ``steps``."""
    with _reported_convergence(spec), _fitting_threads(spec, rows):
        if is_dotted(spec.head.name):
            estimator = make_estimator(spec.head.name, spec.own_params, seed)
            fit_estimator(estimator, str(spec), rows, labels)
        else:
            make = ESTIMATORS[spec.head.name]
            given = _row_weights(spec, labels, n_classes)
            estimator = make(_fitting(spec, len(labels)), seed).fit(rows, labels, **given)
    if spec.head.kind == "sklearn":
        return SklearnHead(make_pipeline(*steps, estimator), n_classes)
    kernels, biases = layers_of(estimator)
    kernels[-1], biases[-1] = all_classes(kernels[-1], biases[-1], estimator.classes_, n_classes)
    return folded(kernels, biases, steps)


def _row_weights(spec: HeadSpec, labels: np.ndarray, n_classes: int) -> dict[str, np.ndarray]:
    """Return what scikit-learn's network is fitted with: it is told of rows, not of classes."""
    if spec.head.name != "mlp" or spec.class_weight is None:
        return {}
    weights = class_weights(labels, n_classes, spec.class_weight)
    assert weights is not None
    return {"sample_weight": weights[labels]}


def _check_weights(spec: HeadSpec, head: FittedHead, n_rows: int) -> None:
    if not isinstance(head, NetworkHead):
        return
    if not all(np.isfinite(array).all() for array in (*head.kernels, *head.biases)):
        raise InputError(
            f"expected {spec} to have finite weights, it has not on these {n_rows} pictures; "
            f"choose another head, or more regularisation"
        )


@contextmanager
def _reported_convergence(spec: HeadSpec) -> Iterator[None]:
    """Say in the log that a solver stopped early; every other warning goes on as it was."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        yield
    early = [one for one in caught if issubclass(one.category, ConvergenceWarning)]
    for one in caught:
        if one not in early:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if early:
        logger.warning(
            "%s stopped before it converged; stronger regularisation (a smaller C) converges "
            "sooner, more iterations take it further",
            spec,
        )


def _fitting_threads(spec: HeadSpec, rows: np.ndarray) -> AbstractContextManager[Any]:
    """Boosting works in thousands of short parallel stretches, each as long as its slowest thread.

    On a small table one thread is as fast as two, and where somebody else works on the machine it
    is many times as fast (1,000 × 1,280: 3 s against 19 to 70 s).
    """
    if spec.head.name == "boosting" and rows.size < SMALL_TABLE:
        return threadpool_limits(1, user_api="openmp")
    return nullcontext()


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
