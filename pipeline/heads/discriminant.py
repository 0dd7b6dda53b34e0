"""Linear classifiers from class means: Fisher's discriminant, shrunk, and the nearest mean.

Their scores of rows (n, d) are ``rows @ coef_.T + intercept_``, in the order of ``classes_``.
"""

import numpy as np
import scipy

LEAST_SHRINKAGE = 1e-9
"""A trace of the identity keeps a factorisation alive where nothing is shrunk."""


class PooledDiscriminant:
    """Linear discriminant analysis for many features and few rows.

    All classes share one covariance, estimated from the rows less their class means and pulled
    towards a multiple of the identity (Ledoit and Wolf 2004), so it can be inverted where there are
    fewer rows than features. One Cholesky factorisation; scikit-learn's own ``lsqr`` solver takes a
    covariance per class and a least-squares solution, which is many times as long.

    Args:
        shrinkage: ``"auto"`` (Ledoit-Wolf), or from 0 (as measured) to 1 (identity only).
        class_weight: ``"balanced"`` takes every class for equally likely beforehand; None takes
            them for as likely as they are among the rows. The covariance is the same: all classes
            share it, and every row tells as much of it.
    """

    def __init__(self, shrinkage: str | float = "auto", class_weight: str | None = None) -> None:
        self.shrinkage, self.class_weight = shrinkage, class_weight

    def fit(self, features: np.ndarray, labels: np.ndarray) -> "PooledDiscriminant":
        """Fit on features (n, d) and class numbers (n,)."""
        self.classes_, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
        rows = np.asarray(features, np.float64)
        means = np.stack([rows[index == i].mean(0) for i in range(len(self.classes_))])
        self.coef_ = self._solve(rows - means[index], means)
        if self.class_weight is not None:
            counts = np.ones_like(counts)
        self.intercept_ = np.log(counts / counts.sum()) - 0.5 * np.sum(means * self.coef_, axis=1)
        # What all classes share is by far the greatest part of these, and costs float32 its digits.
        self.coef_ = self.coef_ - self.coef_.mean(0)
        self.intercept_ = self.intercept_ - self.intercept_.mean()
        return self

    def _solve(self, centred: np.ndarray, means: np.ndarray) -> np.ndarray:
        """Return means (classes, d) times the inverse of the shrunk covariance of the rows.

        The covariance is (1-s)·CᵀC/n + c·I with the n centred rows C. With fewer rows than
        features the small matrix CCᵀ is factorised instead (Woodbury's identity).
        """
        n_rows, n_features = centred.shape
        wide = n_features > n_rows
        product = centred @ centred.T if wide else centred.T @ centred
        auto = self.shrinkage == "auto"
        fourth = float(np.mean(np.sum(centred**2, axis=1) ** 2)) if auto else 0.0
        shrunk = shrunk_factor(product, centred.shape, means, self.shrinkage, fourth)
        if shrunk is None:
            return means
        factor, scale, floor = shrunk
        if not wide:
            return scipy.linalg.cho_solve(factor, means.T).T
        inner = scipy.linalg.cho_solve(factor, centred @ means.T)
        return (means - scale * inner.T @ centred) / floor


def shrunk_factor(
    product: np.ndarray,
    shape: tuple[int, int],
    means: np.ndarray,
    shrinkage: str | float,
    fourth: float,
) -> tuple[tuple[np.ndarray, bool], float, float] | None:
    """Return a Cholesky factor of scale·product + floor·I, scale and floor.

    That is the shrunk covariance for a product CᵀC, which is overwritten; the others are as in
    `ledoit_wolf`, ``fourth`` where the shrinkage is ``"auto"``. With class means (classes, d)
    beside which nothing varies within classes there is none: the nearest mean is the answer.
    """
    level = np.trace(product) / shape[0] / shape[1]
    if level <= 1e-12 * np.mean(means**2):
        return None
    auto = shrinkage == "auto"
    share = ledoit_wolf(product, shape, level, fourth) if auto else float(shrinkage)
    scale, floor = (1 - share) / shape[0], max(share, LEAST_SHRINKAGE) * level
    product *= scale
    product.flat[:: len(product) + 1] += floor
    return scipy.linalg.cho_factor(product, overwrite_a=True), scale, floor


def ledoit_wolf(product: np.ndarray, shape: tuple[int, int], level: float, fourth: float) -> float:
    """Return the share of the identity that makes the expected squared error least.

    Ledoit and Wolf (2004), lemma 3.2 and section 3.3: with S the sample covariance and m its mean
    eigenvalue, d² = |S - m·I|² and b² = (mean of |x·xᵀ - S|² over rows) / n; the share is
    min(b², d²) / d². The mean is (mean of |x|⁴) - |S|², so no product x·xᵀ is ever formed.

    Args:
        product: CᵀC (d, d) or CCᵀ (n, n) of the rows C (n, d) without their means: their squared
            norms are the same, n² |S|².
        shape: n and d.
        level: m.
        fourth: The mean of |x|⁴ over the rows of C.
    """
    n_rows, n_features = shape
    squared = float(np.sum(product**2)) / n_rows**2
    d2 = squared - n_features * level**2
    return min((fourth - squared) / n_rows / d2, 1.0) if d2 > 0 else 1.0


class NearestMean:
    """Predict the class whose mean is nearest: one vector per class, nothing to regularise.

    What is left with one to five pictures a class (Chen et al. 2019 find the cosine to it level
    with far heavier few-shot methods). Both measures are linear in the row z once what no class can
    change is left out: of -|z - m|²/2 the term |z|²/2, of the cosine the division by |z|.

    Args:
        metric: ``"cosine"``: z·m / |m|, with m the mean of the rows at unit length;
            ``"euclidean"``: z·m - |m|²/2.
    """

    def __init__(self, metric: str = "cosine") -> None:
        self.metric = metric

    def fit(self, features: np.ndarray, labels: np.ndarray) -> "NearestMean":
        """Fit on features (n, d) and class numbers (n,)."""
        self.classes_ = np.unique(labels)
        rows = np.asarray(features, np.float64)
        if self.metric == "cosine":
            rows = unit_rows(rows)
        means = np.stack([rows[labels == number].mean(0) for number in self.classes_])
        if self.metric == "cosine":
            self.coef_, self.intercept_ = unit_rows(means), np.zeros(len(means))
        else:
            self.coef_, self.intercept_ = means, -0.5 * np.sum(means**2, axis=1)
        return self


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Return rows of unit length; a row of zeros stays one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
