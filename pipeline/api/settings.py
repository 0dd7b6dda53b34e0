"""Keyword arguments into the config dataclasses, which stay the only home of defaults.

The typed dictionaries say to type checkers and editors which settings a function takes: the fields
of a dataclass, with the types that a program may give. Each field is explained in the dataclass.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from os import PathLike, fspath
from pathlib import Path
from types import NoneType
from typing import Any, TypedDict, TypeVar, get_args, get_type_hints

from pipeline.api.kinds import described
from pipeline.config import side_of
from pipeline.errors import InputError, UnknownNameError
from pipeline.system.units import named

Config = TypeVar("Config")
Function = TypeVar("Function", bound=Callable[..., Any])

AnyPath = str | PathLike[str]
Names = str | Sequence[str]
"""Several names: one text with commas, or a list of texts."""


class DataSettings(TypedDict, total=False):
    """Fields of `pipeline.config.DataConfig`."""

    label_pattern: str | None
    classes_at: int | None
    split_at: int | None
    group_at: int | None
    only: Names | None
    path_column: str | None
    label_column: str | None
    split_column: str | None
    group_column: str | None
    root: AnyPath | None
    corrections: AnyPath | None
    min_per_class: int
    test_fraction: float
    seed: int


class FeaturesSettings(DataSettings, total=False):
    """Fields of `pipeline.config.FeaturesConfig`."""

    backbone: str
    preprocessing: str | None
    layers: Names
    pooling: Names
    weights: str
    image_size: int | str | tuple[int, int] | None
    resize: str
    interpolation: str
    precision: str
    engine: str
    dtype: str
    jpeg: str
    views: int
    view_policy: Names
    test_views: int
    batch_size: int | None
    cache: AnyPath
    strict: bool
    remote_cache: str | None
    cluster: str | None


class ClassifySettings(FeaturesSettings, total=False):
    """Fields of `pipeline.config.ClassifyConfig`."""

    heads: Names
    prepare: Names
    folds: int
    repeats: int | None
    tune: bool
    class_weight: str
    calibrate: bool
    max_error: float | None
    min_typical: float | None
    models: AnyPath | None
    sample: int | None
    budget: str | None
    learning_curve: bool
    jobs: int
    runs: AnyPath


class FinetuneSettings(TypedDict, total=False):
    """Fields of `pipeline.config.FinetuneConfig`, without the run to start from."""

    mode: str
    unfreeze: str
    augment: Names
    views: int | None
    view_policy: Names | None
    epochs: int
    head_epochs: int
    patience: int
    learning_rate: float | None
    block_decay: float
    weight_decay: float
    batch_norm: str
    class_weight: str
    precision: str
    label_smoothing: float
    validation_fraction: float
    batch_size: int
    weights: str | None
    budget: str | None
    anyway: bool
    tensorboard: AnyPath | None
    seed: int
    cache: AnyPath
    remote_cache: str | None
    runs: AnyPath


_NAMES = {
    name
    for taken in (ClassifySettings, FinetuneSettings)
    for name, hint in get_type_hints(taken).items()
    if Sequence[str] in get_args(hint)
}
_EXPECTED = {str: "a text", int: "a whole number", float: "a number", bool: "True or False"}


def filled(
    kind: type[Config], settings: Mapping[str, object], caller: str, **own: object
) -> Config:
    """Fill a config dataclass with keyword arguments.

    Args:
        kind: One of `pipeline.config`.
        settings: Values by field name; fields that are left out have the dataclass' defaults. Paths
            may be texts, several names a list.
        caller: The public function, for the sentence when a name is unknown.
        own: Fields that the function takes by another name.

    Raises:
        UnknownNameError: No field has that name; the message names the nearest.
        InputError: A value is of another type or out of range.
    """
    hints = get_type_hints(kind)
    known = [name for name in inspect.signature(kind).parameters if name not in own]
    for name in settings:
        if name not in known:
            way_out = f"known: {named(known, 10, str)}; help(pipeline.{caller}) lists all"
            raise UnknownNameError(f"setting of {caller}", name, known, way_out)
    values = {**settings, **own}
    return kind(**{name: _typed(name, value, hints[name]) for name, value in values.items()})


def _typed(name: str, value: Any, hint: Any) -> Any:
    """Return a value in the type of its field, without guessing: ``"5"`` is no number."""
    if name == "image_size":
        return side_of(value)
    kinds = get_args(hint) or (hint,)
    if value is None and NoneType in kinds:
        return None
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    if kind is Path and isinstance(value, str | PathLike) and value != "":
        return Path(value)
    if (
        name in _NAMES
        and isinstance(value, list | tuple)
        and all(isinstance(v, str) for v in value)
    ):
        return ",".join(value)
    if name in ("root", "corrections") and isinstance(value, PathLike):
        return fspath(value)
    number = {int: Integral, float: Real}.get(kind)
    if number is not None and isinstance(value, number) and not isinstance(value, bool):
        return kind(value)
    if number is None and kind is not Path and isinstance(value, kind):
        return value
    several = ", or a list of texts" if name in _NAMES else ""
    expected = _EXPECTED.get(kind, "a path") + several + (" or None" if NoneType in kinds else "")
    raise InputError(f"expected {name} as {expected}, received {name}={described(value)}")


def location(name: str, value: AnyPath) -> str:
    """Return the text of a path, or of what a location else may be, such as a URL.

    Raises InputError if it is neither a text nor a path.
    """
    if not isinstance(value, str | PathLike) or value == "":
        raise InputError(f"expected {name} as a text or a path, received {name}={described(value)}")
    return fspath(value)


def takes(kind: type) -> Callable[[Function], Function]:
    """Show the settings of a function, with their defaults, to `help` and in notebooks.

    Which settings there are, and of which types, says the typed dictionary of ``**settings``.
    """

    def show(function: Function) -> Function:
        (taken,) = get_args(function.__annotations__["settings"])
        shown = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=getattr(kind, name), annotation=hint
            )
            for name, hint in get_type_hints(taken).items()
        ]
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*own, *shown]
        )
        return function

    return show
