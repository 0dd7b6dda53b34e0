"""How to get each part of the report again: the command that made it, or that would."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.backbones.engines.precision import kind_of
from pipeline.config import (
    CheckConfig,
    ClassifyConfig,
    FeaturesConfig,
    FinetuneConfig,
    LabelConfig,
    ReportConfig,
)
from pipeline.runs import CLASSIFY, RunFolder, is_transplantable
from pipeline.system.shell import command, flags
from pipeline.system.visible import visible


@dataclass(frozen=True)
class Commands:
    """The commands of one report, that of the file ``out``."""

    config: ReportConfig
    out: Path

    def _place(self, *names: str) -> list[str]:
        return flags({name: getattr(self.config, name) for name in names}, ReportConfig)

    @property
    def _places(self) -> list[str]:
        return self._place("cache", "runs")

    def compare(self) -> str:
        """Print the leaderboard."""
        return command("pipeline", "compare", *self._place("runs"))

    def train(self, run: RunFolder, *more: str) -> str:
        """Train a run again, or find it done."""
        settings = {
            **run.config,
            **_alone(run),
            **_ELSEWHERE,
            "cache": ReportConfig.cache,
            "runs": ReportConfig.runs,
        }
        if (tuned := run.fine_tuning) is not None:
            given = flags(settings | {"source": "best"}, FinetuneConfig)
            words = ["pipeline", "finetune", _place_of(run), "--from", tuned.from_run]
        else:
            given = flags(settings, ClassifyConfig)
            words = ["pipeline", "classify", _place_of(run)]
        return command(*words, *_without(given, more), *self._places, *more)

    def search(self, run: RunFolder) -> str:
        """Search for layers, preparations and parameters."""
        base = flags(feature_settings(run) | {"layers": "top", "pooling": "avg"}, FeaturesConfig)
        words = ["pipeline", "classify", _place_of(run), *base]
        return command(*words, "--layers", "best", "--tune", *self._places)

    def learn(self, run: RunFolder) -> str:
        """Add a learning curve."""
        return self.train(run, "--learning-curve")

    def threshold(self, run: RunFolder) -> str:
        """Let a run say that it does not know."""
        return self.train(run, "--max-error", "0.02")

    def finetune(self, run: RunFolder) -> str:
        """Fine-tune from a run, or from the best whose head can sit on its base."""
        source = ["--from", run.name] if is_transplantable(run) else []
        return command("pipeline", "finetune", _place_of(run), *source, *self._places)

    def features(self, run: RunFolder) -> str:
        """Compute the features that the run was trained on."""
        words = flags(feature_settings(run), FeaturesConfig)
        return command("pipeline", "features", _place_of(run), *words, *self._place("cache"))

    def check(self, run: RunFolder) -> str:
        """Look at the data with the run's features."""
        words = flags(feature_settings(run), CheckConfig)
        return command("pipeline", "check", _place_of(run), *words, *self._place("cache"))

    def label(self, run: RunFolder) -> str:
        """Write the page on which what looks wrong is mended."""
        words = flags({**run.indexing, "run": run.name}, LabelConfig)
        places = [*self._places, "--out", "label.html"]
        return command("pipeline", "label", _place_of(run), *words, *places)

    def report(self, names: Sequence[str], *more: str) -> str:
        """Write a report again."""
        again = ["--out", self.out.name, "--overwrite", *self._places]
        settings = {name: getattr(self.config, name) for name in _SHOWN}
        return command("pipeline", "report", *names, *again, *flags(settings, ReportConfig), *more)


_SHOWN = ("map", "pictures", "most_pictures", "evidence", "seed")
_ELSEWHERE = {"cluster": None, "remote_cache": None}
"""Settings that would send data to other machines, which only who runs a command may name."""


def _place_of(run: RunFolder) -> str:
    """Return where a run's pictures were, as a word that is never taken for a flag."""
    root = run.dataset.root
    return f"./{root}" if root.startswith("-") else root


def _alone(run: RunFolder) -> dict[str, Any]:
    """Return settings that train one head on one input; where a search chose, it has to again."""
    if run.kind != CLASSIFY or run.config.get("tune") or "search" in run.experiment:
        return {}
    layers = [name.partition(":")[0] for name in run.layers]
    pooling = run.recipe.cuts[0][1]
    return {"heads": run.head, "layers": "+".join(layers), "pooling": pooling}


def _without(given: Sequence[str], more: Sequence[str]) -> list[str]:
    """Leave out flags, with their values, that come again later."""
    kept, skipping = list[str](), False
    for word in given:
        if word.startswith("--"):
            skipping = word in more
        if not skipping:
            kept.append(word)
    return kept


def feature_settings(run: RunFolder) -> dict[str, Any]:
    """Return settings of stage 1 under which a run's features are looked at, by name of field.

    Where a run joins cuts of several poolings, which one setting cannot say, those of its first
    pooling stand for all.
    """
    recipe, decoding = run.recipe, run.decoding
    pooling = recipe.cuts[0][1]
    given = run.frozen(look=True).spec.backbone.given
    return {
        "backbone": run.weights if given else recipe.backbone,
        "preprocessing": recipe.preprocessing if given else None,
        "weights": FeaturesConfig.weights if given else run.weights,
        "image_size": recipe.image_size,
        "resize": decoding.resize,
        "interpolation": decoding.interpolation,
        "precision": kind_of(recipe.precision),
        "dtype": recipe.dtype,
        "jpeg": decoding.jpeg,
        "layers": "+".join(layer for layer, other in recipe.cuts if other == pooling),
        "pooling": pooling,
        **run.indexing,
        "seed": run.weights_seed if run.weights == "none" else run.seed,
    }


@dataclass(frozen=True)
class Missing:
    """One thing that is not there, why, and what would make it, if a command would."""

    section: str
    about: str
    reason: str
    command: str = ""


@dataclass
class Notes:
    """Collects what is missing while the sections are made."""

    missing: list[Missing] = field(default_factory=list)

    def add(self, section: str, about: str, reason: str, command: str = "") -> Missing:
        """Note one thing, and return it for its section."""
        one = Missing(section, visible(about), visible(reason), command)
        self.missing.append(one)
        return one
