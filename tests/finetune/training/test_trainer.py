"""Fine-tuning on a real base: what learns, what does not, and what is kept."""

import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest

from pipeline.backbones import Cut, parse_backbone, resolve_weights
from pipeline.backbones.build import build_extractor
from pipeline.backbones.engines.framework import dtype_policy
from pipeline.backbones.unfreeze import unfreeze
from pipeline.errors import InputError, UnknownNameError
from pipeline.evaluate import log_loss
from pipeline.finetune.augment import AUGMENTATIONS, MIXINGS, augmentation
from pipeline.finetune.training.optimizer import make_optimizer, schedule
from pipeline.finetune.training.plan import Epoch, Plan, is_over, kept_epoch
from pipeline.finetune.training.trainer import Trainer, counts, cross_entropy, wanted
from pipeline.heads import NetworkHead, softmax
from pipeline.heads.class_weights import class_weights
from pipeline.heads.transplant import transplant, with_probabilities
from pipeline.system.progress import Reporter

SIZE = 32


def head(n_features, hidden=(), n_classes=3):
    rng = np.random.default_rng(0)
    sizes = [n_features, *hidden, n_classes]
    return NetworkHead(
        tuple(rng.normal(size=pair).astype("f4") for pair in itertools.pairwise(sizes)),
        tuple(rng.normal(size=size).astype("f4") for size in sizes[1:]),
    )


def base(name="EfficientNetLite0", cuts=("block2", "block4")):
    spec = parse_backbone(name)
    weights = resolve_weights(spec, "none" if "Lite" not in name else "default")
    return spec, build_extractor(spec, weights, SIZE, [Cut(cut) for cut in cuts])


def images(n=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8)


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_transplanted_head_scores_as_it_did_on_features(hidden):
    _, extractor = base()
    features = np.concatenate([np.asarray(part) for part in extractor(images().astype("f4"))], 1)
    grafted = head(features.shape[1], hidden)
    model = transplant(extractor, grafted)
    expected = softmax(grafted.scores(features))
    got = np.asarray(with_probabilities(model)(images().astype("f4")))
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_maps_of_several_cuts_lie_side_by_side():
    spec = parse_backbone("EfficientNetLite0")
    cuts = [Cut("block3", "none"), Cut("block4", "none")]
    extractor = build_extractor(spec, resolve_weights(spec), SIZE, cuts)
    flat = [np.asarray(part).reshape(12, -1) for part in extractor(images().astype("f4"))]
    grafted = head(sum(part.shape[1] for part in flat))
    got = transplant(extractor, grafted)(images().astype("f4"))
    np.testing.assert_allclose(got, grafted.scores(np.concatenate(flat, 1)), rtol=1e-3, atol=1e-2)


def model_and_plan(unfrozen="block4", epochs=2, **plan):
    spec, extractor = base()
    model = transplant(extractor, head(sum(out.shape[-1] for out in extractor.outputs)))
    learning = unfreeze(model, spec, unfrozen)
    settings = {"learning_rate": 1e-3, "weight_decay": 1e-4, "label_smoothing": 0.0} | plan
    return model, learning, Plan(epochs, patience=9, steps_per_epoch=2, **settings)


def two_batches(epoch):
    labels = np.arange(12) % 3
    for start in (0, 6):
        yield (images(12, epoch)[start : start + 6],), labels[start : start + 6]


def train(model, plan, losses=None, seed=0):
    iterator = iter(losses or range(99, 0, -1))
    trainer = Trainer(model, augmentation("shift,flip", seed), plan)
    return trainer.fit(two_batches, lambda: (float(next(iterator)), 0.5))


def test_two_batches_tell_how_long_it_takes(caplog):
    model, _, plan = model_and_plan(epochs=3)
    trainer = Trainer(model, augmentation("none", 0), replace(plan, steps_per_epoch=8))

    def batches(epoch):
        yield from itertools.islice(itertools.cycle(two_batches(epoch)), 8)

    with caplog.at_level("INFO", logger="pipeline"):
        trainer.fit(batches, lambda: (1.0, 0.5))
    (told,) = [text for text in caplog.messages if " an epoch, " in text]
    assert told.endswith(" s for all 3, by 2 batches")


