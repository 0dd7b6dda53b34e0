"""The parts of ``benchmarks gpu``, each a process: ``python -m benchmarks.gpu_parts PART JSON``."""

import gc
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, time
from typing import Any

import numpy as np

from benchmarks.gpu import BASES, PROCESSES, notes_of
from benchmarks.photos import write_photos
from pipeline.backbones.engines import Engine, open_engine
from pipeline.config import FeaturesConfig
from pipeline.features.base import FrozenBase, frozen_base
from pipeline.images import DecodeRecipe, RowLoader, load_batches
from pipeline.system.startup import import_keras

N_COMPARED = 8
BATCHES_IN_FLIGHT = 2
MEASURED_SECONDS = 1.5
FILES_SECONDS = 3.0
BATCHES = {True: (128, 256), False: (16,)}
"""Sizes tried with the first base; the first of them with others. With a card, and without."""
N_MADE = 400
"""Photos that are encoded; further ones have the same pixels and a comment of their own."""
DATA = "photos"
VIT = "ViT-S16"
"""A base that we make: Keras has none of its kind."""


def prepare(note: Callable[..., None], work: Path, n_photos: int) -> None:
    """Write photos."""
    room = shutil.disk_usage(work).free // 4
    n_photos = min(n_photos, room // 80_000)
    write_photos(work / DATA, min(N_MADE, n_photos))
    made = sorted((work / DATA).rglob("*.jpg"), key=_number)
    for number in range(len(made), n_photos):
        data = made[number % len(made)].read_bytes()
        comment = b"\xff\xfe\x00\x0a%08d" % number
        path = made[number % len(made)].with_name(f"{number}-again.jpg")
        path.write_bytes(data[:2] + comment + data[2:])
    note(photos=n_photos, bytes=sum(path.stat().st_size for path in made) // len(made))


def weights(note: Callable[..., None], work: Path, base: str) -> None:
    """Write seeded weights for a base that has none in a package."""
    import_keras()
    if base == VIT:
        _vision_transformer().save(_weights(work, base))
    else:
        _write_weights(base, _weights(work, base))
    note(base=base, bytes=_weights(work, base).stat().st_size)


def _weights(work: Path, base: str) -> Path:
    return work / (f"{base}.keras" if base == VIT else f"{base}.weights.h5")


def _vision_transformer(side: int = 224, patch: int = 16, width: int = 384, depth: int = 12) -> Any:
    """Return what computes as ViT-S/16 (Dosovitskiy et al. 2021) does; without positions."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    images = keras.Input((side, side, 3))
    x = layers.Conv2D(width, patch, strides=patch)(images)
    x = layers.Reshape(((side // patch) ** 2, width))(x)
    for _ in range(depth):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(width // 64, 64)(y, y)])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(y))
        x = layers.Add()([x, y])
    return keras.Model(images, layers.LayerNormalization(epsilon=1e-6)(x))


def _write_weights(base: str, path: Path) -> None:
    """Write weights of one seed: frameworks draw others from the same seed."""
    import keras

    from pipeline.backbones.build import _nothing_drawn

    with _nothing_drawn():
        model = getattr(keras.applications, base)(weights=None, include_top=False)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        shape, kind = variable.shape, variable.path.rpartition("/")[2]
        if kind == "kernel":  # He's, so that values neither vanish nor grow
            value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
        elif kind == "gamma":
            value = rng.uniform(0.5, 0.9, shape)
        else:
            value = np.full(shape, float(kind == "moving_variance"))
        variable.assign(value.astype(np.float32))
    model.save_weights(path)


def settings(work: Path, base: str, engine: str, **more: Any) -> dict[str, Any]:
    """Return the settings of stage 1 for a base."""
    path = _weights(work, base)
    given: dict[str, Any] = {"backbone": base, "engine": engine, "cache": work / "cache"}
    if base == VIT:
        given |= {"backbone": str(path), "preprocessing": "tf"}
    elif path.exists():
        given["weights"] = str(path)
    return given | more


def opened(work: Path, given: dict[str, Any]) -> tuple[Engine, FrozenBase]:
    """Return the engine and the base of some settings."""
    config = FeaturesConfig(**given)
    base = frozen_base(config)
    models = work / "models"
    return open_engine(base, config.engine, config.precision, config.batch_size, models), base


def reference(note: Callable[..., None], work: Path, engine: str, base: str) -> None:
    """Keep what an engine on the processor makes of a few photos."""
    images = _compared(work)
    running, _ = opened(work, settings(work, base, engine, batch_size=len(images)))
    (outputs,) = next(running.run(iter([images])))
    np.save(_reference(work, base), outputs)
    note(engine=engine, base=base)


def _reference(work: Path, base: str) -> Path:
    return work / f"reference-{base}.npy"


def difference(work: Path, base: str, running: Engine) -> float | None:
    """Return the greatest difference from the reference, as a share of the greatest value."""
    if not (path := _reference(work, base)).exists():
        return None
    expected, (found,) = np.load(path), next(running.run(iter([_compared(work)])))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _compared(work: Path) -> np.ndarray:
    """Return photos, and noise; uint8 (8, 224, 224, 3)."""
    paths = sorted((work / DATA).rglob("*.jpg"))[: N_COMPARED - 2]
    loader = RowLoader(lambda row: paths[row].read_bytes(), DecodeRecipe(224))
    (batch,) = load_batches(loader, range(len(paths)), len(paths))
    noise = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    return np.concatenate([batch.images, noise])


def decode(note: Callable[..., None], work: Path, n_cores: int) -> None:
    """Note how many pictures a second are decoded: by threads, and by as many processes."""
    note(by="one thread", rate=_decoded(work, 1))
    note(by=f"{n_cores} threads", rate=_decoded(work, n_cores))
    with get_context("spawn").Pool(n_cores) as processes:
        arguments = [(work, 1)] * n_cores
        processes.starmap(_decoded, arguments)  # all of them are there
        note(by=PROCESSES, rate=sum(processes.starmap(_decoded, arguments)))


def _decoded(work: Path, n_threads: int) -> float:
    paths = sorted((work / DATA).rglob("*.jpg"))
    loader = RowLoader(lambda row: paths[row].read_bytes(), DecodeRecipe(224))
    began, n_images = perf_counter(), 0
    while (seconds := perf_counter() - began) < FILES_SECONDS:
        for batch in load_batches(loader, range(len(paths)), 64, n_threads=n_threads):
            n_images += len(batch.rows)
            assert not batch.failed, batch.failed[0]
            if perf_counter() - began > FILES_SECONDS:
                break
    return n_images / seconds


def speed(
    note: Callable[..., None],
    work: Path,
    began: float,
    engine: str,
    base: str,
    decode_ceiling: float | None,
    has_card: bool,
) -> None:
    """Note ceiling, batch sizes, memory, agreement, and files to features, in each precision."""
    sizes = BATCHES[has_card][: None if base == BASES[0] else 1]
    for precision in _precisions(engine, base, has_card):
        rates: dict[int, float] = {}
        for size in sizes:
            given = settings(work, base, engine, precision=precision, batch_size=size)
            reset_card_memory(engine, has_card)
            running, frozen = opened(work, given)
            if has_card and not running.device.gpu:
                sys.exit(f"{engine} sees no GPU")
            side = frozen.decoding.size
            batch = np.random.default_rng(0).integers(0, 256, (size, side, side, 3), np.uint8)
            next(running.run(iter([batch])))
            if not rates and precision == "float32":
                note(first_feature=round(time() - began, 2), device=str(running.device))
            rates[size] = ceiling(running, batch)
            found = {"memory": card_memory(engine) if has_card else None}
            if size == sizes[0]:
                found["difference"] = difference(work, base, running)
            note(precision=precision, batch=size, ceiling=rates[size], **found)
            del running
            gc.collect()
        if precision != "float32" and not has_card:
            continue  # processors take minutes for it
        best = max(rates, key=lambda size: rates[size])
        given = settings(work, base, engine, precision=precision, batch_size=best)
        whole = files_to_features(work, given, rates[best])
        limit = min(rates[best], decode_ceiling or rates[best])
        share = whole["rate"] / limit
        note(precision=precision, batch=best, ceiling=rates[best], share=share, **whole)


def _precisions(engine: str, base: str, has_card: bool) -> Iterator[str]:
    yield "float32"
    if engine != "openvino" and (has_card or base.startswith("EfficientNetLite")):
        yield "mixed_float16" if has_card else "mixed_bfloat16"


def ceiling(engine: Engine, batch: np.ndarray) -> float:
    """Return the pictures a second of an engine whose pictures are on its device already."""
    began = perf_counter()
    if engine.name == "openvino":
        n_images = sum(len(part) for (part,) in engine.run(_repeated(batch, began)))
        return n_images / (perf_counter() - began)
    running: Any = engine
    placed = [running.place(batch, card) for card in range(engine.device.count)]
    for card, images in enumerate(placed):
        running.fetch(running.compute(images, card))
    began, n_images, in_flight = perf_counter(), 0, []
    while perf_counter() - began < MEASURED_SECONDS:
        card = n_images // len(batch) % len(placed)
        in_flight.append(running.compute(placed[card], card))
        n_images += len(batch)
        if len(in_flight) > len(placed):
            running.fetch(in_flight.pop(0))
    for step in in_flight:
        running.fetch(step)
    return n_images / (perf_counter() - began)


def _repeated(batch: np.ndarray, began: float) -> Iterator[np.ndarray]:
    while perf_counter() - began < MEASURED_SECONDS:
        yield batch


def files_to_features(work: Path, given: dict[str, Any], rate: float) -> dict[str, Any]:
    """Return how stage 1 as a whole does, on files for a few seconds of it.

    The rate is that of the last three quarters: what comes before waits for compiling. At the end
    batches come that nothing was started for.
    """
    import pipeline

    data = some_photos(work, int(rate * FILES_SECONDS))
    cache = work / "cache-of-files"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    (work / "models").mkdir(exist_ok=True)
    (cache / "models").symlink_to(work / "models")
    course: list[tuple[float, int]] = []

    def progress(done: int, total: int, what: str) -> None:
        if what == "features" and done >= total / 4:
            course.append((perf_counter(), done))

    done = pipeline.extract_features(data, **given | {"cache": cache}, progress=progress)
    assert done.where is not None
    course = course[: len(course) - BATCHES_IN_FLIGHT] or course[:1]
    (began, first), (ended, last) = course[0], course[-1]
    steady = (last - first) / (ended - began) if last > first else done.images_per_second
    waits = {name: round(value, 3) for name, value in done.where.items() if "waited" in name}
    return {"pictures": done.computed, "rate": steady, "whole": done.images_per_second, **waits}


def some_photos(work: Path, n_photos: int) -> Path:
    """Return a folder with the first photos, rounded up to a power of two, 64 at least."""
    paths = sorted((work / DATA).rglob("*.jpg"), key=_number)
    n_photos = min(len(paths), max(64, 1 << (max(n_photos, 1) - 1).bit_length()))
    folder = work / f"first-{n_photos}"
    for path in paths[:n_photos] if not folder.exists() else ():
        link = folder / path.relative_to(work / DATA)
        link.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, link)
    return folder


def _number(path: Path) -> int:
    """Return a photo's number: classes take turns."""
    return int(path.stem.partition("-")[0])


def reset_card_memory(engine: str, has_card: bool) -> None:
    """Let `card_memory` count from here, where the framework can."""
    if has_card and engine == "torch":
        import torch

        torch.cuda.reset_peak_memory_stats()
    elif has_card and engine == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.reset_memory_stats("GPU:0")


def card_memory(engine: str) -> int | None:
    """Return the most bytes that a framework had of its card; JAX since the process began."""
    if engine == "torch":
        import torch

        return int(torch.cuda.max_memory_allocated())
    if engine == "jax":
        import jax

        return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    import tensorflow as tf

    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def _run(part: str, given: dict[str, Any]) -> None:
    from benchmarks import gpu_others

    ours = {
        "prepare": prepare,
        "weights": weights,
        "reference": reference,
        "decode": decode,
        "speed": speed,
    }
    function: Any = ours.get(part) or getattr(gpu_others, part)
    wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
    values = {name: value for name, value in given.items() if name in wanted}
    with notes_of(given["notes"]) as note:
        function(note, **values | {"work": Path(given["work"])})


if __name__ == "__main__":
    _run(sys.argv[1], json.loads(sys.argv[2]))
