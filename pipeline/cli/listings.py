"""What there is: runs, backbones and their layers."""

from pathlib import Path

from pipeline import show
from pipeline.cli.app import DEFAULT_OUTPUT, Output, command
from pipeline.config import ReportConfig


@command(
    "pipeline compare",
    "pipeline compare --runs /data/runs --json",
)
def compare(*, runs: Path = Path("runs"), output: Output = DEFAULT_OUTPUT) -> None:
    """List the runs, best first, with how sure the differences between them are.

    Args:
        runs: Folder of the runs.
    """
    from pipeline.runs import describe_leaderboard, leaderboard, list_runs

    value = describe_leaderboard(leaderboard(list_runs(runs)))
    show.result({"runs": value}, output.json, show.leaderboard)


@command(
    "pipeline report --out report.html",
    "pipeline report best --out best.html --map pca,tsne",
)
def report(
    *run: str, out: Path, config: ReportConfig = ReportConfig(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Write one HTML file about runs: figures, pictures, findings, maps; it needs no network.

    Args:
        run: Names or folders of runs, or best; none for all, the best of each data set in detail.
        out: File that ends in .html.
    """
    from pipeline.report import describe, write_report

    with show.progress("report", "steps", output.silent) as progress:
        written = write_report(config, run, out.expanduser(), progress.update)
    show.result(describe(written), output.json, show.report)


@command(
    "pipeline backbones",
    "pipeline backbones --json",
)
def backbones(*, output: Output = DEFAULT_OUTPUT) -> None:
    """List the backbones with their input sizes, preprocessing, parameters and cut points."""
    from pipeline.backbones.describe import describe_catalog

    show.result({"backbones": describe_catalog()}, output.json, show.backbones)


@command(
    "pipeline summary MobileNetV2",
    'pipeline summary "MobileNet(alpha=0.25)" --image-size 160',
)
def summary(
    backbone: str, *, image_size: int | None = None, output: Output = DEFAULT_OUTPUT
) -> None:
    """List a backbone's layers, shapes, parameters and named cut points.

    Args:
        backbone: Name, arguments in brackets: "MobileNet(alpha=0.25)".
        image_size: Side in pixels of the input; the backbone's own when left out.
    """
    from pipeline.backbones.describe import describe_layers

    show.result({"layers": describe_layers(backbone, image_size)}, output.json, show.layers)
