"""Attention weights: against loops over the layers' own matrices, and drawn."""

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema, SequenceFeature
from keras_recs.data import array_dataset
from keras_recs.evaluation import Attention, attention_weights, plot_attention
from keras_recs.evaluation.explain.layer_calls import layer_calls
from keras_recs.layers import BilinearAttention, FieldAttention, TargetAttention
from keras_recs.models import autoint, dien, din
from tests import samples

FIELDS = ("user", "item", "hour", "age", "user_x_hour", "genres", "history", "price")
NUM_ROWS = 10


def randomize(model):
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


# === Fields ===


@pytest.fixture(scope="module")
def columns():
    return samples.click_columns(NUM_ROWS)


@pytest.fixture(scope="module")
def attending(click_schema):
    return randomize(autoint(click_schema, 4, num_attention_layers=2, dropout=0.5))


def test_fields(attending, columns, click_schema):
    """A softmax over what a field may read, by loops, in both layers."""
    batches = array_dataset(columns, click_schema, 4, shuffle=False)
    found = attention_weights(attending, batches)
    assert list(found) == ["attention_0", "attention_1"]
    (batch,) = array_dataset(columns, click_schema, NUM_ROWS, shuffle=False)
    for name, result in found.items():
        layer, tensor = layer_calls(attending, (FieldAttention,))[name]
        v = keras.Model(attending.input, tensor).predict_on_batch(batch[0])
        query = v @ np.asarray(layer.query.kernel)
        key = v @ np.asarray(layer.key.kernel)
        size, expected = layer.projection_dim, []
        for head in range(layer.num_heads):
            part = slice(head * size, (head + 1) * size)
            scores = np.einsum("bmd,bkd->bmk", query[..., part], key[..., part])
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            expected.append(scores / scores.sum(-1, keepdims=True))
        np.testing.assert_allclose(
            result.weights, np.stack(expected, 1), rtol=1e-3, atol=1e-5
        )
        assert result.fields == FIELDS
        assert result.mask is None
        mean = result.weights.mean((0, 1))
        reads, read, weight = result.top(1)[0]
        assert weight == mean.max() == mean[FIELDS.index(reads), FIELDS.index(read)]


def test_a_limit(attending, columns, click_schema):
    batches = array_dataset(columns, click_schema, 4, shuffle=False)
    whole = attention_weights(attending, batches)["attention_0"].weights
    part = attention_weights(attending, batches, max_examples=5)["attention_0"].weights
    np.testing.assert_allclose(part, whole[:5], rtol=1e-5, atol=1e-6)


# === Histories ===


# Items and their categories, with histories to the left.
SCHEMA = Schema(
    [
        CategoricalFeature("item", vocabulary_size=6),
        CategoricalFeature("category", vocabulary_size=3),
        SequenceFeature("items", table="item", max_length=4),
        SequenceFeature("categories", table="category", max_length=4),
    ],
    [Label("click")],
)


@pytest.fixture
def inputs():
    return {
        "item": np.array([2, 3, 4], "int32"),
        "category": np.array([2, 3, 2], "int32"),
        "items": np.array([[2, 3, 0, 0], [4, 5, 6, 0], [0, 0, 0, 0]], "int32"),
        "categories": np.array([[2, 3, 0, 0], [2, 2, 3, 0], [0, 0, 0, 0]], "int32"),
    }


def test_a_history(inputs):
    """Weighed by them, the events add up to what the layer gives."""
    model = randomize(din(SCHEMA, 4, attention_units=(5,), hidden_units=(3,)))
    (name,) = (found := attention_weights(model, inputs))
    result = found[name]
    assert result.fields == ("items", "categories")
    np.testing.assert_array_equal(result.mask, inputs["items"] != 0)
    assert (result.weights[~result.mask] == 0).all()
    layer, (_, events, _) = layer_calls(model, (TargetAttention,))[name]
    part = keras.Model(model.input, [events, layer.output])
    events, output = part.predict_on_batch(inputs)
    expected = np.einsum("bt,btd->bd", result.weights, events)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"`top` is of .* \['items', 'categories'\]"):
        result.top()


