"""A run as one model for other programs: RGB pictures in, class probabilities out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backbones.engines.precision import INT8, is_quantised
from pipeline.config import DataConfig, ExportConfig
from pipeline.errors import PipelineError, RunError
from pipeline.images import DecodeRecipe, RowLoader, load_batches, open_reader
from pipeline.images.own import may_look
from pipeline.predict.export.description import (
    EVIDENCE,
    OUTPUT,
    describe_evidence,
    describe_model,
)
from pipeline.predict.export.formats import (
    Format,
    check_packages,
    check_place,
    description_path,
    find_format,
    published,
)
from pipeline.predict.export.int8 import MOST_CHANGED, calibration_pictures, check_asked
from pipeline.predict.labelling import bundle_predictor
from pipeline.predict.origins import open_origins
from pipeline.runs import Bundle, RunFolder, find_run
from pipeline.runs.payload import PAYLOADS
from pipeline.system.files import write_json
from pipeline.system.startup import held_back_stderr, import_keras

if TYPE_CHECKING:
    from pipeline.predict.export.writers import Runtime

BATCH_SIZE = 32
N_PICTURES, MOST_OF_INT8 = 32, 256
"""Most pictures that a model is checked on; in int8 it is its answers that are counted."""
CHANGED = "changed"
LIMITS = {"float32": 1e-4}
"""Greatest difference of a probability that passes, by the precision that the run predicts in."""
HALF_LIMIT = 1e-2
"""For all other precisions: the run itself computes with three digits then."""


@dataclass(frozen=True)
class ExportedModel:
    """What was written, and how far it is from what the run predicts.

    Args:
        path: The file or folder.
        description: The JSON file beside it.
        format: One of `formats.FORMATS`.
        run: Whose model it is.
        bytes: Its size.
        max_abs_difference: Greatest absolute difference of a probability, from the run's.
        pictures: How many pictures that was found on.
        compared_on: What pictures they were.
        notes: What a user of the model has to know.
        max_evidence_difference: The same of evidence, relative to its greatest value; None where
            the model gives none.
        changed: Pictures of those that it calls something else than the run does.
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
    max_evidence_difference: float | None = None
    changed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        return vars(self) | {"notes": list(self.notes)}


@dataclass(frozen=True)
class Expected:
    """What the run itself says of some pictures.

    Args:
        images: (n, s, s, 3) uint8, RGB.
        source: Where they come from, in words.
        probabilities: (n, k), row-aligned.
        limit: Greatest difference from these that passes.
        evidence: (n, h, w, k), what each cell adds to the scores; None where it is no output.
        bias: (k,) what no cell adds to them.
    """

    images: np.ndarray
    source: str
    probabilities: np.ndarray
    limit: float
    evidence: np.ndarray | None = None
    bias: np.ndarray | None = None