def test_what_compiling_took_is_gone_from_the_budget(caplog):
    model, _, plan = model_and_plan(epochs=12)
    trainer = Trainer(model, augmentation("none", 0), replace(plan, seconds=40.0))
    with caplog.at_level("INFO", logger="pipeline"):
        trainer._tell_seconds(4.0, compiling=10.0)
        trainer._tell_seconds(4.0, compiling=90.0)
        trainer._tell_seconds(1.0, compiling=10.0)
    budget = "; what is left of the budget is for about "
    assert caplog.messages[0] == f"4 s an epoch, 58 s for all 12, by 2 batches{budget}7"
    assert caplog.messages[1].endswith(f"{budget}1")
    assert caplog.messages[2] == "1 s an epoch, 22 s for all 12, by 2 batches"


def weights_of(model):
    return {weight.path: weight.numpy() for layer in model.layers for weight in layer.weights}


def test_frozen_weights_and_statistics_keep_every_bit():
    model, learning, plan = model_and_plan()
    before = weights_of(model)
    train(model, plan)
    after = weights_of(model)
    moved = {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}
    assert moved == {*learning, "head_0"}
    normalised = [path for path in before if "_bn" in path]
    assert normalised
    assert all(np.array_equal(before[path], after[path]) for path in normalised)


def test_boundary_is_the_end_of_the_block_below():
    _, learning, _ = model_and_plan("block4")
    assert learning[0] == "block4a_expand_conv"
    assert {name[:6] for name in learning} == {"block4"}


@pytest.mark.parametrize(
    ("boundary", "first"),
    [
        ("all", "stem_conv"),
        ("block1", "stem_conv"),
        ("block3b_dwconv", "block3b_dwconv"),
        ("auto", "block3a_expand_conv"),
    ],
)
def test_where_learning_begins(boundary, first):
    assert model_and_plan(boundary)[1][0] == first


def test_counting_layers_from_the_top():
    _, learning, _ = model_and_plan("14")
    assert learning[-1].startswith("block4c")
    assert not any(name.startswith("block3") for name in learning)


def test_branches_of_a_graph_are_frozen_exactly():
    spec = parse_backbone("MobileNetV2")
    extractor = build_extractor(spec, resolve_weights(spec, "none"), SIZE, [Cut("top")])
    model = transplant(extractor, head(extractor.outputs[0].shape[-1]))
    unfreeze(model, spec, "block6")
    end_below = model.get_layer(spec.cut_points()["block5"])
    learning = {layer.name for layer in model.layers if layer.trainable}
    assert end_below.name not in learning
    assert "Conv_1" in learning


@pytest.mark.parametrize(
    ("boundary", "message"),
    [
        ("block9", r"expected a block of EfficientNetLite0 for --unfreeze, received block9"),
        ("block5b_dwconv", r"expected a layer of EfficientNetLite0 below the head"),
        ("block6", r"the head sits on a cut at or below the end of block5"),
        ("0", r"expected 1 to \d+ layers .* to unfreeze, received 0"),
        ("1", r"expected layers with weights from '1' up to the head, there are none"),
    ],
)
def test_unusable_boundaries(boundary, message):
    with pytest.raises(InputError, match=message):
        model_and_plan(boundary)


def test_frozen_dropout_does_not_drop():
    inputs = keras.Input((SIZE, SIZE, 3))
    dropped = keras.layers.Dropout(0.9, name="low_dropout")(inputs)
    convolved = keras.layers.Conv2D(2, 3, name="high_conv")(dropped)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(convolved)
    model = keras.Model(inputs, keras.layers.Dense(3, name="head_0")(pooled))
    unfreeze(model, parse_backbone("VGG16"), "high_conv")
    given = images().astype("f4")
    np.testing.assert_array_equal(model(given, training=True), model(given, training=False))


def test_best_epoch_is_kept():
    losses = [5.0, 3.0, 1.0, 4.0, 2.0]
    model, _, plan = model_and_plan(epochs=4)
    history = train(model, plan, losses)
    assert kept_epoch(history).epoch == 2
    assert [epoch.validation_loss for epoch in history] == losses
    again, _, same = model_and_plan(epochs=4)
    kept, seen = {}, iter(losses)

    def validate():
        loss = next(seen)
        if loss == min(losses):
            kept.update(weights_of(again))
        return loss, 0.5

    Trainer(again, augmentation("shift,flip", 0), same).fit(two_batches, validate)
    final = weights_of(model)
    for path, value in kept.items():
        np.testing.assert_allclose(final[path], value, atol=1e-6)


