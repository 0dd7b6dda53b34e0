"""Fitting an experiment's head: from features in memory, or in blocks where those do not fit."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from pipeline.classify.selection import Selection
from pipeline.errors import InputError
from pipeline.features.table import FeatureTable, Input
from pipeline.heads import FittedHead, HeadSpec
from pipeline.heads.select import Sample, fit_sample
from pipeline.heads.streamed import (
    Streamed,
    check_fits,
    fit_streamed,
    fits_in_memory,
    score_blocks,
)
from pipeline.system.units import size_text

logger = logging.getLogger("pipeline")

Progress = Callable[[int, int], None]
Views = list[np.ndarray]
"""Scores (n, k) of the pictures as they are, and of each augmented view that they are judged by."""


@dataclass(frozen=True)
class Task:
    """What is to be learnt.

    Args:
        table: The features.
        selection: What is learnt from, and what judges.
        joined: The input.
        spec: The head.
        seed: Seed of everything random.
    """

    table: FeatureTable
    selection: Selection
    joined: Input
    spec: HeadSpec
    seed: int


class Learner(Protocol):
    """Fits the head of a task and scores pictures with it."""

    def head(self) -> FittedHead:
        """Return the head fitted to all training pictures."""
        ...

    def unseen(self) -> tuple[np.ndarray, Views]:
        """Return places (m,), as folds count them, scored by heads that had not seen them."""
        ...

    def scores(self, head: FittedHead, rows: np.ndarray) -> Views:
        """Return the scores of rows of the data set."""
        ...


def check_memory(task: Task) -> None:
    """Refuse what could not be learnt on this machine; raises InputError."""
    check_fits(task.spec, task.table.n_bytes(task.joined))


def learner(task: Task, progress: Progress | None = None) -> Learner:
    """Return what learns a task: in memory where the features fit, else in blocks.

    Raises:
        InputError: The features do not fit and the head, or repeated folds, need them at once.
    """
    n_bytes = task.table.n_bytes(task.joined)
    if fits_in_memory(n_bytes):
        return InMemory(task)
    check_fits(task.spec, n_bytes)
    if task.selection.repeats > 1:
        raise InputError(
            f"expected folds that are drawn once for features of {size_text(n_bytes)}, which are "
            f"learnt in blocks, received repeats={task.selection.repeats}; leave out --repeats"
        )
    logger.info("%s of features do not fit in memory: learning in blocks", size_text(n_bytes))
    return InBlocks(task, progress)


class InMemory:
    """Fits the head once for all training pictures, and once for each fold."""

    def __init__(self, task: Task) -> None:
        self._task = task

    @cached_property
    def _sample(self) -> Sample:
        task = self._task
        return task.selection.sample(task.table, task.joined, task.seed)

    def head(self) -> FittedHead:
        """Return the head fitted to all training pictures."""
        rows = np.arange(len(self._task.selection.train))
        return fit_sample(self._task.spec, self._sample, rows)

    def unseen(self) -> tuple[np.ndarray, Views]:
        """Return what all folds hold out, and its scores."""
        selection = self._task.selection
        places, parts = [], []
        for fit, held_out in selection.folds:
            head = fit_sample(self._task.spec, self._sample, fit)
            places.append(held_out)
            parts.append(self.scores(head, selection.rows[held_out]))
        return np.concatenate(places), [np.concatenate(view) for view in zip(*parts, strict=True)]

    def scores(self, head: FittedHead, rows: np.ndarray) -> Views:
        """Return the scores of rows of the data set."""
        table, joined = self._task.table, self._task.joined
        views = range(1 + table.n_test_views)
        return [head.scores(table.view_features(joined, rows, number)) for number in views]


class InBlocks:
    """Fits all heads in the same passes over the features, of which a block is held at a time."""

    def __init__(self, task: Task, progress: Progress | None) -> None:
        self._task, self._progress = task, progress

    @cached_property
    def _streamed(self) -> Streamed:
        task, table = self._task, self._task.table
        train = task.selection.train
        return fit_streamed(
            task.spec,
            table.blocks(task.joined, train, table.n_views),
            table.dataset.labels[train],
            len(table.dataset.classes),
            task.seed,
            task.selection.folds if task.selection.is_cross_validation else None,
            widths=table.widths(task.joined),
            groups=table.dataset.bundles(train),
            progress=self._progress,
        )

    def head(self) -> FittedHead:
        """Return the head fitted to all training pictures."""
        return self._streamed.head

    def unseen(self) -> tuple[np.ndarray, Views]:
        """Return the pictures that folds, or the validation split, hold out, and their scores.

        Folds judge pictures as they are: a pass over the views of all would cost as much again.
        """
        selection = self._task.selection
        if not selection.is_cross_validation:
            places = len(selection.train) + np.arange(len(selection.judges))
            return places, self.scores(self.head(), selection.judges)
        assert self._streamed.scores is not None
        return np.arange(len(selection.train)), [self._streamed.scores]

    def scores(self, head: FittedHead, rows: np.ndarray) -> Views:
        """Return the scores of rows of the data set."""
        table, task = self._task.table, self._task
        blocks = table.blocks(task.joined, rows, table.n_test_views)
        scores = score_blocks(head, blocks, len(table.dataset.classes), self._progress)
        return np.split(scores, 1 + table.n_test_views)
