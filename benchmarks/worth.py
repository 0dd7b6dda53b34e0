"""What fine-tuning is worth: head → earlier defaults → today's → by hand.

``python -m benchmarks worth [CASE…]``. What was trained stays in ``build/worth``: the same again
goes on where it was interrupted, and prints what was measured. `PIPELINE_MATERIAL` names the folder
with the photos. Pictures are small (64 and 96 px), for the sake of the time.

Where all pictures are trained on, seeds differ in which of them decide and in what is drawn; with
ten pictures a class, in which ten.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from PIL import Image

from benchmarks.few import link_few
from benchmarks.processes import pipeline

WORK = Path("build/worth")
N_SEEDS = 3
FEW = 10
SHRUNK = 32
BEFORE = (
    *("--unfreeze", "block6", "--learning-rate", "1e-4", "--augment", "shift,rotate,zoom"),
    *("--epochs", "12", "--patience", "6", "--anyway"),
)
MIRRORED = ("--augment", "shift,rotate,zoom,flip", "--learning-rate", "3e-4", "--anyway")
BOLD = ("--learning-rate", "1e-3", "--anyway")


@dataclass(frozen=True)
class Case:
    """Pictures to train and to judge on.

    Args:
        make: Makes the folder of a seed, if it is not there, and returns it.
        size: Side of the pictures in pixels.
        by_hand: What somebody who knows the pictures would say.
    """

    make: Callable[[int], Path]
    size: int
    by_hand: tuple[str, ...] = MIRRORED


def _digits(seed: int) -> Path:
    folder = WORK / "data" / "digits"
    pipeline("digits", str(folder))
    return folder


def _photos(name: str) -> Callable[[int], Path]:
    return lambda seed: Path(os.environ["PIPELINE_MATERIAL"]) / name


def _few(name: str) -> Callable[[int], Path]:
    def make(seed: int) -> Path:
        folder = WORK / "data" / f"{name}-{FEW}-{seed}"
        if not folder.is_dir():
            link_few(_photos(name)(seed), folder, FEW, seed)
        return folder

    return make


def _shrunk(seed: int) -> Path:
    """Photos as a bad camera has them: of 32 pixels, before anything else is done."""
    source, folder = _photos("caltech10")(seed), WORK / "data" / f"caltech10-{SHRUNK}px"
    for path in sorted(source.rglob("*.jpg")):
        small = folder / path.relative_to(source).with_suffix(".png")
        if not small.is_file():
            small.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(path) as picture:
                picture = picture.convert("RGB")
                picture.thumbnail((SHRUNK, SHRUNK))
                picture.save(small)
    return folder


CASES = {
    "digits": Case(_digits, 64, BOLD),
    "caltech-32px": Case(_shrunk, 64),
    "cats-and-dogs": Case(_photos("cats_dogs_small"), 96),
    "caltech": Case(_photos("caltech10"), 96),
    "cats-and-dogs-10": Case(_few("cats_dogs_small"), 96),
    "caltech-10": Case(_few("caltech10"), 96),
}


@dataclass(frozen=True)
class Tried:
    """A way on a case: test accuracy, minutes, and whether anything was trained."""

    accuracy: float
    minutes: float
    trained: bool = True


def main() -> None:
    """Print accuracy and minutes of each way, seed by seed, and then their means."""
    names = sys.argv[sys.argv.index("worth") + 1 :] or list(CASES)
    if unknown := [name for name in names if name not in CASES]:
        sys.exit(f"expected cases of {', '.join(CASES)}, received {', '.join(unknown)}")
    tries: dict[tuple[str, str], list[Tried]] = {}
    for seed in range(N_SEEDS):
        for name in names:
            for way, tried in _measured(name, CASES[name], seed):
                tries.setdefault((name, way), []).append(tried)
                print(f"  seed {seed}, {name}, {way}: {_line([tried])}", flush=True)
    for (name, way), several in tries.items():
        print(f"{name}, {CASES[name].size} px, {way}: {_line(several)}", flush=True)


def _measured(name: str, case: Case, seed: int) -> Iterator[tuple[str, Tried]]:
    data = str(case.make(seed))
    places = ("--cache", str(WORK / "features"), "--runs", str(WORK / "runs" / name), "--json")
    heads = pipeline(
        *("classify", data, "--image-size", str(case.size), "--heads", "logistic,ridge", *places)
    ).json
    best = _of(heads["results"], heads["best"])
    seconds = sum(row["seconds"] for row in heads["results"])
    yield "head", Tried(best["test"]["accuracy"], seconds / 60)
    for way, flags in (("before", BEFORE), ("auto", ()), ("by hand", case.by_hand)):
        asked = ("finetune", data, "--from", heads["best"], "--seed", str(seed))
        done = pipeline(*asked, *flags, *places)
        value = done.json
        seconds = value["seconds"] if value["trained"] else done.seconds
        yield way, Tried(value["test"]["accuracy"], seconds / 60, value["trained"])


def _of(results: list[Any], run: str) -> Any:
    return next(row for row in results if row["run"] == run)


def _line(tries: list[Tried]) -> str:
    values = [one.accuracy for one in tries]
    error = f" ± {stdev(values) / len(values) ** 0.5:.4f}" if len(values) > 1 else ""
    untrained = sum(not one.trained for one in tries)
    kept = f", {untrained} of {len(tries)} kept the head" if untrained else ""
    return f"{mean(values):.4f}{error}, {mean(one.minutes for one in tries):.1f} min{kept}"
