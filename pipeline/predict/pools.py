"""Labelling from the cache: pictures whose features are there need no base, and no decoding."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.config import FeaturesConfig, PredictConfig
from pipeline.errors import InputError, WeightsError
from pipeline.features.extract import extract
from pipeline.features.store import FeatureCache
from pipeline.features.worklist import undecodable
from pipeline.images import Failure, PictureList
from pipeline.images.indexing import pool_of
from pipeline.images.own import is_own, note_own
from pipeline.images.remarks import N_NUMBERS
from pipeline.predict.labelling import Labelled, Predictor
from pipeline.runs import Bundle
from pipeline.system.progress import Reporter

MIXED = 4096
"""Pictures whose answers are put in order at a time where some are computed."""
HELD_BYTES = 64 << 20
"""Of the answers where all are read from the cache."""


def label_pool(
    config: PredictConfig,
    predictor: Predictor,
    pictures: PictureList,
    reporter: Reporter,
    bundle: Bundle | None,
) -> Iterator[Labelled]:
    """Label pictures, from cached features where these are there.

    Where features are to be kept, their base is made from the run's bundle.

    Yields:
        Every row once, in order, with its probabilities or among the failures.

    Raises:
        InputError: Features are to be kept, and this run is no head on features of single pictures.
    """
    base = predictor.base if predictor.test_views is None else None
    if base is None or bundle is None:
        if config.cache_features:
            raise InputError(
                "expected a run of `pipeline classify` without test_views for cache_features, "
                "received one that judges pictures otherwise: leave --cache-features out"
            )
        yield from predictor.label(pictures, config.batch_size)
        return
    keep = config.cache_features or (any(map(is_own, pictures.places)) and _has_weights(bundle))
    cache = FeatureCache(config.cache, base.recipe)
    if not keep and not len(cache):
        yield from predictor.label(pictures, config.batch_size)
        return
    digests = pictures.digests(config.cache / "index", reporter, keep)
    readable = digests.any(axis=1)
    if keep and not cache.has(digests[readable]).all():
        for place in pictures.places:
            note_own(place)
        rows = np.flatnonzero(readable)
        stage1 = FeaturesConfig(cache=config.cache, batch_size=config.batch_size)
        pool = pool_of(", ".join(pictures.places), _Some(pictures, rows), digests[rows])
        cache = extract(stage1, bundle.frozen(), pool, reporter).caches.clean
    yield from _answered(config, predictor, pictures, cache, digests)


def _has_weights(bundle: Bundle) -> bool:
    """Return whether a base's weights are there; what labels may be a kept model without them."""
    try:
        bundle.frozen()
    except WeightsError:
        return False
    return True


def _answered(
    config: PredictConfig,
    predictor: Predictor,
    pictures: PictureList,
    cache: FeatureCache,
    digests: np.ndarray,
) -> Iterator[Labelled]:
    """Answer span after span, what is cached from there."""
    held, lost = cache.has(digests), undecodable(cache, digests)
    most = (
        MIXED if not (held | lost).all() else max(MIXED, HELD_BYTES // (8 * len(predictor.classes)))
    )
    for begin in range(0, len(pictures), most):
        rows = np.arange(begin, min(begin + most, len(pictures)))
        here, rest = rows[held[rows]], rows[~(held | lost)[rows]]
        reasons = [(row, cache.reason(digests[row].tobytes())) for row in rows[lost[rows]].tolist()]
        failed = tuple(Failure(row, reason or "", transient=False) for row, reason in reasons)
        parts = [_from_cache(predictor, cache, here, digests, failed)]
        if len(rest):
            for one in predictor.label(_Some(pictures, rest), config.batch_size):
                again = tuple(replace(each, row=int(rest[each.row])) for each in one.failed)
                parts.append(replace(one, rows=rest[one.rows], failed=again))
        yield parts[0] if len(parts) == 1 else _in_order(parts)


def _from_cache(
    predictor: Predictor,
    cache: FeatureCache,
    rows: np.ndarray,
    digests: np.ndarray,
    failed: tuple[Failure, ...],
) -> Labelled:
    assert predictor.base is not None
    assert predictor.score is not None
    if not len(rows):
        nothing = np.empty((0, len(predictor.classes)))
        remarks = np.empty((0, N_NUMBERS), np.int32)
        return Labelled(rows, nothing, failed, remarks, np.empty(0))
    cuts, wanted = predictor.base.recipe.cuts, digests[rows]
    scores: np.ndarray | None = None
    for places, features in cache.blocks(cuts, wanted):
        some = predictor.score(features)
        scores = np.empty((len(rows), some.shape[1])) if scores is None else scores
        scores[places] = some
    assert scores is not None
    return predictor.answer(rows, [scores], failed, cache.remarks(wanted))


def _in_order(parts: list[Labelled]) -> Labelled:
    rows = np.concatenate([one.rows for one in parts])
    order = np.argsort(rows)
    return Labelled(
        rows[order],
        np.concatenate([one.probabilities for one in parts])[order],
        tuple(failure for one in parts for failure in one.failed),
        np.concatenate([one.remarks for one in parts]),
        np.concatenate([one.typical for one in parts])[order],
    )


@dataclass(frozen=True)
class _Some:
    """Some of the pictures, by row numbers of their own."""

    pictures: PictureList
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, row: int) -> str:
        return self.pictures.name(int(self.rows[row]))

    def read(self, row: int) -> bytes:
        return self.pictures.read(int(self.rows[row]))
