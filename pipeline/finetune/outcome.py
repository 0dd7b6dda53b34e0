"""What a fine-tuned run says of itself: its figures, and what was done."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline.backbones.boundary import Boundary
from pipeline.config import to_dict
from pipeline.evaluate import evaluate, log_loss, losses
from pipeline.finetune.head import StartingHead
from pipeline.finetune.network import Network
from pipeline.finetune.task import Task
from pipeline.finetune.training.plan import Epoch, best_epoch
from pipeline.heads.class_weights import class_weights


def judge(task: Task, probabilities: np.ndarray) -> tuple[float, float]:
    """Return loss and accuracy on the pictures that decide when to stop.

    Args:
        task: The loss weighs classes as training does.
        probabilities: (m, k), in the order of ``task.validation``.
    """
    given = task.judged_labels
    accuracy = float(np.mean(probabilities.argmax(1) == given))
    weights = class_weights(given, task.n_classes, task.weighs)
    if weights is None:
        return log_loss(probabilities, given), accuracy
    present = np.flatnonzero(weights).tolist()
    losses = [log_loss(probabilities[given == c], given[given == c]) for c in present]
    return float(np.mean(losses)), accuracy


def initial_figures(task: Task, whole: np.ndarray, start: StartingHead) -> dict[str, Any]:
    """Compare the whole model before training with its head on cached features.

    Args:
        task: Whose validation pictures both have judged.
        whole: Probabilities (m, k) of the whole model.
        start: The head.
    """
    return {
        "validation_accuracy": float(np.mean(whole.argmax(1) == task.judged_labels)),
        "head_accuracy": start.accuracy,
        "max_probability_difference": float(np.abs(whole - start.probabilities).max()),
        "n": len(whole),
    }


def metrics(
    task: Task,
    initial: Mapping[str, Any],
    history: list[Epoch],
    judged_by: tuple[np.ndarray, np.ndarray],
    test: np.ndarray,
    probabilities: np.ndarray,
) -> dict[str, Any]:
    """Return ``metrics.json``.

    Args:
        task: What was fine-tuned.
        initial: From `initial_figures`.
        history: Epoch 0 and every epoch trained.
        judged_by: What the model said of the validation pictures before training, and what the
            kept one says: (m, k) each.
        test: (n,) int, rows of the test split.
        probabilities: (n, k), what the kept model says of them.
    """
    judged = evaluate(probabilities, task.dataset.labels[test], task.config.seed)
    return {
        "selection": _selection(task, best_epoch(history), *judged_by),
        "initial": dict(initial),
        "epochs": [asdict(epoch) for epoch in history],
        "test": {"split": task.dataset.test_name, **judged.to_dict(task.dataset.classes)},
    }


def _selection(task: Task, kept: Epoch, before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """Say how good the model is on pictures unseen, comparably with its head's own figures.

    A slice of train is small, so its accuracy would win or lose by luck against a
    cross-validation over all of train; the gain over the head on the same slice would not. That
    gain is of the epoch that the same pictures chose: it counts as far as it exceeds its standard
    error, so that a picture or two do not make a model the best.
    """
    head, labels = task.source.metrics["selection"], task.judged_labels
    hits, hits_before = (p.argmax(1) == labels for p in (after, before))
    gain = sure_gain(hits.astype(float) - hits_before)
    gain_in_loss = sure_gain(losses(before, labels) - losses(after, labels))
    return {
        "by": f"{head['by']} of the head, and the gain beyond its standard error on a "
        f"{task.validated_on}",
        "n": len(task.validation),
        "accuracy": min(1.0, head["accuracy"] + gain),
        "log_loss": max(0.0, head["log_loss"] - gain_in_loss),
        "gain": gain,
        "validation_log_loss": kept.validation_loss,
        "validation_accuracy": kept.validation_accuracy,
        "epoch": kept.epoch,
    }


def sure_gain(gains: np.ndarray) -> float:
    """Return the mean of gains less its standard error, but not below 0; a mean loss as it is.

    Args:
        gains: (n,) float, one a picture.
    """
    mean = float(gains.mean())
    if mean <= 0 or len(gains) < 2:
        return min(mean, 0.0)
    return max(0.0, mean - float(gains.std(ddof=1) / np.sqrt(len(gains))))


def description(task: Task, network: Network, boundary: Boundary | None) -> dict[str, Any]:
    """Return ``run.json``, but for what every run has."""
    return {
        "kind": "finetune",
        "experiment": task.key(),
        "config": to_dict(task.config),
        "base": task.base.to_dict(),
        "recipe": task.base.recipe.to_dict(),
        "dataset": task.table.describe(),
        "from": task.source.name,
        "head": str(task.spec),
        "layers": list(task.base.layers),
        "learned_layers": network.learning,
        "boundary": None if boundary is None else boundary.layer,
        "step_factors": network.factors,
        "changes": task.changed.to_dict(),
        "params": dict(task.spec.params),
        "seed": task.config.seed,
    }