def test_the_best_mean_with_the_start_is_kept():
    """Means of weights are known before: what does best of start, kept epoch and between stays."""
    model, _, plan = model_and_plan(epochs=1)
    start = weights_of(model)
    trainer = Trainer(model, augmentation("none", 0), plan)
    losses = iter([3.0, 2.0, 2.5, 1.0, float("inf")])
    seen = []

    def validate():
        seen.append(weights_of(model))
        return next(losses), 0.5

    history = trainer.fit(two_batches, validate)
    kept = weights_of(model)
    mixtures = trainer.mix(history, validate)
    assert [(one.share, one.validation_loss) for one in mixtures] == [
        (0.0, 3.0), (0.25, 2.5), (0.5, 1.0), (1.0, 2.0),
    ]  # fmt: skip
    moved = [path for path in kept if not np.array_equal(start[path], kept[path])]
    assert moved
    for path, value in weights_of(model).items():
        np.testing.assert_allclose(value, (start[path] + kept[path]) / 2, atol=1e-6)
        np.testing.assert_allclose(seen[-1][path], start[path] / 4 + kept[path] * 0.75, atol=1e-6)
        if path not in moved:
            np.testing.assert_array_equal(value, start[path])


def test_nothing_is_mixed_where_nothing_was_learnt():
    model, _, plan = model_and_plan(epochs=2)
    trainer = Trainer(model, augmentation("none", 0), plan)
    losses = iter([1.0, 2.0, 3.0])
    history = trainer.fit(two_batches, lambda: (next(losses), 0.5))
    assert trainer.mix(history, lambda: pytest.fail("judged")) == []


NAN = float("nan")


def epochs_of(losses):
    return [Epoch(i, None, None, loss, 0.5, 0.0, 0.0) for i, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "kept"),
    [([2, 1, 1], 1), ([NAN, 2, 1], 2), ([2, NAN, 1, NAN], 2), ([1, NAN, NAN], 0), ([NAN, NAN], 0)],
)
def test_a_loss_that_is_no_number_is_never_the_lowest(losses, kept):
    history = epochs_of(losses)
    assert kept_epoch(history).epoch == kept
    waited = Plan(9, len(losses) - 1 - kept, 2, 1e-3, 0.0, 0.0)
    assert is_over(history, waited)
    assert not is_over(history, replace(waited, patience=waited.patience + 1))


@pytest.mark.parametrize("beyond", [NAN, float("inf"), 2e36])
def test_a_training_whose_loss_is_no_number_ends_and_keeps_what_was_before(caplog, beyond):
    model, _, plan = model_and_plan(epochs=4)
    told = []

    class Told(Reporter):
        def epoch(self, epoch):
            told.append(epoch.epoch)

    labels, losses, before = np.arange(12) % 3, iter([3.0, 2.0, beyond]), {}

    def validate():
        loss = next(losses)
        if loss == 2:
            before.update(weights_of(model))
        return loss, 0.5

    trainer = Trainer(model, augmentation("none", 0), plan)
    with caplog.at_level("WARNING", logger="pipeline"):
        history = trainer.fit(
            lambda epoch: iter([((images(12, epoch),), labels)]), validate, Told()
        )
    assert [epoch.epoch for epoch in history] == told == [0, 1]
    told_of = f"validation_loss={beyond} in epoch 2 with learning_rate=0.001; epoch 1 is kept"
    assert told_of in caplog.text
    after = weights_of(model)
    assert before
    assert all(np.array_equal(before[path], after[path]) for path in before)


def test_a_training_that_has_no_number_to_begin_with_says_so():
    model, _, plan = model_and_plan()
    before = weights_of(model)
    with pytest.raises(InputError, match=r"before training, received validation_loss=nan: .*float"):
        train(model, plan, [NAN])
    after = weights_of(model)
    assert all(np.array_equal(before[path], after[path]) for path in before)


def test_where_smaller_steps_follow_a_loss_that_is_no_number_only_ends_the_training(caplog):
    """What was before training is kept, for the next attempt to begin with."""
    model, _, plan = model_and_plan(epochs=5, last=False)
    before = weights_of(model)
    history = train(model, plan, [1.0, NAN])
    assert [epoch.epoch for epoch in history] == [0]
    assert "in epoch 1 with learning_rate=0.001; epoch 0 is kept" in caplog.text
    after = weights_of(model)
    assert all(np.array_equal(before[path], after[path]) for path in before)


def test_steps_that_are_too_large_are_told_of():
    """Of real weights: the first step throws them beyond what float32 holds."""
    model, _, plan = model_and_plan(learning_rate=1e38, epochs=3)
    labels, kept = np.arange(12) % 3, []

    def validate():
        logits = np.asarray(model(images().astype("f4"), training=False))
        return log_loss(softmax(logits), labels), 0.5

    def batches(epoch):
        for _ in range(2):
            yield (images(12, epoch),), labels

    trainer = Trainer(model, augmentation("none", 0), plan)
    words = r"below 1e\+12, received train_loss=.*nan in epoch 1 with learning_rate=1e\+38"
    with np.errstate(all="ignore"), pytest.raises(InputError, match=words):
        trainer.fit(batches, validate, keep=kept.append)
    assert [state.history[-1].epoch for state in kept] == [0]


