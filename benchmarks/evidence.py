"""Whether the maps of `pipeline evidence` are faithful, what they cost, and how marks are found.

Deletion and insertion: Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of
black-box models", 2018. Squares of a picture lose their content (the picture's mean colour stands
there) in the order of a map, the most telling first, or get it back into a blurred picture. What is
printed is the mean probability of the answer along the way: a faithful map has a low one under
deletion and a high one under insertion. Grad-CAM: Selvaraju et al. 2017; of a linear head it is the
positive part of what the places of the highest cut add to the score.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.processes import Finished, pipeline
from pipeline.evidence.occlusion import Occlusion
from pipeline.evidence.shortcuts import PlaceShare, place_shares
from pipeline.heads import NetworkHead, parse_head
from pipeline.heads.fit import fit_head
from pipeline.heads.fitted import centred
from pipeline.heads.positions import regrid
from pipeline.heads.sample import Sample
from pipeline.images import decode
from pipeline.predict.labelling import Predictor, bundle_predictor
from pipeline.predict.origins import ExactOrigins, open_origins
from pipeline.runs import RunFolder, find_run

N_PICTURES, GRID, STEP, BATCH = 200, 7, 7, 32
LAYERS = ("top", "block5+top")
SQUARE, MARGIN = 32, 4
PER_CLASS, N_DRAWS = (80, 300), 3


def main() -> None:
    """Print curves, seconds, and how often a mark is found and clean pictures raise an alarm."""
    material = os.environ.get("PIPELINE_MATERIAL")
    if material is None:
        print("PIPELINE_MATERIAL is not set: no real photos")
        return
    with tempfile.TemporaryDirectory() as name:
        folder, photos = Path(name), Path(material) / "cats_dogs_small"
        for layers in LAYERS:
            run = _trained(folder, photos, layers)
            _curves(folder, run, sorted((photos / "test").rglob("*.jpg"))[:N_PICTURES], layers)
        _cost(folder, _trained(folder, photos, LAYERS[0]), Path(material))
        _alarms(folder, run=_trained(folder, photos, LAYERS[0]), material=Path(material))


def _trained(folder: Path, photos: Path, layers: str) -> RunFolder:
    places = ("--cache", str(folder / "features"), "--runs", str(folder / "runs"))
    flags = ("--layers", layers, "--heads", "logistic", *places, "--json")
    (row,) = pipeline("classify", str(photos), *flags).json["results"]
    return find_run(folder / "runs", row["run"])


def _curves(folder: Path, run: RunFolder, paths: list[Path], layers: str) -> None:
    bundle, models = run.bundle(), folder / "features" / "models"
    origins = open_origins(bundle, models, BATCH)
    assert origins is not None
    predictor = bundle_predictor(run.name, bundle, models, BATCH)
    images = np.stack([decode(path.read_bytes(), bundle.decoding) for path in paths])
    answers = predictor.probabilities(images).argmax(1)
    batches = [images[at : at + BATCH] for at in range(0, len(images), BATCH)]
    found = [one for part in origins.run(iter(batches)) for one in part]
    hidden = [one for part in Occlusion(predictor, GRID, BATCH).run(iter(batches)) for one in part]
    exact = [one.of([answer])[..., 0] for one, answer in zip(found, answers, strict=True)]
    covered = [one.of([answer])[..., 0] for one, answer in zip(hidden, answers, strict=True)]
    draw = np.random.default_rng(0)
    maps = {
        "exact": [regrid(one, (GRID, GRID)) for one in exact],
        "Grad-CAM-like, highest cut": _highest(origins, batches, answers),
        f"occlusion, {GRID**2 + 1} passes": covered,
        "random": [draw.random((GRID, GRID)) for _ in images],
    }
    for name, cells in maps.items():
        orders = [np.argsort(-one.ravel(), kind="stable") for one in cells]
        gone = _along(predictor, images, orders, answers, deleting=True)
        back = _along(predictor, images, orders, answers, deleting=False)
        print(f"{layers}, {name}: deletion {gone:.3f}, insertion {back:.3f}", flush=True)


def _highest(
    origins: ExactOrigins, batches: list[np.ndarray], answers: np.ndarray
) -> list[np.ndarray]:
    """Return the positive part of what the last cut's places add to the answer's score."""
    maps = np.concatenate([outputs[-1] for outputs in origins.engine.run(iter(batches))])
    kernel = origins.head.kernels[0][-maps.shape[3] :]
    sums = np.einsum("nhwc,cn->nhw", maps, kernel[:, answers])
    return [np.maximum(one, 0) for one in sums]


def _along(
    predictor: Predictor,
    images: np.ndarray,
    orders: list[np.ndarray],
    answers: np.ndarray,
    deleting: bool,
) -> float:
    """Return the mean probability of the answers while squares go, or come back, in an order."""

    def steps() -> Iterator[np.ndarray]:
        for image, order in zip(images, orders, strict=True):
            whole, empty = (image, _mean(image)) if deleting else (_blurred(image), image)
            yield np.stack([_mixed(whole, empty, order[:n]) for n in range(0, GRID**2 + 1, STEP)])

    probabilities = [
        predictor.judge([outputs[:, : len(predictor.classes)]])
        for outputs in predictor.outputs(steps())
    ]
    return float(
        np.mean([one[:, answer].mean() for one, answer in zip(probabilities, answers, strict=True)])
    )


def _mixed(image: np.ndarray, other: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return a picture that has some squares of another."""
    chosen = np.zeros(GRID**2, bool)
    chosen[cells] = True
    edge = -(-len(image) // GRID)
    where = np.kron(chosen.reshape(GRID, GRID), np.ones((edge, edge), bool))
    return np.where(where[: len(image), : len(image), None], other, image)


def _mean(image: np.ndarray) -> np.ndarray:
    return np.broadcast_to(image.mean((0, 1)).round().astype(np.uint8), image.shape)


def _blurred(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(len(image) / 16)))


