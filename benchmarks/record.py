"""Keep what a benchmark printed: ``python -m benchmarks speed | python benchmarks/record.py``."""

import datetime
import platform
import sys
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
LIBRARIES = (
    "openvino",
    "tensorflow",
    "numpy",
    "pillow",
    "scikit-learn",
    "simplejpeg",
    "cykooz-resizer",
)


def main() -> None:
    """Append the lines on stdin to RESULTS.md, with the day, the machine and the versions."""
    lines = [line.rstrip() for line in sys.stdin]
    if not any(lines):
        sys.exit("expected what a benchmark printed on stdin, received nothing")
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(f"\n## {datetime.date.today()}\n\n{_machine()}\n\n")
        file.writelines(f"    {line}\n" for line in lines)


def _machine() -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    return f"{_processor()}, Python {platform.python_version()}, {versions}"


def _processor() -> str:
    try:
        rows = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [row.partition(":")[2].strip() for row in rows if row.startswith("model name")]
    return f"{len(names)} cores of {names[0]}" if names else platform.machine()


if __name__ == "__main__":
    main()
