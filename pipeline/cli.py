"""The command line: flags, printing, exit codes, progress on stderr. No logic of its own.

Exit codes: 0 done; 2 the user's input cannot be used (one sentence on stderr); 130 interrupted.
"""

import importlib.metadata
import logging
import signal
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Toml

from pipeline import show
from pipeline.config import (
    CheckConfig,
    ClassifyConfig,
    ExportConfig,
    FeaturesConfig,
    FinetuneConfig,
    PredictConfig,
    ReportConfig,
)
from pipeline.errors import InputError, PipelineError, UnknownNameError
from pipeline.startup import import_tensorflow


def _version() -> str:
    return importlib.metadata.version("bottleneck-pipeline")


app = App(
    name="pipeline",
    help="Transfer learning for pictures: features once, classifiers often, fine-tuning last.",
    version=_version,
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
)
app.meta.suppress_keyboard_interrupt = False


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Output:
    """What every command can be told about its output."""

    json: Annotated[bool, Parameter(negative="")] = False
    """Print one JSON value on stdout and nothing else."""

    quiet: Annotated[bool, Parameter(negative="")] = False
    """Show no progress and no notices, only warnings."""


DEFAULT_OUTPUT = Output()


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    _log_to_stderr()
    try:
        app.meta(
            arguments,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except (PipelineError, CycloptsError) as error:
        show.error(" ".join(str(error).split()))
        return 2
    except KeyboardInterrupt:
        show.error("interrupted: features and runs that were finished are kept and not made again")
        return 130
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
        config: TOML file; a table per command, keys as the flags: [features] image-size = 160.
    """
    quiet = "--quiet" in tokens
    logging.getLogger("pipeline").setLevel(logging.WARNING if quiet else logging.INFO)
    if config is not None and not config.is_file():
        raise InputError(f"expected a TOML file, received config={config}, which is not there")
    if config is not None:
        _check_tables(config)
    app.config = () if config is None else (Toml(config, must_exist=True),)
    return app(
        tokens,
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
    )


def _check_tables(path: Path) -> None:
    """Refuse tables that are no commands, and keys outside a table: both would be ignored."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"expected a TOML file, received config={path}: {error}") from error
    commands = sorted(name for name in app if not name.startswith("-"))
    for name, value in tables.items():
        if name not in commands or not isinstance(value, dict):
            hint = f"tables are named after commands: {', '.join(commands)}"
            raise UnknownNameError(f"table in {path}", name, commands, hint)


@app.command
def digits(folder: Path = Path("data/digits"), *, output: Output = DEFAULT_OUTPUT) -> None:
    """Write scikit-learn's handwritten digits as PNG files, split into train and test.

    Args:
        folder: Where to; files that are there already stay.
    """
    from pipeline.images import write_digits

    report = write_digits(folder)
    value = {"root": str(report.root), "written": report.n_written, "kept": report.n_kept}
    show.result(value, output.json, show.digits)


@app.command
def features(
    data: str, *, config: FeaturesConfig = FeaturesConfig(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Stage 1: run every picture once through the frozen base and cache its features.

    Args:
        data: Folder DATA/{train,validation,test}/CLASS/… or DATA/CLASS/…, .zip, .tar, .csv or URL.
    """
    from pipeline.compute import resolve
    from pipeline.extract import describe

    base, _ = resolve(config)  # first: a wrong name shows before any picture is read
    dataset = _index(data, config, output, config.seed, config.label_pattern)
    show.result(describe(_extract(config, dataset, output, base)), output.json, show.features)


@app.command
def classify(
    data: str, *, config: ClassifyConfig = ClassifyConfig(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Stage 2: train classifiers on cached features; computes what is missing first.

    Args:
        data: Folder DATA/{train,validation,test}/CLASS/… or DATA/CLASS/…, .zip, .tar, .csv or URL.
    """
    from pipeline.classify import check, check_settings, describe
    from pipeline.classify import classify as train
    from pipeline.extract import describe as describe_stage1

    check_settings(config)
    dataset = _index(data, config, output, config.seed, config.label_pattern)
    check(config, dataset)
    extraction = _extract(config, dataset, output)
    silent = _silent(output)
    with (
        show.progress("search", "steps", silent) as searching,
        show.progress("classify", "experiments", silent) as progress,
        show.progress("learning", "rows", silent) as learning,
    ):
        classification = train(config, dataset, progress.update, searching.update, learning.update)
    value = {
        **describe(classification),
        "data": describe_stage1(extraction),
        "failed": extraction.failed,
    }
    show.result(value, output.json, show.classification)


@app.command
def finetune(
    data: str, *, config: FinetuneConfig = FinetuneConfig(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Stage 3: train the upper part of the base, starting from a run's head.

    Args:
        data: Folder DATA/{train,validation,test}/CLASS/… or DATA/CLASS/…, .zip, .tar, .csv or URL.
    """
    from pipeline.backbones.frozen import frozen_from_dict
    from pipeline.finetuning.settings import stage1_config
    from pipeline.runs import index_settings, source_run, transplantable_head

    dataset = _index(data, config, output, **index_settings(config.runs, config.source, data))
    source = source_run(config.runs, config.source, data, dataset.digest)
    transplantable_head(source)
    base = frozen_from_dict(source.info["base"])
    extraction = _extract(stage1_config(config, source, base), dataset, output, base)
    import_tensorflow()
    from pipeline.finetune import Watch, describe
    from pipeline.finetune import finetune as train

    silent = _silent(output)
    with show.epochs(silent) as epochs, show.progress("maps", "pictures", silent) as maps:
        watch = Watch(epochs.on_epoch, epochs.on_step, maps.update)
        finetuned = train(config, dataset, source, watch)
    value = {**describe(finetuned), "failed": extraction.failed}
    show.result(value, output.json, show.finetuned)


@app.command
def predict(
    run: str,
    paths: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    config: PredictConfig = PredictConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Label pictures with a run, or with imagenet:BACKBONE.

    Args:
        run: Name or folder of a run, best, or for example imagenet:EfficientNetLite0.
        paths: Picture files, folders, and .zip or .tar files of pictures.
    """
    from pipeline.predict import describe
    from pipeline.predict import predict as label

    keep = output.json or config.csv is None
    with show.progress("predict", "pictures", _silent(output)) as progress:
        pictures = [path.expanduser() for path in paths]
        predictions = label(config, run, pictures, progress.update, keep=keep)
    show.result(describe(predictions), output.json, show.predictions)


@app.command
def export(
    run: str,
    out: Path,
    /,
    *,
    config: ExportConfig = ExportConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Write a run as one model: RGB pictures of 0 to 255 in, class probabilities out.

    Args:
        run: Name or folder of a run, or best; its head must be linear or dense, or it fine-tuned.
        out: File that ends in .keras, .onnx or .tflite, or a folder for OpenVINO.
    """
    from pipeline.export import describe
    from pipeline.export import export as write

    show.result(describe(write(config, run, out.expanduser())), output.json, show.exported_model)


@app.command
def check(
    data: str, *, config: CheckConfig = CheckConfig(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Say what is in the data: classes, copies, leaks into the test, suspect labels, bad files.

    Args:
        data: Folder DATA/{train,validation,test}/CLASS/… or DATA/CLASS/…, .zip, .tar, .csv or URL.
    """
    from pipeline.audit import audit, describe
    from pipeline.compute import resolve

    base, _ = resolve(config)
    dataset = _index(data, config, output, config.seed, config.label_pattern)
    extraction = _extract(config, dataset, output, base)
    with show.progress("check", "blocks", _silent(output)) as progress:
        audited = audit(config, dataset, extraction.failed, config.similarity, progress.update)
    show.result(describe(audited), output.json, show.audited)


@app.command
def explain(
    data: str, *, config: FeaturesConfig = FeaturesConfig(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Say which pictures are cached, which are not, and what differs from what is cached.

    Args:
        data: Folder DATA/{train,validation,test}/CLASS/… or DATA/CLASS/…, .zip, .tar, .csv or URL.
    """
    from pipeline.explain import describe
    from pipeline.explain import explain as compare_with_cache

    dataset = _index(data, config, output, config.seed, config.label_pattern)
    show.result(describe(compare_with_cache(config, dataset)), output.json, show.explanation)


@app.command
def verify(*, cache: Path = Path("features"), output: Output = DEFAULT_OUTPUT) -> None:
    """Read everything in the cache, and set aside what is damaged; it is computed again.

    Args:
        cache: Folder of the feature cache.
    """
    from pipeline.verify import describe
    from pipeline.verify import verify as check_everything

    with show.progress("verify", "bytes", _silent(output)) as progress:
        verification = check_everything(cache.expanduser(), progress.update)
    show.result(describe(verification), output.json, show.verification)


@app.command
def export_features(
    data: str,
    *,
    out: Path,
    overwrite: bool = False,
    config: FeaturesConfig = FeaturesConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Write cached features, labels, paths and splits into one file.

    Args:
        data: Folder DATA/{train,validation,test}/CLASS/… or DATA/CLASS/…, .zip, .tar, .csv or URL.
        out: File that ends in .h5, .npz or .parquet.
        overwrite: Replace the file if it is there.
    """
    from pipeline.export_features import describe
    from pipeline.export_features import export_features as write

    dataset = _index(data, config, output, config.seed, config.label_pattern)
    with show.progress("export", "rows", _silent(output)) as progress:
        exported = write(config, dataset, out, overwrite=overwrite, progress=progress.update)
    show.result(describe(exported), output.json, show.exported)


@app.command
def compare(*, runs: Path = Path("runs"), output: Output = DEFAULT_OUTPUT) -> None:
    """List the runs, best first, with how sure the differences between them are.

    Args:
        runs: Folder of the runs.
    """
    from pipeline.runs import describe_leaderboard, leaderboard, list_runs

    value = describe_leaderboard(leaderboard(list_runs(runs)))
    show.result({"runs": value}, output.json, show.leaderboard)


@app.command
def report(
    *run: str, out: Path, config: ReportConfig = ReportConfig(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Write one HTML file about runs: figures, pictures, findings, maps; it needs no network.

    Args:
        run: Names or folders of runs, or best; none for all, the best of each data set in detail.
        out: File that ends in .html.
    """
    from pipeline.report import describe, write_report

    with show.progress("report", "steps", _silent(output)) as progress:
        written = write_report(config, run, out.expanduser(), progress.update)
    show.result(describe(written), output.json, show.report)


@app.command
def backbones(*, output: Output = DEFAULT_OUTPUT) -> None:
    """List the backbones with their input sizes, preprocessing, parameters and cut points."""
    from pipeline.backbones.describe import describe_catalog

    show.result({"backbones": describe_catalog()}, output.json, show.backbones)


@app.command
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


def _silent(output: Output) -> bool:
    return output.quiet or output.json


def _index(data: str, config: Any, output: Output, seed: int, label_pattern: str | None) -> Any:
    from pipeline.images import index

    with show.progress("index", "files", _silent(output)) as progress:
        return index(
            data,
            seed=seed,
            progress=progress.update,
            memory=config.cache / "index",
            label_pattern=label_pattern,
        )


def _extract(config: FeaturesConfig, dataset: Any, output: Output, base: Any = None) -> Any:
    from pipeline.extract import extract

    with show.progress("features", "pictures", _silent(output)) as progress:
        return extract(config, dataset, progress.update, base)
