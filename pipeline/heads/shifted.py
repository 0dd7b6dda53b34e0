"""Symmetric systems that differ in a multiple of the identity only: one reduction serves them all.

G = Q·T·Qᵀ with T tridiagonal is a third of an eigendecomposition, and (G + a·I)⁻¹B =
Q·(T + a·I)⁻¹·QᵀB costs next to nothing for each further a (Eldén 1977). Where a matrix grows by a
few columns, the systems of the larger one follow from the reduction of the smaller: with
H = [[G, F], [Fᵀ, E]] they are those of the Schur complement E + a·I - Fᵀ(G + a·I)⁻¹F.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import scipy

_COLUMNS = 64
"""LAPACK works best with so many columns at once."""


class Tridiagonal:
    """Q·T·Qᵀ of a symmetric matrix.

    Args:
        gram: (d, d) float64, positive up to rounding; its memory is used.
    """

    def __init__(self, gram: np.ndarray) -> None:
        width = len(gram)
        # The transpose is the same matrix, and in the order of columns that LAPACK wants.
        reduced, self._diagonal, self._beside, tau, _ = scipy.linalg.lapack.dsytrd(
            gram.T, lower=1, lwork=_COLUMNS * width, overwrite_a=1
        )
        self._reflectors, self._tau = np.asfortranarray(reduced[1:, : width - 1]), tau

    def inward(self, columns: np.ndarray) -> np.ndarray:
        """Return Qᵀ·columns, (d, m)."""
        return self._turned("T", columns)

    def outward(self, columns: np.ndarray) -> np.ndarray:
        """Return Q·columns, (d, m)."""
        return self._turned("N", columns)

    def _turned(self, way: str, columns: np.ndarray) -> np.ndarray:
        turned = np.array(columns, np.float64, order="F")
        if len(turned) > 1 and turned.shape[1]:
            given = self._reflectors, self._tau, turned[1:]
            turned[1:] = scipy.linalg.lapack.dormqr(
                "L", way, *given, lwork=_COLUMNS * max(_COLUMNS, turned.shape[1])
            )[0]
        return turned

    def solve(self, shift: float, inside: np.ndarray) -> np.ndarray:
        """Return (T + shift·I)⁻¹·inside, (d, m); what rounding made negative counts as 0."""
        if len(inside) == 1:
            return inside / (max(self._diagonal[0], 0.0) + shift)
        pivots, factors, failed = scipy.linalg.lapack.dpttrf(self._diagonal + shift, self._beside)
        if failed:
            values, vectors = scipy.linalg.eigh_tridiagonal(self._diagonal, self._beside)
            return vectors @ ((vectors.T @ inside) / (np.maximum(values, 0) + shift)[:, None])
        return scipy.linalg.lapack.dpttrs(pivots, factors, inside)[0]

    def solutions(self, shifts: Sequence[float] | np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return (G + a·I)⁻¹·columns for every shift a: (a, d, m)."""
        inside, (d, m) = self.inward(columns), columns.shape
        wide = np.concatenate([self.solve(shift, inside) for shift in shifts], axis=1)
        return self.outward(wide).reshape(d, len(shifts), m).transpose(1, 0, 2)


class System(NamedTuple):
    """A part of a matrix, by its columns (m,), and what is added to its diagonal, (a,)."""

    columns: np.ndarray
    shifts: np.ndarray


def products(
    gram: np.ndarray, left: np.ndarray, right: np.ndarray, systems: Sequence[System]
) -> Iterator[np.ndarray]:
    """Yield left·(H + a·I)⁻¹·right of each system for each of its shifts: (a, n, k).

    Args:
        gram: (d, d), whose rows and columns that a system names are its H.
        left: (n, d), of which a system takes its columns.
        right: (d, k), likewise.
        systems: What is solved. Columns that all of them share are reduced once.
    """
    shared = systems[0].columns
    for system in systems[1:]:
        shared = np.intersect1d(shared, system.columns)
    core = _Core(gram, left, right, shared) if len(systems) > 1 and len(shared) else None
    for system in systems:
        if core is not None and 2 * len(shared) >= len(system.columns):
            yield core.products(np.setdiff1d(system.columns, shared), system.shifts)
        else:
            alone = _Core(gram, left, right, system.columns)
            yield alone.products(np.zeros(0, int), system.shifts)


class _Core:
    """What systems of `products` share, reduced once; each adds its own columns."""

    def __init__(
        self, gram: np.ndarray, left: np.ndarray, right: np.ndarray, columns: np.ndarray
    ) -> None:
        self._gram, self._left, self._right, self._columns = gram, left, right, columns
        self._form = Tridiagonal(gram[np.ix_(columns, columns)])
        self._inner_left = self._form.inward(left[:, columns].T).T
        self._inner_right = self._form.inward(right[columns])

    def products(self, added: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """Return left·(H + a·I)⁻¹·right for each shift, with some columns more: (a, n, k)."""
        beside = self._form.inward(self._gram[np.ix_(self._columns, added)])
        corner, (n, k) = self._gram[np.ix_(added, added)], (len(self._left), self._right.shape[1])
        both = np.asfortranarray(np.hstack([beside, self._inner_right]))
        inner, outer = [], []
        for shift in shifts:
            across, own = np.split(self._form.solve(shift, both), [len(added)], axis=1)
            if len(added):
                schur = corner - _lower_product(beside, across)
                schur.flat[:: len(added) + 1] += shift
                factor = scipy.linalg.cho_factor(
                    schur, lower=True, overwrite_a=True, check_finite=False
                )
                rest = self._right[added] - beside.T @ own
                outer.append(scipy.linalg.cho_solve(factor, rest, check_finite=False))
                own = own - across @ outer[-1]
            inner.append(own)
        found = self._inner_left @ np.concatenate(inner, axis=1)
        if len(added):
            found += self._left[:, added] @ np.concatenate(outer, axis=1)
        return found.reshape(n, len(shifts), k).transpose(1, 0, 2)


def _lower_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the lower triangle of leftᵀ·right, which is symmetric; a quarter is not computed."""
    half, width = left.shape[1] // 2, left.shape[1]
    product = np.zeros((width, width))
    product[:, :half] = left.T @ right[:, :half]
    product[half:, half:] = left[:, half:].T @ right[:, half:]
    return product
