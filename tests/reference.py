"""The tables of the reference that the code can write itself.

``python -m tests.reference`` writes them into their pages; a test says when a page is not what
the code would write.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.backbones import BACKBONES
from pipeline.cli.listings import TABLES, Setting, settings_of

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
MARKED = r"(<!-- written by python -m tests\.reference: {name} -->\n).*?(<!-- end -->\n)"


def settings() -> str:
    """Return a section for each command, with a row for each setting that is its own."""
    general = {setting.name for setting in settings_of("features")}
    return "\n".join(map(_section, TABLES, [set(), *[general] * (len(TABLES) - 1)]))


def _section(command: str, general: set[str]) -> str:
    found = {setting.name: setting for setting in settings_of(command)}
    inherits = bool(general) and general <= found.keys()
    told = "All settings of [features](#features), and:\n\n" if inherits else ""
    own = [setting for name, setting in found.items() if not (inherits and name in general)]
    return f"## {command}\n\n{told}{_table(('flag', 'default', ''), map(_setting, own))}"


def _setting(setting: Setting) -> tuple[str, str, str]:
    default = json.dumps(setting.default, ensure_ascii=False).strip('"')
    shown = "" if setting.default is None else f"`{default}`"
    return f"`--{setting.name}`", shown, " ".join(setting.help.split())


def backbones() -> str:
    """Return a row for each base of the catalog."""
    counted = "parameters without top"
    titles = ("backbone", "size", "smallest", "preprocessing", counted, "cut points")
    return _table(titles, [_backbone(row.to_dict()) for row in BACKBONES.values()])


def _backbone(row: Mapping[str, Any]) -> tuple[str, ...]:
    cuts = list(row["cut_points"])
    several = f"`{cuts[0]}` … `{cuts[-2]}`, `{cuts[-1]}`"
    sizes = (str(row["input_size"]), str(row["min_size"]))
    return f"`{row['name']}`", *sizes, row["preprocessing"], f"{row['n_parameters']:,}", several


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = [[*titles], *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in cells)


WRITTEN: Mapping[str, Callable[[], str]] = {"settings": settings, "backbones": backbones}


def page(name: str) -> tuple[Path, str]:
    """Return the page of a table, and its text with the table as the code writes it."""
    path = REFERENCE / f"{name}.md"
    marked = re.compile(MARKED.format(name=name), re.DOTALL)
    text, n_found = marked.subn(
        lambda found: f"{found[1]}\n{WRITTEN[name]()}\n{found[2]}", path.read_text("utf-8")
    )
    assert n_found == 1, f"expected one place for the table in {path}, found {n_found}"
    return path, text


if __name__ == "__main__":
    for name in WRITTEN:
        path, text = page(name)
        path.write_text(text, "utf-8")
