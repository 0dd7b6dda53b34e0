"""Where weights come from, decided before any model is built: found, checked, digested.

The digest goes into the recipe of every feature, so it must be known first. Imports TensorFlow
only to let Keras download a file that its cache lacks.
"""

import dataclasses
import hashlib
import importlib.util
import os
from importlib import metadata
from pathlib import Path

from pipeline.backbones.backbone import BackboneSpec
from pipeline.backbones.weight_formats import SUFFIXES, check_readable
from pipeline.errors import InputError, WeightsError
from pipeline.system.files import expanded
from pipeline.system.startup import import_keras, keras_order

CHOICES = DEFAULT, IMAGENET, NONE = "default", "imagenet", "none"
_CHOICES = "default, imagenet, none, or the path of a .weights.h5, .h5, .hdf5 or .keras file"


@dataclasses.dataclass(frozen=True)
class WeightsSource:
    """Weights that are known to exist.

    Args:
        kind: ``"packaged"`` (in an installed package), ``"imagenet"`` (in Keras' cache),
            ``"file"`` (the user's) or ``"none"`` (random).
        path: The file; None for random weights.
        digest: SHA-256 in hex: of the file's bytes, or of what decides random weights.
        seed: Seed of random weights; None for a file.
    """

    kind: str
    path: Path | None
    digest: str
    seed: int | None = None


def resolve_weights(
    spec: BackboneSpec,
    weights: str = DEFAULT,
    seed: int = 0,
    *,
    include_top: bool = False,
    image_size: int | None = None,
    fetch: bool = True,
) -> WeightsSource:
    """Find the weights that a text asks for.

    Args:
        spec: The backbone they are for.
        weights: ``"default"`` (packaged where the backbone has such, else ``"imagenet"``),
            ``"imagenet"``, ``"none"``, or a path.
        seed: Decides the weights of ``"none"``; no part of any other.
        include_top: Whether the classifier's weights are needed too. Keras has two files.
        image_size: Side of the input; MobileNet 1 and 2 have a file per size. None means the
            default size.
        fetch: Whether Keras may download ImageNet weights that its cache lacks.

    Returns:
        The source with its digest. Whether a file fits the architecture shows when it is loaded.

    Raises:
        WeightsError: If the file is missing and cannot be had.
        InputError: If the text is no choice and no path of a known format.

    >>> from pipeline.backbones.catalog import parse_backbone
    >>> resolve_weights(parse_backbone("VGG16"), "none", seed=1).kind
    'none'
    """
    if weights == NONE:
        # Another Keras, or what it runs on, may draw other numbers from the same seed.
        decides = f"none seed={seed} keras={metadata.version('keras')}"
        if (backend := next(iter(keras_order()), "tensorflow")) != "tensorflow":
            decides += f" on {backend}"
        return WeightsSource("none", None, hashlib.sha256(decides.encode()).hexdigest(), seed)
    if weights not in (DEFAULT, IMAGENET):
        return _from_file("file", _user_file(spec, weights))
    if spec.backbone.package is not None:
        return _from_file("packaged", _packaged_file(spec, spec.backbone.package))
    return _from_file("imagenet", _imagenet_file(spec, include_top, image_size, fetch))


def _from_file(kind: str, path: Path) -> WeightsSource:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error
    return WeightsSource(kind, path, digest)


def _unreadable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"expected a readable weights file, received {path}: {error.strerror}")


def _user_file(spec: BackboneSpec, weights: str) -> Path:
    path = expanded(weights)
    if not weights or not (path.exists() or path.suffix.lower() in SUFFIXES):
        raise InputError(f"expected weights as {_CHOICES}, received weights={weights!r}")
    if not path.is_file():
        raise WeightsError(f"there is no weights file {weights}; choose {_CHOICES}")
    try:
        # The packaged files are PyTorch's; naming one by its path is the same as asking for it.
        check_readable(path, torch=spec.backbone.package is not None)
    except OSError as error:
        raise _unreadable(path, error) from error
    return path


def _packaged_file(spec: BackboneSpec, package: str) -> Path:
    # Found without importing: a package of weights need not run code.
    found = importlib.util.find_spec(package)
    for location in (found and found.submodule_search_locations) or ():
        for path in sorted(Path(location, "models").glob(spec.backbone.weights_pattern)):
            return path
    raise WeightsError(
        f"the weights of {spec} come in the package {package.replace('_', '-')}, which is not "
        f"installed; run: pip install 'bottleneck-pipeline[lite]', or give a file with "
        f"--weights PATH"
    )


def _imagenet_file(
    spec: BackboneSpec, include_top: bool, image_size: int | None, fetch: bool
) -> Path:
    path = keras_models_dir() / spec.weights_file(image_size, include_top)
    if not path.is_file() and not fetch:
        raise WeightsError(
            f"ImageNet weights of {spec} are expected in {path}, where they are not, and looking "
            f"downloads nothing; `pipeline features` does, or give a file with --weights PATH"
        )
    if not path.is_file():
        import_keras()
        from pipeline.backbones.download import download_imagenet

        download_imagenet(spec, path, include_top=include_top, image_size=image_size)
    return path


def keras_models_dir() -> Path:
    """Return the folder where Keras keeps downloaded weights.

    The same rules as ``keras.config`` and ``keras.utils.get_file``, which cannot be asked
    without importing TensorFlow.
    """
    home = os.environ.get("KERAS_HOME")
    if home is None:
        user = Path.home()
        home = str((user if os.access(user, os.W_OK) else Path("/tmp")) / ".keras")
    base = Path(home).expanduser()
    if base.exists() and not os.access(base, os.W_OK):
        base = Path("/tmp/.keras")
    return base / "models"
