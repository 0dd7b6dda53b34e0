"""Print the figures of this machine: ``python -m benchmarks [PART…]``; without a part, the first.

The other parts take long: ``views``, ``scale``, ``cluster`` and ``finetuning`` five minutes,
``bases``, ``evidence`` and ``soak`` ten, ``hostile``, ``rows`` and ``tune`` half an hour,
``families`` more.
"""

import sys

from benchmarks import (
    accuracy,
    arithmetic,
    bases,
    blocks,
    cluster,
    decoding,
    evidence,
    families,
    finetuning,
    folders,
    heads,
    hostile,
    rows,
    scale,
    soak,
    speed,
    tuning,
    views,
)

PARTS = {
    "speed": speed.main,
    "decoding": decoding.main,
    "arithmetic": arithmetic.main,
    "accuracy": accuracy.main,
    "heads": heads.main,
    "tune": tuning.main,
    "finetuning": finetuning.main,
    "views": views.main,
    "scale": scale.main,
    "blocks": blocks.main,
    "bases": bases.main,
    "evidence": evidence.main,
    "folders": folders.main,
    "rows": rows.main,
    "soak": soak.main,
    "cluster": cluster.main,
    "families": families.main,
    "hostile": hostile.main,
}
USUAL = ("speed", "arithmetic", "accuracy")

if __name__ == "__main__":
    for name in sys.argv[1:] or USUAL:
        print(f"== {name}", flush=True)
        PARTS[name]()
