"""Fitting a head to features in blocks: on all pictures, and for every fold, in the same passes.

Scores of features in blocks.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.fitted import FittedHead, NetworkHead, all_classes, f32
from pipeline.heads.streamed.basis import Basis, fit_basis
from pipeline.heads.streamed.capacity import STREAMABLE, check_products
from pipeline.heads.streamed.closed import centroid_layers, lda_layers, ridge_layers
from pipeline.heads.streamed.descent import (
    MOST_ROTATED,
    Descent,
    binary_cross_entropy,
    cross_entropy,
    squared_hinge,
    starts,
)
from pipeline.heads.streamed.fits import Fits
from pipeline.heads.streamed.source import Blocks, Progress, Source, read_ahead
from pipeline.heads.streamed.sums import GroupSums, Products
from pipeline.system.startup import import_tensorflow


def score_blocks(
    head: FittedHead, blocks: Blocks, n_classes: int, progress: Progress | None = None
) -> np.ndarray:
    """Return the scores (n_rows, k) float32 of features in blocks, by their places."""
    scores = np.zeros((blocks.n_rows, n_classes), np.float32)
    done = 0
    for places, rows in read_ahead(iter(blocks)):
        scores[places] = head.scores(rows)
        done += len(rows)
        if progress is not None:
            progress(done, blocks.n_rows)
    return scores


def out_of_fold(
    heads: Sequence[FittedHead], blocks: Blocks, fits: Fits, progress: Progress | None = None
) -> np.ndarray:
    """Score every picture, as it is, by the head of the fit that has not seen it.

    Args:
        heads: One per fit.
        blocks: The n pictures, and after them their views, which are not scored.
        fits: Which fit judges which picture.
        progress: Told how far the pass is.

    Returns:
        (n, k) float32, in the order of the pictures; zeros where none judges.
    """
    n_pictures, done = len(fits.judged_by), 0
    scores = np.zeros((n_pictures, fits.counts.shape[1]), np.float32)
    for places, rows in read_ahead(iter(blocks)):
        clean = np.flatnonzero(places < n_pictures)
        judges = fits.judged_by[places[clean]]
        for fit in np.unique(judges[judges > 0]):
            some = clean[judges == fit]
            scores[places[some]] = heads[fit].scores(rows[some])
        done += len(clean)
        if progress is not None:
            progress(done, n_pictures)
        if done == n_pictures:  # only views are left
            break
    return scores


logger = logging.getLogger("pipeline")

SVM_ITERATIONS = 5000

Network = tuple[Sequence[np.ndarray], Sequence[np.ndarray]]
"""Kernels and biases, layer after layer, for rows as they are (after what is done row by row)."""


@dataclass(frozen=True)
class Streamed:
    """What blocks have taught.

    Args:
        head: Fitted to all pictures.
        scores: (n, k) float32, of each picture by a head fitted on the other folds, in the order
            of the labels; None where there were no folds.
    """

    head: NetworkHead
    scores: np.ndarray | None


def fit_streamed(
    spec: HeadSpec,
    blocks: Blocks,
    labels: np.ndarray,
    n_classes: int,
    seed: int,
    folds: Sequence[tuple[np.ndarray, np.ndarray]] | None = None,
    *,
    widths: Sequence[int] | None = None,
    groups: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Streamed:
    """Fit a head to features that need not fit in memory; the objectives are those of `fit_head`.

    Args:
        spec: One of `STREAMABLE`, with its parameters and preparation.
        blocks: Of the n pictures; with augmented views all pictures, then view 1 of each, ….
        labels: (n,) int in 0 … n_classes-1.
        n_classes: k, also where some class is absent from ``labels``.
        seed: Seed of everything random in the head.
        folds: From `make_folds`, to score pictures out of fold; views follow their pictures.
        widths: Of the cuts side by side, for the preparations ``l2`` and ``sqrt-l2``.
        groups: (n,) int; where a head holds pictures out to know when to stop, those of one group
            stay together. Folds are taken as they are.
        progress: Told after each block: rows seen in this pass, and rows in a pass.

    Raises:
        InputError: The head cannot learn in blocks, its products do not fit in memory, or the
            features are not finite.

    A solver that stops before it converged is reported in the log and its head is used as it is.
    """
    if spec.head.name not in STREAMABLE:
        raise InputError(
            f"expected a head that learns in blocks, received {spec}; use one of "
            f"{', '.join(STREAMABLE)}, or features that fit in memory"
        )
    preparation = spec.preparation
    cuts = tuple(widths or ()) if preparation.rowwise != "none" else ()
    fits = Fits.of(np.asarray(labels), n_classes, folds, spec.class_weight)
    source = Source(blocks, labels, preparation.rowwise, cuts, progress)
    networks = FITTERS[spec.head.name](spec, source, fits, seed, groups)
    heads = [_head(spec, network, cuts, len(labels)) for network in networks]
    scores = None if folds is None else out_of_fold(heads, blocks, fits, progress)
    return Streamed(heads[0], scores)


def _head(spec: HeadSpec, network: Network, cuts: tuple[int, ...], n_rows: int) -> NetworkHead:
    kernels, biases = (tuple(f32(array) for array in arrays) for arrays in network)
    if not all(np.isfinite(array).all() for array in (*kernels, *biases)):
        raise InputError(
            f"expected {spec} to have finite weights, it has not on these {n_rows} pictures; "
            f"choose another head, or more regularisation"
        )
    return NetworkHead(kernels, biases, spec.preparation.rowwise, cuts)


def _sums(spec: HeadSpec, source: Source, fits: Fits, products: Products) -> GroupSums:
    """Make the first pass."""
    weighted = spec.head.name == "ridge" and spec.class_weight is not None
    if weighted and spec.preparation.pca is None:
        products = "none"
    held = {"none": 0, "common": 1, "groups": fits.n_groups}[products] + weighted * fits.n_fits
    # A fit's own products, what they become, and what is factorised.
    check_products(spec, source.n_features, held + 3 if held else 0)
    return GroupSums(source, fits, products, weighted)


def _bases(spec: HeadSpec, source: Source, fits: Fits, sums: GroupSums) -> list[Basis]:
    moments = (sums.moments(fit) for fit in range(fits.n_fits))
    return [fit_basis(spec.preparation, one, source.shift) for one in moments]


def _ridge(
    spec: HeadSpec, source: Source, fits: Fits, seed: int, groups: np.ndarray | None
) -> list[Network]:
    sums = _sums(spec, source, fits, "groups")
    bases, weighted = _bases(spec, source, fits, sums), spec.class_weight is not None
    layers = ridge_layers(source, fits, bases, sums, spec.params["alpha"], weighted)
    return [([kernel], [bias]) for kernel, bias in layers]


def _lda(
    spec: HeadSpec, source: Source, fits: Fits, seed: int, groups: np.ndarray | None
) -> list[Network]:
    sums = _sums(spec, source, fits, "groups")
    bases, weighted = _bases(spec, source, fits, sums), spec.class_weight is not None
    layers = lda_layers(source, fits, bases, sums, spec.params["shrinkage"], weighted)
    return [([kernel], [bias]) for kernel, bias in layers]


def _centroid(
    spec: HeadSpec, source: Source, fits: Fits, seed: int, groups: np.ndarray | None
) -> list[Network]:
    sums = _sums(spec, source, fits, "none" if spec.preparation.pca is None else "groups")
    bases = _bases(spec, source, fits, sums)
    layers = centroid_layers(source, fits, bases, sums, spec.params["metric"])
    return [([kernel], [bias]) for kernel, bias in layers]


def _by_descent(
    spec: HeadSpec, source: Source, fits: Fits, seed: int, groups: np.ndarray | None
) -> list[Network]:
    classes = np.flatnonzero(fits.counts[0])
    if (fits.counts > 0).sum(1).min() < 2:
        raise InputError(
            f"expected pictures of two classes or more in every fold for {spec}, received one "
            f"class; make fewer folds, or add pictures"
        )
    products: Products = "common" if source.n_features <= MOST_ROTATED else "none"
    sums = _sums(spec, source, fits, "groups" if spec.preparation.pca is not None else products)
    begin = starts(spec.preparation, sums, fits, source.shift)
    logistic = spec.head.name == "logistic"
    loss = squared_hinge
    if logistic:
        loss = binary_cross_entropy if len(classes) == 2 else cross_entropy
    descent = Descent(source, fits, begin, loss, spec.params["C"], classes, not logistic)
    layers, converged = descent.solve(spec.params["max_iter"] if logistic else SVM_ITERATIONS)
    if not converged:
        logger.warning(
            "%s stopped before it converged; stronger regularisation (a smaller C) converges "
            "sooner, more iterations take it further",
            spec,
        )
    networks: list[Network] = []
    for (kernel, bias), start, counts in zip(layers, begin, fits.counts, strict=True):
        there = counts[classes] > 0
        if not there.all():  # a fold without some class
            kernel, bias = kernel[:, there], bias[there]
        kernel, bias = all_classes(kernel, bias, classes[there], len(counts))
        kernel, bias = start.basis.fold(kernel, bias, source.shift)
        networks.append(([kernel], [bias]))
    return networks


def _dense(
    spec: HeadSpec, source: Source, fits: Fits, seed: int, groups: np.ndarray | None
) -> list[Network]:
    import_tensorflow()
    from pipeline.heads.streamed.network import fit_networks

    sums = _sums(spec, source, fits, "none" if spec.preparation.pca is None else "groups")
    bases = _bases(spec, source, fits, sums)
    networks = fit_networks(spec.params, source, fits, bases, seed, groups)
    for (kernels, biases), basis in zip(networks, bases, strict=True):
        kernels[0], biases[0] = basis.fold(kernels[0], biases[0], source.shift)
    return list(networks)


Fitter = Callable[[HeadSpec, Source, Fits, int, np.ndarray | None], list[Network]]

FITTERS: dict[str, Fitter] = {
    "ridge": _ridge,
    "lda": _lda,
    "centroid": _centroid,
    "logistic": _by_descent,
    "linear-svm": _by_descent,
    "dense": _dense,
}
