"""The one place where the text of ``--backbone`` becomes a base, in the catalog or brought along.

What is known of a brought network is kept beside the converted models, by its digest: reading it
again would import what holds it.
"""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.backbones.backbone import BackboneSpec, GivenGraph, given_backbone
from pipeline.backbones.catalog import BACKBONES, parse_backbone
from pipeline.backbones.given_files import (
    GRAPHS,
    RUN,
    given_digest,
    given_path,
    kind_of,
    looks_given,
)
from pipeline.backbones.graph import Graph
from pipeline.backbones.preprocessing import WORDS, read_preprocessing
from pipeline.calls import split_calls
from pipeline.errors import InputError, StoreError
from pipeline.system.files import write_json
from pipeline.system.startup import import_keras
from pipeline.system.typed import read_json, typed

logger = logging.getLogger(__name__)

VERSION = 1
"""Of how what is known of a brought network is found."""


@dataclass(frozen=True)
class FoundBase:
    """What ``--backbone`` means.

    Args:
        spec: The base.
        path: Of the file or folder that brings it; None for one of the catalog.
        graph: The same network, node by node.
    """

    spec: BackboneSpec
    path: Path | None = None
    graph: Graph | None = None


def find_base(
    text: str,
    preprocessing: str | None = None,
    size: int | None = None,
    *,
    runs: Path = Path("runs"),
    models: Path | None = None,
    look: bool = False,
    listing: bool = False,
) -> FoundBase:
    """Find the base that a text means.

    Args:
        text: A name of the catalog, which comes first; a file or folder of a network;
            ``run:NAME``; or ``kerashub:NAME``.
        preprocessing: What pictures go through first, where the network does not say it itself.
        size: Side of the pictures, needed for networks that take any.
        runs: Folder of the runs.
        models: Folder of the converted models, beside which is kept what is known of the network.
        look: Change nothing on disk.
        listing: Only what is in it is asked for, whatever its preprocessing and size.

    Raises:
        UnknownNameError: It is no base of the catalog, and no file.
        InputError: The preprocessing or the size is missing, or not for this base.
        WeightsError: The file is not there, or no network that can be read.
    """
    if text.partition("(")[0].strip() in BACKBONES or not looks_given(text):
        return FoundBase(_of_catalog(text, preprocessing))
    path = given_path(text, runs)
    kind = kind_of(path)
    name = f"{kind}:{(digest := given_digest(kind, path))[:12]}"
    graph = _graph(kind, path, digest, size, models, look)
    family = "" if listing else _family(text, graph, preprocessing)
    if not graph.size and size is None and not listing:
        raise InputError(
            f"expected image_size for {text}, which takes pictures of any size; give the one that "
            f"it was trained on, such as --image-size 224"
        )
    blocks, top = graph.cut_points()
    known = GivenGraph(
        preprocessing=family,
        size=graph.size or size or 0,
        blocks=blocks,
        top=top,
        n_parameters=graph.n_parameters,
    )
    row = given_backbone(name, known, any_size=not graph.size)
    logger.info("%s is %s%s", path, name, f", preprocessing {family}" if family else "")
    return FoundBase(BackboneSpec(row), path, graph)


def _of_catalog(text: str, preprocessing: str | None) -> BackboneSpec:
    if len(split_calls(text)) > 1:
        raise InputError(
            f"expected one base, received backbone={text!r}; name one of them, or compare them "
            f"with `pipeline classify`"
        )
    spec = parse_backbone(text)
    if preprocessing is not None:
        raise InputError(
            f"expected preprocessing for a base that brings none, received "
            f"preprocessing={preprocessing!r} for {spec}, whose own is known; leave it out"
        )
    return spec


def _family(text: str, graph: Graph, asked: str | None) -> str:
    brings = "raw" if text.startswith(RUN) else graph.brings
    if asked is None and not brings:
        hint = f"; {graph.hint}" if graph.hint else ""
        raise InputError(
            f"expected --preprocessing for {text}, which does not say what its pixels go through "
            f"first: {WORDS}{hint}"
        )
    if asked is None:
        return brings
    family = read_preprocessing(asked)
    if brings and family != brings:
        raise InputError(
            f"expected no preprocessing for {text}, which brings its own ({brings}), received "
            f"preprocessing={asked!r}; leave it out"
        )
    return family


def _graph(
    kind: str, path: Path, digest: str, size: int | None, models: Path | None, look: bool
) -> Graph:
    file = None if models is None else models / f"given-{digest}-{size or 0}-{VERSION}.json"
    if file is not None:
        try:
            read: Graph = typed(Graph, read_json(file))
            return read
        except (OSError, ValueError):  # not there, or no more than what can be found again
            pass
    graph = describe(kind, path, size)
    if file is not None and not look:
        try:
            write_json(file, json.loads(json.dumps(asdict(graph))))
        except StoreError as error:
            logger.warning("%s", error)
    return graph


def describe(kind: str, path: Path, size: int | None) -> Graph:
    """Read a network's graph; imports what holds it.

    Raises:
        WeightsError: It is no network of pictures that can be read.
    """
    if kind in GRAPHS:
        from pipeline.backbones.given_openvino import describe_graph

        return describe_graph(kind, path, size)
    import_keras()
    from pipeline.backbones.given_keras import describe_keras

    return describe_keras(kind, path, size)
