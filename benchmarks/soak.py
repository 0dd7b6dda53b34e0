"""Stage 1 under sudden death: killed at random until it has been killed often enough."""

import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.photos import write_photos
from pipeline.config import FeaturesConfig
from pipeline.features.base import frozen_base
from pipeline.features.store import FeatureCache
from pipeline.images import index

N_KILLS = 200
N_PHOTOS = 1000
SIZE = 96

# Small shards, so that every kill finds some finished and one being written.
EXTRACTION = """
import sys
import pipeline.features.store.writer as writer
writer.SHARD_BYTES = 1 << 17
from pipeline.cli import run
sys.exit(run(sys.argv[1:]))
"""


def main() -> None:
    """Kill, go on, compare with an undisturbed run; print what was found."""
    killer = Killer(random.Random(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "photos", N_PHOTOS)
        _start(folder, "calm").wait()  # converts the base as well
        n_runs = differing = doubled = missing = 0
        while killer.kills < N_KILLS:
            cache = f"cache{n_runs}"
            _until_done(folder, cache, killer)
            found = _compare(folder, cache)
            missing, differing, doubled = (
                sum(pair) for pair in zip((missing, differing, doubled), found, strict=True)
            )
            n_runs += 1
        print(
            f"{killer.kills} kills in {n_runs} runs of {N_PHOTOS} photos: {missing} rows lost, "
            f"{doubled} doubled, {differing} not bit-equal to an undisturbed run"
        )


class Killer:
    """Kills at random moments; learns how long it may wait, however fast the machine is today."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._longest, self.kills = rng, 2.0, 0

    def lets_live(self, process: "subprocess.Popen[bytes]") -> bool:
        """Wait, then kill; return whether the process was quicker."""
        try:
            process.wait(self._rng.uniform(0.1, 1.0) * self._longest)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.kills += 1
            self._longest *= 1.02
            return False
        self._longest *= 0.9
        return True


def _start(folder: Path, cache: str) -> "subprocess.Popen[bytes]":
    flags = ["--image-size", str(SIZE), "--cache", str(folder / cache), "--quiet"]
    command = [sys.executable, "-c", EXTRACTION, "features", str(folder / "photos"), *flags]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _until_done(folder: Path, cache: str, killer: Killer) -> None:
    """Start again and again, until a run ends by itself."""
    (folder / cache).mkdir()
    (folder / cache / "models").symlink_to(folder / "calm" / "models")
    process = _start(folder, cache)
    while not killer.lets_live(process):
        process = _start(folder, cache)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}")


def _compare(folder: Path, cache: str) -> tuple[int, int, int]:
    """Return the rows that are missing, that differ, and that are there twice."""
    base = frozen_base(FeaturesConfig(image_size=SIZE))
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
