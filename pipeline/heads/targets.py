"""One-hot targets of a least-squares fit, and the layers that its coefficients become."""

import numpy as np

from pipeline.heads.fitted import ABSENT

Layers = tuple[np.ndarray, np.ndarray]
"""Kernels (a, d, k) and biases (a, k) for rows less the shift, a strength after the other."""


class Targets:
    """One-hot targets of a fit, and the layers that they lead to.

    Args:
        counts: (k,) rows of each class in the fit, or the sums of their weights.
    """

    def __init__(self, counts: np.ndarray) -> None:
        self._shares, self._seen = counts / counts.sum(), counts > 0
        self.height = 2.0 if self._seen.sum() > 2 else 1.0
        """From the target of the other classes to that of a picture's own."""

    def centred(self, labels: np.ndarray) -> np.ndarray:
        """Return the targets less their (weighted) means: (n, k)."""
        return self.height * (np.eye(len(self._shares))[labels] - self._shares)

    def layers(self, kernels: np.ndarray, mean: np.ndarray) -> Layers:
        """Return kernels (a, d, k) with their biases; classes that were not seen score `ABSENT`."""
        biases = self.height * (self._shares - 0.5) - np.einsum("d,adk->ak", mean, kernels)
        return kernels * self._seen, np.where(self._seen, biases, ABSENT)
