"""Unpack the wheels that this Python lacks: ``python unpack.py WHEELS SITE``."""

import platform
import re
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

PYTHONS = ((3, 11), (3, 13))
OURS = ("keras",)
"""Taken from here always: an image's may be too old."""


def main() -> None:
    """Unpack, and say what and why."""
    wheels, site = map(Path, sys.argv[1:])
    version = sys.version_info[:2]
    if not PYTHONS[0] <= version <= PYTHONS[1]:
        sys.exit(
            f"expected Python 3.11 to 3.13, received {platform.python_version()}; say which with "
            f"PYTHON=/path/to/python"
        )
    site.mkdir(parents=True)
    for path in sorted(wheels.glob("*.whl")):
        name, _, _, abi, _ = path.stem.split("-", 4)
        if abi not in ("none", "abi3", "cp{}{}".format(*version)):
            continue
        with zipfile.ZipFile(path) as wheel:
            modules = _modules(wheel.namelist())
            if name in OURS or not all(find_spec(module) for module in modules):
                wheel.extractall(site)
                print(f"unpacked {path.name}")
            else:
                print(f"{name}: there already")


def _modules(files: list[str]) -> set[str]:
    """Return what can be imported of a wheel's files."""
    tops = {re.split(r"[/.]", file)[0] for file in files if file.endswith((".py", ".so"))}
    return {top for top in tops if top.isidentifier()}


if __name__ == "__main__":
    main()
