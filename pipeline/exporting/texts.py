"""What lies as text inside an exported model."""

import json
from collections.abc import Mapping
from typing import Any

DESCRIPTION = "bottleneck.json"
"""Name of the description in formats that are archives."""
LABELS = "labels.txt"
"""Class names, a line each: where programs that read TFLite files look for them."""


def description_text(description: Mapping[str, Any]) -> str:
    """Return a description as JSON in ASCII, which every format can hold."""
    return json.dumps(description)


def labels_text(description: Mapping[str, Any]) -> bytes:
    """Return the class names, a line each; names that are no text come as their bytes."""
    return "".join(f"{name}\n" for name in description["classes"]).encode(
        "utf-8", "surrogateescape"
    )
