"""Every setting with its default, as the TOML file that ``--config`` reads."""

import inspect
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pipeline import show
from pipeline.cli.app import DEFAULT_OUTPUT, Output, app, command
from pipeline.errors import InputError
from pipeline.files import atomic_path

WIDTH = 100
OF_OUTPUT = ("json", "quiet", "overwrite")
"""What belongs to one call and not into a file."""
TABLES = ("features", "classify", "finetune", "check", "predict", "export", "report")


@dataclass(frozen=True)
class Setting:
    """A flag without its dashes, its default, and its help."""

    name: str
    default: Any
    help: str


def settings_of(name: str) -> Iterator[Setting]:
    """Yield the settings of a command in the order of its help."""
    for argument in app[name].assemble_argument_collection(parse_docstring=True):
        default = argument.field_info.default
        known_as = argument.names[0].removeprefix("--")
        given = default is inspect.Parameter.empty or argument.children or known_as in OF_OUTPUT
        if not given:
            plain = str(default) if isinstance(default, Path) else default
            yield Setting(known_as, plain, str(argument.parameter.help))


def as_toml() -> str:
    """Return a TOML file of every default; what has none is commented out."""
    tables = ("\n".join([f"[{name}]", *map(_lines, settings_of(name))]) for name in TABLES)
    head = (
        "# Every setting with its default. Keep the lines that you change, and name the file with\n"
        "# --config FILE before or after a command. Flags on the command line win."
    )
    return "\n\n".join([head, *tables]) + "\n"


def _lines(setting: Setting) -> str:
    helped = textwrap.wrap(setting.help, WIDTH, initial_indent="# ", subsequent_indent="# ")
    if setting.default is None:
        return "\n".join([*helped, f"# {setting.name} ="])
    return "\n".join([*helped, f"{setting.name} = {_value(setting.default)}"])


def _value(value: Any) -> str:
    """Return a TOML value: JSON's text, numbers and truth values are TOML's as well."""
    return json.dumps(value, ensure_ascii=False)


@command(
    "pipeline config > pipeline.toml",
    "pipeline config --out pipeline.toml",
    "pipeline classify ~/pictures --config pipeline.toml",
)
def config(
    *,
    out: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Write every setting with its default and its help as a TOML file for --config.

    Args:
        out: File to write; printed when left out.
        overwrite: Replace the file if it is there.
    """
    values = {name: {s.name: s.default for s in settings_of(name)} for name in TABLES}
    if out is not None:
        _write(out.expanduser(), overwrite)
    told = {**values, "path": None if out is None else str(out)}
    show.result(told, output.json, lambda value: show.settings(value["path"], as_toml()))


def _write(out: Path, overwrite: bool) -> None:
    if out.exists() and not overwrite:
        raise InputError(
            f"expected a new file for --out, received {out}, which is there; name another, or add "
            f"--overwrite"
        )
    with atomic_path(out) as temporary:
        temporary.write_text(as_toml(), "utf-8")
