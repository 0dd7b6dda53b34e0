"""Completion of commands and flags in a shell."""

from typing import Literal

from pipeline import show
from pipeline.cli.app import app, command


@command("pipeline completion bash >> ~/.bashrc", 'eval "$(pipeline completion zsh)"')
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that lets a shell complete commands and flags.

    Args:
        shell: Which shell.
    """
    show.text(app.generate_completion(shell=shell))
