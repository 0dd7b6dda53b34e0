"""What the default heads reach: on the digits, and on real photos where PIPELINE_MATERIAL is."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

WEIGHTS = "weights/mobilenet_2_5_224_tf_no_top.h5"


def main() -> None:
    """Print one line per data set, base and head."""
    with tempfile.TemporaryDirectory() as folder:
        digits = Path(folder) / "digits"
        _pipeline("digits", str(digits))
        flags = ["--image-size", "96", "--layers", "block4+block5+block6,top"]
        _report(folder, digits, *flags, "--heads", "logistic,lda")
        material = os.environ.get("PIPELINE_MATERIAL")
        if material is None:
            print("PIPELINE_MATERIAL is not set: no real photos")
            return
        photos, weights = Path(material), str(Path(material) / WEIGHTS)
        _report(folder, photos / "cats_dogs_small")
        small = ["--backbone", "MobileNet(alpha=0.25)", "--weights", weights]
        _report(folder, photos / "cats_dogs_small", *small)
        _report(folder, photos / "caltech10")


def _report(folder: str, data: Path, *flags: str) -> None:
    places = ["--cache", f"{folder}/features", "--runs", f"{folder}/runs"]
    for row in json.loads(_pipeline("classify", str(data), *flags, *places, "--json"))["results"]:
        print(
            f"{row['run'].rsplit('-', 1)[0]:70} selection {row['selection_accuracy']:.4f}, "
            f"test {row['test']['accuracy']:.4f} of {row['test']['n']}"
        )


def _pipeline(*arguments: str) -> str:
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
