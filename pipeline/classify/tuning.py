"""The search on a data set: what it may choose from, and what it found, kept on disk.

What was measured lies in ``runs/.search/``, one file per piece of work and one per head that was
searched to the end, each named by the digest of everything that decides it. So a search that was
interrupted goes on, one more head reuses the screening, and two searches at once share their work.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.classify.experiment import PROTOCOL, Tuned, learnt_from
from pipeline.classify.search import Cuts, Found, Pool, Spread, Trial, search
from pipeline.classify.search.memory import SearchMemory, search_folder
from pipeline.classify.selection import Selection
from pipeline.config import ClassifyConfig
from pipeline.errors import DataError
from pipeline.features.table import FeatureTable, Input
from pipeline.heads import HeadSpec, Preparation, parse_head
from pipeline.runs import experiment_digest
from pipeline.system.files import write_json
from pipeline.system.machine import available_memory
from pipeline.system.units import size_text

Progress = Callable[[int, int], None]
Candidate = tuple[Input, HeadSpec, Tuned]

SEARCH_PROTOCOL = 1
"""Grows when the same search would find something else."""


def tune(
    config: ClassifyConfig,
    table: FeatureTable,
    selection: Selection,
    inputs: Sequence[Input],
    specs: Sequence[HeadSpec],
    preparation: Preparation,
    progress: Progress | None = None,
    spread: Spread | None = None,
) -> list[Candidate]:
    """Return for each head the input, preparation and parameters that the training pictures favour.

    Args:
        config: What is searched: inputs only, or everything.
        table: Features of every cut of ``inputs``.
        selection: What judges; the test split has no part in it.
        inputs: Inputs to start from; the first is the default.
        specs: The heads.
        preparation: That of the default, for heads that do not say their own.
        progress: Told how many pieces of work are done, and of how many so far.
        spread: What measures on workers, see `search`; processes of this machine if left out.

    Raises:
        DataError: Nothing can be held out, or the features are too many for this machine.
    """
    if not selection.folds:
        raise DataError(
            "expected at least 2 training pictures of every class for a search, received a class "
            "with 1; add pictures, or leave out --tune and name layers and heads"
        )
    return _Tuning(config, table, selection, inputs, preparation).run(specs, progress, spread)


class _Tuning:
    def __init__(
        self,
        config: ClassifyConfig,
        table: FeatureTable,
        selection: Selection,
        inputs: Sequence[Input],
        preparation: Preparation,
    ) -> None:
        self._config, self._table, self._selection = config, table, selection
        self._preparation = preparation
        self._cuts = tuple(dict.fromkeys(cut for joined in inputs for cut in joined))
        self._inputs = [tuple(self._cuts.index(cut) for cut in joined) for joined in inputs]
        self._folder = search_folder(config.runs)

    def run(
        self, specs: Sequence[HeadSpec], progress: Progress | None, spread: Spread | None
    ) -> list[Candidate]:
        known = {str(spec): self._remembered(spec) for spec in specs}
        missing = [spec for spec in specs if known[str(spec)] is None]
        if missing:
            memory = SearchMemory(self._folder, self._unit_key)
            searched = search(
                self._pool(),
                self._inputs,
                missing,
                memory,
                self._preparation,
                whole=self._config.tune,
                n_jobs=self._config.jobs,
                progress=progress,
                spread=spread,
            )
            for spec, found in zip(missing, searched.found, strict=True):
                known[str(spec)] = self._remember(spec, found)
        return [self._candidate(spec, known[str(spec)]) for spec in specs]

    def _pool(self) -> Pool:
        """Hold the features of every cut: (1 + views) rows of each picture."""
        selection, table = self._selection, self._table
        n_rows = len(selection.rows) * (1 + table.n_views)
        wanted = 4 * n_rows * sum(sum(table.widths((cut,))) for cut in self._cuts)
        available = available_memory()
        if available is not None and 2 * wanted > available:
            raise DataError(
                f"expected the features of all {len(self._cuts)} cuts to fit in half of the memory "
                f"for a search, received {size_text(wanted)} with {size_text(available)} free; "
                f"name fewer --layers, or search on a part of the pictures"
            )
        samples = [selection.sample(table, (cut,), self._config.seed) for cut in self._cuts]
        first = samples[0]
        return Pool(
            tuple(sample.features for sample in samples),
            first.labels,
            first.n_classes,
            selection.folds,
            first.groups,
            self._config.seed,
            table.n_views,
        )

    def _unit_key(self, cuts: Cuts, specs: Sequence[HeadSpec], n_rows: int) -> dict[str, Any]:
        joined = [self._cuts[place] for place in cuts]
        return {
            "kind": "search-unit",
            "protocol": PROTOCOL,
            "recipe": self._table.base.with_cuts(joined).recipe.digest,
            "joined": [[cut.layer, cut.pooling] for cut in joined],
            "heads": [str(spec) for spec in specs],
            "rows": n_rows,
            **learnt_from(self._config, self._table),
        }

    def _key(self, spec: HeadSpec) -> dict[str, Any]:
        return {
            "kind": "search",
            "protocol": [PROTOCOL, SEARCH_PROTOCOL],
            "recipe": self._table.base.with_cuts(self._cuts).recipe.digest,
            "inputs": [list(cuts) for cuts in self._inputs],
            "head": str(spec),
            "prepare": str(self._preparation),
            "whole": self._config.tune,
            **learnt_from(self._config, self._table),
        }

    def _path(self, spec: HeadSpec) -> Any:
        return self._folder / f"{experiment_digest(self._key(spec))}.json"

    def _remembered(self, spec: HeadSpec) -> Mapping[str, Any] | None:
        try:
            value: Mapping[str, Any] = json.loads(self._path(spec).read_text("utf-8"))
        except (FileNotFoundError, ValueError):  # not there, or no JSON: it is searched again
            return None
        return value

    def _remember(self, spec: HeadSpec, found: Found) -> Mapping[str, Any]:
        chosen = found.chosen
        value = {
            "cuts": list(chosen.cuts),
            "head": str(chosen.spec),
            "optimism": found.choice.optimism,
            "candidates": [self._row(trial) for trial in found.trials],
        }
        write_json(self._path(spec), value)
        return value

    def _row(self, trial: Trial) -> dict[str, Any]:
        cuts = [self._cuts[place] for place in trial.cuts]
        return {
            "layers": list(self._table.base.with_cuts(cuts).layers),
            "preparation": str(trial.spec.preparation),
            "head": str(trial.spec),
            "accuracy": trial.accuracy,
            "log_loss": trial.log_loss,
            "seconds": round(trial.seconds, 3),
        }

    def _candidate(self, spec: HeadSpec, value: Mapping[str, Any] | None) -> Candidate:
        assert value is not None
        joined = tuple(self._cuts[place] for place in value["cuts"])
        digest = experiment_digest(self._key(spec))
        tuned = Tuned(digest, value["optimism"], tuple(value["candidates"]))
        return joined, parse_head(value["head"]), tuned
