"""Fitting an experiment's head: from features in memory, or in blocks where those do not fit."""

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.classify.selection import Selection
from pipeline.errors import InputError
from pipeline.features.table import FeatureTable, Input
from pipeline.heads import FittedHead, HeadSpec
from pipeline.heads.fit import fit_folds, fit_head, out_of_fold_scores
from pipeline.heads.sample import Folds, Sample
from pipeline.heads.streamed import (
    BlockSample,
    Streamed,
    check_fits,
    fit_streamed,
    fits_in_memory,
    score_blocks,
)
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.units import size_text

logger = logging.getLogger(__name__)

ScoresOfViews = list[np.ndarray]
"""Scores (n, k) of the pictures as they are, and of each augmented view that they are judged by."""


@dataclass(frozen=True)
class Learner:
    """Fits one head to one input, once to all training pictures and once for each fold.

    Args:
        table: The features; here they are held in memory.
        selection: What is learnt from, and what judges.
        joined: The input.
        spec: The head.
        seed: Seed of everything random.
        reporter: Told of rows that are learnt from in blocks.
    """

    table: FeatureTable
    selection: Selection
    joined: Input
    spec: HeadSpec
    seed: int
    reporter: Reporter

    @cached_property
    def _sample(self) -> Sample:
        return self.selection.sample(self.table, self.joined, self.seed)

    def head(self) -> FittedHead:
        """Return the head fitted to all training pictures."""
        return fit_head(self.spec, self._sample.only(np.arange(len(self.selection.train))))

    def unseen(self) -> tuple[np.ndarray, ScoresOfViews]:
        """Return places (m,), as folds count them, scored by heads that had not seen them."""
        places, parts, folds = [], [], self.selection.folds
        heads = fit_folds(self.spec, self._sample, folds)
        for (_, held_out), head in zip(folds, heads, strict=True):
            places.append(held_out)
            parts.append(self.scores(head, self.selection.rows[held_out]))
        return np.concatenate(places), [np.concatenate(view) for view in zip(*parts, strict=True)]

    def scores(self, head: FittedHead, rows: np.ndarray) -> ScoresOfViews:
        """Return the scores of rows of the data set."""
        views = range(1 + self.table.n_test_views)
        return [head.scores(self.table.view_features(self.joined, rows, view)) for view in views]

    def out_of_fold(self, folds: Folds) -> np.ndarray:
        """Return scores (n, k) of training pictures, learnt from and judged as they are.

        Args:
            folds: Places in the training rows to fit on, and those held out, each place once.
        """
        train, dataset = self.selection.train, self.table.dataset
        sample = Sample(
            self.table.features(self.joined, train),
            dataset.labels[train],
            len(dataset.classes),
            self.seed,
            blocks=self.table.widths(self.joined),
            groups=dataset.bundles(train),
        )
        return out_of_fold_scores(self.spec, sample, folds)


class BlockLearner(Learner):
    """Fits all heads in the same passes over the features, of which a block is held at a time."""

    def _fitted(self, n_views: int, folds: Folds | None) -> Streamed:
        table, train = self.table, self.selection.train
        sample = BlockSample(
            table.blocks(self.joined, train, n_views),
            table.dataset.labels[train],
            len(table.dataset.classes),
            self.seed,
            table.widths(self.joined),
            table.dataset.bundles(train),
        )
        return fit_streamed(self.spec, sample, folds, self.reporter)

    @cached_property
    def _streamed(self) -> Streamed:
        folds = self.selection.folds if self.selection.is_cross_validation else None
        return self._fitted(self.table.n_views, folds)

    def head(self) -> FittedHead:
        """Return the head fitted to all training pictures."""
        return self._streamed.head

    def unseen(self) -> tuple[np.ndarray, ScoresOfViews]:
        """Return the pictures that folds, or the validation split, hold out, and their scores.

        Folds judge pictures as they are: a pass over the views of all would cost as much again.
        """
        if not self.selection.is_cross_validation:
            places = len(self.selection.train) + np.arange(len(self.selection.judges))
            return places, self.scores(self.head(), self.selection.judges)
        assert self._streamed.scores is not None
        return np.arange(len(self.selection.train)), [self._streamed.scores]

    def scores(self, head: FittedHead, rows: np.ndarray) -> ScoresOfViews:
        """Return the scores of rows of the data set."""
        n_views, n_classes = self.table.n_test_views, len(self.table.dataset.classes)
        blocks = self.table.blocks(self.joined, rows, n_views)
        return np.split(score_blocks(head, blocks, n_classes, self.reporter), 1 + n_views)

    def out_of_fold(self, folds: Folds) -> np.ndarray:
        """Return scores (n, k) of training pictures, as `Learner.out_of_fold`."""
        scores = self._fitted(0, folds).scores
        assert scores is not None
        return scores


def learner_of(
    table: FeatureTable,
    selection: Selection,
    joined: Input,
    spec: HeadSpec,
    seed: int,
    reporter: Reporter = SILENT,
) -> Learner:
    """Return what fits a head: in memory where the features fit, else in blocks.

    Raises:
        InputError: The features do not fit and the head, or repeated folds, need them at once.
    """
    parts, n_bytes = (table, selection, joined, spec, seed, reporter), table.n_bytes(joined)
    if fits_in_memory(n_bytes):
        return Learner(*parts)
    check_fits(spec, n_bytes)
    if selection.repeats > 1:
        raise InputError(
            f"expected folds that are drawn once for features of {size_text(n_bytes)}, which are "
            f"learnt in blocks, received repeats={selection.repeats}; leave out --repeats"
        )
    logger.info("%s of features do not fit in memory: learning in blocks", size_text(n_bytes))
    return BlockLearner(*parts)
