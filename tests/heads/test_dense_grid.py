"""Many dense heads at once: each is what it would have become alone."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import InputError
from pipeline.heads import parse_head
from pipeline.heads.dense_grid import fit_dense_grid, fit_dense_heads
from pipeline.heads.dense_network import Recipes, WideNetwork, initial_layers
from pipeline.heads.sample import Sample

TRIED = list(itertools.product((1e-3, 3e-3, 1e-2, 3e-2), ((0.0, 0.0), (0.1, 0.3))))
"""Learning rates, weight decays and dropouts, side by side."""


def heads(schedule):
    return [
        parse_head(
            f"dense(learning_rate={rate}, weight_decay={decay}, dropout={dropout}{schedule})"
        )
        for rate, (decay, dropout) in TRIED
    ]


def data(n=160, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    rows = rng.normal(size=(n, 10)) + 1.2 * rng.normal(size=(n_classes, 10))[labels]
    return (rows * 3 + 5).astype(np.float32), labels


@pytest.mark.parametrize("hidden", [(16,), (16, 8), ()])
def test_each_candidate_is_what_it_is_alone(hidden):
    sample = Sample(*data(), 3, seed=7)
    specs = heads(f", hidden={hidden}, epochs=12, patience=3, batch_size=32")
    together = fit_dense_grid(specs, sample)
    assert len(together) == len(specs)
    for spec, one in list(zip(specs, together, strict=True))[1::3]:
        (alone,) = fit_dense_grid([spec], sample)
        assert alone.epoch == one.epoch
        assert alone.loss == pytest.approx(one.loss, rel=1e-4)
        np.testing.assert_allclose(
            one.head.scores(sample.features),
            alone.head.scores(sample.features),
            rtol=1e-3,
            atol=1e-3,
        )


def test_candidates_stop_on_their_own():
    features, labels = data()
    specs = heads(", hidden=16, epochs=40, patience=2, batch_size=16")
    trained = fit_dense_grid(specs, Sample(features, labels, 3))
    assert len({one.epoch for one in trained}) > 2
    for one in trained:
        assert np.mean(one.head.scores(features).argmax(1) == labels) > 0.8


def test_heads_of_several_schedules_keep_their_order():
    sample = Sample(*data(), 3)
    texts = ["hidden=8, epochs=2", "hidden=16, epochs=2", "hidden=8, epochs=2, dropout=0.1"]
    specs = [parse_head(f"dense({text})") for text in texts]
    fitted = fit_dense_heads(specs, sample)
    assert [head.kernels[0].shape[1] for head in fitted] == [8, 16, 8]
    for spec, head in zip(specs, fitted, strict=True):
        (alone,) = fit_dense_heads([spec], sample)
        np.testing.assert_allclose(head.kernels[0], alone.kernels[0], rtol=1e-3, atol=1e-4)


def keras_network(layers, dropout=0.0):
    inputs = values = keras.Input((layers[0].kernels.shape[1],))
    for i, one in enumerate(layers):
        last = i == len(layers) - 1
        units = one.kernels.shape[2]
        values = keras.layers.Dense(units, None if last else "relu")(values)
    network = keras.Model(inputs, values)
    network.set_weights([part[0] for one in layers for part in (one.kernels, one.biases)])
    return network


def test_steps_are_those_of_keras_adamw():
    rng = np.random.default_rng(0)
    layers = initial_layers((6, 9, 5, 3), [4])
    network = keras_network(layers)
    optimizer = keras.optimizers.AdamW(0.02, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_list=network.trainable_variables[1::2])
    optimizer.build(network.trainable_variables)
    recipes = Recipes(*(np.array([value]) for value in (0.02, 0.3, 0.0)), np.array([4]))
    wide = WideNetwork.start(layers, recipes)
    for _ in range(20):
        rows, labels = rng.normal(size=(8, 6)).astype("f4"), rng.integers(0, 3, 8)
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network(rows))
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, network.trainable_variables))
        wide.step(tf.constant(rows), tf.constant(labels))
    got = [part[0] for one in wide.layers(np.array([True])) for part in (one.kernels, one.biases)]
    for ours, theirs in zip(got, network.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    expected = np.mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network(rows)))
    np.testing.assert_allclose(wide.losses(rows, labels), [expected], rtol=1e-3)


def test_dropout_leaves_out_its_share():
    layers = initial_layers((4, 500, 2), [0, 0, 1])
    recipes = Recipes(np.ones(3), np.zeros(3), np.array([0.0, 0.25, 0.25]), np.array([0, 0, 1]))
    (mask,) = WideNetwork.start(layers, recipes)._masks(64)
    mask = np.asarray(mask)
    assert set(np.unique(mask[0])) == {1.0}
    np.testing.assert_allclose(np.unique(mask[1]), [0, 4 / 3], rtol=1e-6)
    np.testing.assert_allclose(mask.mean((1, 2)), 1, atol=0.02)
    assert np.mean(mask[1] == mask[2]) < 0.7


def test_preparations_are_folded():
    features, labels = data()
    spec = parse_head(
        "dense(learning_rate=0.01, dropout=0.0, hidden=16, epochs=15, patience=5, batch_size=32, "
        "prepare='sqrt-l2,pca(6)')"
    )
    (one,) = fit_dense_grid([spec], Sample(features, labels, 3, blocks=(7, 3)))
    assert one.head.kernels[0].shape == (10, 16)
    assert (one.head.rowwise, one.head.blocks) == ("sqrt-l2", (7, 3))
    assert np.mean(one.head.scores(features).argmax(1) == labels) > 0.8


def test_views_of_held_out_pictures_are_not_learnt():
    features, labels = data()
    views = np.full_like(features, np.float32(5))  # say nothing, so learning them does harm
    spec = parse_head("dense(learning_rate=0.01, hidden=16, epochs=10, patience=5, batch_size=32)")
    (one,) = fit_dense_grid([spec], Sample(np.concatenate([features, views]), labels, 3, n_views=1))
    assert np.mean(one.head.scores(features).argmax(1) == labels) > 0.8


def test_a_candidate_that_diverges_spoils_no_other():
    sample, schedule = Sample(*data(), 3), "hidden=16, epochs=8, patience=3, batch_size=32"
    wild, calm = (
        parse_head(f"dense(learning_rate={rate}, dropout=0.0, {schedule})")
        for rate in ("1e30", "0.01")
    )
    trained = fit_dense_grid([wild, calm], sample)
    (alone,) = fit_dense_grid([calm], sample)
    assert trained[1].loss == pytest.approx(alone.loss, rel=1e-4)
    assert not trained[0].loss < 10


@pytest.mark.parametrize(
    "given", ["learning_rate=0.0", "weight_decay=-1.0", "dropout=1.0", "batch_size=0", "epochs=1.5"]
)
def test_bad_candidates_are_one_sentence(given):
    name = given.split("=")[0]
    with pytest.raises(InputError, match=f"expected {name} of dense .+, received {given}"):
        parse_head(f"dense({given})")