def test_patience_ends_a_training_that_does_not_improve():
    model, _, _ = model_and_plan()
    before = weights_of(model)
    plan = Plan(9, 2, 2, 1e-3, 0.0, 0.0)
    history = train(model, plan, [1.0, 2.0, 3.0, 0.1])
    assert len(history) == 3
    after = weights_of(model)
    assert all(np.array_equal(before[path], after[path]) for path in before)


def test_same_seed_same_weights():
    """Whatever else in the process has drawn random numbers, or seeded them."""
    finals = []
    for number in range(2):
        keras.utils.set_random_seed(number)
        _, extractor = base()
        dropping = transplant(
            extractor, head(sum(out.shape[-1] for out in extractor.outputs), (8,)), 0.5
        )
        unfreeze(dropping, parse_backbone("EfficientNetLite0"), "block4")
        train(dropping, Plan(2, 9, 2, 1e-3, 1e-4, 0.0, seed=3), seed=3)
        finals.append(weights_of(dropping))
    for path, value in finals[0].items():
        np.testing.assert_allclose(value, finals[1][path], atol=1e-6)


def test_cross_entropy_is_kerass():
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype("f4")
    labels = np.array([0, 2, 1, 1, 0])
    theirs = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=0.1, reduction=None
    )(np.eye(3, dtype="f4")[labels], logits)
    targets = wanted(labels, 3)
    np.testing.assert_allclose(cross_entropy(logits, targets, 0.1), theirs, rtol=1e-5)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_change_pictures_within_range(name):
    given = images().astype("f4")
    targets = np.eye(3, dtype="f4")[np.arange(12) % 3]
    changed, kept = map(np.asarray, augmentation(name, seed=1)((given,), targets))
    np.testing.assert_array_equal(kept, targets)
    assert changed.shape == given.shape
    assert not np.array_equal(changed, given)
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_no_augmentation_changes_nothing():
    given = images().astype("f4")
    changed, _ = augmentation("none", 0)((given,), np.eye(12, 3, dtype="f4"))
    np.testing.assert_array_equal(changed, given)


@pytest.mark.parametrize("name", MIXINGS)
def test_mixed_pictures_have_mixed_labels(name):
    given, targets = images().astype("f4"), np.eye(3, dtype="f4")[np.arange(12) % 3]
    changed, mixed = map(np.asarray, augmentation(name, seed=1)((given,), targets))
    assert not np.array_equal(changed, given)
    np.testing.assert_allclose(mixed.sum(1), 1, atol=1e-6)
    assert (mixed.max(1) < 1).any()


def test_unknown_augmentation():
    with pytest.raises(UnknownNameError, match="unknown augmentation 'mirror'"):
        augmentation("shift,mirror", 0)


def test_without_factors_the_optimizer_is_adamw():
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=(3, 2)).astype("f4") for _ in range(5)]
    plan = Plan(2, 1, 3, 1e-2, 0.1, 0.0)
    ours, theirs = keras.Variable(np.ones((3, 2), "f4")), keras.Variable(np.ones((3, 2), "f4"))
    optimizer = make_optimizer(plan, [1.0], scale_loss=False)
    reference = keras.optimizers.AdamW(schedule(plan), weight_decay=0.1, clipnorm=1.0)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [ours])
        reference.apply([keras.ops.convert_to_tensor(gradient)], [theirs])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_factor_scales_the_step():
    plan = Plan(1, 1, 1, 1e-2, 0.0, 0.0)
    whole, half = keras.Variable(np.zeros(2, "f4")), keras.Variable(np.zeros(2, "f4"))
    optimizer = make_optimizer(plan, [1.0, 0.5], scale_loss=False)
    for _ in range(2):
        optimizer.apply([keras.ops.ones(2), keras.ops.ones(2)], [whole, half])
    assert np.all(np.asarray(whole) < 0)
    np.testing.assert_allclose(half, np.asarray(whole) / 2, rtol=1e-6)


