"""From what was typed to an exit code: signals, notices, the file of settings, errors."""

import logging
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from cyclopts import App, ArgumentCollection, CycloptsError, Parameter
from cyclopts.config import Toml
from cyclopts.exceptions import UnknownOptionError, UnusedCliTokensError

from pipeline.cli import show
from pipeline.cli.app import TERMINAL, app
from pipeline.errors import InputError, PipelineError, UnknownNameError
from pipeline.system.files import EXHAUSTED, read_file, unreadable
from pipeline.system.processes import interrupt_on_signals
from pipeline.system.units import named

MOST_BYTES = 1 << 20


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    interrupt_on_signals()
    _log_to_stderr()
    try:
        os.getcwd()
    except OSError:
        show.error("the folder that this terminal is in was removed: change into one that exists")
        return 2
    try:
        code = app.meta(arguments)
    except CycloptsError as error:
        show.error(_told(error, arguments))
        return 2
    except PipelineError as error:
        show.error(str(error))
        return 2
    except (OSError, MemoryError) as error:
        name = getattr(error, "filename", None)
        if isinstance(error, OSError) and name is None and error.errno not in EXHAUSTED:
            raise
        show.error(str(unreadable(name or "what is needed", error)))
        return 2
    except (KeyboardInterrupt, SystemError) as error:
        # A library in C that goes on for a while makes a SystemError of it.
        if not any(isinstance(one, KeyboardInterrupt) for one in (error, error.__cause__)):
            raise
        show.error("interrupted: features and runs that were finished are kept and not made again")
        return 130
    finally:
        TERMINAL.close()
    if code == 1:  # it was done, and something was found
        return 1
    return 0


def _told(error: CycloptsError, arguments: Sequence[str]) -> str:
    """Return what is wrong with what was typed, by the names that were typed."""
    if isinstance(error, UnusedCliTokensError):
        return (
            f"expected nothing more, received {named(error.unused_tokens or ())}: put quotes "
            f"around a path with spaces; --help says what the command takes"
        )
    if "-" in arguments and isinstance(error, UnknownOptionError):
        return "expected files or folders, received -: nothing is read from standard input"
    labels = any(typed.partition("=")[0] == "--labels" for typed in arguments)
    return str(error).replace("--corrections", "--labels") if labels else str(error)


def _log_to_stderr() -> None:
    logger = logging.getLogger("pipeline")
    logger.handlers = [show.LogHandler()]
    logger.propagate = False
    logger.setLevel(logging.INFO)


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Path | None = None,
) -> Any:
    """Read a TOML file of settings, then run the command.

    Args:
        tokens: The command and its arguments.
        config: TOML file; a table per command, keys as the flags; pipeline config writes one.
    """
    _refuse_empty(tokens)
    # What is filled in by hand goes by either name.
    tokens = tuple(re.sub(r"^--labels(?==|$)", "--corrections", token) for token in tokens)
    quiet = "--quiet" in tokens
    logging.getLogger("pipeline").setLevel(logging.WARNING if quiet else logging.INFO)
    if config is not None:
        _check_tables(config)
    files = () if config is None else (_Settings(config, must_exist=True),)
    app.config = (*files, _refuse_fractions)
    try:
        return app(tokens)
    finally:
        app.config = ()


def _refuse_empty(tokens: Sequence[str]) -> None:
    """Refuse an empty text, such as a shell makes of a variable that is not set.

    As a path it would mean the folder that one is in.
    """
    for before, token in zip(("", *tokens), tokens, strict=False):
        flag, _, value = token.partition("=")
        if not token.strip() or (flag != token and flag.startswith("--") and not value.strip()):
            raise InputError(
                f"expected a value after {flag.strip() or before or 'pipeline'}, received an empty "
                f"text: give one, or leave it out; a dot is the folder that you are in"
            )


def _refuse_fractions(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse a fraction for a whole number, wherever it is from: it would be rounded unseen."""
    for argument in arguments:
        whole = int in (get_args(argument.hint) or (argument.hint,))
        for value in (token.value for token in argument.tokens if whole):
            if "." in value:
                name = argument.name.lstrip("-").replace("-", "_")
                raise InputError(f"expected {name} as a whole number, received {name}={value}")


_RUNS_CODE = {
    "--heads": (lambda value: ":" in value, "names of modules, which are imported"),
    "--trust": (lambda value: value.lower() != "false", "trust, by which a pickle runs its code"),
    "--cluster": (lambda value: "://" in value, "the address of a scheduler, whose code is run"),
}
"""Flags by which others' code comes to be run, and at which values."""


class _Settings(Toml):
    """A file of settings; a list in it stands for what a flag separates by commas."""

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Give a command the settings of its table; refuse what makes code of a file's choice run.

        Raises:
            InputError: That has to be typed by whoever answers for it.
        """
        super().__call__(app, commands, arguments)
        for argument in arguments:
            runs_code, what = _RUNS_CODE.get(argument.name, (None, ""))
            said = [one.value or str(one.implicit_value) for one in argument.tokens]
            from_here = argument.tokens and argument.tokens[0].source == self.source
            if runs_code and from_here and any(map(runs_code, said)):
                raise InputError(
                    f"expected settings that run no code of others in config={self.path}, received "
                    f"{what}; type {argument.name} on the command line instead"
                )

    @property
    def config(self) -> dict[str, Any]:
        """The tables of the file."""
        read = {
            name: {key: _with_commas(key, value) for key, value in table.items()}
            for name, table in super().config.items()
        }
        _refuse_empty(
            [f"--{key}={value}" for table in read.values() for key, value in table.items()]
        )
        return read


def _with_commas(key: str, value: Any) -> Any:
    several = isinstance(value, list) and key not in ("paths", "run")
    return ",".join(map(str, value)) if several else value


def _check_tables(path: Path) -> None:
    """Refuse tables that are no commands, and keys outside a table: both would be ignored."""
    if not path.is_file():
        raise InputError(f"expected a TOML file, received config={path}, which is not there")
    try:
        tables = tomllib.loads(read_file(path, MOST_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"expected a TOML file, received config={path}: {error}") from error
    commands = sorted(name for name in app if not name.startswith("-"))
    for name, value in tables.items():
        if name not in commands or not isinstance(value, dict):
            hint = "tables are named after commands; `pipeline --help` lists them"
            raise UnknownNameError(f"table in {path}", name, commands, hint)
