"""A closer look at a run, where it is asked for: maps, and places that give a class away.

It is all that a report computes with a base, and it reads the run's bundle, so it has to be asked
for. What is looked at is bounded: so is the file.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from errno import ESTALE

import numpy as np

from pipeline.config import EvidenceConfig, ReportConfig
from pipeline.errors import DecodeError, PipelineError
from pipeline.evidence.drawing import coloured, greatest, on_original
from pipeline.evidence.explain import Evidence, Explainer, open_explainer, opponent
from pipeline.evidence.shortcuts import PlaceShare, place_shares, sampled_cells
from pipeline.images import DecodeRecipe, decode_full
from pipeline.images.scale import small
from pipeline.report.album import Album
from pipeline.report.thumbnails import LARGE_QUALITY, Read, data_uri, webp
from pipeline.runs import RunFolder

MOST_OF_A_CLASS, MOST_SAMPLED = 40, 400
LARGE = 208
NOT_ASKED = "the base would have to see pictures again, and that was not asked for"


@dataclass(frozen=True)
class Closer:
    """What was seen.

    Args:
        reason: Why nothing was.
        about: How the maps were made.
        maps: A picture as a data URI by its place in the album: where the answer comes from,
            instead of the picture's label, or of the runner-up where that is the answer.
        shares: Where each class is told apart; none where the maps are no sums, or too coarse.
        sampled: Places in the album of the pictures that these speak of.
    """

    reason: str = ""
    about: str = ""
    maps: Mapping[int, str] = field(default_factory=dict)
    shares: tuple[PlaceShare, ...] = ()
    sampled: tuple[int, ...] = ()


class _Listed:
    """Pictures of an album by row, as they were when the run was made."""

    def __init__(self, read: Read, album: Album, places: Sequence[int]) -> None:
        self._read, self._album, self.places = read, album, places

    def __len__(self) -> int:
        return len(self.places)

    def read(self, row: int) -> bytes:
        """Return a picture's bytes; raises OSError where they are others than then."""
        place = self.places[row]
        data = self._read(self._album.paths[place])
        if hashlib.sha256(data).digest() != self._album.digests[place].tobytes():
            raise OSError(ESTALE, "changed since the run")
        return data


def look_closer(
    config: ReportConfig,
    run: RunFolder,
    read: Read | None,
    album: Album,
    tested: np.ndarray,
    wanted: Sequence[int],
) -> Closer:
    """Ask a run where its answers come from, if that is wanted.

    Args:
        config: Whether it is, and where models are.
        run: The run.
        read: Returns a picture's bytes by its path; None where the pictures are gone.
        album: The pictures that are shown.
        tested: Places there of the run's test pictures; -1 where one is not among them.
        wanted: Places there of pictures whose maps are shown.
    """
    if not config.evidence:
        return Closer(NOT_ASKED)
    if read is None:
        return Closer("the data set is not there, or was not read")
    models, usual = config.cache / "models", EvidenceConfig
    try:
        made = open_explainer(run.name, run.bundle(), models, usual.batch_size, usual.grid)
        sampled, shares = _shares(made, read, album, tested[tested >= 0], config.seed)
        shown = [sampled[row] for one in shares if one.alarm for row in one.rows]
        places = sorted({*wanted, *shown})
        maps = _maps(made, _Listed(read, album, places), album)
    except PipelineError as error:
        return Closer(str(error))
    return Closer("", made.tracing.about, maps, tuple(shares), tuple(sampled))


def _shares(
    made: Explainer, read: Read, album: Album, tested: np.ndarray, seed: int
) -> tuple[list[int], list[PlaceShare]]:
    """Sample test pictures, some of each class, and see where classes are told apart."""
    if made.tracing.method != "exact":
        return [], []
    counts: dict[str, int] = {}
    chosen = []
    for place in np.random.default_rng(seed).permutation(tested).tolist():
        label = album.labels[place]
        counts[label] = counts.get(label, 0) + 1
        if counts[label] <= MOST_OF_A_CLASS:
            chosen.append(place)
    chosen = chosen[:MOST_SAMPLED]
    cells, rows = sampled_cells(made, _Listed(read, album, chosen))
    places = [chosen[row] for row in rows]
    labels = np.array([made.classes.index(album.labels[place]) for place in places], int)
    return places, place_shares(cells, labels)


def _maps(made: Explainer, pictures: _Listed, album: Album) -> dict[int, str]:
    def choose(row: int, scores: np.ndarray) -> int:
        label = album.labels[pictures.places[row]]
        return opponent(scores, label=made.classes.index(label) if label in made.classes else None)

    drawn = {}
    for part in made.explain(pictures, choose):
        for one in part.found:
            if (uri := _drawn(made, pictures, one)) is not None:
                drawn[pictures.places[one.row]] = uri
    return drawn


def _drawn(made: Explainer, pictures: _Listed, one: Evidence) -> str | None:
    try:
        data = pictures.read(one.row)
        image = small(decode_full(data, DecodeRecipe(LARGE, jpeg="scaled")), LARGE)
    except (OSError, DecodeError):  # gone since it was decoded: its thumbnail says so
        return None
    laid = on_original(one.instead, image.size, made.decoding)
    return data_uri(webp(coloured(image, laid, greatest(laid)), LARGE_QUALITY))
