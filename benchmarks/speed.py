"""Stage 1 as a whole process against the usual Keras loop, and against the engine's ceiling."""

import os
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.photos import write_photos
from benchmarks.processes import Finished, best_of, pipeline, python
from pipeline.backbones.engines import open_engine
from pipeline.config import FeaturesConfig
from pipeline.features.base import frozen_base

N_PHOTOS = 1000
N_ROUNDS = 3
CEILING_BATCHES = 16

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
    """Print seconds of each round and the median ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "photos", N_PHOTOS)
        first = _features(folder, "first")
        print(f"{N_PHOTOS} photos of 500x375, EfficientNetLite0 at 224, whole processes")
        print(f"first time ever, converting the base: {_line(first)}")
        rounds = [_round(folder, f"cache{i}") for i in range(N_ROUNDS)]
        ratio, share = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"keras loop / pipeline features, seconds: median {ratio:.2f}")
        print(f"pictures a second while running / ceiling of the engine: median {share:.2f}")
        again = best_of([_features(folder, "first") for _ in range(N_ROUNDS)])
        print(f"nothing to compute: {_line(again)}")


def _round(folder: Path, cache: str) -> tuple[float, float]:
    (folder / cache).mkdir()
    os.symlink(folder / "first" / "models", folder / cache / "models")
    usual = python("-c", KERAS_LOOP, str(folder / "photos"))
    before = ceiling(folder / "first" / "models")
    ours = _features(folder, cache)
    top = max(before, ceiling(folder / "first" / "models"))
    rate, where = ours.json["images_per_second"], ours.json["where"]
    print(
        f"  keras loop {_line(usual)}; pipeline features {_line(ours)}: {rate:.0f} pictures/s, "
        f"ceiling {top:.0f}, decoding {1000 * where['decoding'] / N_PHOTOS:.2f} ms a picture; "
        f"ratio {usual.seconds / ours.seconds:.2f}, share {rate / top:.2f}"
    )
    return usual.seconds / ours.seconds, rate / top


def ceiling(models: Path, **settings: object) -> float:
    """Return the pictures per second of the engine alone, on made input."""
    config = FeaturesConfig(**settings)
    base = frozen_base(config)
    engine = open_engine(base, "auto", "float32", config.batch_size, models)
    size = base.decoding.size
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 256, (config.batch_size, size, size, 3), np.uint8)
    for _ in engine.run(iter([batch])):
        pass
    began = perf_counter()
    n_images = sum(len(outputs[0]) for outputs in engine.run([batch] * CEILING_BATCHES))
    return n_images / (perf_counter() - began)


def _features(folder: Path, cache: str) -> Finished:
    places = (str(folder / "photos"), "--cache", str(folder / cache))
    return pipeline("features", *places, "--json")


def _line(run: Finished) -> str:
    return f"{run.seconds:.2f} s, peak {run.peak_bytes / 2**20:.0f} MiB"