def test_states_of_a_history(inputs):
    """A softmax of h W e over the states that are there."""
    model = randomize(dien(SCHEMA, 2, hidden_units=(3,)))
    result = attention_weights(model, inputs)["attention_0"]
    assert result.fields == ("items", "categories")
    np.testing.assert_array_equal(result.mask, inputs["items"] != 0)
    layer, (e, states, _) = layer_calls(model, (BilinearAttention,))["attention_0"]
    e, states = keras.Model(model.input, [e, states]).predict_on_batch(inputs)
    scores = np.exp(np.einsum("bth,hq,bq->bt", states, layer.kernel, e)) * result.mask
    expected = scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-30)
    np.testing.assert_allclose(result.weights, expected, rtol=1e-4, atol=1e-6)


def test_a_history_without_mask():
    """All events are there."""
    query, events = keras.Input((2,), name="q"), keras.Input((3, 2), name="e")
    output = TargetAttention((4,), "relu", name="a")([query, events])
    model = keras.Model({"q": query, "e": events}, output)
    inputs = {"q": np.ones((2, 2)), "e": np.ones((2, 3, 2))}
    result = attention_weights(model, inputs)["a"]
    assert result.mask.all()
    assert result.weights.shape == (2, 3)
    assert result.fields == ("e",)


def test_no_attention(click_schema, columns):
    x = keras.Input((3,), name="x")
    model = keras.Model({"x": x}, keras.layers.Dense(1)(x))
    with pytest.raises(ValueError, match=r"must have one of .*'TargetAttention'"):
        attention_weights(model, {"x": np.ones((1, 3))})


# === The plot ===


@pytest.fixture
def drawn(monkeypatch):
    import matplotlib.axes

    matrices, texts = [], []
    draw, write = matplotlib.axes.Axes.imshow, matplotlib.axes.Axes.text
    monkeypatch.setattr(
        matplotlib.axes.Axes,
        "imshow",
        lambda self, matrix, **options: (
            matrices.append(matrix),
            draw(self, matrix, **options),
        )[1],
    )
    monkeypatch.setattr(
        matplotlib.axes.Axes,
        "text",
        lambda self, x, y, text, **options: (
            texts.append((x, y, text)),
            write(self, x, y, text, **options),
        )[1],
    )
    return matrices, texts


def test_plot_of_fields(tmp_path, drawn):
    weights = np.random.default_rng(0).dirichlet([1, 1], (5, 3, 2))
    plot_attention(Attention(weights, ("a", "b")), tmp_path / "a.png", "title")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    np.testing.assert_allclose(drawn[0][0], weights.mean((0, 1)))


HISTORY = Attention(
    np.array([[0.5, -0.25, 0, 0], [1, 2, 3, 0], [0, 0, 0, 0]]),
    ("items",),
    np.array([[True, True, False, False], [True, True, True, False], [False] * 4]),
)


def test_plot_of_histories(tmp_path, drawn):
    """Padding is blank, columns of padding alone are left out, names stand inside."""
    items = [["a", "b", "", ""], ["c", "d", "e", ""], [""] * 4]
    path = tmp_path / "a.png"
    plot_attention(HISTORY, path, "title", items=items, candidates=["x", "y", "z"])
    assert path.read_bytes()[:4] == b"\x89PNG"
    nan = np.nan
    expected = [[0.5, -0.25, nan], [1, 2, 3], [nan, nan, nan]]
    np.testing.assert_array_equal(drawn[0].pop(), expected)
    texts = [(0, 0, "a"), (1, 0, "b"), (0, 1, "c"), (1, 1, "d"), (2, 1, "e")]
    assert drawn[1] == texts
    plot_attention(HISTORY, path, examples=[1], items=[*items, items[0]])
    np.testing.assert_array_equal(drawn[0].pop(), [[1, 2, 3]])
    plot_attention(HISTORY, path, examples=[2])
    np.testing.assert_array_equal(drawn[0].pop(), [[nan]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"examples": [3]}, r"`examples` must name some of the 3 .* Received: \[3\]"),
        ({"items": [["a"]]}, r"`items` must have .* \(3, 4\), or more .* \(1, 1\)"),
        ({"items": [["a"] * 5] * 3}, r"`items` must have .* Received: \(3, 5\)"),
        ({"candidates": ["a"]}, r"`candidates` must have .* Received: \(1,\)"),
    ],
)
def test_errors_of_the_plot(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plot_attention(HISTORY, tmp_path / "a.png", **options)
