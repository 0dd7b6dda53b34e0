"""From what was typed to an exit code: signals, notices, the file of settings, errors."""

import logging
import signal
import tomllib
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

from cyclopts import CycloptsError, Parameter
from cyclopts.config import Toml

from pipeline.cli import show
from pipeline.cli.app import TERMINAL, app
from pipeline.errors import InputError, PipelineError, UnknownNameError
from pipeline.system.files import EXHAUSTED, unreadable


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    _log_to_stderr()
    try:
        code = app.meta(arguments)
    except (PipelineError, CycloptsError) as error:
        show.error(str(error))
        return 2
    except (OSError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno not in EXHAUSTED:
            raise
        show.error(str(unreadable(getattr(error, "filename", None) or "what is needed", error)))
        return 2
    except KeyboardInterrupt:
        show.error("interrupted: features and runs that were finished are kept and not made again")
        return 130
    finally:
        TERMINAL.close()
    if code == 1:  # it was done, and something was found
        return 1
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


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
    quiet = "--quiet" in tokens
    logging.getLogger("pipeline").setLevel(logging.WARNING if quiet else logging.INFO)
    if config is not None:
        _check_tables(config)
    if config is None:
        return app(tokens)
    app.config = (_Settings(config, must_exist=True),)
    try:
        return app(tokens)
    finally:
        app.config = ()


class _Settings(Toml):
    """A file of settings; a list in it stands for what a flag separates by commas."""

    @property
    def config(self) -> dict[str, Any]:
        """The tables of the file."""
        return {
            name: {key: _with_commas(key, value) for key, value in table.items()}
            for name, table in super().config.items()
        }


def _with_commas(key: str, value: Any) -> Any:
    several = isinstance(value, list) and key not in ("paths", "run")
    return ",".join(map(str, value)) if several else value


def _check_tables(path: Path) -> None:
    """Refuse tables that are no commands, and keys outside a table: both would be ignored."""
    if not path.is_file():
        raise InputError(f"expected a TOML file, received config={path}, which is not there")
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"expected a TOML file, received config={path}: {error}") from error
    commands = sorted(name for name in app if not name.startswith("-"))
    for name, value in tables.items():
        if name not in commands or not isinstance(value, dict):
            hint = "tables are named after commands; `pipeline --help` lists them"
            raise UnknownNameError(f"table in {path}", name, commands, hint)
