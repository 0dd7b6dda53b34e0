"""Heads that differ in their parameters only, judged fold by fold: what they share is done once."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.heads.affine import prepare
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.fit import fit_head
from pipeline.heads.fitted import FittedHead
from pipeline.heads.ridge import RidgePath
from pipeline.heads.sample import Folds, Sample
from pipeline.system.startup import import_framework

Scored = tuple[int, np.ndarray, np.ndarray]
"""A place in the list of heads, held-out rows (h,), and their scores (h, k)."""


def grid_scores(specs: Sequence[HeadSpec], sample: Sample, folds: Folds) -> Iterator[Scored]:
    """Fit heads on each fold and score what it holds out.

    A ridge of any strength comes from one decomposition a fold; dense heads are trained side by
    side as one network. Others are fitted one after the other.

    Args:
        specs: Heads of one name, one preparation and one class weight.
        sample: What they learn from.
        folds: Rows to fit on, and rows held out.

    Yields:
        Each head's place in ``specs``, a fold's held-out rows, and their scores.
    """
    name = specs[0].head.name
    if name == "ridge":
        yield from _ridge(specs, sample, folds)
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
