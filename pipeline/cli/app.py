"""The commands' common ground: the program itself, and what all of them can be told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import App, Parameter

from pipeline import __version__
from pipeline.api.progress import Quiet, Terminal
from pipeline.system.progress import Reporter

app = App(
    name="pipeline",
    help="Transfer learning for pictures: features once, classifiers often, fine-tuning last.",
    version=__version__,
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
)
app.meta.suppress_keyboard_interrupt = False

EXAMPLES: dict[str, tuple[str, ...]] = {}
"""Lines to type, by command; the help shows them, and a test parses them."""


def command(*examples: str, name: str | None = None) -> Callable[[Any], Any]:
    """Return a decorator that makes a command of a function, with examples in its help."""

    def register(function: Any) -> Any:
        known_as = name or function.__name__.replace("_", "-")
        EXAMPLES[known_as] = examples
        shown = "\n".join(["**Examples**", "", "```", *examples, "```"])
        return app.command(function, name=known_as, help_epilogue=shown)

    return register


TERMINAL, QUIET = Terminal(), Quiet()
"""What a command shows of its progress; however it ends, `launch.run` closes it."""

FLAT = Parameter(name="*")
"""Of settings: each is a flag of its own name."""
SWITCH = Parameter(negative="")
"""Of a flag that is off unless it is given, and so has no opposite."""
_PLACES = "Folder DATA/{train,validation,test}/CLASS/… or DATA/CLASS/…, .zip, .tar, .csv or URL."
Data = Annotated[str, Parameter(help=_PLACES)]


@FLAT
@dataclass(frozen=True, kw_only=True)
class Output:
    """What every command can be told about its output."""

    json: Annotated[bool, SWITCH] = False
    """Print one JSON value on stdout and nothing else."""

    quiet: Annotated[bool, SWITCH] = False
    """Show no progress and no notices, only warnings."""

    @property
    def silent(self) -> bool:
        """Whether progress stays unseen."""
        return self.quiet or self.json

    @property
    def reporter(self) -> Reporter:
        """Who is told how the work goes on."""
        return QUIET if self.silent else TERMINAL


DEFAULT_OUTPUT = Output()
