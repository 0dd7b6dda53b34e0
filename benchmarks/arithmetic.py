"""How much of the machine's own matrix multiplication the engine gets out of it."""

import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.speed import ceiling
from pipeline.config import FeaturesConfig
from pipeline.features.base import frozen_base

SIDE = 4096
N_ROUNDS = 3
BASES = (("VGG16", 150), ("ResNet50", 224), ("EfficientNetLite0", 224))


def main() -> None:
    """Print, for each base, its rate of arithmetic against that of SGEMM in the same round."""
    with tempfile.TemporaryDirectory() as folder:
        for backbone, size in BASES:
            settings = {"backbone": backbone, "image_size": size, "weights": "none"}
            per_picture = operations(FeaturesConfig(**settings))
            ceiling(Path(folder), **settings)  # converts
            for _ in range(N_ROUNDS):
                sgemm = max(sgemm_rate(), sgemm_rate())
                rate = ceiling(Path(folder), **settings)
                print(
                    f"{backbone} at {size}: {rate:.1f} pictures/s × {per_picture / 1e9:.2f} GFLOP "
                    f"= {rate * per_picture / 1e9:.0f} GFLOP/s; SGEMM {sgemm / 1e9:.0f} GFLOP/s; "
                    f"share {rate * per_picture / sgemm:.2f}"
                )


def sgemm_rate() -> float:
    """Return the floating-point operations per second of NumPy's float32 matrix product."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((SIDE, SIDE), np.float32) for _ in range(2))
    out = np.empty((SIDE, SIDE), np.float32)
    began = perf_counter()
    np.matmul(a, b, out=out)
    return 2 * SIDE**3 / (perf_counter() - began)


def operations(config: FeaturesConfig) -> float:
    """Return the operations of one picture: two for each multiply-add of convolutions."""
    from pipeline.system.startup import import_tensorflow

    import_tensorflow()
    model = frozen_base(config).build()
    total = 0
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and len(layer.output.shape) == 4:
            _, height, width, _ = layer.output.shape
            # A kernel is (h, w, in, out); depthwise ones are (h, w, channels, 1).
            total += 2 * height * width * int(np.prod(kernel.shape))
    return float(total)
