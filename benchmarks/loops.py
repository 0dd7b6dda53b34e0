"""What a user would write instead of stage 1, as processes: ``python -m benchmarks.loops LOOP``.

Each reads a folder of photos with the framework's own loader and puts them through
EfficientNet-Lite0 at 224. PyTorch's takes timm's copy of the network, ONNX Runtime's a file of it.
"""

import argparse
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

SIDE = 224
BATCH = 32
NETWORK = "efficientnet_lite0"


def keras_loop(asked: argparse.Namespace) -> None:
    """Predict a Keras dataset, as the tutorials have it."""
    import keras

    from pipeline.backbones import Cut, parse_backbone, resolve_weights
    from pipeline.backbones.build import build_extractor

    spec = parse_backbone("EfficientNetLite0")
    model = build_extractor(spec, resolve_weights(spec), SIDE, [Cut("top")])
    pictures = keras.utils.image_dataset_from_directory(
        asked.photos, image_size=(SIDE, SIDE), shuffle=False, verbose=False
    )
    model.predict(pictures, verbose=0)


def torch_loop(asked: argparse.Namespace) -> None:
    """Run a model in evaluation mode over a DataLoader, channels last."""
    import torch

    model = _timm_model().to(memory_format=torch.channels_last)
    if asked.compiled:
        model = torch.compile(model)
    bfloat16 = torch.autocast("cpu", torch.bfloat16) if asked.bfloat16 else nullcontext()
    with torch.inference_mode(), bfloat16:
        for images in _batches(asked):
            model(images.to(memory_format=torch.channels_last)).float()


def onnx_loop(asked: argparse.Namespace) -> None:
    """Run an ONNX Runtime session on what a DataLoader reads."""
    import onnxruntime

    session = onnxruntime.InferenceSession(asked.model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for images in _batches(asked):
        session.run(None, {name: images.numpy()})


def write_onnx(asked: argparse.Namespace) -> None:
    """Write the file that ``onnx_loop`` reads, for batches of any size."""
    import torch

    example = torch.zeros(2, 3, SIDE, SIDE)
    any_size = {0: torch.export.Dim("batch")}
    program = torch.onnx.export(
        _timm_model(), (example,), dynamo=True, dynamic_shapes=(any_size,), verbose=False
    )
    program.save(asked.model)


def _timm_model() -> Any:
    """Make the network with random weights: they do not decide what it takes."""
    import timm

    return timm.create_model(NETWORK, num_classes=0).eval()


def _batches(asked: argparse.Namespace) -> Iterator[Any]:
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import Compose, Normalize, Resize, ToTensor

    steps = Compose([Resize((SIDE, SIDE)), ToTensor(), Normalize([0.498] * 3, [0.502] * 3)])
    loader = DataLoader(ImageFolder(asked.photos, steps), BATCH, num_workers=asked.workers)
    return (images for images, _ in loader)


LOOPS = {"keras": keras_loop, "torch": torch_loop, "onnx": onnx_loop, "write-onnx": write_onnx}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")
    given = parser.parse_args()
    LOOPS[given.loop](given)
