"""The arithmetic of a base: what there is, what computes in it, what this processor gains by it.

A recipe's precision is what was asked for; of int8 it says the digest of the quantised model too,
``int8:1f3a…``, since that decides the numbers.
"""

import re
from pathlib import Path

from pipeline.errors import UnknownNameError

FLOAT32, BFLOAT16, INT8, FAST = "float32", "bfloat16", "int8", "fast"
MIXED = ("mixed_float16", "mixed_bfloat16")
"""Of Keras' frameworks."""
OF_OPENVINO = (BFLOAT16, INT8)
"""Of OpenVINO alone."""
PRECISIONS = (FLOAT32, *OF_OPENVINO, *MIXED, FAST)
_QUANTISED = re.compile(f"{INT8}:[0-9a-f]{{64}}")

_GAINS = {
    INT8: {"avx512_vnni", "avx_vnni", "amx_int8"},
    BFLOAT16: {"avx512_bf16", "amx_bf16"},
}
"""Flags of processors that compute faster so; OpenVINO names bfloat16 alone among what it can."""


def kind_of(precision: str) -> str:
    """Return a recipe's precision without the digest of a quantised model.

    >>> kind_of("int8:" + 64 * "0"), kind_of("bfloat16")
    ('int8', 'bfloat16')
    """
    return INT8 if is_quantised(precision) else precision


def is_quantised(precision: object) -> bool:
    """Return whether a precision names a quantised model."""
    return isinstance(precision, str) and _QUANTISED.fullmatch(precision) is not None


def check_precision(precision: str) -> None:
    """Raise UnknownNameError for what no recipe says."""
    known = tuple(one for one in PRECISIONS if one not in (INT8, FAST))
    if precision not in known and not is_quantised(precision):
        raise UnknownNameError("precision", precision, (*known, INT8))


def gains(precision: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether this processor computes faster in a precision than in float32.

    Args:
        precision: A key of what gains; anything else gains nothing.
        cpuinfo: What the system says of the processor; where it says nothing, nothing is gained.
    """
    try:
        text = cpuinfo.read_text("utf-8", "replace")
    except OSError:
        return False
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return bool(_GAINS.get(precision, set()) & set(found[1].split() if found else ()))
