"""What cached augmented views are worth: heads with and without them, few pictures and many."""

import os
import tempfile
from pathlib import Path

from benchmarks.few import link_few
from benchmarks.processes import pipeline

HEADS = "logistic,lda,dense"
N_VIEWS = 4
FEW = 10
"""Training pictures a class in the small sets."""
N_DRAWS = 5


def main() -> None:
    """Print, per data set and head, test accuracy and log loss without views and with them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digits = folder / "digits"
        pipeline("digits", str(digits))
        small = ("--image-size", "96", "--layers", "block4+block5+block6")
        moved = ("--view-policy", "shift,zoom,rotate")
        _report("digits", folder, digits, *small, *moved)
        _few("digits", folder, digits, *small, *moved)
        material = os.environ.get("PIPELINE_MATERIAL")
        if material is None:
            print("PIPELINE_MATERIAL is not set: no real photos")
            return
        for photos in ("cats_dogs_small", "caltech10"):
            _report(photos, folder, Path(material) / photos)
            _few(photos, folder, Path(material) / photos)


def _few(title: str, folder: Path, data: Path, *flags: str) -> None:
    """Do the same with a few training pictures a class, drawn several times."""
    draws = []
    for draw in range(N_DRAWS):
        few = folder / f"{data.name}-few{draw}"
        link_few(data, few, FEW, draw)
        draws.append(_both(folder, few, *flags))
    means = {
        head: [sum(draw[head][i] for draw in draws) / N_DRAWS for i in range(4)]
        for head in draws[0]
    }
    _print(f"{title}, {FEW} a class (mean of {N_DRAWS} draws)", means)


def _report(title: str, folder: Path, data: Path, *flags: str) -> None:
    _print(title, _both(folder, data, *flags))


def _both(folder: Path, data: Path, *flags: str) -> dict[str, list[float]]:
    """Return, per head, accuracy and log loss on test without views, and with."""
    found: dict[str, list[float]] = {}
    for n_views in (0, N_VIEWS):
        places = ("--cache", str(folder / "features"), "--runs", str(folder / "runs"))
        more = (*flags, "--views", str(n_views), "--heads", HEADS, *places, "--json")
        for row in pipeline("classify", str(data), *more).json["results"]:
            figures = [row["test"]["accuracy"], row["test"]["log_loss"]]
            found.setdefault(row["head"], []).extend(figures)
    return found


def _print(title: str, found: dict[str, list[float]]) -> None:
    for head, (accuracy, loss, viewed_accuracy, viewed_loss) in found.items():
        print(
            f"{title}, {head}: accuracy {accuracy:.4f} → {viewed_accuracy:.4f}, log loss "
            f"{loss:.4f} → {viewed_loss:.4f} with {N_VIEWS} views",
            flush=True,
        )