def test_the_schedule_warms_up_and_falls_once_for_each_phase():
    steps, plan = range(24), Plan(6, 1, 4, 1.0, 0.0, 0.0, head_epochs=2)
    rates = [float(schedule(plan)(step)) for step in steps]
    assert rates[0] == rates[8] == 0
    assert rates[4] == rates[12] == 1
    assert rates[8:13] == sorted(rates[8:13])
    assert rates[12:] == sorted(rates[12:], reverse=True)
    alone = [float(schedule(Plan(4, 1, 4, 1.0, 0.0, 0.0))(step)) for step in range(16)]
    assert rates[8:] == pytest.approx(alone)


def test_the_head_learns_first():
    model, learning, plan = model_and_plan(epochs=1, head_epochs=1)
    before = weights_of(model)
    train(model, plan)
    after = weights_of(model)
    assert moved_layers(before, after) == {"head_0"}
    train(model, replace(plan, epochs=2))
    assert moved_layers(before, weights_of(model)) == {*learning, "head_0"}


def moved_layers(before, after):
    return {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}


def test_batch_norm_is_updated_where_that_is_asked_for():
    spec, extractor = base()
    model = transplant(extractor, head(sum(out.shape[-1] for out in extractor.outputs)))
    learning = unfreeze(model, spec, "block4", batch_norm=True)
    before = weights_of(model)
    train(model, Plan(2, 9, 2, 1e-3, 0.0, 0.0))
    after = weights_of(model)
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    assert "block4a_expand_bn/moving_mean" in moved
    assert {path.split("/")[0] for path in moved} == {*learning, "head_0"}
    assert not any(path.startswith(("stem", "block1", "block2", "block3")) for path in moved)


def test_weighted_classes_count_alike_in_the_loss():
    logits = np.random.default_rng(0).normal(size=(4, 2)).astype("f4")
    labels = np.array([0, 0, 0, 1])
    weights = class_weights(labels, 2, "balanced")
    targets = wanted(labels, 2)
    losses = np.asarray(cross_entropy(logits, targets))
    weighed = losses * np.asarray(counts(targets, tuple(weights)))
    assert weighed.mean() == pytest.approx((losses[:3].mean() + losses[3]) / 2, rel=1e-6)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_learns_in_float32_weights(precision):
    spec = parse_backbone("EfficientNetLite0")
    with dtype_policy(precision):
        extractor = build_extractor(spec, resolve_weights(spec), SIZE, [Cut("block2")])
    model = transplant(extractor, head(extractor.outputs[0].shape[-1]))
    learning = unfreeze(model, spec, "block2")
    before = weights_of(model)
    assert model.get_layer("block2a_dwconv").compute_dtype == precision.removeprefix("mixed_")
    trainer = Trainer(
        model, augmentation("shift", 0), Plan(2, 9, 2, 1e-3, 0.0, 0.0, class_weights=(1, 1, 1))
    )
    labels = np.arange(12) % 3
    history = trainer.fit(
        # Steps whose gradients overflow are left out while the factor on the loss finds itself.
        lambda epoch: iter([((images(12, epoch),), labels)] * 12),
        iter([(3.0, 0.0), (2.0, 0.0), (1.0, 0.0)]).__next__,
    )
    after = weights_of(model)
    assert {value.dtype for value in after.values()} == {np.dtype("f4")}
    assert all(np.isfinite(value).all() for value in after.values())
    assert np.isfinite(history[-1].train_loss)
    assert moved_layers(before, after) == {*learning, "head_0"}


def test_going_on_from_a_state_is_going_on():
    def losses():
        return iter([(loss, 0.5) for loss in (5.0, 4.0, 3.0, 6.0, 2.0)]).__next__

    def batches(epoch):
        labels = np.arange(12) % 3
        yield (images(12, epoch),), labels

    def trainer(epochs):
        model, _, _ = model_and_plan()
        plan = Plan(epochs, 9, 1, 1e-3, 1e-4, 0.0, seed=4)
        return model, Trainer(model, augmentation("shift,randaugment,mixup", 0), plan)

    kept = []
    straight, first = trainer(4)
    whole = first.fit(batches, losses(), keep=kept.append)
    again, second = trainer(4)
    rest = losses()
    for _ in range(3):
        rest()
    assert [state.history[-1].epoch for state in kept] == [0, 1, 2, 3, 4]
    assert second.fits(kept[2])
    resumed = second.fit(batches, rest, resumed=kept[2])
    assert [epoch.train_loss for epoch in resumed[1:]] == pytest.approx(
        [epoch.train_loss for epoch in whole[1:]], rel=1e-5
    )
    ours, theirs = weights_of(again), weights_of(straight)
    for path, value in theirs.items():
        np.testing.assert_allclose(ours[path], value, atol=1e-6)
