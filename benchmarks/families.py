"""One member of every family of bases under both engines: do they agree, and how fast are they?"""

import json
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from pipeline.backbones.catalog import BACKBONES
from pipeline.backbones.engines import open_engine
from pipeline.config import FeaturesConfig
from pipeline.features.base import frozen_base

BATCH_SIZE, N_BATCHES = 8, 4


def main() -> None:
    """Print a line per family."""
    smallest: dict[str, tuple[int, str]] = {}
    for row in BACKBONES.values():
        smallest[row.family] = min(
            smallest.get(row.family, (1 << 62, "")), (row.n_parameters, row.name)
        )
    for family, (_, name) in smallest.items():
        with tempfile.TemporaryDirectory() as folder:
            print(f"{family:16} {_compare(name, Path(folder))}", flush=True)


def _compare(name: str, models: Path) -> str:
    config = FeaturesConfig(backbone=name, weights="none", layers="top")
    base = frozen_base(config)
    began = perf_counter()
    ours = open_engine(base, "openvino", "float32", BATCH_SIZE, models)
    seconds = perf_counter() - began
    (path,) = models.glob("*/model.json")
    difference = max(json.loads(path.read_text())["differences"].values())
    reference = open_engine(base, "tensorflow", "float32", BATCH_SIZE, models)
    size = base.decoding.size
    images = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, size, size, 3), np.uint8)
    rates = []
    for engine in (reference, ours):
        list(engine.run([images]))
        began = perf_counter()
        list(engine.run([images] * N_BATCHES))
        rates.append(BATCH_SIZE * N_BATCHES / (perf_counter() - began))
    return (
        f"{name:18} {ours.name}, relative difference {difference:.1e}, converted in "
        f"{seconds:.0f} s; {rates[0]:.1f} pictures/s in TensorFlow, {rates[1]:.1f} in OpenVINO, "
        f"ratio {rates[1] / rates[0]:.2f}"
    )
