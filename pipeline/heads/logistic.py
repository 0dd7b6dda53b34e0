"""Logistic regression in float32: scikit-learn's objective, and its minimum, in tens of steps.

The objective is the weighted mean loss and |w|² / (2·C·n), n being the sum of the weights. Features
are badly conditioned, so plain descent stops far from the minimum. L-BFGS (Liu and Nocedal 1989)
goes down here in the metric of M = Σ s·x·xᵀ + I / (C·n), whose s are the curvatures of the rows'
losses at hand, a mean over classes: where nothing is known yet that is Böhning's bound (1992). M is
made anew after 15 steps, then after half as many again. So neither where it begins nor how sums are
rounded decides where it ends.

Products with the rows, which are nearly all of the work, are float32; losses and steps are float64.
"""

from collections import deque
from typing import NamedTuple

import numpy as np
import scipy

from pipeline.heads.class_weights import class_weights
from pipeline.heads.moments import stretches

TOLERANCE = 1e-6
"""Of |w - w'|² over ten classes, w' being the minimum: twice what the objective can still fall by
at most, over the penalty. With features of variance 1 probabilities are right to three digits."""

FIRST_METRIC, LATER_METRICS = 15, 1.5
"""Steps until the metric is made anew, and by what that number grows each time."""

_MEMORY, _TRIALS = 10, 15
"""Steps that are remembered, and lengths that are tried of one step."""

_FLATTER, _RISE = 0.9, 0.5
"""A step ends where the slope along it is between these shares of its first, down and up."""

_ROUNDING = 1e-5
"""Of the objective, where its rows are float32."""

_LEAST = 1e-6
"""Of a mean variance: the metric is no flatter in any direction."""


class LogisticRegression:
    """A linear classifier that says probabilities; see `sklearn.linear_model.LogisticRegression`.

    Args:
        C: How little weights are penalised.
        max_iter: Steps after which it stops where it is.
        class_weight: ``"balanced"``, or None.
    """

    def __init__(
        self, C: float = 1.0, max_iter: int = 2000, class_weight: str | None = None
    ) -> None:
        self.C, self.max_iter, self.class_weight = C, max_iter, class_weight

    def fit(self, features: np.ndarray, labels: np.ndarray) -> "LogisticRegression":
        """Fit on features (n, d) and class numbers (n,), of at least two classes."""
        self.classes_, index = np.unique(labels, return_inverse=True)
        n_classes = len(self.classes_)
        by_class = class_weights(index, n_classes, self.class_weight)
        weights = np.ones(len(index)) if by_class is None else by_class[index]
        rows = np.asarray(features, np.float32)
        wide = rows.shape[1] > len(rows)
        mean = _mean(rows, weights)
        lower = _spanned(rows, mean) if wide else None
        inner = rows if lower is None else lower.astype(np.float32)
        objective = _Objective(inner, index, weights, self.C, n_classes)
        start = np.zeros((1 if n_classes == 2 else n_classes, inner.shape[1] + 1))
        layer, self.n_iter_, self.converged_ = _descended(objective, start, self.max_iter)
        kernel, bias = layer[:, :-1], layer[:, -1]
        if lower is None:
            self.coef_, self.intercept_ = kernel, bias - kernel @ mean
        else:
            self.coef_ = _unspanned(rows, mean, lower, kernel)
            self.intercept_ = bias - kernel @ objective.mean - self.coef_ @ mean
        return self


