"""The gate that a converted model has to pass: pictures, and how far outputs are apart."""

import numpy as np

from pipeline.backbones.engines.network import Network, Outputs


def parity_images(size: int) -> np.ndarray:
    """Return pictures that use the whole range: smooth, noisy, black and white.

    Returns:
        uint8 (4, size, size, 3), the same at every call.
    """
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, size)
    down, right = np.meshgrid(ramp, ramp, indexing="ij")
    smooth = np.stack([down, right, right[:, ::-1]], -1)
    noise = rng.integers(0, 256, (2, size, size, 3))
    checks = np.indices((size, size)).sum(0)[..., None] // 16 % 2 * np.full(3, 255)
    return np.stack([smooth, *noise, checks]).astype(np.uint8)


def differences(reference: Outputs, outputs: Outputs, network: Network) -> dict[str, float]:
    """Return, for each output, max |a − b| / max |a|; infinite where a value is not finite."""
    found = {}
    for name, expected, received in zip(network.outputs, reference, outputs, strict=True):
        greatest = float(np.abs(expected).max()) or 1.0
        difference = float(np.abs(expected - received).max()) / greatest
        found[name] = difference if np.isfinite(difference) else float("inf")
    return found
