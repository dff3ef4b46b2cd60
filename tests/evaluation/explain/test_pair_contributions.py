"""Pairs of fields: they add up to the layer, one alone matters where it does."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_recs.data import array_dataset
from keras_recs.evaluation import PairTerms, pair_contributions, plot_pairs
from keras_recs.evaluation.explain.layer_calls import layer_calls
from keras_recs.evaluation.explain.named_fields import named_fields
from keras_recs.layers import (
    CIN,
    MLP,
    CrossLayer,
    FeatureEmbedding,
    FMInteraction,
    TableConfig,
    VectorCrossLayer,
)
from keras_recs.models import dcn_v2, deepfm, xdeepfm
from tests import samples

# Single-valued features first, then pooled ones: the order of the embedding.
FIELDS = ("user", "item", "hour", "age", "user_x_hour", "genres", "history")
NUM_ROWS = 10


@pytest.fixture(scope="module")
def batch(click_schema):
    columns = samples.click_columns(NUM_ROWS)
    (batch,) = array_dataset(columns, click_schema, NUM_ROWS, shuffle=False)
    return batch[0]


def randomize(model):
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def outputs_of(model, layer, batch):
    """What goes into a layer and what comes out."""
    (tensors,) = (inputs for _, inputs in layer_calls(model, (type(layer),)).values())
    part = keras.Model(model.input, [tensors, layer.output])
    return part.predict_on_batch(batch)


# === Factorization machine ===


def test_the_pairs_of_a_factorization_machine(click_schema, batch):
    """By loops over the fields, and their sum is what the layer gives."""
    model = randomize(deepfm(click_schema, embedding_dim=4, hidden_units=(8,)))
    found = pair_contributions(model, batch)
    assert list(found) == ["fm"]
    result = found["fm"]
    assert result.fields == (*FIELDS, "price")
    v, output = outputs_of(model, model.get_layer("fm"), batch)
    count = len(result.fields)
    expected = np.zeros((NUM_ROWS, count, count))
    for row in range(NUM_ROWS):
        for i in range(count):
            for j in range(i + 1, count):
                expected[row, i, j] = np.dot(v[row, i], v[row, j])
    np.testing.assert_allclose(result.terms, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        result.terms.sum((1, 2)), output.sum(1), rtol=1e-4, atol=1e-4
    )
    assert result.weights is None
    assert not result.ordered


@pytest.mark.parametrize("size", [3, NUM_ROWS, 99])
def test_batches_and_a_limit(size, click_schema, batch):
    model = randomize(deepfm(click_schema, embedding_dim=4, hidden_units=(8,)))
    columns = samples.click_columns(NUM_ROWS)
    batches = array_dataset(columns, click_schema, 4, shuffle=False)
    found = pair_contributions(model, batches, max_examples=size)["fm"]
    whole = pair_contributions(model, batch)["fm"]
    np.testing.assert_allclose(found.terms, whole.terms[:size], rtol=1e-5, atol=1e-5)


def hand_made(layer, values):
    """A model of three features with the embeddings `values` and one layer."""
    inputs = {name: keras.Input((), name=name, dtype="int32") for name in "abc"}
    tables = [TableConfig(name, 3, len(values[0])) for name in "abc"]
    embedding = FeatureEmbedding(tables, {name: name for name in "abc"})
    fields = embedding(inputs)
    if isinstance(layer, (CrossLayer, VectorCrossLayer)):
        fields = keras.layers.Flatten()(fields)
        output = layer([fields, fields])
    else:
        output = layer(fields)
    model = keras.Model(inputs, {"y": output})
    for name, value in zip("abc", values):
        embedding.write_rows(name, [2], np.array([value], "float32"))
    return model


ONES = {name: np.full((2,), 2, "int32") for name in "abc"}


def test_one_pair_alone_matters():
    """⟨a, c⟩ = 3·2, and b is at right angles to both."""
    model = hand_made(FMInteraction(name="fm"), [(3, 0), (0, 5), (2, 0)])
    result = pair_contributions(model, ONES)["fm"]
    assert result.fields == ("a", "b", "c")
    expected = np.zeros((3, 3))
    expected[0, 2] = 6
    np.testing.assert_array_equal(result.mean, expected)
    assert result.top(1) == [("a", "c", 6.0)]
    assert result.by_field == {"a": 6.0, "c": 6.0, "b": 0.0}


# === Cross layers ===


@pytest.mark.parametrize("rank", [None, 3])
def test_cross_layers_of_dcn_v2(rank, click_schema, batch):
    """Blocks by loops; terms add up to the output without bias and residual."""
    model = randomize(dcn_v2(click_schema, 4, num_cross_layers=2, projection_dim=rank))
    found = pair_contributions(model, batch)
    assert list(found) == ["cross_0", "cross_1"]
    for name, result in found.items():
        assert result.fields == (*FIELDS, "price")
        assert result.ordered
        layer = model.get_layer(name)
        kernel = np.asarray(layer.dense.kernel)
        if rank:
            kernel = np.asarray(layer.down.kernel) @ kernel
        widths = [4] * 7 + [1]
        start = np.cumsum([0, *widths])
        tensors = layer_calls(model, (CrossLayer,))[name][1]
        part = keras.Model(model.input, [*tensors, layer.output])
        x0, x, output = part.predict_on_batch(batch)
        for i in range(8):
            for j in range(8):
                rows = slice(start[i], start[i + 1])
                columns = slice(start[j], start[j + 1])
                block = kernel[columns, rows].T
                norm = np.sqrt((block.astype("float64") ** 2).sum())
                assert result.weights[i, j] == pytest.approx(norm, rel=1e-5)
                terms = [x0[n, rows] @ block @ x[n, columns] for n in range(NUM_ROWS)]
                np.testing.assert_allclose(
                    result.terms[:, i, j], terms, rtol=1e-3, atol=1e-3
                )
        rest = (output - x - x0 * np.asarray(layer.dense.bias)).sum(1)
        np.testing.assert_allclose(result.terms.sum((1, 2)), rest, rtol=1e-3)


def test_one_block_alone_matters():
    """Only a's second number times c's first, by 7."""
    layer = CrossLayer(name="cross")
    model = hand_made(layer, [(3, 5), (1, 1), (2, 4)])
    kernel = np.zeros((6, 6), "float32")
    kernel[4, 1] = 7  # from the input 4, c's first, to the output 1, a's second
    layer.dense.set_weights([kernel, np.ones(6)])
    result = pair_contributions(model, ONES)["cross"]
    weights, terms = np.zeros((3, 3)), np.zeros((3, 3))
    weights[0, 2] = 7
    terms[0, 2] = 5 * 7 * 2
    np.testing.assert_array_equal(result.weights, weights)
    np.testing.assert_array_equal(result.mean, terms)


def test_a_vector_cross_layer():
    """x₀ (xᵀ w): the sum of a field's numbers times ⟨x_j, w_j⟩."""
    layer = VectorCrossLayer(name="cross")
    model = hand_made(layer, [(3, 5), (1, 1), (2, 4)])
    w = np.array([1, 0, 0, 0, 0, 2], "float32")
    layer.set_weights([w[:, None], np.ones(6)])
    result = pair_contributions(model, ONES)["cross"]
    np.testing.assert_array_equal(result.mean, np.outer([8, 2, 6], [3 * 1, 0, 4 * 2]))
    root = np.sqrt(2)
    np.testing.assert_allclose(result.weights, [[root, 0, 2 * root]] * 3, rtol=1e-6)


