"""What made a run: its base, its head, its data and its program."""

from collections.abc import Iterator
from typing import Any

from pipeline.report.names import visible
from pipeline.runs import Run

SHOWN_OF_A_DIGEST = 16


def recipe_view(run: Run) -> list[tuple[str, str]]:
    """Return names and values of everything that decided a run."""
    return [(name, visible(str(value))) for name, value in _rows(run) if value not in (None, "")]


def _rows(run: Run) -> Iterator[tuple[str, Any]]:
    info, base = run.info, run.info["base"]
    data, config = info["dataset"], info.get("config", {})
    yield "run", run.name
    yield "kind", "fine-tuned base" if info["kind"] == "finetune" else "head on frozen features"
    yield "from", info.get("from")
    yield "backbone", base["backbone"]
    yield "weights", f"{base['weights']}, SHA-256 {base['weights_digest'][:SHOWN_OF_A_DIGEST]}…"
    yield "layers and pooling", ", ".join(f"{layer} ({how})" for layer, how in base["cuts"])
    size = base["image_size"]
    yield "picture", f"{size} × {size} pixels, {base['resize']}, {base['interpolation']}"
    yield "JPEG decoding", base.get("jpeg", "full")
    yield "arithmetic, stored type", f"{base['precision']}, {base.get('dtype', 'float32')}"
    yield "head", info["head"]
    parameters = ", ".join(f"{name}={value}" for name, value in info["params"].items())
    yield "parameters", parameters or "none"
    yield "factor on scores", f"{info['factor']:.4g}" if "factor" in info else None
    yield "views", config.get("views") or None
    yield "mode", config.get("mode")
    if learned := info.get("learned_layers"):
        yield "layers that learned", f"{len(learned)}, from {learned[0]} to {learned[-1]}"
    yield "seed", info["seed"]
    yield "data", f"{data['root']}, digest {data['digest'][:SHOWN_OF_A_DIGEST]}…"
    counts = data["pictures"].items()
    yield "pictures", ", ".join(f"{name} {n:,}" for name, n in counts if n)
    yield "left out", data.get("left_out") or None
    yield "selected by", run.metrics["selection"]["by"]
    yield "made", info.get("created")
    yield "took", f"{info['seconds']:,.1f} s" if "seconds" in info else None
    versions = [f"{name} {version}" for name, version in info.get("versions", {}).items()]
    yield "versions", ", ".join([f"Python {info.get('python')}", *versions])
