"""Print the figures of this machine: ``python -m benchmarks [PART…]``; without a part, the first.

The other parts take long: ``gpu`` (which takes ``--budget`` and ``--out``), ``worth`` (hours; it
takes names of cases, and goes on where it was interrupted), ``views``, ``scale``,
``cluster`` and ``finetuning`` five minutes, ``bases``, ``search`` and ``soak`` ten, ``evidence``
twenty, ``hostile``, ``rows`` and ``tune`` half an hour, ``families`` more.
"""

import sys
from importlib import import_module

PARTS = (
    "speed",
    "decoding",
    "arithmetic",
    "accuracy",
    "heads",
    "tune",
    "search",
    "finetuning",
    "views",
    "scale",
    "blocks",
    "bases",
    "evidence",
    "folders",
    "rows",
    "soak",
    "cluster",
    "families",
    "hostile",
    "gpu",
    "worth",
    "suggest",
    "nearest",
)
USUAL = ("speed", "arithmetic", "accuracy")

if __name__ == "__main__":
    asked = sys.argv[1:]
    for name in asked[:1] if asked[:1] in (["gpu"], ["worth"]) else asked or USUAL:
        if name not in PARTS:
            sys.exit(f"expected parts of {', '.join(PARTS)}, received {name}")
        print(f"== {name}", flush=True)
        # One alone: parts need packages that others do without.
        import_module(f"benchmarks.{'tuning' if name == 'tune' else name}").main()
