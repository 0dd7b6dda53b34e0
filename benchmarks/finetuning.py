"""What training on cached activations saves: seconds of an epoch in mode full and in mode tail."""

import tempfile
from pathlib import Path

from benchmarks.photos import write_photos
from benchmarks.processes import pipeline

N_PHOTOS = 160
N_EPOCHS = 3
"""The first one compiles the step, and is left out."""
LITE0 = ("--image-size", "224")
VGG16 = ("--backbone", "VGG16", "--weights", "none", "--image-size", "150")
CASES = (
    ("EfficientNetLite0 at 224, what lies above block6", LITE0, "block7"),
    ("EfficientNetLite0 at 224, what lies above block5", LITE0, "block6"),
    ("VGG16 at 150, block5", VGG16, "block5"),
)


def main() -> None:
    """Print, per base and boundary, the quickest epoch of each mode and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "photos", N_PHOTOS)
        for title, flags, unfrozen in CASES:
            full, tail = (
                _epoch_seconds(folder, flags, unfrozen, mode) for mode in ("full", "tail")
            )
            print(
                f"{title}: full {full:.2f} s, tail {tail:.2f} s an epoch, {full / tail:.1f} times",
                flush=True,
            )


def _epoch_seconds(folder: Path, flags: tuple[str, ...], unfrozen: str, mode: str) -> float:
    """Return the seconds of the quickest epoch, augmentation off, validation included."""
    places = ("--cache", str(folder / "features"), "--runs", str(folder / unfrozen / flags[1]))
    data = str(folder / "photos")
    pipeline("classify", data, *flags, "--heads", "ridge", *places)
    training = ("--unfreeze", unfrozen, "--augment", "none", "--epochs", str(N_EPOCHS))
    value = pipeline(
        "finetune", data, "--anyway", "--mode", mode, *training, *places, "--json"
    ).json
    return min(epoch["seconds"] for epoch in value["epochs"][2:])
