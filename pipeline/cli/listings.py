"""What there is: runs, backbones and their layers, commands and flags, settings with defaults."""

import inspect
import json
import logging
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pipeline.cli import show
from pipeline.cli.app import DEFAULT_OUTPUT, FLAT, SWITCH, Output, app, command
from pipeline.config import RUNS, ReportConfig, side_of
from pipeline.errors import InputError
from pipeline.system.files import check_free, expanded, output_path

logger = logging.getLogger(__name__)


@command(
    "pipeline compare",
    "pipeline compare --runs /data/runs --json",
)
def compare(*, runs: Path = RUNS, output: Output = DEFAULT_OUTPUT) -> int:
    """List the runs, best first, with how sure the differences between them are.

    Args:
        runs: Folder of the runs.

    Returns:
        The exit code: 1 where runs were left out, as they were altered.
    """
    from pipeline.runs import leaderboard, whole_runs

    if not runs.is_dir():
        raise InputError(
            f"expected a folder of runs, received runs={runs}, which is not there; run `pipeline "
            f"classify DATA` first, or name another folder with --runs"
        )
    whole, altered = whole_runs(runs, predictions=True)
    rows = [one.to_dict() for table in leaderboard(whole) for one in table]
    if altered and not rows:
        raise altered[0]
    if not rows:
        raise InputError(
            f"expected runs to compare in {runs}, received none: run `pipeline classify DATA` "
            f"first, or name another folder with --runs"
        )
    left_out = {"left_out": list(map(str, altered))} if altered else {}
    show.result({"runs": rows, **left_out}, output.json, show.leaderboard)
    for error in altered[:3]:
        logger.warning("left out: %s", error)
    if len(altered) > 3:
        logger.warning("left out: %d more that were altered", len(altered) - 3)
    return 1 if altered else 0


@FLAT
@dataclass(frozen=True, kw_only=True)
class ReportFlags(ReportConfig):
    """Settings of the report."""

    evidence: Annotated[bool, SWITCH] = ReportConfig.evidence
    overwrite: Annotated[bool, SWITCH] = ReportConfig.overwrite


@command(
    "pipeline report --out report.html",
    "pipeline report best --out best.html --map pca,tsne",
    "pipeline report best --out best.html --evidence",
)
def report(
    *run: str, out: Path, config: ReportFlags = ReportFlags(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Write one HTML file about runs: figures, pictures, findings, maps; it needs no network.

    Args:
        run: Names or folders of runs, or best; none for all, the best of each data set in detail.
        out: File that ends in .html.
    """
    from pipeline.report import write_report

    written = write_report(config, run, expanded(out), output.reporter)
    show.result(written.to_dict(), output.json, show.report)


@command(
    "pipeline backbones",
    "pipeline backbones --json",
)
def backbones(*, output: Output = DEFAULT_OUTPUT) -> None:
    """List the backbones with their input sizes, preprocessing, parameters and cut points."""
    from pipeline.backbones import BACKBONES

    rows = [backbone.to_dict() for backbone in BACKBONES.values()]
    show.result({"backbones": rows}, output.json, show.backbones)


@command(
    "pipeline summary MobileNetV2",
    "pipeline summary MobileNet --top",
    'pipeline summary "MobileNet(alpha=0.25)" --image-size 160',
    "pipeline summary network.onnx",
)
def summary(
    backbone: str,
    *,
    image_size: int | str | None = None,
    top: Annotated[bool, SWITCH] = False,
    runs: Path = RUNS,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """List a backbone's layers, shapes, parameters and named cut points.

    Args:
        backbone: Name, arguments in brackets: "MobileNet(alpha=0.25)"; or a network of your own,
            as --backbone of `pipeline features` takes it.
        image_size: Side in pixels of the input; the backbone's own when left out.
        top: List the whole network, with the top that tells ImageNet's 1,000 classes.
        runs: Folder of the runs, for run:NAME.
    """
    from pipeline.backbones import find_base, summarize
    from pipeline.backbones.summary import summarize_graph

    side = side_of(image_size)
    found = find_base(backbone, size=side, runs=runs, listing=True)
    if found.graph is not None:
        summarized = summarize_graph(found.spec, found.graph)
    else:
        summarized = summarize(found.spec, side, top)
    show.result(summarized.to_dict(), output.json, show.layers)


@command("pipeline completion bash >> ~/.bashrc", 'eval "$(pipeline completion zsh)"')
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that lets a shell complete commands and flags.

    Args:
        shell: Which shell.
    """
    show.text(app.generate_completion(shell=shell))


WIDTH = 100

OF_OUTPUT = ("json", "quiet", "overwrite", "unlabelled")
"""What belongs to one call and not into a file."""

TABLES = (
    *("features", "classify", "finetune", "check", "similar", "suggest", "label"),
    *("predict", "evidence", "export", "report"),
)


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
        typed = known_as in OF_OUTPUT or not argument.names[0].startswith("--")
        given = default is inspect.Parameter.empty or argument.children or typed
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
    # JSON's texts, numbers and truth values are TOML's as well.
    value = json.dumps(setting.default, ensure_ascii=False)
    return "\n".join([*helped, f"{setting.name} = {value}"])


@command(
    "pipeline config > pipeline.toml",
    "pipeline config --out pipeline.toml",
    "pipeline classify ~/pictures --config pipeline.toml",
)
def config(
    *,
    out: Path | None = None,
    overwrite: Annotated[bool, SWITCH] = False,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Write every setting with its default and its help as a TOML file for --config.

    Args:
        out: File to write; printed when left out.
        overwrite: Replace the file if it is there.
    """
    values = {name: {s.name: s.default for s in settings_of(name)} for name in TABLES}
    if out is not None:
        _write(expanded(out), overwrite)
    told = {**values, "path": None if out is None else str(out)}
    show.result(told, output.json, lambda value: show.settings(value["path"], as_toml()))


def _write(out: Path, overwrite: bool) -> None:
    check_free(out, overwrite)
    with output_path(out) as temporary:
        temporary.write_text(as_toml(), "utf-8")