# === Compressed interaction network ===


def test_cin(click_schema, batch):
    """By loops over pairs and maps."""
    model = randomize(xdeepfm(click_schema, 4, cin_layer_sizes=(5, 3)))
    result = pair_contributions(model, batch)["cin"]
    assert result.fields == (*FIELDS, "price")
    kernel = np.asarray(model.get_layer("cin").kernels[0])
    v, _ = outputs_of(model, model.get_layer("cin"), batch)
    for i in range(8):
        for j in range(8):
            size = 0.0
            for h in range(5 if i <= j else 0):
                both = kernel[8 * i + j, h] + (kernel[8 * j + i, h] if i < j else 0)
                size += both**2
            assert result.weights[i, j] == pytest.approx(size**0.5, rel=1e-5)
            terms = size**0.5 * (v[:, i] * v[:, j]).sum(1)
            np.testing.assert_allclose(
                result.terms[:, i, j], terms, rtol=1e-3, atol=1e-4
            )


def test_one_map_of_one_pair():
    layer = CIN((1,), name="cin")
    model = hand_made(layer, [(3, 0), (0, 5), (2, 0)])
    kernel = np.zeros((9, 1), "float32")
    kernel[[2, 6], 0] = 2, 4  # (a, c) and (c, a)
    layer.set_weights([kernel])
    result = pair_contributions(model, ONES)["cin"]
    expected = np.zeros((3, 3))
    expected[0, 2] = 6
    np.testing.assert_array_equal(result.weights, expected)
    np.testing.assert_array_equal(result.mean, 6 * expected)
    output = model.predict_on_batch(ONES)["y"][:, 0]
    np.testing.assert_array_equal(result.terms.sum((1, 2)), output)


# === Models ===


