"""Pictures: some to begin with, and what is in one's own."""

from pathlib import Path

from pipeline import show
from pipeline.cli.app import DEFAULT_OUTPUT, Output, command
from pipeline.config import CheckConfig


@command(
    "pipeline digits",
    "pipeline digits ~/digits",
)
def digits(folder: Path = Path("data/digits"), *, output: Output = DEFAULT_OUTPUT) -> None:
    """Write scikit-learn's handwritten digits as PNG files, split into train and test.

    Args:
        folder: Where to; files that are there already stay.
    """
    from pipeline.images import write_digits

    report = write_digits(folder)
    value = {"root": str(report.root), "written": report.n_written, "kept": report.n_kept}
    show.result(value, output.json, show.digits)


@command(
    "pipeline check ~/pictures",
    "pipeline check ~/pictures --similarity 0.98 --json",
)
def check(
    data: str, *, config: CheckConfig = CheckConfig(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Say what is in the data: classes, copies, leaks into the test, suspect labels, bad files.

    Args:
        data: Folder DATA/{train,validation,test}/CLASS/… or DATA/CLASS/…, .zip, .tar, .csv or URL.
    """
    from pipeline.api import stages
    from pipeline.audit import audit, describe
    from pipeline.compute import check_layers, resolve

    base, _ = resolve(config)
    check_layers(config, base)
    dataset = stages.indexed(data, config, output.reporter, config.seed, config.label_pattern)
    extraction = stages.extracted(config, dataset, output.reporter, base)
    with show.progress("check", "blocks", output.silent) as progress:
        audited = audit(config, dataset, extraction.failed, config.similarity, progress.update)
    show.result(describe(audited), output.json, show.audited)
