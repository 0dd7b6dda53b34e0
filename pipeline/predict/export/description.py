"""What is said of an exported model, inside it and beside it: classes, recipe, figures, origin."""

from collections.abc import Mapping
from typing import Any

from pipeline.images import DecodeRecipe
from pipeline.predict.export.formats import Format
from pipeline.runs import Bundle, RunFolder

FORMAT = "bottleneck-export"
FORMAT_VERSION = 1
INPUT, OUTPUT, EVIDENCE = "images", "probabilities", "evidence"
DESCRIPTION = "bottleneck.json"
"""Name of the description in formats that are archives."""
LABELS = "labels.txt"
"""Class names, a line each: where programs that read TFLite files look for them."""

_RESIZING = {
    "squash": "scale it to {size} × {size} pixels whatever its aspect ratio",
    "crop": "take its largest centred square, which lies on half pixels where width and height "
    "differ by an odd number (give it to Image.resize as box, Image.crop rounds it), and scale "
    "that to {size} × {size} pixels",
    "pad": "scale its long side to {size} pixels, the other rounded to even at a half, and centre "
    "it on black, {size} × {size} pixels, half a pixel to the left and up where it does not fit",
}


def describe_model(run: RunFolder, bundle: Bundle, wanted: Format) -> dict[str, Any]:
    """Return everything that has to be known to use a model, as plain JSON values."""
    recipe = bundle.decoding
    size, n_classes = recipe.size, len(bundle.classes)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": wanted.name,
        "run": run.name,
        "head": run.head,
        "backbone": bundle.base["backbone"],
        "layers": list(run.layers),
        "classes": list(bundle.classes),
        "input": _tensor(INPUT, [None, size, size, 3], wanted.input_dtype, "RGB, 0 to 255"),
        "output": _tensor(OUTPUT, [None, n_classes], "float32", "one column per class, in order"),
        "recipe": {**recipe.to_dict(), "in_words": recipe_in_words(recipe)},
        "metrics": {
            "selection": {"by": run.selection.by, "accuracy": run.selection.accuracy},
            "test": run.test.summary(),
        },
        "threshold": bundle.threshold,
        "notes": _notes(bundle, wanted),
    }


def describe_evidence(shape: tuple[int, ...], bias: Any) -> dict[str, Any]:
    """Return what has to be known of the second output (h, w, k) and of the bias (k,)."""
    about = "what each cell adds to the score of each class; all cells and the bias are the score"
    return {EVIDENCE: {**_tensor(EVIDENCE, [None, *shape], "float32", about), "bias": bias}}


def _tensor(name: str, shape: list[int | None], dtype: str, about: str) -> Mapping[str, Any]:
    return {"name": name, "shape": shape, "dtype": dtype, "about": about}


def recipe_in_words(recipe: DecodeRecipe) -> str:
    """Say how a picture file becomes what the model takes.

    >>> recipe_in_words(DecodeRecipe(224)).split("; ")[1]
    'scale it to 224 × 224 pixels whatever its aspect ratio'
    """
    resizing = _RESIZING[recipe.resize].format(size=recipe.size)
    nearly = ", but for one grey level in about every tenth value" if recipe.version > 1 else ""
    scaled = " (JPEG: at a half, quarter or eighth, where that leaves twice the size or more)"
    return (
        f"decode the picture as RGB, 8 bits a channel, with its EXIF orientation applied"
        f"{scaled if recipe.jpeg == 'scaled' else ''}; {resizing}; antialiased, as Pillow's "
        f"Image.resize does with Resampling.{recipe.interpolation.upper()}{nearly}; give it as "
        f"it is, 0 to 255: the preprocessing is inside the model"
    )


def _notes(bundle: Bundle, wanted: Format) -> list[str]:
    """Say what a user of the model has to know beside its figures."""
    found = []
    if bundle.test_views is not None:
        found.append(
            f"the model judges a picture as it is; the run, its test figures and its threshold "
            f"come from the mean over the picture and {bundle.test_views.n} views of it"
        )
    if bundle.threshold is not None:
        found.append(
            f"where the greatest probability is below {bundle.threshold:.6g}, the run's answer is "
            f'"don\'t know"; the model gives the probabilities all the same'
        )
    if bundle.density is not None:
        found.append(
            "the model does not say how typical a picture is of the training pictures, and calls "
            "none unknown; `pipeline predict` does"
        )
    if wanted.name == "openvino":
        found.append(
            "compile with INFERENCE_PRECISION_HINT=f32, or processors with bfloat16 round to it"
        )
    return found


def labels_text(description: Mapping[str, Any]) -> bytes:
    """Return the class names, a line each; names that are no text come as their bytes."""
    return "".join(f"{name}\n" for name in description["classes"]).encode(
        "utf-8", "surrogateescape"
    )
