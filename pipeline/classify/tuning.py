"""The search on a data set: what it may choose from, and what it found, kept on disk.

What was measured lies in ``runs/.search/``, one file per piece of work and one per head that was
searched to the end, each named by the digest of everything that decides it. So a search that was
interrupted goes on, one more head reuses the screening, and two searches at once share their work.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.backbones.cuts import Cut
from pipeline.classify.experiment import PROTOCOL, Experiment, learnt_from
from pipeline.classify.search.local import ThisMachine
from pipeline.classify.search.memory import SearchedHead, SearchMemory, TriedHead, UnitKey
from pipeline.classify.search.searcher import (
    FoundHead,
    MeasureUnits,
    UnitRunner,
    search,
)
from pipeline.classify.search.trial import Cuts, Pool
from pipeline.classify.selection import Selection, asked_heads, default_preparation
from pipeline.config import ClassifyConfig
from pipeline.errors import DataError
from pipeline.features.table import FeatureTable, Input
from pipeline.heads import HeadSpec
from pipeline.runs import experiment_digest
from pipeline.system.machine import available_memory, core_count
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.units import size_text

SEARCH_PROTOCOL = 1
"""Grows when the same search would find something else."""


def tune(
    config: ClassifyConfig,
    table: FeatureTable,
    selection: Selection,
    inputs: Sequence[Input],
    reporter: Reporter = SILENT,
    spread: MeasureUnits | None = None,
) -> list[Experiment]:
    """Return for each head the input, preparation and parameters that the training pictures favour.

    Args:
        config: The heads, and what is searched: inputs only, or everything.
        table: Features of every cut of ``inputs``.
        selection: What judges; the test split has no part in it.
        inputs: Inputs to start from; the first is the default.
        reporter: Told how many pieces of work are done, and of how many so far.
        spread: What measures on workers, see `search`; this machine if left out.

    Raises:
        DataError: Nothing can be held out, or the features are too many for this machine.
    """
    if not selection.folds:
        raise DataError(
            "expected at least 2 training pictures of every class for a search, received a class "
            "with 1; add pictures, or leave out --tune and name layers and heads"
        )
    cuts = tuple(dict.fromkeys(cut for joined in inputs for cut in joined))
    places = [tuple(cuts.index(cut) for cut in joined) for joined in inputs]
    default = default_preparation(config.prepare, table.labels("train"))
    learnt, specs = learnt_from(config, table), asked_heads(config)
    key = {
        "kind": "search",
        "protocol": [PROTOCOL, SEARCH_PROTOCOL],
        "recipe": table.base.with_cuts(cuts).recipe.digest,
        "inputs": [list(joined) for joined in places],
        "prepare": str(default),
        "whole": config.tune,
        **learnt,
    }
    memory = SearchMemory(config.runs / ".search", _unit_key(table, cuts, learnt))
    digests = [experiment_digest({**key, **spec.solver, "head": str(spec)}) for spec in specs]
    kept = [(digest, memory.searched(digest, len(cuts))) for digest in digests]
    known = {digest: head for digest, head in kept if head is not None}
    missing = {d: spec for d, spec in zip(digests, specs, strict=True) if d not in known}
    if missing:
        pool = _pool(table, selection, cuts, config.seed)
        measure = spread or ThisMachine(config.jobs)
        workers = None if spread else core_count() if config.jobs < 0 else config.jobs
        runner = UnitRunner(pool, memory, measure, reporter, workers)
        found = search(runner, places, list(missing.values()), default, whole=config.tune)
        for digest, one in zip(missing, found, strict=True):
            known[digest] = _described(digest, one, table, cuts)
            memory.keep(known[digest])
    parts = (config, table, selection)
    return [
        Experiment(*parts, tuple(cuts[place] for place in one.cuts), one.spec, one)
        for one in (known[digest] for digest in digests)
    ]


def _unit_key(table: FeatureTable, cuts: Sequence[Cut], learnt: Mapping[str, Any]) -> UnitKey:
    """Return what says what decides the figures of a piece of work."""

    def key(unit: Cuts, heads: Sequence[HeadSpec], n_rows: int) -> Mapping[str, Any]:
        joined = [cuts[place] for place in unit]
        return {
            "kind": "search-unit",
            "protocol": PROTOCOL,
            "recipe": table.base.with_cuts(joined).recipe.digest,
            "joined": [[cut.layer, cut.pooling] for cut in joined],
            "heads": [str(spec) for spec in heads],
            "rows": n_rows,
            **heads[0].solver,
            **learnt,
        }

    return key


def _pool(table: FeatureTable, selection: Selection, cuts: Sequence[Cut], seed: int) -> Pool:
    """Hold the features of every cut: (1 + views) rows of each picture."""
    n_rows = len(selection.rows) * (1 + table.n_views)
    wanted = 4 * n_rows * sum(sum(table.widths((cut,))) for cut in cuts)
    available = available_memory()
    if available is not None and 2 * wanted > available:
        raise DataError(
            f"expected the features of all {len(cuts)} cuts to fit in half of the memory "
            f"for a search, received {size_text(wanted)} with {size_text(available)} free; "
            f"name fewer --layers, or search on a part of the pictures"
        )
    samples = [selection.sample(table, (cut,), seed) for cut in cuts]
    first = samples[0]
    return Pool(
        tuple(sample.features for sample in samples),
        first.labels,
        first.n_classes,
        selection.folds,
        first.groups,
        seed,
        table.n_views,
    )


def _described(
    digest: str, found: FoundHead, table: FeatureTable, cuts: Sequence[Cut]
) -> SearchedHead:
    """Return what a search found of one head, with names for places."""
    candidates = [
        TriedHead(
            table.base.with_cuts([cuts[place] for place in trial.cuts]).layers,
            str(trial.spec.preparation),
            str(trial.spec),
            trial.accuracy,
            trial.log_loss,
            round(trial.seconds, 3),
        )
        for trial in found.trials
    ]
    chosen, optimism = found.chosen, found.choice.optimism
    return SearchedHead(digest, chosen.cuts, chosen.spec, optimism, tuple(candidates))
