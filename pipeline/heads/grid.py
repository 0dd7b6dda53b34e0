"""Heads that differ in their parameters only, judged fold by fold: what they share is done once."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.heads.affine import PreparedRows, prepare
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.fit import fit_head
from pipeline.heads.fitted import FittedHead
from pipeline.heads.ridge import RidgePath
from pipeline.heads.sample import Folds, Sample
from pipeline.system.startup import import_framework

Scored = tuple[int, np.ndarray, np.ndarray]
"""A place in the list of heads, held-out rows (h,), and their scores (h, k)."""


CLEARLY = 2.0
"""Standard errors of a difference on the same pictures."""


def grid_scores(
    specs: Sequence[HeadSpec], sample: Sample, folds: Folds, needed: HeadSpec | None = None
) -> Iterator[Scored]:
    """Fit heads on each fold and score what it holds out.

    A ridge of any strength comes from one decomposition a fold; dense heads are trained side by
    side as one network. Logistic regression goes from strong to weak regularisation, which takes
    ever longer, until one calls clearly fewer pictures right than the best before it. Others are
    fitted one after the other.

    Args:
        specs: Heads of one name, one preparation and one class weight.
        sample: What they learn from.
        folds: Rows to fit on, and rows held out.
        needed: One of ``specs`` that is fitted whatever the others show.

    Yields:
        Each head's place in ``specs``, a fold's held-out rows, and their scores.
    """
    name = specs[0].head.name
    if name == "ridge":
        yield from _ridge(specs, sample, folds)
        return
    if name == "logistic":
        yield from _logistic(specs, sample, folds, needed)
        return
    fitted = _dense if name == "dense" else _each
    for fit, held_out in folds:
        for place, head in fitted(specs, sample.only(fit)):
            yield place, held_out, head.scores(sample.features[held_out])


def _ridge(specs: Sequence[HeadSpec], sample: Sample, folds: Folds) -> Iterator[Scored]:
    path = RidgePath(sample, specs[0].preparation, specs[0].class_weight)
    for places, held_out, scores in path.out_of_fold(folds, [one.params["alpha"] for one in specs]):
        for place, some in zip(places.tolist(), scores, strict=True):
            yield place, held_out, some


def _each(specs: Sequence[HeadSpec], sample: Sample) -> Iterator[tuple[int, FittedHead]]:
    prepared = prepare(specs[0].preparation, sample)
    for place, spec in enumerate(specs):
        yield place, fit_head(spec, sample, prepared)


def _dense(specs: Sequence[HeadSpec], sample: Sample) -> Iterator[tuple[int, FittedHead]]:
    import_framework("tensorflow", "the head dense")
    from pipeline.heads.dense_grid import fit_dense_heads

    yield from enumerate(fit_dense_heads(specs, sample))


def _logistic(
    specs: Sequence[HeadSpec], sample: Sample, folds: Folds, needed: HeadSpec | None
) -> Iterator[Scored]:
    best, beaten = np.zeros(0, bool), False
    components: dict[int, PreparedRows] = {}  # dear to find; other preparations are made anew
    for place in sorted(range(len(specs)), key=lambda place: specs[place].params["C"]):
        if beaten and specs[place] != needed:
            continue
        right = []
        for fold, (fit, held_out) in enumerate(folds):
            part = sample.only(fit)
            prepared = components.get(fold) or prepare(specs[place].preparation, part)
            if specs[place].preparation.pca is not None:
                components[fold] = prepared
            scores = fit_head(specs[place], part, prepared).scores(sample.features[held_out])
            right.append(scores.argmax(1) == sample.labels[held_out])
            yield place, held_out, scores
        own = np.concatenate(right)
        beaten = beaten or (len(best) > 0 and _clearly_fewer(own, best))
        if not len(best) or own.mean() > best.mean():
            best = own


def _clearly_fewer(right: np.ndarray, best: np.ndarray) -> bool:
    """Say whether fewer pictures are right (n,), by more than chance, than with the best."""
    lost = best.astype(np.float64) - right
    return float(lost.mean()) > CLEARLY * float(lost.std()) / np.sqrt(len(lost))
