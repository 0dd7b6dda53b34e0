"""The head to start from: the run's, fitted again without the pictures that decide when to stop.

A head that has seen them would make the untrained model look unbeatable.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.features.table import FeatureTable
from pipeline.heads import HeadSpec, NetworkHead, softmax
from pipeline.heads.fit import fit_head
from pipeline.heads.sample import Sample
from pipeline.runs import RunFolder


@dataclass(frozen=True)
class StartingHead:
    """A head, and what it says of the validation pictures' cached features.

    Args:
        head: Kernels and biases.
        probabilities: (n, k), in the order of the validation rows.
        accuracy: Share of them that it labels rightly.
    """

    head: NetworkHead
    probabilities: np.ndarray
    accuracy: float


def fit_starting_head(
    table: FeatureTable, spec: HeadSpec, source: RunFolder, fit: np.ndarray, validation: np.ndarray
) -> StartingHead:
    """Fit a run's head on cached features, augmented views included where the run had them.

    Args:
        table: The features.
        spec: The head.
        source: The run.
        fit: (n,) int, rows to learn from.
        validation: (m,) int, rows that it must not see.
    """
    cuts, dataset = table.base.cuts, table.dataset
    sample = Sample(
        table.with_views(cuts, fit),
        dataset.labels[fit],
        len(dataset.classes),
        source.seed,
        table.n_views,
        table.widths(cuts),
        dataset.bundles(fit),
    )
    head = fit_head(spec, sample).sharpened(source.factor)
    assert isinstance(head, NetworkHead)
    scores = head.scores(table.features(cuts, validation))
    hits = scores.argmax(1) == dataset.labels[validation]
    return StartingHead(head, softmax(scores), float(np.mean(hits)))