def export(config: ExportConfig, target: str, out: Path) -> ExportedModel:
    """Write a run as one model in a format that other programs read, and check it.

    The run has a linear or dense head, or is fine-tuned. The model takes (n, s, s, 3) RGB 0–255 for
    any n, and gives (n, k) probabilities. It gets its name, a file's or for OpenVINO a folder's,
    only after it was loaded again and gave the run's own probabilities.

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
    bundle = run.bundle(weights=config.weights)
    check_asked(config, run, bundle, wanted)
    quantised = config.precision == INT8 and not is_quantised(bundle.base["precision"])
    pictures = calibration_pictures(run, bundle, config.cache) if quantised else None
    import_keras("tensorflow")  # which every format is made of
    expected = _expected(run, bundle, config.converted, MOST_OF_INT8 if quantised else N_PICTURES)
    described = describe_model(run, bundle, wanted)
    if config.evidence:
        expected = _with_evidence(run, bundle, config.converted, expected)
    if expected.evidence is not None and expected.bias is not None:
        described |= describe_evidence(expected.evidence.shape[1:], expected.bias.tolist())
    found = _write(wanted, out, bundle, described, expected, pictures)
    exported = ExportedModel(
        path=str(out),
        description=str(description_path(out)),
        format=wanted.name,
        run=run.name,
        bytes=_size(out),
        max_abs_difference=found[OUTPUT],
        pictures=len(expected.images),
        compared_on=expected.source,
        notes=tuple(described["notes"]),
        max_evidence_difference=found.get(EVIDENCE),
        changed=int(found[CHANGED]),
    )
    checked = {
        "changed": exported.changed,
        "max_abs_difference": exported.max_abs_difference,
        "pictures": exported.pictures,
        "compared_on": expected.source,
    }
    if EVIDENCE in found:
        checked["max_evidence_difference"] = found[EVIDENCE]
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


def _expected(run: RunFolder, bundle: Bundle, models: Path, most: int) -> Expected:
    """Label some test pictures of a run, spread over them; made-up ones where all are gone.

    A picture that is not byte for byte the one that was tested does not count.
    """
    recipe, source = bundle.decoding, f"test pictures of {run.dataset.name}"
    images = _tested(run, recipe, most)
    if not len(images):
        from pipeline.backbones.engines.parity import parity_images

        images, source = parity_images(recipe.size), "made-up pictures"
    predictor = bundle_predictor(run.name, bundle, models, BATCH_SIZE)
    probabilities = predictor.probabilities(images)
    limit = LIMITS.get(bundle.frozen(look=True).precision, HALF_LIMIT)
    return Expected(images, source, probabilities, limit)


def _with_evidence(run: RunFolder, bundle: Bundle, models: Path, expected: Expected) -> Expected:
    """Add where the scores come from; raises RunError where that is no sum over averages."""
    pooled_so = {cut.pooling for cut in bundle.frozen(look=True).cuts}
    origins = open_origins(bundle, models, BATCH_SIZE) if pooled_so == {"avg"} else None
    if origins is None:
        raise RunError(
            f"expected a linear head on averages of maps for --evidence, received {run.name} with "
            f"head={run.head!r} on {', '.join(run.layers)}; export it without --evidence, or ask "
            f"`pipeline evidence`, which covers parts of pictures"
        )
    (found,) = origins.run(iter([expected.images]))
    cells = np.stack([one.checked(range(len(bundle.classes))) for one in found])
    return replace(expected, evidence=cells, bias=origins.bias)


def _tested(run: RunFolder, recipe: DecodeRecipe, most: int) -> np.ndarray:
    """Return the run's own test pictures that are still there: (n, s, s, 3) uint8.

    They are looked for where the run says only if a command of this user's has read that place:
    anybody may have written the run.
    """
    root, settings = run.dataset.root, DataConfig(**run.indexing)
    if not all(map(may_look, filter(None, (root, settings.root)))):
        return np.empty(0)
    pictures = run.tested()
    chosen = np.unique(np.linspace(0, len(pictures) - 1, most).round().astype(int))
    digests = np.array([list(bytes.fromhex(digest)) for _, digest in pictures], np.uint8)
    try:
        read = open_reader(root, settings)
    except PipelineError:  # an archive, say, that is none any more: as good as gone
        return np.empty(0)
    loader = RowLoader(lambda row: read(pictures[row][0]), recipe, digests)
    batches = load_batches(loader, chosen, most)
    return np.concatenate([batch.images for batch in batches])


def _write(
    wanted: Format,
    out: Path,
    bundle: Bundle,
    described: dict[str, Any],
    expected: Expected,
    pictures: np.ndarray | None,
) -> dict[str, float]:
    """Publish a model that agrees with the run; return how far each of its outputs is from it.

    Of one in int8, made with ``pictures``, it is the answers that have to agree.
    """
    from pipeline.backbones.engines.devices import device_of
    from pipeline.predict.export.writers import whole_model

    device_of("tensorflow")
    model = whole_model(bundle, expected.evidence is not None)
    with published(wanted, out) as temporary:
        with held_back_stderr():  # converters and runtimes talk, of nothing that concerns a user
            runtime = _converted(wanted, temporary, model, described, pictures)
            found = _greatest_differences(runtime, expected)
        n = len(expected.images)
        if pictures is not None and found[CHANGED] > MOST_CHANGED * n:
            raise RunError(
                f"expected the answers of the run from {wanted.title} in int8, but for "
                f"{MOST_CHANGED:.0%} at most, received others for {found[CHANGED]:.0f} of {n} "
                f"pictures ({expected.source}); nothing was kept, leave --precision out"
            )
        held = [name for name in (OUTPUT, EVIDENCE) if name in found and pictures is None]
        for name in held:
            if (difference := found[name]) > expected.limit:
                raise RunError(
                    f"expected the {name} of the run from {wanted.title}, within "
                    f"{expected.limit:.0e}, received others, off by up to {difference:.1e} on "
                    f"{expected.source}; nothing was kept, choose another --format"
                )
    return found


def _converted(
    wanted: Format,
    path: Path,
    model: Any,
    described: dict[str, Any],
    pictures: np.ndarray | None,
) -> "Runtime":
    """Write a model and load it again; converters and runtimes raise what they like.

    What is ours, the disk's, the memory's or an installation's fault is told as it is.
    """
    from pipeline.predict.export.writers import WRITERS, in_int8

    write, load = WRITERS[wanted.name]
    write = write if pictures is None else in_int8(wanted.name, pictures)
    try:
        write(path, model, described)
        return load(path)
    except (PipelineError, OSError, MemoryError, ImportError, NameError, AssertionError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise RunError(
            f"expected a model of which {wanted.title} knows every operation, it was refused: "
            f"{said}; choose another --format"
        ) from error


def _greatest_differences(runtime: "Runtime", expected: Expected) -> dict[str, float]:
    """Return max |a − b| of each output, infinite where a value is not finite, and what changed.

    That of evidence is a share of its greatest value, where that is above 1. The exported model is
    given one picture first and then the others, since any number of pictures has to do.
    """
    parts = [part for part in (expected.images[:1], expected.images[1:]) if len(part)]
    received = [runtime(part) for part in parts]
    wanted = {OUTPUT: expected.probabilities}
    wanted |= {} if expected.evidence is None else {EVIDENCE: expected.evidence}
    found = {}
    for name, array in wanted.items():
        one = np.concatenate([outputs[name] for outputs in received])
        difference = float(np.abs(one - array).max()) / max(1.0, float(np.abs(array).max()))
        found[name] = difference if np.isfinite(difference) else float("inf")
        if name == OUTPUT:
            found[CHANGED] = float((one.argmax(1) != array.argmax(1)).sum())
    return found


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
