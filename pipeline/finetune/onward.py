"""Going on from a fine-tuned run: deeper, longer, or on other pictures. A Keras module."""

from dataclasses import replace

import numpy as np

from pipeline.backbones.engines.devices import device_of
from pipeline.finetune.examples import DecodedExamples
from pipeline.finetune.start import StartingHead
from pipeline.finetune.task import Task


def go_on_from(task: Task, start: StartingHead) -> StartingHead:
    """Return where a fine-tuned run ended: its weights, and what it says of what decides.

    Args:
        task: Its source is a fine-tuned run.
        start: The head fitted on the base as it was before that: its layers are as the run's.

    Raises:
        RunError: The run's model is damaged.
        DataError: A picture that decides cannot be read as it was.
    """
    model = task.source.bundle().model()
    examples = DecodedExamples(task, model, device_of("tensorflow", task.config.precision))
    said = examples.probabilities(task.validation)
    right = float(np.mean(said.argmax(1) == task.judged_labels))
    weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    return replace(start, probabilities=said, accuracy=right, weights=weights)
