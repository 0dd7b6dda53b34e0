"""The leaderboard: runs ranked by selection, with what of their differences is noise.

Every run is compared with the leader on the same test pictures: McNemar's exact test, corrected by
Holm's method for the number of runs in the table. Those that are not told apart from the leader
form one group with it: to choose among them by their test accuracy would be to choose by luck.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.runs.choose import order
from pipeline.runs.record import RunFolder

if TYPE_CHECKING:
    # Slow to import, for SciPy's sake: choosing a run to predict with does without.
    from pipeline.evaluate import Comparison

CORRECTION = "McNemar's exact test, corrected by Holm's method"


@dataclass(frozen=True)
class Standing:
    """A run's place on the leaderboard.

    Args:
        run: The run.
        behind: Test accuracy minus the leader's on the same pictures, with its paired interval and
            a p-value that is corrected for the number of runs; None for the leader, and where the
            two did not see the same pictures.
        p_uncorrected: The same p-value as if this were the only comparison.
        is_leader: Whether this is the first of its table.
    """

    run: RunFolder
    behind: "Comparison | None"
    p_uncorrected: float | None = None
    is_leader: bool = False

    @property
    def distinguishable(self) -> bool | None:
        """Whether the difference from the leader's accuracy is more than noise."""
        return None if self.behind is None else self.behind.distinguishable

    @property
    def with_leader(self) -> bool | None:
        """Whether it is the leader or not told apart from it; None where that is not known."""
        if self.is_leader:
            return True
        return None if self.distinguishable is None else not self.distinguishable

    def to_dict(self) -> dict[str, Any]:
        """Return its row of the ``--json`` value."""
        run = self.run
        return {
            "run": run.name,
            "kind": run.kind,
            "head": run.head,
            "layers": list(run.layers),
            "data": run.dataset.digest,
            "data_root": run.dataset.root,
            "selected_by": run.selection.by,
            "selection_accuracy": run.selection.accuracy,
            "test": run.test.summary(),
            "with_leader": self.with_leader,
            "difference": self._difference(),
        }

    def _difference(self) -> dict[str, Any] | None:
        behind = self.behind
        if behind is None:
            return None
        return {
            "value": behind.value,
            "ci95": list(behind.ci95),
            "p_value": behind.p_value,
            "p_value_uncorrected": self.p_uncorrected,
            "test": CORRECTION,
            "distinguishable": behind.distinguishable,
        }


def leaderboard(runs: Sequence[RunFolder]) -> list[list[Standing]]:
    """Rank runs by selection accuracy, one table per data set.

    The order never looks at the test split: it comes from cross-validation or the validation split.
    """
    tables: dict[str, list[RunFolder]] = {}
    for run in runs:
        tables.setdefault(run.dataset.digest, []).append(run)
    return [_ranked(sorted(table, key=order)) for table in tables.values()]


def _ranked(runs: list[RunFolder]) -> list[Standing]:
    from pipeline.evaluate import SIGNIFICANCE, holm

    leader = runs[0].correct()
    behind = [_behind(run, leader) for run in runs[1:]]
    corrected = iter(holm([one.p_value for one in behind if one is not None]))
    standings = [Standing(runs[0], None, is_leader=True)]
    for run, one in zip(runs[1:], behind, strict=True):
        if one is None:
            standings.append(Standing(run, None))
            continue
        p_value = next(corrected)
        apart = p_value <= SIGNIFICANCE
        corrected_one = replace(one, p_value=p_value, distinguishable=apart)
        standings.append(Standing(run, corrected_one, one.p_value))
    return standings


def _behind(run: RunFolder, leader: Mapping[Any, bool]) -> "Comparison | None":
    from pipeline.evaluate import compare_paired

    ours = run.correct()
    if ours.keys() != leader.keys():
        return None
    return compare_paired(
        np.array([ours[picture] for picture in leader]), np.array(list(leader.values()))
    )
