"""How good a model is before, during and after fine-tuning, on pictures that it does not learn."""

import numpy as np

from pipeline.evaluate import log_loss, losses
from pipeline.finetune.start import FEWEST, StartingHead
from pipeline.finetune.task import Task
from pipeline.finetune.training.plan import Epoch
from pipeline.heads.class_weights import class_weights
from pipeline.runs import InitialFigures, SelectionFigures


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


def initial_figures(task: Task, whole: np.ndarray, start: StartingHead) -> InitialFigures:
    """Compare the whole model before training with its head on cached features.

    Args:
        task: Whose validation pictures both have judged.
        whole: Probabilities (m, k) of the whole model.
        start: The head.
    """
    return InitialFigures(
        validation_accuracy=float(np.mean(whole.argmax(1) == task.judged_labels)),
        head_accuracy=start.accuracy,
        max_probability_difference=float(np.abs(whole - start.probabilities).max()),
        n=len(whole),
    )


def selection(task: Task, kept: Epoch, before: np.ndarray, after: np.ndarray) -> SelectionFigures:
    """Say how good the model is on pictures unseen, comparably with its head's own figures.

    A slice of train is small, so its accuracy would win or lose by luck against a
    cross-validation over all of train; the gain over the head on the same slice would not. That
    gain is of the epoch that the same pictures chose: it counts as far as it exceeds its standard
    error, and where it is so many pictures as an outlook asks for, so that a picture or two do not
    make a model the best. Where nothing judged the head,
    there are no figures to add it to: the run compares with none, and the gain is all there is.

    Args:
        task: What was fine-tuned.
        kept: The epoch whose weights were kept.
        before: What the model said of the validation pictures before training: (m, k).
        after: What the kept one says of them: (m, k).
    """
    head, labels = task.source.selection, task.judged_labels
    hits, hits_before = (p.argmax(1) == labels for p in (after, before))
    more = int(hits.sum()) - int(hits_before.sum())
    gain = 0.0 if 0 < more < FEWEST else sure_gain(hits.astype(float) - hits_before)
    gain_in_loss = sure_gain(losses(before, labels) - losses(after, labels))
    loss_after, accuracy_after = judge(task, after)
    accuracy, loss = head.accuracy, head.log_loss
    by = head.by.split("; the gain")[0].split(" of the head, and the gain")[0]  # it may go on
    if accuracy is None or loss is None:
        by += f"; the gain over the head is on a {task.validated_on}"
    else:
        by += f" of the head, and the gain beyond its standard error on a {task.validated_on}"
        accuracy, loss = min(1.0, accuracy + gain), max(0.0, loss - gain_in_loss)
    return SelectionFigures(
        by=by,
        n=len(task.validation),
        accuracy=accuracy,
        log_loss=loss,
        gain=gain,
        validation_log_loss=loss_after,
        validation_accuracy=accuracy_after,
        epoch=kept.epoch,
    )


def sure_gain(gains: np.ndarray) -> float:
    """Return the mean of gains less its standard error, but not below 0; a mean loss as it is.

    Args:
        gains: (n,) float, one a picture.
    """
    mean = float(gains.mean())
    if mean <= 0 or len(gains) < 2:
        return min(mean, 0.0)
    return max(0.0, mean - float(gains.std(ddof=1) / np.sqrt(len(gains))))
