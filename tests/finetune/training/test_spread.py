"""Several devices take the steps that one takes. Shown on logical CPU devices, in a new process,
because TensorFlow fixes its devices when it is first used."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json
import numpy as np
import keras
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)

from pipeline.finetune.augment import augmentation
from pipeline.backbones import Cut, parse_backbone, resolve_weights
from pipeline.backbones.build import build_extractor
from pipeline.backbones.unfreeze import unfreeze
from pipeline.backbones.engines.framework import dtype_policy
from pipeline.heads import NetworkHead
from pipeline.heads.transplant import transplant
from pipeline.finetune.training.plan import Plan
from pipeline.finetune.training.spread import all_devices, one_device
from pipeline.finetune.training.trainer import Trainer

images = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
labels = np.arange(16) % 3


def trained(spread, augment, precision, batch_norm):
    spec = parse_backbone("MobileNet(alpha=0.25)")  # nothing in it is dropped at random
    rng = np.random.default_rng(1)
    with spread.scope():
        with dtype_policy(precision):
            extractor = build_extractor(
                spec, resolve_weights(spec, "none"), 32, [Cut("conv_pw_4_relu")]
            )
        kernel = 0.01 * rng.normal(size=(extractor.output_shape[-1], 3)).astype("f4")
        model = transplant(extractor, NetworkHead((kernel,), (np.zeros(3, "f4"),)))
        unfreeze(model, spec, "conv_dw_3", batch_norm=batch_norm)
    # Of 16 examples, in steps of 7, 7 and 2: shares of unlike sizes, and fewer than devices.
    plan = Plan(2, 9, 3, 1e-3, 1e-2, 0.1, 0, (0.5, 1.0, 1.5), 0)
    trainer = Trainer(model, augmentation(augment, 0), plan, spread=spread)
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]

    def batches(epoch):
        for start in (0, 7, 14):
            yield (images[start : start + 7],), labels[start : start + 7]

    losses = iter(range(9, 0, -1))
    history = trainer.fit(batches, lambda: (next(losses), 0.0))
    after = [keras.ops.convert_to_numpy(v) for v in model.variables]
    moved = [
        abs(keras.ops.convert_to_numpy(v) - b).max()
        for v, b in zip(model.trainable_variables, before)
    ]
    return {
        "losses": [epoch.train_loss for epoch in history[1:]],
        "hits": [epoch.train_accuracy for epoch in history[1:]],
        "moved": float(max(moved)),
        "finite": all(np.isfinite(array).all() for array in after),
    }, after


spread = all_devices()
found = {"devices": spread.n_devices}
for case in (
    ("none", "float32", False),
    ("shift,flip,mixup", "float32", False),
    ("none", "mixed_float16", False),
    ("none", "float32", True),
):
    (alone, weights), (together, others) = (trained(s, *case) for s in (one_device(), spread))
    difference = max(float(abs(a - b).max()) for a, b in zip(weights, others))
    found["|".join(map(str, case))] = [alone, together, difference]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    process = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.parametrize("augment", ["none", "shift,flip,mixup"])
def test_three_devices_take_the_steps_of_one(found, augment):
    assert found["devices"] == 3
    alone, together, difference = found[f"{augment}|float32|False"]
    assert together["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert together["hits"] == alone["hits"]
    assert difference < 1e-4 < alone["moved"]


def test_losses_that_are_scaled_are_shared_too(found):
    alone, together, _ = found["none|mixed_float16|False"]
    assert together["losses"] == pytest.approx(alone["losses"], rel=5e-3)
    assert together["finite"]
    assert together["moved"] > 1e-4


def test_batch_statistics_are_those_of_a_share(found):
    """Each device normalises by its own share: near to what one does, not equal."""
    alone, together, difference = found["none|float32|True"]
    assert together["losses"] == pytest.approx(alone["losses"], rel=5e-2)
    assert together["finite"]
    assert difference > 0
