"""Fitting a head to features: prepare, fit, and fold what is linear into one layer."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import scipy
from threadpoolctl import threadpool_limits

from pipeline.errors import InputError
from pipeline.heads.affine import PreparedRows, as_pipeline, layers_of, prepare
from pipeline.heads.catalog import HeadSpec, is_dotted
from pipeline.heads.class_weights import class_weights
from pipeline.heads.dotted import fit_estimator, make_estimator
from pipeline.heads.estimators import catalog_estimator
from pipeline.heads.fitted import FittedHead, NetworkHead, SklearnHead, all_classes
from pipeline.heads.ridge import RidgePath
from pipeline.heads.sample import Folds, Sample
from pipeline.system.machine import core_count
from pipeline.system.startup import import_framework

logger = logging.getLogger(__name__)

FACTOR_RANGE = (-14.0, 8.0)
"""Natural logarithms of the smallest and largest factor tried in `fitting_factor`."""

SMALL_TABLE = 2**22
"""Numbers in features up to which heads use one thread."""

_OWN = ("logistic", "lda", "centroid")
"""Estimators of this package, which warn of nothing and need no import of scikit-learn."""

_CLOSE, _MOST_STEPS = 1e-8, 100
"""How close a logarithm of a factor is found."""


def fit_head(spec: HeadSpec, sample: Sample, prepared: PreparedRows | None = None) -> FittedHead:
    """Fit a head on features prepared in its way, as `prepare` gives them where several share that.

    The parameter ``class_weight`` of a head weighs the classes by their numbers among the labels;
    preparations are fitted to all rows alike. A solver that stops before it converged is reported
    in the log and its head is used as it is.

    Raises:
        InputError: The features are not finite, or a parameter cannot work with this data.
    """
    _check_finite(sample.features)
    with fitting_threads(sample.features):
        head = _fitted(spec, sample, prepared)
    if isinstance(head, NetworkHead):
        check_weights(spec, head, len(sample.labels))
    return head


def _fitted(spec: HeadSpec, sample: Sample, prepared: PreparedRows | None) -> FittedHead:
    if spec.head.name == "ridge":
        path = RidgePath(sample, spec.preparation, spec.class_weight)
        return next(path.heads((spec.params["alpha"],)))
    if spec.head.name == "dense":
        import_framework("tensorflow", "the head dense")
        from pipeline.heads.dense_grid import fit_dense_heads

        (head,) = fit_dense_heads([spec], sample)
        return head
    return _fit(spec, sample, prepared or prepare(spec.preparation, sample))


def _fit(spec: HeadSpec, sample: Sample, prepared: PreparedRows) -> FittedHead:
    """Fit one of scikit-learn's estimators."""
    labels = sample.row_labels
    reported = nullcontext() if spec.head.name in _OWN else _reported_convergence(spec)
    with reported:
        if is_dotted(spec.head.name):
            estimator = make_estimator(spec.head.name, spec.own_params, sample.seed)
            fit_estimator(estimator, str(spec), prepared.rows, labels)
        else:
            estimator = catalog_estimator(_possible(spec, len(labels)), sample.seed)
            estimator.fit(prepared.rows, labels, **_row_weights(spec, labels, sample.n_classes))
    if not getattr(estimator, "converged_", True):
        tell_of_stop(spec)
    if spec.head.kind == "sklearn":
        made = as_pipeline(prepared.steps, estimator)
        return SklearnHead(made, sample.n_classes, rowwise=prepared.rowwise, blocks=prepared.blocks)
    return linear_head(estimator, prepared, sample.n_classes)


def linear_head(estimator: Any, prepared: PreparedRows, n_classes: int) -> NetworkHead:
    """Return a fitted linear classifier, or scikit-learn's network, as layers on raw features."""
    kernels, biases = layers_of(estimator)
    last = all_classes(kernels[-1], biases[-1], estimator.classes_, n_classes)
    return prepared.network([*kernels[:-1], last[0]], [*biases[:-1], last[1]])


def out_of_fold_scores(spec: HeadSpec, sample: Sample, folds: Folds) -> np.ndarray:
    """Score every picture by a head that was fitted on the other folds of `make_folds`.

    Where there are augmented views, heads learn from all views of the pictures they are fitted on,
    and score the others as they are.

    Returns:
        Scores (n, k), in the order of the sample's labels.
    """
    scores = np.zeros((len(sample.labels), sample.n_classes))
    for (_, held_out), head in zip(folds, fit_folds(spec, sample, folds), strict=True):
        scores[held_out] = head.scores(sample.features[held_out])
    return scores


def fit_folds(spec: HeadSpec, sample: Sample, folds: Folds) -> Iterator[FittedHead]:
    """Yield the head of each fold, which learns from what the fold does not hold out.

    Those that use one thread each are fitted side by side, with the same outcome.
    """
    if sample.features.size >= SMALL_TABLE or spec.head.name not in (*_OWN, "ridge"):
        yield from (fit_head(spec, sample.only(fit)) for fit, _ in folds)
        return
    with fitting_threads(sample.features), ThreadPoolExecutor(core_count()) as pool:
        yield from pool.map(lambda fold: fit_head(spec, sample.only(fold[0])), folds)


