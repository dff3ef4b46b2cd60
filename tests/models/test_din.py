"""DIN's own properties."""

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema, SequenceFeature
from keras_recs.layers import BatchL2
from keras_recs.models import din
from tests import harness

SCHEMA = Schema(
    features=[
        CategoricalFeature("item", vocabulary_size=6),
        SequenceFeature("history", table="item", max_length=4),
    ],
    labels=[Label("click")],
)


@pytest.fixture(scope="module")
def histories(tmp_path_factory):
    return harness.model_schemas(tmp_path_factory.mktemp("schemas"))["histories"]


def scrambled(model):
    rng = np.random.default_rng(1)
    for weight in model.weights:
        value = rng.normal(size=weight.shape, scale=0.4)
        weight.assign(np.abs(value) if "variance" in weight.path else value)
    return model


def test_what_the_tower_reads(histories):
    """All single values, what is pooled, and each history as wide as its candidate."""
    model = harness.build_model("din", histories)
    assert model.get_layer("attention_0").input[0].shape == (None, 8)
    assert model.get_layer("attention_1").input[0].shape == (None, 4)
    assert model.get_layer("features").output.shape == (None, 4 * 4 + 8 + 4)
    assert model.get_layer("embedding").field_names == ["shop", "item", "kind", "words"]


@pytest.mark.parametrize("use_softmax", [False, True])
def test_a_history_of_padding_alone_counts_as_zeros(use_softmax):
    model = scrambled(din(SCHEMA, 4, (5,), use_softmax, hidden_units=(6,)))
    inputs = {"item": np.array([3, 4], "int32"), "history": np.zeros((2, 4), "int32")}
    outputs = model.predict_on_batch(inputs)["click"]
    assert np.isfinite(outputs).all()
    layer = model.get_layer("attention_0")
    interest = keras.Model(model.input, layer.output).predict_on_batch(inputs)
    np.testing.assert_array_equal(interest, np.zeros((2, 4)))


def test_more_padding_than_the_history_needs():
    """Built for longer histories, with the same weights: the same predictions."""
    long = Schema(
        features=[
            SCHEMA.features[0],
            SequenceFeature("history", table="item", max_length=9),
        ],
        labels=SCHEMA.labels,
    )
    model, longer = (
        scrambled(din(s, 4, (5,), hidden_units=(6,))) for s in (SCHEMA, long)
    )
    inputs = harness.model_inputs(SCHEMA, 8)
    expected = model.predict_on_batch(inputs)["click"]
    for sides in ((0, 5), (5, 0), (2, 3)):
        wide = {**inputs, "history": np.pad(inputs["history"], ((0, 0), sides))}
        found = longer.predict_on_batch(wide)["click"]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_history_of_another_length_is_an_error():
    """It would not be what the model was trained on; the preprocessing cuts it."""
    model = din(SCHEMA, 4)
    inputs = harness.model_inputs(SCHEMA, 3)
    for length in (3, 5):
        with pytest.raises(
            ValueError, match=r"'history' .* expected shape=\(None, 4\)"
        ):
            model({**inputs, "history": np.ones((3, length), "int32")})


def test_the_weights_of_a_trained_model():
    model = scrambled(din(SCHEMA, 4, (5,), hidden_units=(6,)))
    layer = model.get_layer("attention_0")
    inputs = harness.model_inputs(SCHEMA, 8)
    seen = keras.Model(model.input, layer.input)(inputs)
    _, weights = layer(seen, return_attention_scores=True)
    np.testing.assert_array_equal(weights != 0, inputs["history"] != 0)


