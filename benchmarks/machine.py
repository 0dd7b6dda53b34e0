"""What a machine is, told by the system and by what is installed; nothing is imported for it."""

import platform
import subprocess
from datetime import date
from importlib import metadata
from typing import Any

from benchmarks.record import _processor
from pipeline import __version__
from pipeline.system.machine import core_count

PACKAGES = (
    "tensorflow", "jax", "jaxlib", "torch", "torchvision", "timm", "keras", "openvino", "numpy",
    "h5py", "pillow", "simplejpeg", "cykooz-resizer", "scikit-learn",
)  # fmt: skip


def cards() -> list[dict[str, str]]:
    """Return name, memory and driver of each NVIDIA card, as the driver's own tool says."""
    fields = ("name", "memory.total", "driver_version")
    query = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in said.splitlines() if line]
    return [dict(zip(("name", "memory", "driver"), row, strict=True)) for row in rows]


def machine() -> dict[str, Any]:
    """Return what results mean nothing without."""
    return {
        "date": str(date.today()),
        "cards": cards(),
        "cores": core_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "pipeline": __version__,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
