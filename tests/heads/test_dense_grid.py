"""Many dense heads at once: each is what it would have become alone."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import InputError
from pipeline.heads.dense_grid import Candidate, Schedule, fit_dense_grid
from pipeline.heads.dense_network import Recipes, WideNetwork, initial_layers
from pipeline.heads.preparation import parse_preparation

CANDIDATES = [
    Candidate(rate, decay, dropout, seed)
    for rate, (decay, dropout), seed in itertools.product(
        (3e-3, 3e-2), ((0.0, 0.0), (0.1, 0.3)), (0, 1)
    )
]


def data(n=160, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    rows = rng.normal(size=(n, 10)) + 1.2 * rng.normal(size=(n_classes, 10))[labels]
    return (rows * 3 + 5).astype(np.float32), labels


@pytest.mark.parametrize("hidden", [(16,), (16, 8), ()])
def test_each_candidate_is_what_it_is_alone(hidden):
    features, labels = data()
    schedule = Schedule(hidden, epochs=12, patience=3, batch_size=32)
    together = fit_dense_grid(CANDIDATES, features, labels, 3, 7, schedule)
    assert [one.candidate for one in together] == CANDIDATES
    for one in together[1::3]:
        (alone,) = fit_dense_grid([one.candidate], features, labels, 3, 7, schedule)
        assert alone.epoch == one.epoch
        assert alone.loss == pytest.approx(one.loss, rel=1e-4)
        np.testing.assert_allclose(
            one.head.scores(features), alone.head.scores(features), rtol=1e-3, atol=1e-3
        )


def test_candidates_stop_on_their_own():
    features, labels = data()
    schedule = Schedule((16,), epochs=40, patience=2, batch_size=16)
    trained = fit_dense_grid(CANDIDATES, features, labels, 3, 0, schedule)
    assert len({one.epoch for one in trained}) > 2
    for one in trained:
        assert np.mean(one.head.scores(features).argmax(1) == labels) > 0.8


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
    preparation, schedule = parse_preparation("sqrt-l2,pca(6)"), Schedule((16,), 15, 5, 32)
    (one,) = fit_dense_grid(
        [Candidate(0.01, dropout=0.0)],
        features,
        labels,
        3,
        0,
        schedule,
        preparation=preparation,
        blocks=(7, 3),
    )
    assert one.head.kernels[0].shape == (10, 16)
    assert (one.head.rowwise, one.head.blocks) == ("sqrt-l2", (7, 3))
    assert np.mean(one.head.scores(features).argmax(1) == labels) > 0.8


def test_views_of_held_out_pictures_are_not_learnt():
    features, labels = data()
    views = np.full_like(features, np.float32(5))  # say nothing, so learning them does harm
    (one,) = fit_dense_grid(
        [Candidate(0.01)],
        np.concatenate([features, views]),
        np.tile(labels, 2),
        3,
        0,
        Schedule((16,), 10, 5, 32),
        n_views=1,
    )
    assert np.mean(one.head.scores(features).argmax(1) == labels) > 0.8


def test_a_candidate_that_diverges_spoils_no_other():
    features, labels = data()
    schedule = Schedule((16,), epochs=8, patience=3, batch_size=32)
    wild, calm = Candidate(1e30, dropout=0.0), Candidate(0.01, dropout=0.0)
    trained = fit_dense_grid([wild, calm], features, labels, 3, 0, schedule)
    (alone,) = fit_dense_grid([calm], features, labels, 3, 0, schedule)
    assert trained[1].loss == pytest.approx(alone.loss, rel=1e-4)
    assert not trained[0].loss < 10


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "at least one candidate of a dense grid, received none"),
        ([Candidate(0.0)], r"expected learning_rate above 0, .* received Candidate\(learning_rate"),
        ([Candidate(weight_decay=-1.0)], "weight_decay from 0"),
        ([Candidate(dropout=1.0)], "dropout from 0 to below 1"),
        ([Candidate(float("nan"))], "learning_rate above 0"),
    ],
)
def test_bad_candidates_are_one_sentence(candidates, message):
    with pytest.raises(InputError, match=message):
        fit_dense_grid(candidates, *data(), 3, 0)
