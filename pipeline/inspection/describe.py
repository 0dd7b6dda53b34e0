"""Findings as plain JSON values: every picture by its path, its split and its label."""

from collections.abc import Mapping
from typing import Any

from pipeline.images import SPLITS, Dataset
from pipeline.inspection.duplicates import Group
from pipeline.inspection.leaks import Leak
from pipeline.inspection.suspects import Suspect


def split_names(dataset: Dataset) -> Mapping[str, str]:
    """Return what the source calls each split, in the order of `SPLITS`."""
    return {split: split for split in SPLITS} | {"test": dataset.test_name}


def _picture(dataset: Dataset, row: int) -> dict[str, Any]:
    return {
        "path": dataset.paths[row],
        "split": split_names(dataset)[str(dataset.splits[row])],
        "label": dataset.classes[dataset.labels[row]],
    }


def describe_group(dataset: Dataset, group: Group) -> dict[str, Any]:
    """Return a group of pictures that are the same or nearly so."""
    pictures = [_picture(dataset, row) for row in group.rows.tolist()]
    return {
        "exact": group.exact,
        "similarity": group.similarity,
        "contradictory": len({picture["label"] for picture in pictures}) > 1,
        "across_splits": len({picture["split"] for picture in pictures}) > 1,
        "pictures": pictures,
    }


def describe_leak(dataset: Dataset, leak: Leak) -> dict[str, Any]:
    """Return a picture that is given away, and the likest that gives it away."""
    return {
        **_picture(dataset, leak.row),
        "other": _picture(dataset, leak.other),
        "exact": leak.exact,
        "similarity": leak.similarity,
        "n_others": leak.n_others,
    }


def describe_suspect(dataset: Dataset, suspect: Suspect) -> dict[str, Any]:
    """Return a picture whose label looks wrong, and what it looks like."""
    return {
        **_picture(dataset, suspect.row),
        "probability": suspect.given_probability,
        "suggested": dataset.classes[suspect.suggested],
        "suggested_probability": suspect.suggested_probability,
    }
