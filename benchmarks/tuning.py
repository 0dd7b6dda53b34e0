"""What a search is worth: ``--layers best --tune`` against the default, many and few pictures."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.few import link_few
from benchmarks.processes import pipeline

HEADS = "logistic,ridge,lda,knn"
N_DRAWS = 5


@dataclass(frozen=True)
class Figures:
    """The best run by selection of the default and of a search, with their test accuracies."""

    default: Any
    tuned: Any
    seconds: float

    @property
    def gain(self) -> float:
        """Test accuracy that the search added."""
        return float(self.tuned["test"]["accuracy"] - self.default["test"]["accuracy"])

    @property
    def too_good(self) -> float:
        """What the search promised, less what the test split says."""
        return float(self.tuned["selection_accuracy"] - self.tuned["test"]["accuracy"])


def main() -> None:
    """Print test accuracy without and with a search, per data set and number of pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digits = folder / "digits"
        pipeline("digits", str(digits))
        _report("digits", [_measure(folder, digits, "--image-size", "96")])
        _draws("digits", folder, digits, 10, "--image-size", "96")
        material = os.environ.get("PIPELINE_MATERIAL")
        if material is None:
            print("PIPELINE_MATERIAL is not set: no real photos")
            return
        _report("caltech10", [_measure(folder, Path(material) / "caltech10")])
        _draws("caltech10", folder, Path(material) / "caltech10", 5)
        _report("cats_dogs_small", [_measure(folder, Path(material) / "cats_dogs_small")])
        _draws("cats_dogs_small", folder, Path(material) / "cats_dogs_small", 10)


def _draws(title: str, folder: Path, data: Path, n_pictures: int, *flags: str) -> None:
    figures = []
    for draw in range(N_DRAWS):
        few = folder / f"{data.name}-few{n_pictures}-{draw}"
        link_few(data, few, n_pictures, draw)
        figures.append(_measure(folder, few, *flags))
    _report(f"{title}, {n_pictures} a class, {N_DRAWS} draws", figures)


def _measure(folder: Path, data: Path, *flags: str) -> Figures:
    places = ("--cache", str(folder / "features"), "--runs", str(folder / "runs"), "--json")
    given = ("classify", str(data), *flags, "--heads", HEADS, *places)
    pipeline("features", str(data), *flags, "--layers", "best", *places[:2], "--json")
    default = _best(pipeline(*given).json)
    searched = pipeline(*given, "--layers", "best", "--tune")
    return Figures(default, _best(searched.json), searched.seconds)


def _best(value: Any) -> Any:
    return next(row for row in value["results"] if row["run"] == value["best"])


def _report(title: str, figures: list[Figures]) -> None:
    default = mean(one.default["test"]["accuracy"] for one in figures)
    tuned = mean(one.tuned["test"]["accuracy"] for one in figures)
    gains = [one.gain for one in figures]
    spread = ""
    if len(figures) > 1:
        error = stdev(gains) / len(gains) ** 0.5
        spread = f" (standard error {error:.4f}, {min(gains):+.4f} to {max(gains):+.4f})"
    chosen = figures[0].tuned
    example = f"{chosen['head']} on {'+'.join(chosen['layers'])}"
    print(
        f"{title}: test {default:.4f} → {tuned:.4f}, gain {mean(gains):+.4f}{spread}; selection "
        f"{mean(one.tuned['selection_accuracy'] for one in figures):.4f}, above test by "
        f"{mean(one.too_good for one in figures):+.4f}; search "
        f"{mean(one.seconds for one in figures):.0f} s; e.g. {example}",
        flush=True,
    )
