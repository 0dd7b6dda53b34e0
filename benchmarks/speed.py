"""Stage 1 as a whole process, against what a user would write instead and the engine's ceiling.

Needs for the others: ``pip install torch torchvision timm onnx onnxscript onnxruntime``; for int8
``nncf``. What is not installed is named and left out.
"""

import os
import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from benchmarks.photos import write_photos
from benchmarks.processes import Finished, best_of, pipeline, python
from pipeline.backbones.engines import open_engine
from pipeline.config import FeaturesConfig
from pipeline.features.base import frozen_base
from pipeline.images import decode
from pipeline.system.machine import core_count
from pipeline.system.startup import installed

N_PHOTOS = 1000
N_ROUNDS = 3
CEILING_BATCHES = 16
PRECISIONS = ("float32", "bfloat16", "int8")
KERAS = "Keras loop"
# Without these glibc gives the memory of each batch back and asks for it anew, which costs PyTorch
# a third to a half of its speed on a processor.
KEPT_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
OTHERS = {
    KERAS: ("float32", "keras", ()),
    "PyTorch, 1 worker": ("float32", "torch", ("--workers", "1")),
    "PyTorch, 2 workers": ("float32", "torch", ("--workers", "2")),
    "PyTorch compiled": ("float32", "torch", ("--workers", "2", "--compiled")),
    "PyTorch bfloat16": ("bfloat16", "torch", ("--workers", "2", "--bfloat16")),
    "PyTorch compiled bfloat16": (
        "bfloat16",
        "torch",
        ("--workers", "2", "--compiled", "--bfloat16"),
    ),
    "ONNX Runtime": ("float32", "onnx", ("--workers", "2")),
}
NEEDED = {
    "keras": ("tensorflow",),
    "torch": ("torch", "torchvision", "timm"),
    "onnx": ("torch", "torchvision", "timm", "onnxscript", "onnxruntime"),
}


@dataclass(frozen=True)
class Way:
    """One way to the features of all photos.

    Args:
        name: What a row is called.
        precision: In which it computes.
        run: Does it as a process; the number says which time it is, 0 the first ever.
    """

    name: str
    precision: str
    run: Callable[[int], Finished]


