"""Stacked tables, against loops; padding, sharing, shards, sparse gradients."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recs.layers import FeatureEmbedding, TableConfig
from keras_recs.schema import COMBINERS
from tests import numpy_reference

TABLES = [
    TableConfig("user", 4, 3),
    TableConfig("item", 7, 3),
    TableConfig("tag", 5, 3),
]
FEATURES = {
    "tags": "tag",
    "user": "user",
    "history": "item",
    "item": "item",
    "clicks": "item",
}
INPUTS = {
    "tags": [[1, 2, 0], [0, 0, 0], [4, 4, 3], [0, 2, 0]],
    "user": [1, 2, 3, 1],
    "history": [[5, 6], [0, 1], [0, 0], [6, 0]],
    "item": [1, 6, 2, 6],
    "clicks": [[2, 0, 0, 3], [6, 6, 6, 6], [0, 0, 0, 0], [1, 0, 0, 0]],
}


def make(combiners=None, **arguments):
    combiners = (
        {"tags": "mean", "history": "sum", "clicks": "max"}
        if combiners is None
        else combiners
    )
    arguments = {"embeddings_initializer": "glorot_normal", **arguments}
    return FeatureEmbedding(TABLES, FEATURES, combiners, **arguments)


def rows(**changed):
    return {
        name: tf.constant(changed.get(name, value)) for name, value in INPUTS.items()
    }


def examples(inputs):
    return [{n: np.asarray(v)[i] for n, v in inputs.items()} for i in range(4)]


@pytest.mark.parametrize("num_shards", [1, 2, 3])
@pytest.mark.parametrize("combiner", COMBINERS)
def test_values(combiner, num_shards):
    layer = make(
        dict.fromkeys(("tags", "history", "clicks"), combiner), num_shards=num_shards
    )
    outputs = layer(rows())
    twin = numpy_reference.Stacked(layer)
    expected = [twin.fields(example) for example in examples(INPUTS)]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-7)
    assert layer.field_names == ["user", "item", "tags", "history", "clicks"]


def test_a_feature_without_a_combiner_stays_a_sequence():
    layer = make({"tags": "mean", "clicks": "max"})
    fields, sequences = layer(rows())
    assert layer.field_names == ["user", "item", "tags", "clicks"]
    assert fields.shape == (4, 4, 3)
    assert list(sequences) == ["history"]
    twin = numpy_reference.Stacked(layer)
    for b, steps in enumerate(INPUTS["history"]):
        for t, row in enumerate(steps):
            expected = twin.row("history", row) if row else np.zeros(3)
            np.testing.assert_array_equal(sequences["history"][b, t], expected)


def test_tables_of_one_name_are_shared():
    layer = make()
    outputs = layer(rows(history=[[1, 0], [6, 0], [2, 0], [6, 0]])).numpy()
    names = layer.field_names
    np.testing.assert_array_equal(
        outputs[:, names.index("item")], outputs[:, names.index("history")]
    )
    (table,) = layer.weights
    assert table.shape == (4 + 7 + 5, 3), "one variable, each table once"


@pytest.mark.parametrize("combiner", COMBINERS)
def test_padding_changes_nothing(combiner):
    layer = make(dict.fromkeys(("tags", "history", "clicks"), combiner))
    expected = layer(rows()).numpy()
    longer = {
        n: [[0, *v, 0, 0] for v in INPUTS[n]] for n in ("tags", "history", "clicks")
    }
    np.testing.assert_allclose(layer(rows(**longer)), expected, rtol=1e-6)
    empty = [i for i, v in enumerate(INPUTS["clicks"]) if not any(v)]
    assert (expected[empty, layer.field_names.index("clicks")] == 0).all()
    # Whatever the padding row holds.
    values = np.asarray(layer.weights[0]).copy()
    values[[0, 4, 11]] = 1e3  # where the three tables start
    layer.set_weights([values])
    np.testing.assert_allclose(layer(rows()), expected, rtol=1e-6)


@pytest.mark.parametrize("combiner", COMBINERS)
def test_a_set_has_no_order(combiner):
    layer = make(dict.fromkeys(("tags", "history", "clicks"), combiner))
    turned = {n: [v[::-1] for v in INPUTS[n]] for n in ("tags", "history", "clicks")}
    np.testing.assert_allclose(
        layer(rows(**turned)), layer(rows()), rtol=1e-6, atol=1e-7
    )


def test_examples_do_not_see_each_other():
    layer = make()
    order = [2, 0, 3, 1]
    turned = {name: np.asarray(value)[order] for name, value in INPUTS.items()}
    np.testing.assert_array_equal(layer(rows(**turned)), layer(rows()).numpy()[order])


@pytest.mark.parametrize(
    "outside", [-1, -9, 7, 100, 2**31 - 1, 2**32 + 3, -(2**32) + 3]
)
def test_a_row_outside_the_table_reads_the_oov_row(outside):
    layer = make()
    values = np.array([outside, 1, 1, 1])
    outputs = layer(rows(item=values)).numpy()[:, layer.field_names.index("item")]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    in_list = layer(
        rows(history=np.array([[outside, 0], [1, 0], [1, 0], [1, 0]]))
    ).numpy()
    np.testing.assert_array_equal(*in_list[:2, layer.field_names.index("history")])


def test_known_sizes_stay_known_where_lengths_differ():
    """Else a layer such as DotInteraction fails at the second batch of a fit."""
    layer = make({"tags": "mean", "clicks": "max"})
    layer(rows())
    spec = {
        name: tf.TensorSpec([None] * np.ndim(value), tf.int32)
        for name, value in INPUTS.items()
    }
    spec["history"] = tf.TensorSpec([None, 2], tf.int32)
    graph = tf.function(layer, input_signature=[spec]).get_concrete_function()
    fields, sequences = graph.output_shapes
    assert fields.as_list() == [None, 4, 3]
    assert sequences["history"].as_list() == [None, 2, 3]


def test_a_table_of_one_row():
    layer = FeatureEmbedding([TableConfig("t", 1, 2)], {"x": "t"})
    outputs = layer({"x": np.array([0, 1, 5])}).numpy()
    np.testing.assert_array_equal(outputs[0], outputs[2])


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_any_integer_type(dtype):
    layer = make()
    expected = layer(rows()).numpy()
    cast = {name: np.asarray(value).astype(dtype) for name, value in INPUTS.items()}
    np.testing.assert_array_equal(layer(cast), expected)


@pytest.mark.parametrize("num_shards", [1, 2, 3])
def test_the_gradient_is_sparse_and_padding_gets_none(num_shards):
    layer = make({"tags": "mean", "clicks": "sqrtn"}, num_shards=num_shards)
    layer(rows())
    target = tf.constant(np.random.default_rng(0).normal(size=(4, 4, 3)), tf.float32)
    with tf.GradientTape() as tape:
        fields, sequences = layer(rows())
        loss = tf.reduce_sum(fields * target) + tf.reduce_sum(sequences["history"] ** 3)
    gradients = tape.gradient(loss, [shard.value for shard in layer.shards])
    assert all(isinstance(g, tf.IndexedSlices) for g in gradients)
    dense = np.zeros((16, 3))
    for number, gradient in enumerate(gradients):
        local = tf.convert_to_tensor(gradient).numpy()
        dense[number::num_shards] = local
    starts = {"user": 0, "item": 4, "tag": 11}
    for start in starts.values():
        assert (dense[start] == 0).all(), "the padding row"
    used = {
        starts[table] + row
        for feature, table in FEATURES.items()
        for row in np.ravel(INPUTS[feature])
        if row
    }
    assert {int(r) for r in np.nonzero(np.abs(dense).sum(1))[0]} == used


@pytest.mark.parametrize("num_shards", [1, 2])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_no_step_reads_or_casts_a_whole_table(policy, num_shards):
    """It would be a second owner of the memory, which then is copied at each update."""
    layer = make(num_shards=num_shards, dtype=policy)
    layer(rows())
    graph = tf.function(lambda: layer(rows())).get_concrete_function().graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert "ResourceGather" in kinds
    assert "ReadVariableOp" not in kinds


def test_a_gradient_by_hand():
    """Σ outputs: a row gets 1 for each time it is read, 1/n in a mean of n."""
    layer = FeatureEmbedding(
        [TableConfig("t", 5, 1)], {"x": "t", "s": "t"}, {"s": "mean"}
    )
    inputs = {"x": np.array([2, 2]), "s": np.array([[3, 2, 0], [4, 0, 0]])}
    layer(inputs)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs))
    gradient = tape.gradient(loss, layer.shards[0].value)
    expected = [[0], [0], [1 + 1 + 0.5], [0.5], [1]]
    np.testing.assert_allclose(tf.convert_to_tensor(gradient), expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_shards_train_as_one_table(optimizer):
    import keras

    initial = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
    targets = np.random.default_rng(1).normal(size=(4, 5, 3)).astype("float32")
    trained = []
    for num_shards in (1, 2, 3):
        layer = make(num_shards=num_shards)
        inputs = {
            name: keras.Input(np.shape(value)[1:], dtype="int32", name=name)
            for name, value in INPUTS.items()
        }
        model = keras.Model(inputs, layer(inputs))
        layer.set_weights([initial[i::num_shards] for i in range(num_shards)])
        optimizer_object = keras.optimizers.get(optimizer)
        optimizer_object.learning_rate = 0.1
        model.compile(optimizer_object, "mse")
        arrays = {name: np.asarray(value) for name, value in INPUTS.items()}
        model.fit(arrays, targets, batch_size=2, epochs=2, shuffle=False, verbose=0)
        table = np.zeros((16, 3), "float32")
        for i, shard in enumerate(layer.get_weights()):
            table[i::num_shards] = shard
        trained.append(table)
    assert not np.allclose(trained[0], initial)
    np.testing.assert_allclose(trained[1], trained[0], atol=1e-6)
    np.testing.assert_allclose(trained[2], trained[0], atol=1e-6)


def test_more_shards_than_rows():
    layer = FeatureEmbedding([TableConfig("t", 2, 2)], {"x": "t"}, num_shards=3)
    assert layer({"x": np.array([0, 1])}).shape == (2, 1, 2)


def test_regularizer():
    layer = make(
        embeddings_regularizer="l2", embeddings_initializer="ones", num_shards=2
    )
    layer(rows())
    assert float(sum(layer.losses)) == pytest.approx(0.01 * 16 * 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tables": []}, "`tables` and `features` must not be empty"),
        ({"features": {}}, "`tables` and `features` must not be empty"),
        (
            {"tables": [*TABLES, TableConfig("item", 3, 8)]},
            "Names of `tables` must differ.*'item'",
        ),
        ({"features": {"city": "cities"}}, "Feature 'city' names a table .* 'cities'"),
        (
            {"combiners": {"tags": "avg"}},
            "Feature 'tags': `combiners` must be of .*'avg'",
        ),
        ({"num_shards": 0}, "`num_shards` must be a positive integer.*num_shards=0"),
        ({"num_shards": 1.5}, "num_shards=1.5"),
    ],
)
def test_messages(arguments, message):
    with pytest.raises(ValueError, match=message):
        FeatureEmbedding(**{"tables": TABLES, "features": FEATURES, **arguments})


def test_an_input_that_is_missing_is_named():
    inputs = rows()
    del inputs["item"]
    with pytest.raises(
        ValueError, match=r"'embedding' was called without features \['item'\]"
    ):
        make(name="embedding")(inputs)
    layer = make(name="embedding")
    layer(rows())
    with pytest.raises(
        ValueError, match=r"called without features \['item'\]. Received"
    ):
        layer(inputs)


def test_sequences_alone_are_refused():
    layer = FeatureEmbedding([TABLES[0]], {"s": "user"}, name="embedding")
    with pytest.raises(
        ValueError, match=r"'embedding' needs a single-valued or pooled .*\['s'\]"
    ):
        layer({"s": np.ones((2, 3), "int32")})
