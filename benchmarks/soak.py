"""Stage 1 under sudden death: killed at random until it has been killed often enough."""

import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

import numpy as np

from benchmarks.photos import write_photos
from pipeline.backbones.frozen import frozen_base
from pipeline.config import FeaturesConfig
from pipeline.images import index
from pipeline.store import FeatureCache

N_KILLS = 200
N_PHOTOS = 1000
SIZE = 96

# Small shards, so that every kill finds some finished and one being written.
EXTRACTION = """
import sys
import pipeline.store.writer as writer
writer.SHARD_BYTES = 1 << 17
from pipeline.cli import run
sys.exit(run(sys.argv[1:]))
"""


def main() -> None:
    """Kill, go on, compare with an undisturbed run; print what was found."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "photos", N_PHOTOS)
        _start(folder, "calm").wait()  # converts the base as well
        quickest = min(_seconds_undisturbed(folder, f"timed{i}") for i in range(3))
        kills = rounds = differing = doubled = missing = 0
        while kills < N_KILLS:
            cache = f"cache{rounds}"
            kills += _until_done(folder, cache, rng, quickest)
            found = _compare(folder, cache)
            missing, differing, doubled = (
                sum(pair) for pair in zip((missing, differing, doubled), found, strict=True)
            )
            rounds += 1
        print(
            f"{kills} kills in {rounds} runs of {N_PHOTOS} photos: {missing} rows lost, {doubled} "
            f"doubled, {differing} not bit-equal to an undisturbed run"
        )


def _start(folder: Path, cache: str) -> "subprocess.Popen[bytes]":
    flags = ["--image-size", str(SIZE), "--cache", str(folder / cache), "--quiet"]
    command = [sys.executable, "-c", EXTRACTION, "features", str(folder / "photos"), *flags]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _seconds_undisturbed(folder: Path, cache: str) -> float:
    _prepare(folder, cache)
    began = monotonic()
    _start(folder, cache).wait()
    return monotonic() - began


def _prepare(folder: Path, cache: str) -> None:
    (folder / cache).mkdir()
    (folder / cache / "models").symlink_to(folder / "calm" / "models")


def _until_done(folder: Path, cache: str, rng: random.Random, quickest: float) -> int:
    """Kill at a random moment and start again, until a run ends by itself; return the kills."""
    _prepare(folder, cache)
    kills = 0
    while True:
        process = _start(folder, cache)
        try:
            process.wait(rng.uniform(0.2, 1.0) * quickest)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        if process.returncode:
            raise RuntimeError(f"exit code {process.returncode}")
        return kills


def _compare(folder: Path, cache: str) -> tuple[int, int, int]:
    """Return the rows that are missing, that differ, and that are there twice."""
    base, _ = frozen_base(FeaturesConfig(image_size=SIZE))
    dataset = index(folder / "photos")
    calm, found = (FeatureCache(folder / name, base.recipe) for name in ("calm", cache))
    missing = int(np.sum(~found.has(dataset.digests)))
    if missing:
        return missing, 0, 0
    cut = base.recipe.cuts[0]
    one, other = (each.read(cut, dataset.digests) for each in (calm, found))
    differing = int(np.sum(np.any(one != other, axis=1)))
    return 0, differing, sum(found.engines().values()) - len(found)


if __name__ == "__main__":
    main()
