"""Decoding and resizing: version 1 of the rules against version 2, in turn, in one run."""

import io
import os
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np
from PIL import Image

from benchmarks.photos import write_photos
from benchmarks.processes import pipeline
from pipeline.config import FeaturesConfig
from pipeline.features.base import frozen_base
from pipeline.features.store.folders import prepare_folder
from pipeline.images import DecodeRecipe, decode

SIDE = 224
N_FILES = 40
N_ROUNDS = 15
N_PHOTOS = 500
N_PROCESSES = 3


def main() -> None:
    """Print ms of a core a picture, whole processes, and how far pixels are from each other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "photos", N_PHOTOS)
        paths = sorted((folder / "photos").rglob("*.jpg"))
        photos = [path.read_bytes() for path in paths[:N_FILES]]
        _compare("JPEG of 500x375", photos)
        _compare("JPEG of 2000x1500", [_stored(data, "JPEG", (2000, 1500)) for data in photos[:4]])
        _compare("PNG of 500x375", [_stored(data, "PNG", (500, 375)) for data in photos])
        _compare("PNG of 64x48", [_stored(data, "PNG", (64, 48)) for data in photos])
        _differences(photos)
        _processes(folder)


def _stored(data: bytes, kind: str, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.resize(size).save(buffer, kind, quality=90)
    return buffer.getvalue()


def _compare(what: str, files: Sequence[bytes]) -> None:
    """Print CPU time a picture of both versions, in the threads that decode for a run too."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def once(version: int) -> float:
            recipe = DecodeRecipe(SIDE, version=version)
            began = process_time()
            list(pool.map(lambda data: decode(data, recipe), files))
            return 1000 * (process_time() - began) / len(files)

        rounds = [(once(1), once(2)) for _ in range(1 + N_ROUNDS)][1:]
    old, new = (statistics.median(column) for column in zip(*rounds, strict=True))
    least = [min(column) for column in zip(*rounds, strict=True)]
    ratios = sorted(second / first for first, second in rounds)
    print(
        f"{what} to {SIDE}, ms of a core: version 1 {old:.2f} (least {least[0]:.2f}), "
        f"version 2 {new:.2f} (least {least[1]:.2f}); ratio of a round "
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        flush=True,
    )


def _differences(files: Sequence[bytes]) -> None:
    old, new = (
        np.stack([decode(data, DecodeRecipe(SIDE, version=version)) for data in files]).astype(int)
        for version in (1, 2)
    )
    difference = new - old
    print(
        f"grey levels between them: {np.abs(difference).max()} at most, mean "
        f"{difference.mean():+.1e}, {(difference != 0).mean():.1%} of values differ"
    )


def _processes(folder: Path) -> None:
    """Print whole processes of stage 1 by each version, in turn."""
    photos = str(folder / "photos")
    pipeline("features", photos, "--cache", str(folder / "first"), "--json")
    ratios, cores = [], {1: [], 2: []}
    for turn in range(N_PROCESSES):
        seconds = {}
        for version in (1, 2):
            cache = folder / f"begun-{turn}-{version}"
            cache.mkdir()
            os.symlink(folder / "first" / "models", cache / "models")
            base = frozen_base(FeaturesConfig(cache=cache))
            base = replace(base, decoding=replace(base.decoding, version=version))
            # A cache goes on with the version that it was begun with.
            (cache / base.recipe.id).mkdir()
            prepare_folder(cache / base.recipe.id, base.recipe)
            before = _children()
            run = pipeline("features", photos, "--cache", str(cache), "--json")
            cores[version].append(_children() - before)
            assert run.json["recipe"] == base.recipe.id
            seconds[version] = run.seconds
            print(
                f"  features of {N_PHOTOS} photos by version {version}: {run.seconds:.2f} s, "
                f"{cores[version][-1]:.2f} s of a core, "
                f"{run.json['images_per_second']:.0f} pictures/s, decoding "
                f"{1000 * run.json['where']['decoding'] / N_PHOTOS:.2f} ms a picture, peak "
                f"{run.peak_bytes / 2**20:.0f} MiB",
                flush=True,
            )
        ratios.append(seconds[1] / seconds[2])
    saved = 1000 * (statistics.median(cores[1]) - statistics.median(cores[2])) / N_PHOTOS
    print(
        f"version 1 / version 2, seconds of whole processes: {statistics.median(ratios):.2f}; "
        f"ms of a core saved a picture: {saved:.2f}"
    )


def _children() -> float:
    """Return the seconds of a core that all processes that were started and ended have used."""
    return os.times().children_user + os.times().children_system
