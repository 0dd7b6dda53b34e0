"""Is there a GPU? Answered from the system, so that a machine without one never asks TensorFlow."""

import importlib.util
import os
from pathlib import Path

# What the drivers of NVIDIA (Linux, WSL) and AMD leave, seen without any library.
DEVICE_FILES = ("dev/nvidia0", "dev/nvidiactl", "proc/driver/nvidia/gpus", "dev/dxg", "dev/kfd")
METAL = "tensorflow_metal"


def may_have_gpu(system: Path = Path("/")) -> bool:
    """Return whether TensorFlow may find a GPU here; False is certain, True has to be asked.

    Args:
        system: The root of the file system to look at.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if importlib.util.find_spec(METAL):  # elsewhere TensorFlow knows a GPU by this plug-in alone
        return True
    return any((system / file).exists() for file in DEVICE_FILES)
