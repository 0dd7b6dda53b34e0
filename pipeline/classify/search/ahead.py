"""What of a search is still to come, as far as that can be foreseen, and how large its pieces are.

Most pieces grow with their columns, and with the heads that are fitted on them. Those of ridge and
of Fisher's discriminant share what is summed over rows once (`local`): a ridge costs what it has
beside the columns that all in its round have, a discriminant little beside the sums. Neighbours
cost what sorting them does, whatever the columns. Linear heads that descend go to the square.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pipeline.classify.pace import Portion, PortionKind
from pipeline.classify.search.grids import (
    MOST_JOINED,
    WAYS_JOINED,
    grid,
    preparations,
    shortlisted,
)
from pipeline.classify.search.trial import Unit
from pipeline.heads import HeadSpec, parse_head

EVEN = 1000
"""Columns at which the part of a linear head's cost that is quadratic in them is as large as the
rest. Logistic regression on 1,440 rows takes 17 s with 1,280 and 38 s with 1,904, on 1,200 rows 1.8
s with 150 and 6 s with 600."""


def pieces_of(units: Sequence[Unit], widths: Sequence[int]) -> list[Portion]:
    """Return the size of each unit among others that are measured with it, by the cuts' widths."""
    together: dict[Any, list[Unit]] = {}
    for unit in units:
        together.setdefault(_sharing(unit), []).append(unit)
    return [_piece(unit, together[_sharing(unit)], widths) for unit in units]


def _sharing(unit: Unit) -> Any:
    return unit.specs[0].head.name, unit.specs[0].preparation


def _piece(unit: Unit, together: Sequence[Unit], widths: Sequence[int]) -> Portion:
    spec, n_units = unit.specs[0], len(together)
    common = set(unit.cuts).intersection(*(one.cuts for one in together))
    kind: PortionKind = (spec.head.name,)
    if spec.preparation.pca is not None:
        kind, n_units, common = (spec.head.name, "pca"), 1, set()
    parts = [sum(widths[cut] for cut in cuts) for cuts in (unit.cuts, common)]
    return kind, _size(kind, len(unit.specs), parts, n_units, sum(widths))


def _size(
    kind: PortionKind, n_heads: int, parts: Sequence[float], n_units: int, all_columns: float
) -> float:
    """Return the size of a unit from its columns and those that all units beside it have, too."""
    width, common = parts
    if kind[0] == "ridge":
        return (width - common + common / n_units) * width
    if kind[0] == "lda":
        return width + all_columns / n_units
    if kind[0] in ("logistic", "linear-svm"):
        return width * (width + EVEN) * n_heads
    return n_heads if kind[0] == "knn" else width * n_heads


@dataclass(frozen=True)
class Ahead:
    """What follows in a search, as far as it goes at most.

    Args:
        widths: Columns of every cut.
        specs: The heads.
        whole: See `searcher.search`.
    """

    widths: Sequence[int]
    specs: Sequence[HeadSpec]
    whole: bool

    def after(self, n_cuts: int, width: float) -> list[Portion]:
        """Return what may follow a round that screens inputs of some cuts, so wide together.

        Cuts that may be joined are taken as wide as the one in the middle: one is far wider than
        the others, and nobody knows whether it will be joined.
        """
        if not self.whole:
            return self._heads(sum(self.widths) / len(self.widths), 0.0)
        rest, joins, more = len(self.widths) - n_cuts, list[Portion](), median(self.widths)
        for n_inputs in range(rest, max(rest - MOST_JOINED + n_cuts, 0), -1):
            joined: PortionKind = ("ridge",)
            size = _size(joined, 1, (width + more, width), n_inputs, sum(self.widths))
            joins += [(joined, size)] * (n_inputs * WAYS_JOINED)
            width += more
        return joins + self._heads(width, width - more)

    def _heads(self, width: float, common: float) -> list[Portion]:
        """Return what is tried of heads besides their defaults, on inputs that have much alike."""
        pieces, total = list[Portion](), sum(self.widths)
        for spec in self.specs:
            name, n_units = spec.head.name, shortlisted(spec.head.name)
            if not self.whole:
                n_units = min(n_units, len(self.widths) - 1)
            n_heads, n_beside = len(grid(spec)) if self.whole else 1, max(n_units // 2, 1)
            if self.whole and len(preparations(spec)) > 1:
                pca = name, "pca"
                pieces.append((pca, _size(pca, n_heads, (width, 0), 1, total)))
            if not self.whole or spec != parse_head("ridge"):  # which screening has tried
                size = _size((name,), n_heads, (width, common), n_beside, total)
                pieces += [((name,), size)] * n_units
        return pieces
