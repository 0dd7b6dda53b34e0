"""Which GPUs a process may use, without any library: one worker is started for each."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

DEVICE = re.compile(r"nvidia(\d+)")


def visible_gpus(
    system: Path = Path("/"), environment: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Return the GPUs as ``CUDA_VISIBLE_DEVICES`` names them, in its order.

    Args:
        system: The root of the file system to look at.
        environment: Where ``CUDA_VISIBLE_DEVICES`` may narrow them down.
    """
    allowed = environment.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        names = [name.strip() for name in allowed.split(",")]
        end = names.index("-1") if "-1" in names else len(names)  # CUDA ignores what follows it
        return tuple(name for name in names[:end] if name)
    found = (DEVICE.fullmatch(path.name) for path in (system / "dev").glob("nvidia*"))
    return tuple(map(str, sorted(int(match[1]) for match in found if match)))
