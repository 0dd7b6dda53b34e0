"""Heads on features in blocks: fitted to all pictures and to every fold in the same passes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.fit import check_weights, tell_of_stop
from pipeline.heads.fitted import FittedHead, NetworkHead, NetworkLayers, all_classes, f32
from pipeline.heads.sample import Folds
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
from pipeline.heads.streamed.source import PART, Blocks, BlockSample, ChunkSource, read_ahead
from pipeline.heads.streamed.sums import GroupSums, Products
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.startup import import_framework

SVM_ITERATIONS = 5000


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
    spec: HeadSpec, sample: BlockSample, folds: Folds | None = None, reporter: Reporter = SILENT
) -> Streamed:
    """Fit a head to features that need not fit in memory; the objectives are those of `fit_head`.

    A solver that stops before it converged is reported in the log and its head is used as it is.
    Folds are from `make_folds`, to score pictures out of fold; views follow their pictures. The
    reporter is told after each block: rows seen in this pass, and rows in a pass.

    Raises:
        InputError: The head cannot learn in blocks, its products do not fit in memory, or the
            features are not finite.
    """
    if spec.head.name not in STREAMABLE:
        raise InputError(
            f"expected a head that learns in blocks, received {spec}; use one of "
            f"{', '.join(STREAMABLE)}, or features that fit in memory"
        )
    n_classes = sample.n_classes
    fits = Fits.of(np.asarray(sample.labels), n_classes, folds, spec.class_weight)
    source = ChunkSource(sample, spec.preparation, reporter)
    heads = [_head(spec, layers, sample) for layers in FITTERS[spec.head.name](spec, source, fits)]
    scores = None
    if folds is not None:
        scores = _scores(heads, fits.judged_by, sample.blocks, n_classes, reporter)
    return Streamed(heads[0], scores)


def _head(spec: HeadSpec, layers: NetworkLayers, sample: BlockSample) -> NetworkHead:
    """Return layers for rows as they are, after what is done row by row, as a head."""
    kernels, biases = (tuple(f32(array) for array in arrays) for arrays in layers)
    preparation = spec.preparation
    blocks = preparation.blocks(sample.widths)
    head = NetworkHead(kernels, biases, preparation.rowwise, blocks)
    check_weights(spec, head, len(sample.labels))
    return head


def score_blocks(
    head: FittedHead, blocks: Blocks, n_classes: int, reporter: Reporter = SILENT
) -> np.ndarray:
    """Return the scores (n_rows, k) float32 of features in blocks, by their places."""
    return _scores([head], np.zeros(blocks.n_rows, int), blocks, n_classes, reporter, least=0)


def _scores(
    heads: Sequence[FittedHead],
    judged_by: np.ndarray,
    blocks: Blocks,
    n_classes: int,
    reporter: Reporter,
    least: int = 1,
) -> np.ndarray:
    """Score the pictures, each by its own head: (n, k) float32, by place; zeros where none judges.

    ``judged_by`` (n,) says which head. Places from n on, the views of pictures, are not scored. Fit
    0 has seen every picture; ``least`` is the first head that judges.
    """
    n_rows, done = len(judged_by), 0
    scores = np.zeros((n_rows, n_classes), np.float32)
    reporter.advance(PART, done, n_rows, "rows")
    for places, rows in read_ahead(iter(blocks)):
        wanted = np.flatnonzero(places < n_rows)
        judges = judged_by[places[wanted]]
        for judge in np.unique(judges[judges >= least]):
            some = wanted[judges == judge]
            scores[places[some]] = heads[judge].scores(rows[some])
        done += len(wanted)
        reporter.advance(PART, done, n_rows, "rows")
        if done == n_rows:  # only views are left
            break
    return scores


def _sums(spec: HeadSpec, source: ChunkSource, fits: Fits, products: Products) -> GroupSums:
    """Make the first pass."""
    weighted = spec.head.name == "ridge" and spec.class_weight is not None
    if weighted and spec.preparation.pca is None:
        products = "none"
    held = {"none": 0, "common": 1, "groups": fits.n_groups}[products] + weighted * fits.n_fits
    # A fit's own products, what they become, and what is factorised.
    check_products(spec, source.n_features, held + 3 if held else 0)
    return GroupSums(source, fits, products, weighted)


def _bases(spec: HeadSpec, source: ChunkSource, fits: Fits, sums: GroupSums) -> list[Basis]:
    moments = (sums.moments(fit) for fit in range(fits.n_fits))
    return [fit_basis(spec.preparation, one, source.shift) for one in moments]


def _by_moments(spec: HeadSpec, source: ChunkSource, fits: Fits) -> list[NetworkLayers]:
    """Fit what follows from sums alone: ridge, Fisher's discriminant, nearest class mean."""
    name, weighted = spec.head.name, spec.class_weight is not None
    plain = name == "centroid" and spec.preparation.pca is None
    sums = _sums(spec, source, fits, "none" if plain else "groups")
    bases = _bases(spec, source, fits, sums)
    if name == "ridge":
        layers = ridge_layers(source, fits, bases, sums, spec.params["alpha"], weighted)
    elif name == "lda":
        layers = lda_layers(source, fits, bases, sums, spec.params["shrinkage"], weighted)
    else:
        layers = centroid_layers(source, fits, bases, sums, spec.params["metric"])
    return [([kernel], [bias]) for kernel, bias in layers]


def _by_descent(spec: HeadSpec, source: ChunkSource, fits: Fits) -> list[NetworkLayers]:
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
        tell_of_stop(spec)
    networks: list[NetworkLayers] = []
    for (kernel, bias), start, counts in zip(layers, begin, fits.counts, strict=True):
        there = counts[classes] > 0
        if not there.all():  # a fold without some class
            kernel, bias = kernel[:, there], bias[there]
        kernel, bias = all_classes(kernel, bias, classes[there], len(counts))
        kernel, bias = start.basis.fold(kernel, bias, source.shift)
        networks.append(([kernel], [bias]))
    return networks


def _dense(spec: HeadSpec, source: ChunkSource, fits: Fits) -> list[NetworkLayers]:
    import_framework("tensorflow", "the head dense")
    from pipeline.heads.streamed.network import fit_networks

    sums = _sums(spec, source, fits, "none" if spec.preparation.pca is None else "groups")
    bases = _bases(spec, source, fits, sums)
    networks = fit_networks(spec.params, source, fits, bases)
    for (kernels, biases), basis in zip(networks, bases, strict=True):
        kernels[0], biases[0] = basis.fold(kernels[0], biases[0], source.shift)
    return networks


FITTERS: dict[str, Callable[[HeadSpec, ChunkSource, Fits], list[NetworkLayers]]] = {
    "ridge": _by_moments,
    "lda": _by_moments,
    "centroid": _by_moments,
    "logistic": _by_descent,
    "linear-svm": _by_descent,
    "dense": _dense,
}
