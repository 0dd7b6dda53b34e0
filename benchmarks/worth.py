"""What fine-tuning is worth: head → the earlier default → today's → by hand.

``python -m benchmarks worth [CASE…]``. What was trained stays in ``build/worth``: the same again
goes on where it was interrupted, and prints what was measured. `PIPELINE_MATERIAL` names the folder
with the photos. Pictures are small (64 and 96 px) and not all, for the sake of the time.

Seeds differ in which pictures train and which test. What is best by hand is chosen on the test of
the first seed and counted on those of the others; every way is averaged over these as well.
"""

import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from PIL import Image

from benchmarks.processes import pipeline

WORK = Path("build/worth")
N_SEEDS = 3
MOST_TESTED = 900
SHRUNK = 32
USUAL = ("--augment", "shift,rotate,zoom", "--anyway")
BEFORE = ("--unfreeze", "block6", "--learning-rate", "1e-4", *USUAL)
HANDS = {
    "1e-3": ("--learning-rate", "1e-3", *USUAL),
    "3e-4 with flips": ("--learning-rate", "3e-4", "--augment", "shift,rotate,zoom,flip", USUAL[2]),
}
"""What somebody would type who has fine-tuned before; all layers learn."""


@dataclass(frozen=True)
class Case:
    """Pictures to train and to judge on.

    Args:
        source: Returns their folder, with ``train`` and ``test``; makes it, if it is not there.
        size: Side of the pictures in pixels.
        train: Share of each class that trains; or how many, above 1.
    """

    source: Callable[[], Path]
    size: int
    train: float


def _digits() -> Path:
    folder = WORK / "data" / "digits"
    pipeline("digits", str(folder))
    return folder


def _photos(name: str) -> Callable[[], Path]:
    return lambda: Path(os.environ["PIPELINE_MATERIAL"]) / name


def _shrunk() -> Path:
    """Photos as a bad camera has them: of 32 pixels, before anything else is done."""
    source, folder = _photos("caltech10")(), WORK / "data" / f"caltech10-{SHRUNK}px"
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
    "cats-and-dogs": Case(_photos("cats_dogs_small"), 96, 0.75),
    "caltech-32px": Case(_shrunk, 64, 0.25),
    "digits": Case(_digits, 64, 0.4),
    "caltech": Case(_photos("caltech10"), 64, 0.25),
    "cats-and-dogs-10": Case(_photos("cats_dogs_small"), 96, 10),
    "caltech-10": Case(_photos("caltech10"), 96, 10),
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
    for name in names:
        tries: dict[str, list[Tried]] = {}
        hands = HANDS
        for seed in range(N_SEEDS):
            for way, tried in _measured(name, CASES[name], seed, hands):
                tries.setdefault(way, []).append(tried)
                print(f"  seed {seed}, {name}, {way}: {_line([tried])}", flush=True)
            if not seed:
                best = max(hands, key=lambda way: tries[way][0].accuracy)
                hands = {best: HANDS[best]}
        for way, several in tries.items():
            unseen = several[1:] if way in HANDS else several
            if unseen:
                print(f"{name}, {CASES[name].size} px, {way}: {_line(unseen)}", flush=True)
                print(f"  without seed 0: {_line(several[1:])}", flush=True)


def _drawn(name: str, case: Case, seed: int) -> Path:
    """Make a folder of links: of each class so many pictures to train, of the others a test."""
    folder = WORK / "data" / f"{name}-{case.train:g}-{seed}"
    source = case.source()
    pictures = {
        label.name: sorted(
            path for split in source.iterdir() for path in split.glob(f"{label.name}/*")
        )
        for label in sorted((source / "train").iterdir())
    }
    n_all = sum(map(len, pictures.values()))
    for label, paths in pictures.items():
        random.Random(seed).shuffle(paths)
        n = round(case.train if case.train > 1 else case.train * len(paths))
        most = n + max(1, MOST_TESTED * len(paths) // n_all)
        for number, path in enumerate(paths[:most]):
            place = folder / ("train" if number < n else "test") / label / f"{number}{path.suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.is_symlink():
                place.symlink_to(path.resolve())
    return folder


def _measured(
    name: str, case: Case, seed: int, hands: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, Tried]]:
    data = str(_drawn(name, case, seed))
    places = ("--cache", str(WORK / "features"), "--runs", str(WORK / "runs" / name), "--json")
    heads = pipeline(
        *("classify", data, "--image-size", str(case.size), "--heads", "logistic,ridge", *places)
    ).json
    best = _of(heads["results"], heads["best"])
    seconds = sum(row["seconds"] for row in heads["results"])
    yield "head", Tried(best["test"]["accuracy"], seconds / 60)
    ways: dict[str, tuple[str, ...]] = {"before": BEFORE, "auto": (), **hands}
    asked = ("finetune", data, "--from", heads["best"], "--seed", str(seed))
    for way, flags in ways.items():
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
