"""How many threads to read and decode with."""

import math
import os
from pathlib import Path

from pipeline.errors import InputError

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def thread_count(n_threads: int | None) -> int:
    """Return ``n_threads``, or one a core that this process may use where it is None.

    Raises:
        InputError: If it is below 1.
    """
    if n_threads is None:
        return core_count()
    if n_threads < 1:
        raise InputError(f"expected one thread or more; received n_threads={n_threads!r}")
    return n_threads


def core_count() -> int:
    """Return how many cores a CPU mask and a container's quota leave to this process.

    ``os.cpu_count`` knows neither, and joblib, which knows both, takes longer to import than
    20,000 unchanged files take to index. Its variable ``LOKY_MAX_CPU_COUNT`` counts here too.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    limits = [len(affinity(0)) if affinity else os.cpu_count() or 1, *_quotas()]
    wanted = os.environ.get("LOKY_MAX_CPU_COUNT", "")
    if wanted.isdecimal():
        limits.append(int(wanted))
    return max(1, min(limits))


def _quotas() -> list[int]:
    """Return the CPU quotas of this process's control groups, in whole cores."""
    texts = [_text(folder / "cpu.max").split() for folder in _own_groups()]
    version_1 = [_text(CGROUPS / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    pairs = [pair for pair in (*texts, version_1) if len(pair) == 2]
    return [
        math.ceil(int(quota) / int(period))
        for quota, period in pairs
        if quota.strip().isdecimal() and period.strip().isdecimal() and int(period)
    ]


def _own_groups() -> list[Path]:
    """Return the folders of the control group (version 2) and of those around it."""
    lines = _text(OWN_CGROUP).splitlines()
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    folder = CGROUPS / own.lstrip("/")
    return [parent for parent in (folder, *folder.parents) if parent.is_relative_to(CGROUPS)]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):  # another system, or no such limit
        return ""
