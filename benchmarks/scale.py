"""Memory, nothing to do, and one new picture, for few and for many pictures."""

import tempfile
from pathlib import Path

from benchmarks.photos import write_photos
from benchmarks.processes import best_of, pipeline, python

SIZES = (1_000, 20_000)
N_ROUNDS = 3

WITHOUT_TENSORFLOW = """
import sys
from pipeline.cli import run
code = run(sys.argv[1:])
heavy = {"tensorflow", "keras"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else code)
"""


def main() -> None:
    """Print a line per size and question."""
    with tempfile.TemporaryDirectory() as name:
        photos, cache = Path(name) / "photos", Path(name) / "cache"
        write_photos(photos, 8)
        command = ("features", str(photos), "--cache", str(cache), "--json")
        pipeline(*command)  # converts the base, once
        n_before = 8
        for n_photos in SIZES:
            write_photos(photos, n_photos - n_before, first=n_before)
            computed = pipeline(*command)
            rate = computed.json["images_per_second"]
            print(
                f"{n_photos} photos, {n_photos - n_before} of them new: {computed.seconds:.1f} s, "
                f"{rate:.0f} pictures/s, peak memory {computed.peak_bytes / 2**20:.0f} MiB"
            )
            runs = [python("-c", WITHOUT_TENSORFLOW, *command) for _ in range(N_ROUNDS)]
            again = best_of(runs)
            print(
                f"  nothing to do, no TensorFlow: {again.seconds:.2f} s (of {N_ROUNDS}, slowest "
                f"{max(run.seconds for run in runs):.2f}), {again.peak_bytes / 2**20:.0f} MiB"
            )
            write_photos(photos, 1, first=n_photos)
            one = python("-c", WITHOUT_TENSORFLOW, *command)
            print(f"  one new picture: {one.seconds:.2f} s, {one.json['computed']} computed")
            n_before = n_photos + 1
