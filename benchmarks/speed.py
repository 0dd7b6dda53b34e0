"""Stage 1 as a whole process against the usual Keras loop, in turn, on the same made photos."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

from benchmarks.photos import write_photos

N_PHOTOS = 320
N_PAIRS = 3

KERAS_LOOP = """
import sys
import keras
from pipeline.backbones import Cut, parse_backbone, resolve_weights
from pipeline.backbones.build import build_extractor
spec = parse_backbone("EfficientNetLite0")
model = build_extractor(spec, resolve_weights(spec), 224, [Cut("top")])
pictures = keras.utils.image_dataset_from_directory(sys.argv[1], image_size=(224, 224),
                                                    shuffle=False, verbose=False)
model.predict(pictures, verbose=0)
"""


def main() -> None:
    """Print seconds of each pair and the median ratio."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        write_photos(photos, N_PHOTOS)
        print(f"{N_PHOTOS} photos of 500x375, EfficientNetLite0 at 224, whole processes")
        ratios = [_pair(photos, Path(folder) / f"cache{i}") for i in range(N_PAIRS)]
        print(f"keras loop / pipeline features: median {statistics.median(ratios):.2f}")
        again = _seconds(_features(photos, Path(folder) / "cache0"))
        print(f"nothing to compute: {again:.2f} s")


def _pair(photos: Path, cache: Path) -> float:
    usual = _seconds([sys.executable, "-c", KERAS_LOOP, str(photos)])
    ours = _seconds(_features(photos, cache))
    print(f"  keras loop {usual:.1f} s, pipeline features {ours:.1f} s, ratio {usual / ours:.2f}")
    return usual / ours


def _features(photos: Path, cache: Path) -> list[str]:
    return [sys.executable, "-m", "pipeline", "features", str(photos), "--cache", str(cache)]


def _seconds(command: list[str]) -> float:
    began = monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return monotonic() - began
