"""Preparation of features: its texts, its arithmetic, and that folding changes nothing."""

import keras
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from pipeline.errors import InputError, RunError, UnknownNameError
from pipeline.heads import NetworkHead, parse_head, parse_heads, softmax
from pipeline.heads.fit import fit_head, out_of_fold_scores
from pipeline.heads.preparation import Preparation, apply_rowwise, parse_preparation
from pipeline.heads.sample import Sample, make_folds
from pipeline.heads.transplant import transplant, with_probabilities
from pipeline.runs import load_bundle, save_head
from tests.stored import change_json, reseal

BLOCKS = (7, 5)
PREPARATIONS = ("l2", "sqrt-l2", "pca(6)", "pca(0.9)", "sqrt-l2,pca(6)", "l2,standard,pca(0.9)")


def data(n=200, n_classes=3, seed=0):
    """Positive features, as pooled activations are; some zero, in two blocks of unlike size."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    means = rng.normal(size=(n_classes, 12))
    rows = np.maximum(rng.normal(size=(n, 12)) + 2 * means[labels], 0)
    rows[:, 7:] *= 30
    return rows.astype(np.float32), labels


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("standard", "standard"),
        (" sqrt-l2 ", "sqrt-l2"),
        ("pca", "pca(0.99)"),
        ("standard,pca(64)", "pca(64)"),
        ("l2, pca(0.5)", "l2,pca(0.5)"),
        ("sqrt-l2,standard,pca(8)", "sqrt-l2,standard,pca(8)"),
        ("l2,standard", "l2,standard"),
    ],
)
def test_preparations_have_one_text(text, canonical):
    preparation = parse_preparation(text)
    assert str(preparation) == canonical
    assert parse_preparation(canonical) == preparation


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sqrt_l2", r"unknown preparation 'sqrt_l2'; nearest: sqrt-l2"),
        ("pca(0)", r"received prepare='pca\(0\)': pca takes a count of components, or a share"),
        ("pca(1.5)", "pca takes a count of components, or a share of the variance between 0 and 1"),
        ("pca(nan)", "pca takes a count of components"),
        ("pca(many)", "pca takes a count of components"),
        ("pca,l2", "its parts go in the order l2 or sqrt-l2, standard, pca, each once"),
        ("l2,sqrt-l2", "each once"),
        ("l2(3)", r"received prepare='l2\(3\)': l2 takes no brackets"),
        ("", "'' is no part"),
        (3, "received prepare=3: it is no text"),
    ],
)
def test_bad_preparations_are_one_sentence(text, message):
    with pytest.raises(InputError, match=message):
        parse_preparation(text)


def test_every_head_takes_a_preparation():
    spec = parse_head("logistic(prepare='sqrt-l2, standard', C=0.1)")
    assert str(spec) == "logistic(C=0.1, prepare='sqrt-l2,standard')"
    assert spec.preparation == Preparation("sqrt-l2")
    assert spec.own_params == {"C": 0.1, "max_iter": 2000}
    assert spec.prepared(Preparation()).params == {"C": 0.1, "max_iter": 2000}


def test_the_default_preparation_is_not_told():
    assert [str(spec) for spec in parse_heads("knn,knn(prepare='standard')")] == ["knn"]
    with pytest.raises(UnknownNameError, match=r"'prepar'; nearest: prepare; knn knows k, metric"):
        parse_head("knn(prepar='l2')")


def test_rows_get_unit_length_block_by_block():
    features, _ = data()
    whole = apply_rowwise(features, "l2")
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, rtol=1e-5)
    apart = apply_rowwise(features, "sqrt-l2", BLOCKS)
    for part, raw in zip(np.split(apart, [7], 1), np.split(features, [7], 1), strict=True):
        expected = Normalizer().fit_transform(np.sqrt(raw))
        np.testing.assert_allclose(part, expected, atol=2e-3)


def test_the_root_keeps_signs_and_zeros():
    got = apply_rowwise(np.array([[-4.0, 4.0, 0.0], [0.0, 0.0, 0.0]]), "sqrt-l2")
    np.testing.assert_allclose(got, [[-(0.5**0.5), 0.5**0.5, 0], [0, 0, 0]], atol=1e-6)


def test_blocks_of_another_width_are_refused():
    features, labels = data()
    with pytest.raises(InputError, match=r"add up to the 12 features, received blocks=\(7, 4\)"):
        fit_head(parse_head("knn(prepare='l2')"), Sample(features, labels, 3, 0, blocks=(7, 4)))


def test_components_are_folded_exactly():
    features, labels = data()
    steps = (StandardScaler(), PCA(6), LogisticRegression(C=1.0, tol=1e-8, max_iter=20_000))
    expected = make_pipeline(*steps).fit(features, labels).predict_proba(features)
    head = fit_head(parse_head("logistic(prepare='pca(6)')"), Sample(features, labels, 3, seed=0))
    assert head.kernels[0].shape == (12, 3)
    np.testing.assert_allclose(softmax(head.scores(features)), expected, atol=1e-3)


def test_strengths_mean_the_same_at_unit_length():
    """Unit rows have tiny variances, and would leave every head with no say but its prior."""
    features, labels = data(600)
    accuracies = []
    for text in ("ridge", "ridge(prepare='l2')"):
        head = fit_head(parse_head(text), Sample(features[:300], labels[:300], 3, 0, blocks=BLOCKS))
        probabilities = softmax(head.scores(features[300:]))
        accuracies.append(np.mean(probabilities.argmax(1) == labels[300:]))
        assert probabilities.max(1).mean() > 0.5
    assert abs(accuracies[0] - accuracies[1]) < 0.05


@pytest.mark.parametrize("prepare", PREPARATIONS)
@pytest.mark.parametrize("name", ["logistic", "ridge", "lda", "centroid", "knn", "mlp"])
def test_heads_learn_from_prepared_features_and_are_stored(tmp_path, name, prepare):
    features, labels = data()
    spec = parse_head(name).prepared(parse_preparation(prepare))
    head = fit_head(spec, Sample(features[:150], labels[:150], 3, 0, blocks=BLOCKS))
    assert np.mean(head.scores(features[150:]).argmax(1) == labels[150:]) > 0.8
    save_head(tmp_path / "bundle", head.sharpened(1.5), ("a", "b", "c"), {})
    loaded = load_bundle(tmp_path / "bundle").head
    assert (loaded.rowwise, loaded.blocks) == (head.rowwise, head.blocks)
    np.testing.assert_array_equal(loaded.scores(features), head.sharpened(1.5).scores(features))


@pytest.mark.parametrize("prepare", ["l2", "pca(6)"])
def test_dense_heads_take_preparations(prepare):
    features, labels = data()
    text = f"dense(hidden=16,epochs=40,learning_rate=0.01,prepare='{prepare}')"
    head = fit_head(parse_head(text), Sample(features, labels, 3, 0, blocks=BLOCKS))
    assert head.kernels[0].shape == (12, 16)
    assert np.mean(head.scores(features).argmax(1) == labels) > 0.9


def of_old(description):
    return {k: v for k, v in description.items() if k not in ("rowwise", "blocks", "seal")}


def test_bundles_from_before_there_were_preparations(tmp_path):
    features, labels = data()
    for name in ("ridge", "knn"):
        head = fit_head(parse_head(name), Sample(features, labels, 3, 0))
        save_head(tmp_path / name, head, ("a", "b", "c"), {})
        change_json(tmp_path / name / "bundle.json", of_old)
        loaded = load_bundle(tmp_path / name).head
        np.testing.assert_array_equal(loaded.scores(features), head.scores(features))


def test_an_unknown_treatment_of_rows_is_refused(tmp_path):
    save_head(
        tmp_path / "b", fit_head(parse_head("ridge"), Sample(*data(), 3, 0)), ("a", "b", "c"), {}
    )
    path = tmp_path / "b" / "bundle.json"
    path.write_text(path.read_text().replace('"none"', '"cube"'))
    reseal(tmp_path / "b")
    with pytest.raises(
        RunError, match="expected rowwise of none, l2, sqrt-l2, received rowwise='cu"
    ):
        load_bundle(tmp_path / "b")


def test_more_components_than_rows(caplog):
    features, labels = data(10)
    head = fit_head(parse_head("logistic(prepare='pca(12)')"), Sample(features, labels, 3, seed=0))
    assert np.isfinite(head.scores(features)).all()
    assert "pca(12): 10 rows of 12 features have 9" in caplog.text


def test_folds_are_prepared_alike():
    features, labels = data()
    folds = make_folds(labels, 4, 0)
    spec = parse_head("lda(prepare='sqrt-l2,pca(6)')")
    got = out_of_fold_scores(spec, Sample(features, labels, 3, 0, blocks=BLOCKS), folds)
    fit, held_out = folds[1]
    head = fit_head(spec, Sample(features[fit], labels[fit], 3, 0, blocks=BLOCKS))
    np.testing.assert_array_equal(got[held_out], head.scores(features[held_out]))


def extractor():
    """Two cuts of unlike width over pictures, one of them a map; relu leaves true zeros."""
    inputs = keras.Input((8, 8, 3))
    layer = keras.layers.Conv2D(5, 3, strides=4, activation="relu", name="low")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="high")(inputs))
    return keras.Model(inputs, [layer, pooled])


@pytest.mark.parametrize("prepare", ["l2", "sqrt-l2", "sqrt-l2,pca(5)"])
@pytest.mark.parametrize("blocks", [None, (20, 4)])
def test_transplanted_logits_are_the_heads_scores(tmp_path, prepare, blocks):
    keras.utils.set_random_seed(0)
    base = extractor()
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3)).astype("f4")
    features = np.concatenate([np.asarray(out).reshape(30, -1) for out in base(images)], 1)
    spec = parse_head(f"logistic(prepare='{prepare}')")
    head = fit_head(spec, Sample(features, np.arange(30) % 3, 3, 0, blocks=blocks))
    model = transplant(base, head)
    expected = head.scores(features)
    np.testing.assert_allclose(np.asarray(model(images)), expected, atol=1e-4)
    with_probabilities(model).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_allclose(np.asarray(loaded(images)), softmax(expected), atol=1e-4)


@pytest.mark.parametrize("rowwise", ["l2", "sqrt-l2"])
def test_gradients_at_zero_are_finite(rowwise):
    import tensorflow as tf

    base = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, use_bias=False)])
    base.layers[0].set_weights([np.array([[1.0, -1, 0, 0], [2, 0, 0, 0]], "f4")])
    kernel, bias = np.ones((4, 2), "f4"), np.zeros(2, "f4")
    model = transplant(base, NetworkHead((kernel,), (bias,), rowwise))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(np.array([[1.0, 1.0], [0.0, 0.0]], "f4")))
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert np.isfinite(gradient).all()
