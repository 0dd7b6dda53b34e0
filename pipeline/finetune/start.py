"""Where a fine-tuning starts, and whether it could show that it helps. Imports no TensorFlow.

The head is the run's, fitted again without the pictures that decide when to stop: one that has seen
them would make the untrained model look unbeatable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.finetune.task import Task
from pipeline.heads import NetworkHead, softmax
from pipeline.heads.fit import fit_head
from pipeline.heads.sample import Sample
from pipeline.runs import FINETUNE
from pipeline.system.units import counted

FEWEST = 3
"""Mistakes of the head that pictures must hold to show by their loss that some are repaired. With
five, 2 points were gained on photos of 64 px; with fewer than three nothing was, on four data sets.
"""


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
        share: Of pictures that it has not seen, how many the head calls wrongly.
        judged: Pictures that say so: all that the head was chosen by, where the run has that of
            these pictures; else those that decide.
        wrong: How many of those that decide it is expected to call wrongly.
        visible: Whether these are enough to show a gain.
    """

    n: int
    share: float
    judged: int
    wrong: int
    visible: bool

    @property
    def sentence(self) -> str:
        """The same for people."""
        told = f"the head calls {self.share:.1%} of {counted(self.judged, 'picture')} wrongly"
        if self.visible:
            return f"{told}: so much can be gained at most"
        return f"{told}, about {self.wrong} of the {self.n} that decide: too few to show a gain"

    def to_dict(self) -> dict[str, Any]:
        """Return its part of the stage's ``--json`` value."""
        return {**asdict(self), "sentence": self.sentence}


def look_ahead(task: Task, start: StartingHead) -> Outlook:
    """Say what there is to gain.

    The pictures that decide are few, and their mistakes a draw of luck. What the head was chosen by
    are mostly all training pictures, each judged by a head that had not seen it.
    """
    n, chosen_by = len(task.validation), task.source.selection
    share, judged = 1 - start.accuracy, n
    same = task.source.dataset.digest == task.dataset.digest
    if same and task.source.kind != FINETUNE and chosen_by.accuracy is not None:
        share, judged = 1 - chosen_by.accuracy, chosen_by.n
    wrong = round(share * n)
    return Outlook(n, share, judged, wrong, wrong >= FEWEST)