def _row_weights(spec: HeadSpec, labels: np.ndarray, n_classes: int) -> dict[str, np.ndarray]:
    """Return what scikit-learn's network is fitted with: it is told of rows, not of classes."""
    if spec.head.name != "mlp" or spec.class_weight is None:
        return {}
    weights = class_weights(labels, n_classes, spec.class_weight)
    assert weights is not None
    return {"sample_weight": weights[labels]}


def check_weights(spec: HeadSpec, head: NetworkHead, n_pictures: int) -> None:
    """Raise InputError where a head that was fitted to so many pictures has weights like NaN."""
    if not all(np.isfinite(array).all() for array in (*head.kernels, *head.biases)):
        raise InputError(
            f"expected {spec} to have finite weights, it has not on these {n_pictures} pictures; "
            f"choose another head, or more regularisation"
        )


def tell_of_stop(spec: HeadSpec) -> None:
    """Say in the log that a solver stopped early."""
    logger.warning(
        "%s stopped before it converged; stronger regularisation (a smaller C) converges "
        "sooner, more iterations take it further",
        spec,
    )


MANY_CLASSES = "The number of unique classes is greater than 50%"
"""How scikit-learn begins to ask whether labels are numbers; here they are classes."""


@contextmanager
def _reported_convergence(spec: HeadSpec) -> Iterator[None]:
    """Say in the log that a solver stopped early; every other warning goes on as it was."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        warnings.filterwarnings("ignore", MANY_CLASSES, UserWarning)
        yield
    early = [one for one in caught if issubclass(one.category, ConvergenceWarning)]
    for one in caught:
        if one not in early:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if early:
        tell_of_stop(spec)


def fitting_threads(features: np.ndarray) -> AbstractContextManager[Any]:
    """Limit threads where a second one would mostly wait for the first.

    Heads work in many short parallel stretches, each as long as its slowest thread. On a small
    table one thread is about as fast as two, and where somebody else works on the machine it is
    many times as fast (boosting on 1,000 × 1,280: 3 s against 19 to 70 s; ridge on 1,200 × 1,280
    and 100 classes, five folds: 1.1 s against 7.5).
    """
    if features.size >= SMALL_TABLE:
        return nullcontext()
    scipy.linalg.blas  # noqa: B018  # a library that is loaded later would not be limited
    return threadpool_limits(1)


def _possible(spec: HeadSpec, n_rows: int) -> HeadSpec:
    """A neighbourhood cannot be larger than what there is."""
    if spec.params.get("k", 0) <= n_rows:
        return spec
    logger.warning("%s: only %d training pictures, all of them vote", spec, n_rows)
    return HeadSpec(spec.head, {**spec.params, "k": n_rows})


def _check_finite(features: np.ndarray) -> None:
    if not np.isfinite(features).all():
        rows = np.flatnonzero(~np.isfinite(features).all(axis=1))
        raise InputError(
            f"expected finite features, received NaN or infinity in {len(rows)} of {len(features)} "
            f"rows (first: row {rows[0]}); use --precision float32 or check the weights"
        )


def fitting_factor(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor by which scores (n, k) become log probabilities of labels (n,) unseen.

    Temperature scaling (Guo et al. 2017): one positive factor, so no prediction changes. As Platt
    (1999) did, a label counts as certain only up to 1/(n+2): n pictures without a mistake do not
    show that there never is one.
    """
    n_rows, n_classes = scores.shape
    doubt = 1 / (n_rows + 2)
    # Classes in rows: sums over them then run along memory. The greatest score becomes 0.
    below = np.ascontiguousarray(scores.T, np.float64)
    below -= below.max(axis=0)
    own = below[labels, np.arange(n_rows)]
    others = doubt / max(1, n_classes - 1)
    wanted = float(((1 - doubt - others) * own + others * below.sum(axis=0)).sum())

    def slopes(factor: float) -> tuple[float, float]:
        """Return the first and second derivative of the loss; it is convex in the factor."""
        shares = np.exp(factor * below)
        shares /= shares.sum(axis=0)
        weighed = shares * below
        means = weighed.sum(axis=0)
        return float(means.sum()) - wanted, float(np.vdot(weighed, below) - means @ means)

    return math.exp(_root(slopes, *FACTOR_RANGE))


def _root(slopes: Callable[[float], tuple[float, float]], low: float, high: float) -> float:
    """Find by Newton's steps, in logarithms, where a rising function of the factor is 0."""
    at = 0.0
    for _ in range(_MOST_STEPS):
        value, slope = slopes(math.exp(at))
        low, high = (low, at) if value > 0 else (at, high)
        rise = slope * math.exp(at)
        step = value / rise if rise > 0 else math.inf
        after = at - step if low < at - step < high else (low + high) / 2
        if abs(after - at) < _CLOSE:
            return after
        at = after
    return at
