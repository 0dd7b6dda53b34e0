"""Places that give a class away: a watermark, a timestamp, a ruler, a frame.

What a place says for a class is what its cells add to the class's score. What it says in pictures
of the class, beyond what it says in all others, tells them apart; the sum of that over all places
is how far apart the scores are. A thing that is photographed tells classes apart in the middle, and
here and there; a mark does it in one place at the border, for every picture. So a place off the
middle that holds much of what tells a class apart, and surely so, is worth a look. In the middle a
mark cannot be told from what the pictures are of.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from pipeline.evidence.explain import Explainer
from pipeline.heads.positions import regrid
from pipeline.images import RowLoader, load_batches, paired
from pipeline.predict.labelling import Readable

GRID, SIDE = 7, 2
COARSEST = 4
"""Cells a side below which a map cannot tell a corner from anything else."""
FEWEST = 8
"""Pictures of a class, and of all others, below which nothing is said."""
MOST_OF_A_PLACE, MOST_AT_BORDER = 0.25, 0.6
"""Shares from which on a place is worth a look. Of clean photographs of 12 classes no place off the
middle had more than 0.15, and the border no more than 0.28."""
SURE = 5.0
"""Standard errors that a place is above 0 at least; chance alone reached 3."""
N_EXAMPLES = 3


@dataclass(frozen=True)
class PlaceShare:
    """Where a class is told apart from all others.

    Args:
        label: Number of the class.
        n: Pictures of it.
        border: Share of the evidence in the outermost of 7 × 7 cells.
        corner: Share of the corner, 2 × 2 cells, that has most.
        place: Share of the 2 × 2 cells off the middle that have most.
        where: These, in words.
        alarm: What is worth a look, in words; empty where nothing is.
        rows: Pictures that show it most.
    """

    label: int
    n: int
    border: float
    corner: float
    place: float
    where: str
    alarm: str
    rows: tuple[int, ...]


def place_shares(cells: np.ndarray, labels: np.ndarray) -> list[PlaceShare]:
    """Look where each class is told apart, and whether that is the same place in all its pictures.

    Args:
        cells: (n, 7, 7, k), what each cell of each picture adds to the score of each class; exact.
        labels: (n,) int, class numbers.

    Returns:
        One a class that has enough pictures, in the order of the classes.
    """
    found = []
    for label in np.unique(labels).tolist():
        own = labels == label
        if min(own.sum(), (~own).sum()) >= FEWEST:
            found.append(_shares_of(cells[..., label], own, label))
    return found


def sampled_cells(explainer: Explainer, pictures: Readable) -> tuple[np.ndarray, list[int]]:
    """Ask a run about pictures for `place_shares`; those that cannot be read are left out.

    Args:
        explainer: An exact one.
        pictures: By row number.

    Returns:
        (n, 7, 7, k) float32, none where the maps are too coarse; and the row of each.
    """
    classes, loader = range(len(explainer.classes)), RowLoader(pictures.read, explainer.decoding)
    cells, rows = list[np.ndarray](), list[int]()
    batches = load_batches(loader, range(len(pictures)), explainer.tracing.step)
    with closing(paired(explainer.tracing.run, batches)) as computed:
        for batch, origins in computed:
            for row, origin in zip(batch.rows.tolist(), origins, strict=True):
                if (one := on_seven(origin.checked(classes))) is not None:
                    cells.append(one.astype(np.float32))
                    rows.append(row)
    return np.array(cells, np.float32).reshape(-1, GRID, GRID, len(classes)), rows


def on_seven(cells: np.ndarray) -> np.ndarray | None:
    """Bring a map (h, w, k) to 7 × 7 cells; None where it is too coarse to tell places apart."""
    return None if min(cells.shape[:2]) < COARSEST else regrid(cells, (GRID, GRID))


def _shares_of(cells: np.ndarray, own: np.ndarray, label: int) -> PlaceShare:
    difference = cells[own].mean(0) - cells[~own].mean(0)
    whole = max(float(np.maximum(difference, 0).sum()), 1e-12)
    windows = {(row, column): _window(cells, row, column) for row, column in _off_middle()}
    shares = {at: _apart(values, own) / whole for at, values in windows.items()}
    best = max(shares, key=lambda at: shares[at])
    ring = cells.sum((1, 2)) - cells[:, 1:-1, 1:-1].sum((1, 2))
    border, last = _apart(ring, own) / whole, GRID - SIDE
    told, shown = "", windows[best]
    if shares[best] >= MOST_OF_A_PLACE and _sureness(shown, own) >= SURE:
        told = _in_words(*best)
    elif border >= MOST_AT_BORDER and _sureness(ring, own) >= SURE:
        told, shown = "at the border", ring
    rows = np.flatnonzero(own)[np.argsort(-shown[own], kind="stable")[:N_EXAMPLES]]
    return PlaceShare(
        label=label,
        n=int(own.sum()),
        border=border,
        corner=max(shares[row, column] for row in (0, last) for column in (0, last)),
        place=shares[best],
        where=_in_words(*best),
        alarm=told,
        rows=tuple(rows.tolist()),
    )


def _off_middle() -> Iterator[tuple[int, int]]:
    """Yield the upper left cell of each square of cells that reaches the border."""
    last = GRID - SIDE
    for row in range(last + 1):
        for column in range(last + 1):
            if {row, column} & {0, last}:
                yield row, column


def _window(cells: np.ndarray, row: int, column: int) -> np.ndarray:
    values: np.ndarray = cells[:, row : row + SIDE, column : column + SIDE].sum((1, 2))
    return values


def _apart(values: np.ndarray, own: np.ndarray) -> float:
    return float(values[own].mean() - values[~own].mean())


def _sureness(values: np.ndarray, own: np.ndarray) -> float:
    """Return by how many standard errors two groups differ (Welch)."""
    error = sum(float(values[group].var(ddof=1)) / int(group.sum()) for group in (own, ~own))
    return _apart(values, own) / max(error**0.5, 1e-12)


def _in_words(row: int, column: int) -> str:
    last = GRID - SIDE
    across = {0: "left", last: "right"}.get(column, "")
    along = {0: "upper", last: "lower"}.get(row, "")
    if across and along:
        return f"in the {along} {across} corner"
    return f"at the {along or across} border"
