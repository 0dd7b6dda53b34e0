"""A run as one model for other programs: RGB pictures in, class probabilities out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import ExportConfig
from pipeline.errors import PipelineError, RunError
from pipeline.features.base import decoding_from_dict
from pipeline.predict.export import (
    Format,
    Runtime,
    Sample,
    check_packages,
    check_place,
    describe_model,
    description_path,
    find_format,
    greatest_difference,
    published,
    sample,
)
from pipeline.predict.labelling import bundle_predictor
from pipeline.runs import Bundle, RunFolder, find_run
from pipeline.runs.payload import PAYLOADS
from pipeline.system.files import write_json
from pipeline.system.startup import held_back_stderr, import_tensorflow

BATCH_SIZE = 32
LIMITS = {"float32": 1e-4}
"""Greatest difference of a probability that passes, by the precision that the run predicts in."""
HALF_LIMIT = 1e-2
"""For all other precisions: the run itself computes with three digits then."""
CHECKED = ("max_abs_difference", "pictures", "compared_on")


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from what the run predicts.

    Args:
        path: The file or folder.
        description: The JSON file beside it.
        format: One of `exporting.FORMATS`.
        run: Whose model it is.
        bytes: Its size.
        max_abs_difference: Greatest absolute difference of a probability, from the run's.
        pictures: How many pictures that was found on.
        compared_on: What pictures they were.
        notes: What a user of the model has to know.
    """

    path: str
    description: str
    format: str
    run: str
    bytes: int
    max_abs_difference: float
    pictures: int
    compared_on: str
    notes: tuple[str, ...]


def export(config: ExportConfig, target: str, out: Path) -> Exported:
    """Write a run as one model in a format that other programs read, and check it.

    The model takes (n, s, s, 3) RGB 0–255 for any n, and gives (n, k) probabilities. It gets its
    name only after it was loaded again and gave the run's own probabilities.

    Args:
        config: The format, and where runs and converted models are.
        target: A run (name, folder, or best) with a linear or dense head, or a fine-tuned one.
        out: The file, or for OpenVINO the folder.

    Raises:
        UnknownNameError: There is no such format.
        InputError: The place is taken, its suffix is another format's, or a package is missing.
        RunError: The run is not there, damaged, has a head that no format can hold, or the model
            gives other probabilities than the run.
        StoreError: The place cannot be written.
    """
    wanted = find_format(config.format, out)
    check_packages(wanted)
    check_place(wanted, out, config.overwrite)
    run = find_run(config.runs, target)
    _check_head(run)
    bundle = run.bundle()
    pictures = sample(run, decoding_from_dict(bundle.base))
    predictor = bundle_predictor(run.name, bundle, config.models, BATCH_SIZE)
    expected = np.concatenate(list(predictor.probabilities(iter([pictures.images]))))
    described = describe_model(run, bundle, wanted)
    difference = _write(wanted, out, bundle, described, (expected, pictures))
    exported = Exported(
        path=str(out),
        description=str(description_path(out)),
        format=wanted.name,
        run=run.name,
        bytes=_size(out),
        max_abs_difference=difference,
        pictures=len(expected),
        compared_on=pictures.source,
        notes=tuple(described["notes"]),
    )
    checked = {name: getattr(exported, name) for name in CHECKED}
    write_json(description_path(out), described | {"checked": checked})
    return exported


def _check_head(run: RunFolder) -> None:
    """Refuse heads that are no layers, before anything is read: reading one may need trust."""
    for kind in ("sklearn", "joblib"):
        if (run.path / "bundle" / PAYLOADS[kind]).is_file():
            raise RunError(
                f"expected a run with a linear or dense head, or a fine-tuned one, received "
                f"{run.name} with head={run.head!r}, which no format can hold; take the "
                f"folder {run.path} along for `pipeline predict`, or export another run"
            )


def _write(
    wanted: Format,
    out: Path,
    bundle: Bundle,
    described: dict[str, Any],
    judged: tuple[np.ndarray, Sample],
) -> float:
    """Publish a model that agrees with the run; return how far it is from it."""
    import_tensorflow()
    from pipeline.backbones.engines.tensorflow import configure_devices
    from pipeline.predict.export.model import whole_model

    configure_devices()
    model = whole_model(bundle)
    expected, pictures = judged
    limit = LIMITS.get(bundle.base["precision"], HALF_LIMIT)
    with published(wanted, out) as temporary:
        with held_back_stderr():  # converters and runtimes talk, of nothing that concerns a user
            runtime = _converted(wanted, temporary, model, described)
            difference = greatest_difference(expected, runtime, pictures.images)
        _check_difference(wanted, difference, limit, pictures.source)
    return difference


def _converted(wanted: Format, path: Path, model: Any, described: dict[str, Any]) -> Runtime:
    """Write a model and load it again; converters and runtimes raise what they like.

    What is ours, the disk's, the memory's or an installation's fault is told as it is.
    """
    try:
        wanted.write(path, model, described)
        return wanted.load(path)
    except (PipelineError, OSError, MemoryError, ImportError, NameError, AssertionError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise RunError(
            f"expected a model of which {wanted.title} knows every operation, it was refused: "
            f"{said}; choose another --format"
        ) from error


def _check_difference(wanted: Format, difference: float, limit: float, source: str) -> None:
    if difference > limit:
        raise RunError(
            f"expected the probabilities of the run from {wanted.title}, within {limit:.0e}, "
            f"received others, off by up to {difference:.1e} on {source}; nothing was kept, choose "
            f"another --format"
        )


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def describe(exported: Exported) -> dict[str, Any]:
    """Return the command's ``--json`` value."""
    return vars(exported) | {"notes": list(exported.notes)}