def test_regularization_aware_of_mini_batches():
    """λ Σ_j ‖w_j‖² / n_j over the different rows of a batch, the history's too."""
    regularizer = BatchL2(0.1, by_count=True)
    model = scrambled(din(SCHEMA, 4, embeddings_regularizer=regularizer))
    embedding = model.get_layer("embedding")
    counts = np.array([0, 1, 90, 7, 2, 1, 50, 3])
    embedding.set_row_counts("item", counts)
    inputs = {
        "item": np.array([2, 3, 2], "int32"),
        "history": np.array([[3, 4, 4, 0], [0] * 4, [7, 2, 0, 0]], "int32"),
    }
    model(inputs, training=True)
    rows = embedding.read_rows("item", np.arange(8))
    expected = sum(0.1 * float(rows[j] @ rows[j]) / counts[j] for j in (2, 3, 4, 7))
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    model(inputs)
    assert not model.losses


@pytest.mark.parametrize("eager", [False, True])
def test_regularization_in_training(eager):
    """Without it the loss is lower by as much as it penalizes."""
    inputs = {
        "item": np.array([2, 3] * 4, "int32"),
        "history": np.array([[2, 3, 0, 0]] * 8, "int32"),
    }
    labels = {"click": np.array([[0.0], [1.0]] * 4)}
    counts = np.array([0, 1, 20, 5, 1, 1, 1, 1])
    losses, penalty = [], None
    for regularizer in (BatchL2(100.0, by_count=True), None):
        keras.utils.set_random_seed(2)
        model = din(
            SCHEMA, 4, (5,), hidden_units=(6,), embeddings_regularizer=regularizer
        )
        embedding = model.get_layer("embedding")
        before = embedding.read_rows("item", np.arange(8))
        if regularizer:
            embedding.set_row_counts("item", counts)
            penalty = 100 * sum(
                float(before[j] @ before[j]) / counts[j] for j in (2, 3)
            )
        optimizer = keras.optimizers.SGD(0.01)
        model.compile(optimizer, loss=harness.losses(SCHEMA), run_eagerly=eager)
        losses.append(float(model.train_on_batch(inputs, labels)))
        after = embedding.read_rows("item", np.arange(8))
        np.testing.assert_array_equal(after[4:], before[4:])
        if regularizer:
            # The rare item's row shrinks by more.
            shares = np.linalg.norm(after, axis=1) / np.linalg.norm(before, axis=1)
            assert shares[3] < shares[2] < 1
    assert losses[0] - losses[1] == pytest.approx(penalty, rel=1e-4)


def test_it_learns_what_only_the_history_tells():
    """A click where the candidate was seen before."""
    rng = np.random.default_rng(0)
    inputs = {
        "item": rng.integers(2, 8, 2000).astype("int32"),
        "history": rng.integers(2, 8, (2000, 4)).astype("int32"),
    }
    seen = (inputs["history"] == inputs["item"][:, None]).any(axis=1)
    labels = {"click": seen[:, None].astype("float32")}
    keras.utils.set_random_seed(1)
    model = din(SCHEMA, 8, (16,), hidden_units=(16,))
    model.compile(keras.optimizers.Adam(0.01), loss=harness.losses(SCHEMA))
    losses = model.fit(inputs, labels, epochs=8, batch_size=100, verbose=0).history
    assert losses["loss"][-1] < 0.35, losses["loss"]


def test_a_layer_as_activation_is_copied_for_each_use(tmp_path):
    model = din(SCHEMA, 4, (5,), hidden_units=(6,), activation=keras.layers.PReLU())
    model.compile("adam", "binary_crossentropy", run_eagerly=True)
    rows = np.array([3, 4], "int32")
    inputs = {"item": rows, "history": np.array([[3, 4, 0, 0], [2, 0, 0, 0]], "int32")}
    model.fit(inputs, {"click": np.array([[0.0], [1.0]])}, verbose=0)
    slopes = {w.path: w.shape for w in model.weights if w.path.endswith("alpha")}
    assert slopes == {
        "attention_0/mlp/activation_0/alpha": (1, 5),
        "deep/activation_0/alpha": (6,),
    }
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    answers = [m.predict(inputs, verbose=0)["click"] for m in (model, loaded)]
    np.testing.assert_array_equal(*answers)