def _mean(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean of rows (n, d), float32; float64 weights would copy all of them."""
    return (weights / weights.sum()).astype(np.float32) @ rows


def _spanned(rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return rows (n, n) that are to each other as centred rows (n, d) are, lower triangular.

    A penalised kernel is a sum of rows, so more directions than there are rows have no say. With
    X = L·Qᵀ its weights u belong to L, and Q·u, of the same length, to X.
    """
    products = np.zeros((len(rows), len(rows)))
    for some in stretches(rows.shape[1], len(rows)):
        block = rows[:, some] - mean[some].astype(np.float64)
        products += block @ block.T
    level = float(np.trace(products)) / len(rows)
    products.flat[:: len(rows) + 1] += max(1e-10 * level, 1e-30)
    return scipy.linalg.cholesky(products, lower=True, overwrite_a=True, check_finite=False)


def _unspanned(
    rows: np.ndarray, mean: np.ndarray, lower: np.ndarray, kernel: np.ndarray
) -> np.ndarray:
    """Return the kernel (k, d) for rows that equals one (k, n) for what they span."""
    shares = scipy.linalg.solve_triangular(
        lower, kernel.T, lower=True, trans="T", check_finite=False
    ).T
    outer = np.empty((len(kernel), rows.shape[1]))
    for some in stretches(rows.shape[1], len(rows)):
        outer[:, some] = shares @ (rows[:, some] - mean[some].astype(np.float64))
    return outer


class _Objective:
    """The loss of weights, its slopes and its curvature.

    Biases are those at the mean of the rows, or a step of a weight would be one of a bias too.

    Args:
        rows: (n, d) float32.
        index: (n,) int, class of each row.
        weights: (n,) float64, what each counts.
        strength: C.
        n_classes: A column for each class, or of two one that decides for the second.
    """

    def __init__(
        self,
        rows: np.ndarray,
        index: np.ndarray,
        weights: np.ndarray,
        strength: float,
        n_classes: int,
    ) -> None:
        self._rows, self._index, self._weights = rows, index, weights / weights.sum()
        self.mean = _mean(rows, weights)
        self.penalty = 1 / (strength * weights.sum())
        self._slopes = self._two if n_classes == 2 else self._many

    def value(self, layer: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the objective, and its slopes by weights and biases (k, d + 1)."""
        kernel = layer[:, :-1]
        loss, slopes = self._slopes(self._logits(layer))
        gradient, rests = np.empty_like(layer), slopes.sum(axis=1, dtype=np.float64)
        gradient[:, :-1] = slopes.astype(np.float32, copy=False) @ self._rows
        gradient[:, :-1] += self.penalty * kernel - np.outer(rests, self.mean)
        gradient[:, -1] = rests
        return loss + 0.5 * self.penalty * float(np.vdot(kernel, kernel)), gradient

    def metric(self, layer: np.ndarray) -> "_Metric":
        """Return the curvature at these weights, the mean one of all classes."""
        logits = self._logits(layer)
        if len(layer) == 1:
            logits = np.concatenate([logits, np.zeros_like(logits)])
        shares = np.exp(logits - logits.max(axis=0))
        shares /= shares.sum(axis=0)
        curvatures = self._weights * (1 - np.square(shares).sum(axis=0)) / (len(logits) - 1)
        total = max(float(curvatures.sum()), 1e-30)
        scaled = self._rows - _mean(self._rows, curvatures)
        scaled *= np.sqrt(curvatures).astype(np.float32)[:, None]
        return _Metric.of(scaled.T @ scaled, self.penalty, total)

    def _logits(self, layer: np.ndarray) -> np.ndarray:
        """Return logits (k, n): classes in rows, sums over them then run along memory."""
        kernel, bias = layer[:, :-1], layer[:, -1] - layer[:, :-1] @ self.mean
        logits: np.ndarray = kernel.astype(np.float32) @ self._rows.T
        logits += bias.astype(np.float32)[:, None]
        return logits

    def _many(self, logits: np.ndarray) -> tuple[float, np.ndarray]:
        rows = np.arange(len(self._index))
        logits -= logits.max(axis=0)
        own = logits[self._index, rows]
        slopes = np.exp(logits, out=logits)
        total = slopes.sum(axis=0)
        loss = float(self._weights @ (np.log(total) - own))
        slopes /= total
        slopes[self._index, rows] -= 1
        slopes *= self._weights
        return loss, slopes

    def _two(self, logits: np.ndarray) -> tuple[float, np.ndarray]:
        signs = 2.0 * self._index - 1
        margins = signs * logits[0]
        loss = float(self._weights @ np.logaddexp(0, -margins))
        shares = np.exp(-np.logaddexp(0, margins))
        return loss, (-signs * shares * self._weights)[None]


class _Metric(NamedTuple):
    """A curvature of weights, factorised, and that of biases."""

    factor: np.ndarray
    bias: float

    @classmethod
    def of(cls, gram: np.ndarray, penalty: float, bias: float) -> "_Metric":
        """Factorise a matrix (d, d) float32 with a penalty, raised where rounding asks for it."""
        floor, failed = max(penalty, _LEAST * float(np.trace(gram)) / len(gram), 1e-30), 1
        while failed:
            raised = np.array(gram, order="F")
            raised.flat[:: len(gram) + 1] += np.float32(floor)
            factor, failed = scipy.linalg.lapack.spotrf(raised, lower=1, clean=0, overwrite_a=1)
            floor *= 10
        return cls(factor, bias)

    def inverse(self, slopes: np.ndarray) -> np.ndarray:
        """Return the inverse of the curvature times slopes (k, d + 1)."""
        step = np.empty_like(slopes)
        step[:, :-1] = scipy.linalg.lapack.spotrs(
            self.factor, slopes[:, :-1].T.astype(np.float32), lower=1
        )[0].T
        step[:, -1] = slopes[:, -1] / self.bias
        return step


class _Remembered(NamedTuple):
    """A step (k, d + 1), how slopes changed on it, and the product of both."""

    step: np.ndarray
    change: np.ndarray
    product: float


def _descended(
    objective: _Objective, layer: np.ndarray, max_iter: int
) -> tuple[np.ndarray, int, bool]:
    """Return weights and biases at the minimum, steps taken, and whether that is where it ended."""
    memory: deque[_Remembered] = deque(maxlen=_MEMORY)
    value, slopes = objective.value(layer)
    lasts, due, scale = float(FIRST_METRIC), 0.0, 1.0
    for n_steps in range(max_iter):
        if n_steps >= due:
            metric, scale = objective.metric(layer), 1.0
            due, lasts = due + lasts, lasts * LATER_METRICS
        direction = -_newton(metric, scale, memory, slopes)
        fall = float(np.vdot(slopes, direction))
        if -fall <= TOLERANCE * objective.penalty * max(1.0, len(layer) / 10):
            return layer, n_steps, True
        found = _along(objective, layer, direction, value, fall)
        if found is None:  # float32 tells no lower place from this one
            return layer, n_steps, True
        after, value, slopes_after = found
        step, change = after - layer, slopes_after - slopes
        product = float(np.vdot(step, change))
        if product > 0:
            memory.append(_Remembered(step, change, product))
            scale = product / float(np.vdot(change, metric.inverse(change)))
        layer, slopes = after, slopes_after
    return layer, max_iter, False


def _newton(
    metric: _Metric, scale: float, memory: deque[_Remembered], slopes: np.ndarray
) -> np.ndarray:
    """Return slopes times the inverse Hessian that the metric and the memory tell of."""
    rest, shares = slopes.copy(), []
    for one in reversed(memory):
        shares.append(float(np.vdot(one.step, rest)) / one.product)
        rest -= shares[-1] * one.change
    step = scale * metric.inverse(rest)
    for one, share in zip(memory, reversed(shares), strict=True):
        step += (share - float(np.vdot(one.change, step)) / one.product) * one.step
    return step


def _along(
    objective: _Objective, layer: np.ndarray, direction: np.ndarray, value: float, fall: float
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Return a place on the way where the slope has mostly gone, its value and slopes; or None.

    The objective is convex, so slopes along a line only rise, and tell more than values that differ
    by less than their rounding.
    """
    length, low, high = 1.0, 0.0, np.inf
    for _ in range(_TRIALS):
        after = layer + length * direction
        reached, slopes = objective.value(after)
        slope = float(np.vdot(slopes, direction))
        if slope > -_RISE * fall or reached > value + _ROUNDING * value:
            high = length
        elif slope < _FLATTER * fall:
            low = length
        else:
            return after, reached, slopes
        flat = length * fall / (fall - slope) if slope != fall else 2 * length
        edge = 0.1 * (min(high, 10 * length) - low)
        last = 10 * length if high == np.inf else high - edge
        length = float(np.clip(flat, low + edge, last))
    return None
