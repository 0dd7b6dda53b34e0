"""Logistic regression in float32: scikit-learn's objective, and its end, without its import.

The objective is the weighted mean loss and |w|² / (2·C·n), n being the sum of the weights; L-BFGS
(Liu and Nocedal 1989) goes down from where it stood, until no slope is above the tolerance.
Products with the rows, which are nearly all of the work, are float32; losses are float64.
"""

import numpy as np

from pipeline.heads.class_weights import class_weights

GRADIENT_TOLERANCE = 1e-4
"""Of the mean loss, in any weight: scikit-learn's own default."""


class LogisticRegression:
    """A linear classifier that says probabilities; see `sklearn.linear_model.LogisticRegression`.

    Args:
        C: How little weights are penalised.
        max_iter: Steps after which it stops where it is.
        class_weight: ``"balanced"``, or None.
        begin: A fit to the same classes whose weights to begin with; zeros if left out.
    """

    def __init__(
        self,
        C: float = 1.0,
        max_iter: int = 2000,
        class_weight: str | None = None,
        begin: "LogisticRegression | None" = None,
    ) -> None:
        self.C, self.max_iter, self.class_weight, self._begin = C, max_iter, class_weight, begin
        self.coef_ = self.intercept_ = np.zeros(0)

    def fit(self, features: np.ndarray, labels: np.ndarray) -> "LogisticRegression":
        """Fit on features (n, d) and class numbers (n,), of at least two classes."""
        from scipy.optimize import minimize  # slow to import

        self.classes_, index = np.unique(labels, return_inverse=True)
        n_classes = len(self.classes_)
        n_columns = 1 if n_classes == 2 else n_classes
        by_class = class_weights(index, n_classes, self.class_weight)
        weights = np.ones(len(index)) if by_class is None else by_class[index]
        objective = _Objective(np.asarray(features, np.float32), index, weights, self.C, n_columns)
        start = np.zeros((n_columns, features.shape[1] + 1))
        if self._begin is not None:
            start[:, :-1], start[:, -1] = self._begin.coef_, self._begin.intercept_
        found = minimize(
            objective.value,
            start.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={
                "maxiter": self.max_iter,
                "maxls": 50,
                "gtol": GRADIENT_TOLERANCE,
                "ftol": 64 * np.finfo(float).eps,
            },
        )
        self.n_iter_, self.converged_ = int(found.nit), found.status != 1
        layer = found.x.reshape(n_columns, -1)
        self.coef_, self.intercept_ = layer[:, :-1], layer[:, -1]
        return self


class _Objective:
    """The loss of weights, and its slopes.

    Args:
        rows: (n, d) float32.
        index: (n,) int, class of each row.
        weights: (n,) float64, what each counts.
        strength: C.
        n_columns: A column for each class, or one that decides for the second of two.
    """

    def __init__(
        self,
        rows: np.ndarray,
        index: np.ndarray,
        weights: np.ndarray,
        strength: float,
        n_columns: int,
    ) -> None:
        self._rows, self._index, self._weights = rows, index, weights / weights.sum()
        self._penalty, self._n_columns = 1 / (strength * weights.sum()), n_columns
        self._slopes = self._two if n_columns == 1 else self._many

    def value(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the objective, and its slope by each weight."""
        layer = flat.reshape(self._n_columns, -1)
        kernel = layer[:, :-1]
        # Classes in rows: sums over classes then run along memory.
        logits = kernel.astype(np.float32) @ self._rows.T + layer[:, -1:]
        loss, slopes = self._slopes(logits)
        gradient = np.empty_like(layer)
        gradient[:, :-1] = slopes.astype(np.float32) @ self._rows
        gradient[:, :-1] += self._penalty * kernel
        gradient[:, -1] = slopes.sum(axis=1)
        return loss + 0.5 * self._penalty * float(np.vdot(kernel, kernel)), gradient.ravel()

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
