"""Trainings with smaller and smaller steps, until one gets further than the head.

Pictures that are far from those of the base want large steps, and nearly all bases bear them. Where
these leave a model no better than it was, steps of a third are taken from the beginning. Only the
end of a training tells: its first epochs are often worse than the head, and the last much better.
"""

import logging
from dataclasses import dataclass
from math import inf

from pipeline.config import FinetuneConfig
from pipeline.finetune.augment import augmentation
from pipeline.finetune.checkpoint import Checkpoint
from pipeline.finetune.examples import CachedExamples, DecodedExamples
from pipeline.finetune.logs import tensorboard_log
from pipeline.finetune.network import BaseWithHead
from pipeline.finetune.outcome import judge
from pipeline.finetune.task import Task
from pipeline.finetune.training.plan import Epoch, Mixture, State, is_spent, kept_epoch
from pipeline.finetune.training.spread import Spread
from pipeline.finetune.training.trainer import Trainer
from pipeline.system.progress import Reporter
from pipeline.system.units import counted

logger = logging.getLogger(__name__)

RATES = (1e-3, 3e-4, 1e-4)
USUAL = 3e-4
"""Where there are too few epochs to see which."""
FEW_EPOCHS = 3


@dataclass(frozen=True)
class Attempt:
    """The training that was left.

    Args:
        learning_rate: Its own.
        given_up: Those of trainings before it that got no further than the head.
        history: Epoch 0 and every epoch of it.
        mixtures: See `Trainer.mix`.
    """

    learning_rate: float
    given_up: tuple[float, ...]
    history: list[Epoch]
    mixtures: list[Mixture]


def rates(config: FinetuneConfig) -> tuple[float, ...]:
    """Return the learning rates to attempt, in that order."""
    if config.learning_rate is not None:
        return (config.learning_rate,)
    return RATES if config.epochs - config.head_epochs > FEW_EPOCHS else (USUAL,)


def attempt(
    task: Task,
    name: str,
    network: BaseWithHead,
    examples: DecodedExamples | CachedExamples,
    checkpoint: Checkpoint,
    devices: Spread,
    reporter: Reporter,
) -> Attempt:
    """Train from the start, or from where it was interrupted; then see how much of it is best.

    Each attempt has a checkpoint of its own until the run is there: none is made twice.

    Raises:
        InputError: There is nothing to keep, see `Trainer.fit`.
    """
    config, tried = task.config, rates(task.config)
    if devices.n_devices > 1:
        logger.info("each batch is shared by %d devices", devices.n_devices)
    logger.info(
        "%s of the base learn, in steps of %s; changes: %s; at most %s",
        counted(len(network.learning), "layer"),
        ", or ".join(f"{rate:g}" for rate in tried),
        task.changed.names,
        counted(config.epochs, "epoch"),
    )
    log = None if config.tensorboard is None else tensorboard_log(config.tensorboard / name)
    augment = augmentation(task.changed.names, config.seed)

    def validate() -> tuple[float, float]:
        return judge(task, examples.probabilities(task.validation))

    left = inf if config.budget_seconds is None else config.budget_seconds
    for number, rate in enumerate(tried):
        last = number == len(tried) - 1
        plan = task.plan(rate, last, left)
        trainer = Trainer(network.logits, augment, plan, examples.network, network.factors, devices)
        kept_here = checkpoint.of(number)
        resumed = _where_it_stood(trainer, kept_here)

        def keep(state: State, kept_here: Checkpoint = kept_here) -> None:
            kept_here.save(state)
            if log is not None:
                log(state.history[-1])

        history = trainer.fit(examples.batches, validate, reporter, resumed=resumed, keep=keep)
        if last or kept_epoch(history).epoch or is_spent(history, left):
            break
        left -= sum(epoch.seconds for epoch in history)
        logger.info(
            "steps of %g got no further than the head; beginning again with %g",
            rate,
            tried[number + 1],
        )
    return Attempt(rate, tried[:number], history, trainer.mix(history, validate))


def _where_it_stood(trainer: Trainer, checkpoint: Checkpoint) -> State | None:
    resumed = checkpoint.load()
    if resumed is not None and not trainer.fits(resumed):
        checkpoint.ignore("it is of another model")
        return None
    if resumed is not None:
        logger.info("going on after epoch %d, from %s", resumed.history[-1].epoch, checkpoint.path)
    return resumed
