"""Stage 1 in one process against ``--cluster local:N`` on the same cores, in interleaved pairs."""

import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.photos import write_photos
from benchmarks.processes import Finished, pipeline

N_PHOTOS = int(os.environ.get("PIPELINE_BENCH_PHOTOS", "3000"))
N_PAIRS = 5
N_WORKERS = 2


def main() -> None:
    """Print both rates of each pair, and the median ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "photos", N_PHOTOS)
        _features(folder, "first")  # converts the base, once
        print(
            f"{N_PHOTOS} photos of 500x375, EfficientNetLite0 at 224, one process against "
            f"{N_WORKERS} workers on {os.cpu_count()} cores"
        )
        pairs = [_pair(folder, number) for number in range(N_PAIRS)]
        running, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"workers / one process, pictures a second while running: median {running:.2f}")
        print(f"workers / one process, whole processes with start-up: median {whole:.2f}")


def _pair(folder: Path, number: int) -> tuple[float, float]:
    """Run both, in turns first; return how many times as fast the workers were."""
    flags: list[Sequence[str]] = [(), ("--cluster", f"local:{N_WORKERS}")]
    order = (0, 1) if number % 2 == 0 else (1, 0)
    runs = {kind: _features(folder, f"{number}-{kind}", *flags[kind]) for kind in order}
    alone, workers = runs[0], runs[1]
    rates = [run.json["images_per_second"] for run in (alone, workers)]
    ratios = rates[1] / rates[0], alone.seconds / workers.seconds
    print(
        f"  one process {rates[0]:.1f} pictures/s, {alone.seconds:.1f} s in all; workers "
        f"{rates[1]:.1f} pictures/s, {workers.seconds:.1f} s in all; ratios {ratios[0]:.2f} and "
        f"{ratios[1]:.2f}; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return ratios


def _features(folder: Path, cache: str, *flags: str) -> Finished:
    first = folder / "first" / "models"
    if first.is_dir():
        (folder / cache).mkdir()
        os.symlink(first, folder / cache / "models")
    return pipeline(
        "features", str(folder / "photos"), "--cache", str(folder / cache), "--json", *flags
    )