def test_a_reloaded_model_in_half_precision(click_schema, batch, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = deepfm(click_schema, embedding_dim=4, hidden_units=(8,))
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    result = pair_contributions(model, batch)["fm"]
    assert result.fields == (*FIELDS, "price")
    assert result.terms.dtype == "float32"
    assert np.isfinite(result.terms).all()


def test_a_layer_that_is_called_twice():
    layer = FMInteraction(name="fm")
    a, b = keras.Input((2, 3), name="a"), keras.Input((4, 3), name="b")
    model = keras.Model({"a": a, "b": b}, layer(a) + layer(b))
    inputs = {"a": np.ones((1, 2, 3)), "b": np.ones((1, 4, 3))}
    found = pair_contributions(model, inputs)
    assert sorted(found) == ["fm", "fm:1"]
    assert sorted(r.terms.sum() for r in found.values()) == [3, 18]
    assert found["fm"].fields[0] in ("a[0]", "b[0]")


def test_names_of_fields():
    """Through joins and layers that move nothing; else the layer's own name."""
    x, y = keras.Input((), name="x"), keras.Input((3,), name="y")
    rows = ops.stack([x, x], axis=1)
    assert named_fields(rows) == [("x", 1), ("x", 1)]
    joined = keras.layers.Concatenate()([y, keras.layers.Dropout(0.5)(rows)])
    assert named_fields(joined) == [("y", 3), ("x", 1), ("x", 1)]
    tower = MLP((4,), name="tower")(joined)
    assert named_fields(tower) == [("tower", 4)]
    fields = keras.layers.Reshape((1, 4))(tower)
    assert named_fields(fields) == [("tower", 4)]
    other = keras.Input((2, 4), name="z")
    fields = keras.layers.Concatenate(axis=1)([fields, other])
    names = [("tower", 4), ("z[0]", 4), ("z[1]", 4)]
    assert named_fields(fields) == names
    assert named_fields(keras.layers.Flatten()(fields)) == names


def test_errors(click_schema, batch):
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match=r"`model` must be a functional .*Own"):
        pair_contributions(Own(), batch)
    x = keras.Input((3,), name="x")
    model = keras.Model({"x": x}, keras.layers.Dense(1)(x))
    with pytest.raises(ValueError, match=r"`model` must have one of .*'Dense'"):
        pair_contributions(model, batch)
    model = dcn_v2(click_schema, 4, projection_dim=2, num_experts=2)
    with pytest.raises(ValueError, match=r"a sum over pairs .* mixtures of cross"):
        pair_contributions(model, batch)


# === The result and its plot ===


def test_ordered_pairs():
    terms = np.array([[[1, 2], [3, 4]], [[-1, 2], [-3, 4]]], "float32")
    result = PairTerms(("a", "b"), terms, ordered=True)
    np.testing.assert_array_equal(result.mean, [[0, 2], [0, 4]])
    np.testing.assert_array_equal(result.strength, [[1, 2], [3, 4]])
    assert result.by_field == {"b": 9.0, "a": 6.0}
    assert result.top() == [("a", "b", 5.0), ("b", "b", 4.0), ("a", "a", 1.0)]


@pytest.mark.parametrize("values", [None, "weights", "strength", "mean"])
@pytest.mark.parametrize("ordered", [True, False])
def test_plot(values, ordered, tmp_path, monkeypatch):
    import matplotlib.axes

    drawn = []
    draw = matplotlib.axes.Axes.imshow
    monkeypatch.setattr(
        matplotlib.axes.Axes,
        "imshow",
        lambda self, matrix, **options: (
            drawn.append(matrix),
            draw(self, matrix, **options),
        )[1],
    )
    terms = np.array([[[1.0, -2.0], [0.0, 1.0]]])
    weights = np.array([[5.0, 6.0], [0.0, 7.0]])
    result = PairTerms(("a", "b"), terms, weights, ordered)
    plot_pairs(result, tmp_path / "pairs.png", "title", values)
    assert (tmp_path / "pairs.png").read_bytes()[:4] == b"\x89PNG"
    expected = {"strength": np.abs(terms[0]), "mean": terms[0]}.get(values, weights)
    expected = np.where([[True, True], [ordered, True]], expected, np.nan)
    np.testing.assert_array_equal(drawn[0], expected)


def test_a_plot_without_weights(tmp_path):
    result = PairTerms(("a", "b"), np.zeros((1, 2, 2)))
    plot_pairs(result, tmp_path / "pairs.png")
    for values in ("weights", "terms"):
        with pytest.raises(ValueError, match=f"`values` must .* values='{values}'"):
            plot_pairs(result, tmp_path / "pairs.png", values=values)
