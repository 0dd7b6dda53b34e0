"""Which runs a report is about, and everything that it shows of a data set with its runs.

It is collected before a line of the page is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from pipeline.config import ReportConfig
from pipeline.errors import InputError
from pipeline.images import Dataset
from pipeline.images.usable import usable_rows
from pipeline.report.album import Album, RunPredictions, choose_pictures, read_predictions
from pipeline.report.closer import LARGE, Closer, look_closer
from pipeline.report.findings import Findings, find
from pipeline.report.projection import Mapped, map_pictures
from pipeline.report.sources import FoundData, find_dataset
from pipeline.report.thumbnails import (
    MAX_BYTES,
    Sheets,
    Thumbnail,
    Wanted,
    make_sheets,
    make_thumbnails,
    side_for,
)
from pipeline.runs import RunFolder, best_run, find_run, leaderboard, list_runs, typical_of
from pipeline.runs.figures import MOST_UNTYPICAL, TypicalRow
from pipeline.runs.leaderboard import Standing
from pipeline.system.progress import SILENT, Reporter


@dataclass(frozen=True)
class Chosen:
    """The runs on one data set, best first, and those that are shown in detail, in that order."""

    standings: tuple[Standing, ...]
    detailed: tuple[RunFolder, ...]

    @property
    def runs(self) -> list[RunFolder]:
        """All runs, best first."""
        return [standing.run for standing in self.standings]

    @property
    def first(self) -> RunFolder:
        """The run whose data set, and whose features, speak for the table."""
        return self.detailed[0]


def choose_runs(config: ReportConfig, names: Sequence[str]) -> list[Chosen]:
    """Find the runs that a report is about, one group a data set.

    Those that are named are each shown in detail; of all runs, the best on each data set is.

    Raises:
        InputError: There are none.
        RunError: There is no such run, or one is damaged.
    """
    if names:
        found = {run.path.resolve(): run for run in (find_run(config.runs, name) for name in names)}
        runs = list(found.values())
    else:
        runs = list_runs(config.runs)
    if not runs:
        raise InputError(
            f"expected at least one run in {config.runs}, received none: run `pipeline classify "
            f"DATA` first, or name another folder with --runs"
        )
    chosen = []
    for table in leaderboard(runs):
        ranked = [standing.run for standing in table]
        detailed = ranked if names else [best_run(ranked, config.runs)]
        chosen.append(Chosen(tuple(table), tuple(detailed)))
    return chosen


N_MISTAKES = 12
"""Surest mistakes that are shown large."""
N_PAIRS, N_EACH = 5, 2
"""Most confused pairs whose maps are shown, and pictures of each."""


@dataclass(frozen=True)
class Detail:
    """A run in detail.

    Args:
        run: The run.
        predictions: Of its test pictures.
        places: (n,) int, where those are in the album, or -1.
        mistakes: Rows of the surest mistakes.
        large: A thumbnail of each of these.
        mapped: Its maps.
        pairs: Rows of the pictures of each of the most confused pairs.
        closer: Where its answers come from.
        typical: How typical its test pictures are; None where it does not say it.
    """

    run: RunFolder
    predictions: RunPredictions
    places: np.ndarray
    mistakes: np.ndarray
    large: tuple[Thumbnail, ...]
    mapped: Mapped
    pairs: tuple[tuple[int, ...], ...]
    closer: Closer
    typical: TypicalRow | None


@dataclass(frozen=True)
class Material:
    """A data set with its runs: what is found there today, and the pictures that are shown.

    ``reasons`` says for each of these why it has no thumbnail, or nothing.
    """

    chosen: Chosen
    found: FoundData
    findings: Findings
    album: Album
    reasons: tuple[str, ...]
    sheets: Sheets
    details: tuple[Detail, ...]

    @property
    def unreadable(self) -> list[tuple[str, str]]:
        """Pictures that are shown without a thumbnail: path and reason."""
        pairs = zip(self.album.paths, self.reasons, strict=True)
        return [(path, reason) for path, reason in pairs if reason]


@dataclass(frozen=True)
class _Outline:
    """What is known before pictures are shared out among the data sets."""

    chosen: Chosen
    found: FoundData
    findings: Findings
    predictions: tuple[RunPredictions, ...]

    @property
    def n_pictures(self) -> int:
        whole = self._whole
        return len(self.predictions[0]) if whole is None else len(whole)

    @property
    def _whole(self) -> Dataset | None:
        """The data set, where it is still what the run saw, without what cannot be used."""
        dataset, value = self.found.dataset, self.findings.value
        if dataset is None or not self.found.same:
            return None
        lost = [] if value is None else [one["path"] for one in value["unreadable"]]
        return dataset.taking(usable_rows(dataset, lost))

    def album(self, most: int, seed: int) -> Album:
        runs = self.chosen.detailed
        told = [(run.test.split, one) for run, one in zip(runs, self.predictions, strict=True)]
        typical = (typical_of(run) for run in runs)
        shown = (row["untypical"][:MOST_UNTYPICAL] for row in typical if row is not None)
        least = [one["path"] for rows in shown for one in rows]
        return choose_pictures(self._whole, told, [*self.findings.paths(), *least], most, seed)


def collect(
    config: ReportConfig,
    groups: Sequence[Chosen],
    maps: Sequence[str],
    reporter: Reporter = SILENT,
) -> list[Material]:
    """Read runs, one group a data set, data sets, cached features and pictures.

    The reporter is told of files, while near-copies are searched, and of decoded pictures.
    """
    outlines = [_outline(config, chosen, reporter) for chosen in groups]
    shares = shared(config.most_pictures, [outline.n_pictures for outline in outlines])
    albums = [
        outline.album(share, config.seed) for outline, share in zip(outlines, shares, strict=True)
    ]
    n_pictures = sum(map(len, albums))
    return [
        _material(config, outline, album, n_pictures, maps, reporter)
        for outline, album in zip(outlines, albums, strict=True)
    ]


def shared(most: int, counts: Sequence[int]) -> list[int]:
    """Share pictures out: nobody gets more than it has, and what small ones leave goes to others.

    >>> shared(100, [10, 300, 200])
    [10, 45, 45]
    """
    shares, left = [0] * len(counts), most
    order = sorted(range(len(counts)), key=lambda place: counts[place])
    for done, place in enumerate(order):
        shares[place] = max(1, min(counts[place], left // (len(order) - done)))
        left -= shares[place]
    return shares


def _outline(config: ReportConfig, chosen: Chosen, reporter: Reporter) -> _Outline:
    found = find_dataset(config, chosen.first, reporter)
    findings = find(config, chosen.first, found.dataset, reporter)
    if found.dataset is None:
        findings = replace(findings, reason=found.reason)
    predictions = tuple(read_predictions(run) for run in chosen.detailed)
    return _Outline(chosen, found, findings, predictions)


def _material(
    config: ReportConfig,
    outline: _Outline,
    album: Album,
    n_pictures: int,
    maps: Sequence[str],
    reporter: Reporter,
) -> Material:
    side = side_for(n_pictures)
    places = [album.of(one) for one in outline.predictions]
    mistakes = [one.surest_mistakes()[:N_MISTAKES] for one in outline.predictions]
    enlarged = {
        int(where[row]) for where, rows in zip(places, mistakes, strict=True) for row in rows
    }
    small, large = _pictures(outline.found, album, side, enlarged, reporter)
    budget = max(200_000, MAX_BYTES * len(album) // max(n_pictures, 1))
    named = set(outline.findings.suspects())
    suspects = [place for place, path in enumerate(album.paths) if path in named]
    details = []
    for run, predictions, where, rows in zip(
        outline.chosen.detailed, outline.predictions, places, mistakes, strict=True
    ):
        pairs = predictions.confused(N_PAIRS, N_EACH)
        wanted = {int(where[row]) for row in (*rows, *chain(*pairs))} - {-1}
        wanted |= set(suspects if run is outline.chosen.first else ())
        shown = tuple(large.get(int(where[row]), Thumbnail(None, "not shown")) for row in rows)
        mapped = map_pictures(config, run, album, maps)
        closer = look_closer(config, run, outline.found.read, album, where, sorted(wanted))
        typical = typical_of(run)
        details.append(Detail(run, predictions, where, rows, shown, mapped, pairs, closer, typical))
    return Material(
        chosen=outline.chosen,
        found=outline.found,
        findings=outline.findings,
        album=album,
        reasons=tuple(thumbnail.reason for thumbnail in small),
        sheets=make_sheets([thumbnail.image for thumbnail in small], side, budget),
        details=tuple(details),
    )


def _pictures(
    found: FoundData, album: Album, side: int, enlarged: set[int], reporter: Reporter
) -> tuple[list[Thumbnail], dict[int, Thumbnail]]:
    """Return a thumbnail of every picture, and large ones of some, by their place."""
    wanted = [
        Wanted(path, digest.tobytes(), (side, LARGE) if place in enlarged else (side,))
        for place, (path, digest) in enumerate(zip(album.paths, album.digests, strict=True))
    ]
    small, large = list[Thumbnail](), dict[int, Thumbnail]()
    for place, made in enumerate(make_thumbnails(found.read, wanted, reporter)):
        small.append(made[0])
        if len(made) > 1:
            large[place] = made[1]
    return small, large
