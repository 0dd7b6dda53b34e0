"""How an exported model looks: where it is, how far from the run, what to know of it."""

from collections.abc import Mapping
from typing import Any

from pipeline.units import counted, size_text

Value = Mapping[str, Any]


def exported_model(value: Value) -> None:
    """Say what was written, how far it is from the run, and what a user of it has to know."""
    print(f"{value['path']}: {value['run']} as {value['format']}, {size_text(value['bytes'])}")
    print(
        f"greatest difference of a probability from the run's own: "
        f"{value['max_abs_difference']:.1e}, on {counted(value['pictures'], 'picture')} "
        f"({value['compared_on']})"
    )
    for note in value["notes"]:
        print(f"note: {note}")
    print(f"classes, recipe and figures: {value['description']}")