def _cost(folder: Path, run: RunFolder, material: Path) -> None:
    """Print what 100 maps take beside labelling the same pictures, which no cache has seen."""
    pictures = sorted((material / "caltech10" / "test" / "airplanes").iterdir())[:100]
    places = ("--cache", str(folder / "features"), "--runs", str(folder / "runs"))
    words = (run.name, *map(str, pictures), *places, "--json")

    def maps(number: int) -> Finished:
        return pipeline("evidence", *words, "--out", str(folder / f"maps{number}"))

    drawn, labelled = [maps(one) for one in range(3)], [pipeline("predict", *words) for _ in "abc"]
    for name, runs in (("evidence", drawn), ("predict", labelled)):
        least = min(runs, key=lambda one: one.seconds)
        peak = max(one.peak_bytes for one in runs) >> 20
        print(f"100 pictures, {name}: {least.seconds:.2f} s (best of 3), peak {peak} MiB")


def _alarms(folder: Path, run: RunFolder, material: Path) -> None:
    """Print alarms in clean sets and in halves of one class, and marks found in such halves."""
    bundle = run.bundle()
    origins = open_origins(bundle, folder / "features" / "models", BATCH)
    assert origins is not None
    for most in PER_CLASS:
        halves = []
        for name in ("cats_dogs_small", "caltech10"):
            groups = sorted((material / name / "train").iterdir())
            paths = [sorted(group.iterdir())[:most] for group in groups]
            chosen = [one for one in paths if len(one) == most]
            images = [
                [decode(path.read_bytes(), bundle.decoding) for path in one] for one in chosen
            ]
            maps = [_maps(origins, one) for one in images]
            labels = np.repeat(np.arange(len(maps)), most)
            alarms = sum(bool(one.alarm) for one in _judged(np.concatenate(maps), labels, 0))
            print(f"{name}, {len(maps)} classes of {most}: {alarms} raise an alarm", flush=True)
            for own, clean in zip(images, maps, strict=True):
                square = _maps(origins, [_squared(image) for image in own])
                halves += [_halves(clean, square, seed) for seed in range(N_DRAWS)]
        clean, found = np.sum(halves, axis=0)
        print(f"halves of {most} pictures of a class: {clean} of {len(halves)} raise an alarm")
        print(f"with a square in one half: {found} of {len(halves)} for its corner", flush=True)


def _halves(clean: np.ndarray, square: np.ndarray, seed: int) -> tuple[bool, bool]:
    """Return whether random halves raise an alarm, and whether a mark in one of them is found."""
    labels = np.random.default_rng(seed).permutation(np.arange(len(clean)) % 2)
    marked = np.where(labels[:, None, None, None] == 1, square, clean)
    plain, told = ([one.alarm for one in _judged(m, labels, seed)] for m in (clean, marked))
    return any(plain), "in the upper left corner" in told


def _squared(image: np.ndarray) -> np.ndarray:
    made = image.copy()
    made[MARGIN : MARGIN + SQUARE, MARGIN : MARGIN + SQUARE] = (250, 220, 40)
    return made


def _maps(origins: ExactOrigins, images: list[np.ndarray]) -> np.ndarray:
    batches = (np.stack(images[at : at + BATCH]) for at in range(0, len(images), BATCH))
    return np.concatenate([outputs[-1] for outputs in origins.engine.run(batches)])


def _judged(maps: np.ndarray, labels: np.ndarray, seed: int) -> list[PlaceShare]:
    """Fit a head on two thirds of pictures and look at the evidence of the others."""
    order = np.random.default_rng(seed).permutation(len(maps))
    train, test = np.split(order, [2 * len(order) // 3])
    sample = Sample(maps[train].mean((1, 2)), labels[train], int(labels.max()) + 1, seed)
    head = fit_head(parse_head("logistic"), sample)
    assert isinstance(head, NetworkHead)
    kernel = centred(head).kernels[0] / (maps.shape[1] * maps.shape[2])
    return place_shares(maps[test] @ kernel, labels[test])
