"""What of the machine this process may use: cores, threads, memory, disk; in a container too."""

import math
import os
import shutil
from pathlib import Path

from pipeline.errors import InputError

CGROUPS = Path("/sys/fs/cgroup")

OWN_CGROUP = Path("/proc/self/cgroup")

MEMORY_INFO = Path("/proc/meminfo")


def core_count() -> int:
    """Return how many cores a CPU mask and a container's quota leave to this process.

    ``os.cpu_count`` knows neither, and joblib, which knows both, takes longer to import than
    20,000 unchanged files take to index. Its variable ``LOKY_MAX_CPU_COUNT`` counts here too.
    """
    limits = [len(usable_cores()), *_quotas()]
    wanted = os.environ.get("LOKY_MAX_CPU_COUNT", "")
    if wanted.isdecimal():
        limits.append(int(wanted))
    return max(1, min(limits))


def usable_cores() -> list[int]:
    """Return the numbers of the cores that a CPU mask leaves to this thread, ascending."""
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))


def free_bytes(place: Path) -> int:
    """Return what the disk of a file or folder, there already or not, can still take."""
    existing = place.absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def available_memory() -> int | None:
    """Return the bytes that this process may still take; None where the system does not say.

    What the system holds of files counts as available: it goes when memory is needed. A container
    counts it as used, so it is given back here.
    """
    lines = _text(MEMORY_INFO).splitlines()
    found = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    return max(0, min([*found, *_memory_limits()])) if found else None


def _memory_limits() -> list[int]:
    """Return what each control group around this process has left."""
    left = []
    for folder in _own_groups():
        limit, used = _text(folder / "memory.max").strip(), _text(folder / "memory.current").strip()
        if limit.isdecimal() and used.isdecimal():
            left.append(int(limit) - int(used) + _file_bytes(folder / "memory.stat"))
    return left


def _file_bytes(path: Path) -> int:
    rows = (line.split() for line in _text(path).splitlines())
    return sum(int(row[1]) for row in rows if row[0] in ("active_file", "inactive_file"))


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


N_WAITING_THREADS = 16
"""Where files come over a network, threads mostly wait."""


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
