"""What to label next: uncertain, and different from each other and from what is labelled."""

import csv
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import SuggestConfig
from pipeline.errors import InputError, RunError
from pipeline.features.extract import CachedFeatures
from pipeline.heads import softmax
from pipeline.images import Dataset
from pipeline.images.splits import content_numbers, rows_of_bytes
from pipeline.pool.nearest import Standard
from pipeline.pool.questions import said_before
from pipeline.pool.similar import spread
from pipeline.pool.strategies import STRATEGIES, margins
from pipeline.runs import Bundle
from pipeline.system.cells import cell, plain
from pipeline.system.files import output_path
from pipeline.system.machine import available_memory
from pipeline.system.units import size_text

logger = logging.getLogger(__name__)

WITHOUT_RUN = ("centres", "typical")
UNSURE = 0.5
"""Margin between two classes below which a picture is told to be unsure."""
REASONS = {
    "both": "unlike what is labelled",
    "centres": "unlike what is labelled",
    "typical": "typical of many without a label",
}


@dataclass(frozen=True)
class Suggestion:
    """A picture that is worth a label.

    Args:
        path: As the user finds it: absolute, or in an archive or behind a URL.
        digest: Of its content, in hex.
        prediction: What the run calls it; None without a run.
        probability: How likely that is.
        reason: Why it is suggested.
    """

    path: str
    digest: str
    prediction: str | None
    probability: float | None
    reason: str


@dataclass(frozen=True)
class Suggested:
    """What to label next.

    Args:
        suggestions: The most wanted first.
        strategy: How they were chosen.
        candidates: Different pictures of the pool without a label.
        labelled: Pictures of the pool that the run, or the table of labels, has labels of.
        failed: Pictures of the pool that cannot be used.
        found: Pictures that were found there, these among them.
        out: The table with a row for each suggestion.
    """

    suggestions: tuple[Suggestion, ...]
    strategy: str
    candidates: int
    labelled: int
    failed: tuple[dict[str, str], ...]
    found: int
    out: str

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        listed = {"suggestions": list(map(vars, self.suggestions)), "failed": list(self.failed)}
        return {**vars(self), **listed}


def suggest(
    config: SuggestConfig, pool: CachedFeatures, bundle: Bundle | None, out: Path
) -> Suggested:
    """Choose pictures of a pool, and write them as a table with an empty column for labels.

    Args:
        config: How many, how they are chosen, and the table of what is labelled beside the run.
        pool: The pictures with their features.
        bundle: What predicts, on the pool's base; None where nothing is labelled.
        out: The table.

    Raises:
        InputError: No picture is left, the strategy does not exist, the table of labels is none of
            this pool, or the features do not fit in memory.
        RunError: The run has no head of its own.
    """
    if bundle is not None and bundle.head is None:
        raise RunError(
            "expected a run of `pipeline classify` to suggest by, received a fine-tuned one, which "
            "has no features that are cached: name the run that it began with"
        )
    dataset, cache = pool.dataset, pool.caches.clean
    strategy = _strategy(config, bundle)
    _, first = np.unique(content_numbers(dataset.digests), return_index=True)
    rows = np.sort(first)
    rows = rows[cache.has(dataset.digests[rows])]
    labelled = np.empty((0, 32), np.uint8) if bundle is None else bundle.labelled
    if bundle is not None and not len(labelled):
        logger.warning("this run does not say what it was trained on: it may be suggested again")
    labelled = np.concatenate([labelled, _labelled_in(config.corrections, dataset)])
    known = set(rows_of_bytes(labelled))
    open_ = np.array([one not in known for one in rows_of_bytes(dataset.digests[rows])], bool)
    if not open_.any():
        raise InputError(
            f"expected pictures in {dataset.location} that have no label, received {len(rows)} "
            f"that all have one, or that the run was trained or judged on: give a pool of others"
        )
    cuts = [(cut.layer, cut.pooling) for cut in pool.base.cuts]
    digests = dataset.digests[rows[open_]]
    labelled = labelled[cache.has(labelled)]
    _check_memory(cache.blocks(cuts, digests).n_features * (len(digests) + len(labelled)))
    features = cache.blocks(cuts, digests).array()
    standard = Standard.of(features[spread(len(features))])
    unit = standard.unit(features)
    near = standard.unit(cache.blocks(cuts, labelled).array()) if len(labelled) else unit[:0]
    head = None if bundle is None else bundle.head
    likely = np.ones((len(unit), 1)) if head is None else softmax(head.scores(features))
    n = min(config.n, len(unit))
    chosen = STRATEGIES[strategy](unit, near, likely, n, config.seed)
    classes = () if bundle is None else bundle.classes
    found = tuple(
        _suggestion(pool, int(rows[open_][one]), classes, likely[one], REASONS.get(strategy, ""))
        for one in chosen.tolist()
    )
    lost = tuple(pool.extraction.failed), pool.extraction.found
    done = Suggested(found, strategy, len(unit), int((~open_).sum()), *lost, str(out))
    _write(out, found)
    return done


def _labelled_in(file: str | None, dataset: Dataset) -> np.ndarray:
    """Return what a table has labels of: digests (m, 32); raises InputError for another pool's."""
    known = said_before(file, dataset)[0] & set(rows_of_bytes(dataset.digests))
    if file is not None and not known:
        raise InputError(
            f"expected labels of pictures in {dataset.location}, received corrections={file}, "
            f"which has none of them: leave --labels out"
        )
    return np.frombuffer(b"".join(sorted(known)), np.uint8).reshape(-1, 32)


def _strategy(config: SuggestConfig, bundle: Bundle | None) -> str:
    """Return how pictures are chosen; raises InputError where that needs a run."""
    if config.strategy is None:
        return WITHOUT_RUN[0] if bundle is None else next(iter(STRATEGIES))
    if bundle is None and config.strategy not in WITHOUT_RUN:
        raise InputError(
            f"expected a strategy that needs no run, {' or '.join(WITHOUT_RUN)}, received "
            f"strategy={config.strategy}: name a run before the pool"
        )
    return config.strategy


def _check_memory(n_values: int) -> None:
    needed, there = 3 * 4 * n_values, available_memory()
    if there is not None and needed > there:
        raise InputError(
            f"expected features that fit in memory, received {size_text(needed)} of them, and "
            f"{size_text(there)} are free: give a part of the pool"
        )


def _suggestion(
    pool: CachedFeatures, row: int, classes: tuple[str, ...], likely: np.ndarray, usual: str
) -> Suggestion:
    dataset = pool.dataset
    path, digest = dataset.paths[row], dataset.digests[row].tobytes().hex()
    if "://" not in path and not path.startswith("/"):
        path = f"{dataset.location.rstrip('/')}/{path}"
    if not classes:
        return Suggestion(path, digest, None, None, usual)
    order = np.argsort(-likely, kind="stable")
    prediction, other = classes[order[0]], classes[order[1]]
    unsure = f"unsure: {prediction} or {other}" if margins(likely[None])[0] < UNSURE else ""
    reason = "; ".join(filter(None, (unsure, usual))) or f"{prediction}, or maybe {other}"
    return Suggestion(path, digest, prediction, float(likely[order[0]]), reason)


def _write(out: Path, found: tuple[Suggestion, ...]) -> None:
    with output_path(out) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "prediction", "probability", "reason", "digest"])
        for one in found:
            likely = "" if one.probability is None else f"{one.probability:.4f}"
            path, called, reason = map(
                cell, map(plain, (one.path, one.prediction or "", one.reason))
            )
            rows.writerow([path, "", called, likely, reason, one.digest])