def main() -> None:
    """Print seconds of first and later runs, the ratios to the loops, and the engine's share."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "photos", N_PHOTOS)
        print(f"{N_PHOTOS} photos of 500x375, EfficientNetLite0 at 224, whole processes")
        ways = [*_ours(folder), *_others(folder)]
        first = {way.name: way.run(0) for way in ways}
        rounds, shares = [], []
        for number in range(1, N_ROUNDS + 1):
            before = ceiling(folder / "float32-0" / "models")
            rounds.append({way.name: way.run(number) for way in ways})
            engine = max(before, ceiling(folder / "float32-0" / "models"))
            shares.append(_shares(rounds[-1]["ours float32"], engine, decoding(folder / "photos")))
        _table(ways, first, rounds)
        alone, both = map(statistics.median, zip(*shares, strict=True))
        print(
            f"pictures a second while running / what the engine alone could do: median {alone:.2f};"
            f" / what engine and decoder could, on the same cores: {both:.2f}"
        )
        again = best_of([_features(folder / "float32-0", "float32") for _ in range(N_ROUNDS)])
        print(f"nothing to compute: {again.seconds:.2f} s, peak {_mebibytes(again)} MiB")


def _ours(folder: Path) -> list[Way]:
    def way(precision: str) -> Way:
        def run(number: int) -> Finished:
            cache = folder / f"{precision}-{number}"
            cache.mkdir()
            if number:  # what was converted once is there from then on
                os.symlink(folder / f"{precision}-0" / "models", cache / "models")
            return _features(cache, precision)

        return Way(f"ours {precision}", precision, run)

    left_out = () if installed("nncf") else ("int8",)
    for precision in left_out:
        print(f"left out, for nncf is not installed: ours {precision}")
    return [way(precision) for precision in PRECISIONS if precision not in left_out]


def _features(cache: Path, precision: str) -> Finished:
    photos = str(cache.parent / "photos")
    return pipeline("features", photos, "--cache", str(cache), "--precision", precision, "--json")


def _others(folder: Path) -> list[Way]:
    missing = {
        loop: [name for name in names if not installed(name)] for loop, names in NEEDED.items()
    }
    model = folder / "network.onnx"
    if not missing["onnx"]:
        python("-m", "benchmarks.loops", "write-onnx", "--model", str(model))

    def way(name: str, precision: str, loop: str, flags: tuple[str, ...]) -> Way:
        command = ["-m", "benchmarks.loops", loop, "--photos", str(folder / "photos"), *flags]
        command += ["--model", str(model)] if loop == "onnx" else []
        compiled = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor" / name.replace(" ", "-"))}
        kept = {} if loop == "keras" else KEPT_MEMORY | compiled
        return Way(name, precision, lambda number: python(*command, environment=kept))

    for name, (_, loop, _) in OTHERS.items():
        if missing[loop]:
            print(f"left out, for {', '.join(missing[loop])} is not installed: {name}")
    return [way(name, *what) for name, what in OTHERS.items() if not missing[what[1]]]


def _shares(run: Finished, engine: float, seconds: float) -> tuple[float, float]:
    """Return the rate's shares of the engine's, and of what it leaves with decoding beside it."""
    rate, both = run.json["images_per_second"], 1 / (1 / engine + seconds / core_count())
    print(
        f"ours float32 {rate:.0f} pictures/s; engine alone {engine:.0f}; decoding alone "
        f"{1000 * seconds:.2f} ms of a core a picture; both {both:.0f}",
        flush=True,
    )
    return rate / engine, rate / both


def _table(
    ways: list[Way], first: Mapping[str, Finished], rounds: list[Mapping[str, Finished]]
) -> None:
    """Print a row a way; ratios are taken within a round, and given as least, median, most."""
    print(f"{'':26} {'first s':>8} {'later s':>8} {'MiB':>5}  {KERAS} / this  best PyTorch / this")
    for way in ways:
        rivals = [
            other.name
            for other in ways
            if other.name.startswith("PyTorch") and other.precision == way.precision
        ]
        later = [round_[way.name] for round_ in rounds]
        print(
            f"{way.name:26} {first[way.name].seconds:8.1f} "
            f"{statistics.median(run.seconds for run in later):8.1f} "
            f"{max(map(_mebibytes, later)):5}  {_ratio(way.name, [KERAS], rounds)}  "
            f"{_ratio(way.name, rivals, rounds)}"
        )


def _ratio(name: str, others: list[str], rounds: list[Mapping[str, Finished]]) -> str:
    ratios = sorted(
        min(round_[other].seconds for other in others if other in round_) / round_[name].seconds
        for round_ in rounds
        if any(other in round_ for other in others)
    )
    if not ratios:
        return "–"
    return f"{ratios[0]:.2f} {statistics.median(ratios):.2f} {ratios[-1]:.2f}"


def _mebibytes(run: Finished) -> int:
    return run.peak_bytes >> 20


def ceiling(models: Path, **settings: object) -> float:
    """Return the pictures per second of the engine alone, on made input."""
    config = FeaturesConfig(**settings)
    base = frozen_base(config)
    engine = open_engine(base, "auto", "float32", config.batch_size, models)
    size = base.decoding.size
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 256, (engine.batch_size, size, size, 3), np.uint8)
    for _ in engine.run(iter([batch])):
        pass
    began = perf_counter()
    n_images = sum(len(outputs[0]) for outputs in engine.run([batch] * CEILING_BATCHES))
    return n_images / (perf_counter() - began)


def decoding(photos: Path) -> float:
    """Return the seconds of a core that reading and decoding a picture takes."""
    paths = sorted(photos.rglob("*.jpg"))
    recipe = frozen_base(FeaturesConfig()).decoding
    rows = (path.read_bytes() for path in paths)
    decode(next(rows), recipe)
    began = process_time()
    for data in rows:
        decode(data, recipe)
    return (process_time() - began) / (len(paths) - 1)
