"""Parts of ``benchmarks gpu`` beside our own speed: a DataLoader loop, a kill, fine-tuning."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.gpu_parts import DATA, FILES_SECONDS, VIT, settings, some_photos
from pipeline.config import FeaturesConfig
from pipeline.features.base import frozen_base
from pipeline.system.startup import import_keras, installed

SIDE = 224
BATCH = {True: 256, False: 16}
WAIT_SECONDS = 60


class Photos:
    """Files as a user of PyTorch would read them: Pillow, resized, scaled by torchvision or not."""

    def __init__(self, paths: list[Path], scaled: bool) -> None:
        self.paths, self.scaled = paths, scaled

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Any:
        import torch

        with Image.open(self.paths[number]) as image:
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(small))
        return pixels.permute(2, 0, 1).float().div_(255) if self.scaled else pixels.float()


def loader(note: Callable[..., None], work: Path, base: str, has_card: bool, workers: int) -> None:
    """Note what a loop over a torch DataLoader does, with autocast and without."""
    import torch

    place = "cuda" if has_card and torch.cuda.is_available() else "cpu"
    model, what, scaled = _model(work, base)
    model = model.to(place, memory_format=torch.channels_last if scaled else None).eval()
    mixed = torch.float16 if place == "cuda" else torch.bfloat16
    # What PyTorch does by itself on a card is TF32; float32 is what ours computes in.
    kinds = {"float32": None, "TF32": None, f"autocast {mixed}": mixed}
    size = _batch_size(has_card, workers)
    for precision, dtype in kinds.items():
        if precision == "TF32" and place == "cpu":
            continue
        torch.backends.cuda.matmul.allow_tf32 = precision == "TF32"
        torch.backends.cudnn.allow_tf32 = precision == "TF32"
        paths = sorted((work / DATA).rglob("*.jpg"))
        given = torch.utils.data.DataLoader(
            Photos(paths, scaled), size, num_workers=workers, pin_memory=place == "cuda"
        )
        began, n_images, first = perf_counter(), 0, 0.0
        with torch.inference_mode(), torch.autocast(place, dtype, enabled=dtype is not None):
            for images in given:
                images = images.to(place, non_blocking=True)
                if scaled:
                    images = images.to(memory_format=torch.channels_last)
                model(images).float().cpu()
                first = first or perf_counter()
                n_images += len(images)
                if perf_counter() - began > 4 * FILES_SECONDS:
                    break
        now = perf_counter()
        started = n_images > size  # else there is one batch alone to tell a rate from
        rate = (n_images - size) / (now - first) if started else n_images / (now - began)
        note(base=base, precision=precision, model=what, rate=rate, start=first - began)


def _batch_size(has_card: bool, workers: int) -> int:
    """Return how many pictures the memory that workers share with us holds two batches of each."""
    room = shutil.disk_usage("/dev/shm").free if Path("/dev/shm").exists() else 0
    held = room // (2 * (workers + 1) * SIDE * SIDE * 3 * 4)
    return max(1, min(BATCH[has_card], held))


def _model(work: Path, base: str) -> tuple[Any, str, bool]:
    """Return torchvision's or timm's model, else Keras' on PyTorch; and whether it takes 0–1."""
    if installed("timm"):
        import timm

        names = {
            "EfficientNetLite0": "tf_efficientnet_lite0",
            "ResNet50": "resnet50",
            VIT: "vit_small_patch16_224",
        }
        name = names.get(base, base.lower())
        return timm.create_model(name, num_classes=0), f"timm {name}", True
    if installed("torchvision") and base in ("ResNet50", "VGG16"):
        import torch
        import torchvision

        model = getattr(torchvision.models, base.lower())(weights=None)
        if base == "VGG16":
            return torch.nn.Sequential(model.features, model.avgpool), "torchvision", True
        model.fc = torch.nn.Identity()
        return model, "torchvision", True
    import_keras("torch")
    model = frozen_base(FeaturesConfig(**settings(work, base, "torch"))).build()
    return model, "Keras on PyTorch (torchvision and timm have none here)", False


def kill(note: Callable[..., None], work: Path, engine: str, n_photos: int) -> None:
    """Kill stage 1 in the middle; note what of it is kept, and that going on completes it."""
    data, cache = some_photos(work, n_photos), work / "cache-of-killed"
    command = [sys.executable, "-m", "pipeline", "features", str(data), "--cache", str(cache)]
    # Large rows of little work, so that shards fill up.
    command += ["--engine", engine, "--layers", "block1", "--pooling", "none"]
    with (work / "killed.txt").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
    began = monotonic()
    while process.poll() is None and monotonic() - began < WAIT_SECONDS:
        if len(_shards(cache)) >= 2:
            break
        sleep(0.01)
    at_work = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_shards = len(_shards(cache))
    again = subprocess.run([*command, "--json"], capture_output=True, text=True)
    if again.returncode:
        sys.exit(again.stderr)
    done = json.loads(again.stdout)
    check = [sys.executable, "-m", "pipeline", "verify", "--cache", str(cache)]
    whole = subprocess.run(check, capture_output=True).returncode == 0
    note(
        killed_at_work=at_work,
        shards_then=n_shards,
        kept=done["reused"],
        computed_then=done["computed"],
        pictures=done["images"],
        whole=whole,
    )


def _shards(cache: Path) -> list[Path]:
    return list(cache.glob("*/shard-*.h5"))


def finetune(note: Callable[..., None], work: Path) -> None:
    """Note the seconds of an epoch of fine-tuning, on TensorFlow."""
    data, places = some_photos(work, 64), ["--cache", str(work / "cache"), "--runs", "runs"]
    for command in (
        ["classify", str(data), "--heads", "ridge"],
        ["finetune", "--anyway", str(data), "--epochs", "2"],
    ):
        began = perf_counter()
        said = subprocess.run(
            [sys.executable, "-m", "pipeline", *command, *places, "--json"],
            capture_output=True,
            text=True,
            cwd=work,
            env={**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", os.getcwd())},
        )
        if said.returncode:
            sys.exit(said.stderr)
        note(command=command[0], seconds=perf_counter() - began)
    epochs = json.loads(said.stdout).get("epochs")
    note(photos=len(list(data.rglob("*.jpg"))), epochs=epochs)
