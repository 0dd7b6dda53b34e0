"""AdamW whose step differs from block to block, and the schedule of its step. A Keras module."""

from collections.abc import Sequence
from typing import Any

import keras

from pipeline.finetune.training.plan import Plan

CLIP_NORM = 1.0


class BlockwiseAdamW(keras.optimizers.Adam):
    """AdamW (Loshchilov and Hutter 2019) with a factor on the step of each variable.

    Lower blocks see more general things and need less change (Howard and Ruder 2018). Momentum is
    never scaled, and decay is scaled with the step, as everything else.

    Args:
        learning_rate: Of a variable with the factor 1.
        decay: Decoupled weight decay.
        factors: One per variable, in the order given to `build`.
    """

    def __init__(self, learning_rate: Any, decay: float, factors: Sequence[float]) -> None:
        super().__init__(learning_rate, clipnorm=CLIP_NORM)
        self._decay, self._factors = decay, tuple(factors)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decay a variable, then move it."""
        factor = self._factors[self._get_variable_index(variable)]
        rate = keras.ops.cast(learning_rate, variable.dtype) * factor
        self.assign_sub(variable, variable * (rate * self._decay))
        super().update_step(gradient, variable, rate)


class Phases(keras.optimizers.schedules.LearningRateSchedule):
    """One schedule up to a step, and another one from there, which counts from 0 again."""

    def __init__(self, first: Any, second: Any, switch: int) -> None:
        self._first, self._second, self._switch = first, second, switch

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step."""
        later = keras.ops.maximum(step - self._switch, 0)
        return keras.ops.where(step < self._switch, self._first(step), self._second(later))


def schedule(plan: Plan) -> Any:
    """Return the learning rate by step: once for the head alone, if it has epochs, and once more.

    Warm-up keeps the first steps, whose momentum is an estimate from few pictures, from undoing
    what the head has learnt (Goyal et al. 2017); the cosine is Loshchilov and Hutter's, 2017.
    """
    if not plan.head_epochs:
        return _warm_cosine(plan, plan.epochs)
    first = _warm_cosine(plan, plan.head_epochs)
    second = _warm_cosine(plan, plan.epochs - plan.head_epochs)
    return Phases(first, second, plan.head_epochs * plan.steps_per_epoch)


def _warm_cosine(plan: Plan, n_epochs: int) -> Any:
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, plan.steps_per_epoch * (n_epochs - 1)),
        warmup_target=plan.learning_rate,
        warmup_steps=plan.steps_per_epoch,
    )


def make_optimizer(plan: Plan, factors: Sequence[float], scale_loss: bool) -> Any:
    """Return the optimizer of a plan.

    Args:
        plan: Step size, decay and schedule.
        factors: One per variable that learns.
        scale_loss: Whether gradients are computed in float16, where small ones vanish unless the
            loss is multiplied first (Micikevicius et al. 2018); the factor finds itself.
    """
    optimizer = BlockwiseAdamW(schedule(plan), plan.weight_decay, factors)
    return keras.optimizers.LossScaleOptimizer(optimizer) if scale_loss else optimizer


def current_rate(optimizer: Any) -> float:
    """Return the learning rate of the next step, of a variable with the factor 1."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return float(keras.ops.convert_to_numpy(inner.learning_rate))
