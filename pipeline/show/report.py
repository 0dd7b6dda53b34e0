"""How a written report looks: where it is, what is in it, what could not be shown and why."""

from collections.abc import Mapping
from typing import Any

from pipeline.show.results import left_out
from pipeline.units import counted, size_text

Value = Mapping[str, Any]


def report(value: Value) -> None:
    """Say what was written, and what is missing with the command that would make it."""
    n, n_all = value["pictures"], value["pictures_in_all"]
    pictures = counted(n, "picture") if n == n_all else f"{n} of {n_all} pictures"
    print(
        f"{value['path']}: {counted(len(value['runs']), 'run')}, {len(value['detailed'])} in "
        f"detail, {pictures}, {size_text(value['bytes'])}"
    )
    left_out(value["failed"])
    for one in value["missing"]:
        way_out = f"; {one['command']}" if one["command"] else ""
        print(f"without {one['section']} of {one['about']}: {one['reason']}{way_out}")
