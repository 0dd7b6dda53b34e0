"""Where a fine-tuning starts, and whether it could show that it helps. Imports no TensorFlow.

The head is the run's, fitted again without the pictures that decide when to stop: one that has seen
them would make the untrained model look unbeatable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.evaluate.compare import SIGNIFICANCE, mcnemar_p_value
from pipeline.finetune.task import Task
from pipeline.heads import NetworkHead, softmax
from pipeline.heads.fit import fit_head
from pipeline.heads.sample import Sample
from pipeline.system.units import counted


@dataclass(frozen=True)
class StartingHead:
    """A head, and what it says of the validation pictures' cached features.

    Args:
        head: Kernels and biases.
        probabilities: (n, k), in the order of the validation rows.
        accuracy: Share of them that it labels rightly.
        weights: Of a fine-tuned run that goes on: those of each layer, base and head; else None.
    """

    head: NetworkHead
    probabilities: np.ndarray
    accuracy: float
    weights: Mapping[str, Sequence[np.ndarray]] | None = None


def fit_starting_head(task: Task) -> StartingHead:
    """Fit the run's head on cached features, augmented views included where the run had them."""
    table, cuts, source = task.table, task.base.cuts, task.source
    sample = Sample(
        table.with_views(cuts, task.fit),
        task.dataset.labels[task.fit],
        task.n_classes,
        source.seed,
        table.n_views,
        table.widths(cuts),
        task.dataset.bundles(task.fit),
    )
    head = fit_head(task.spec, sample).sharpened(source.factor)
    assert isinstance(head, NetworkHead)
    scores = head.scores(table.features(cuts, task.validation))
    hits = scores.argmax(1) == task.judged_labels
    return StartingHead(head, softmax(scores), float(np.mean(hits)))


@dataclass(frozen=True)
class Outlook:
    """What a fine-tuning could show at most: that it repairs every mistake of the head.

    Args:
        n: Pictures that decide.
        wrong: How many of them the head calls wrongly.
        visible: Whether that would be more than noise (McNemar's exact test).
    """

    n: int
    wrong: int
    visible: bool

    @property
    def sentence(self) -> str:
        """The same for people."""
        told = f"the head calls {self.wrong} of {counted(self.n, 'picture')} wrongly that decide"
        if self.visible:
            return f"{told}: at most {self.wrong / self.n:.1%} can be gained"
        if not self.wrong:
            return f"{told}: nothing can be gained that they could show"
        return f"{told}: even if all were repaired, that could be chance"

    def to_dict(self) -> dict[str, Any]:
        """Return its part of the stage's ``--json`` value."""
        return {**asdict(self), "sentence": self.sentence}


def look_ahead(task: Task, start: StartingHead) -> Outlook:
    """Say what there is to gain, from the head's mistakes on the pictures that decide."""
    right = start.probabilities.argmax(1) == task.judged_labels
    p_value = mcnemar_p_value(np.ones(len(right), bool), right)
    return Outlook(len(right), int((~right).sum()), p_value <= SIGNIFICANCE)
