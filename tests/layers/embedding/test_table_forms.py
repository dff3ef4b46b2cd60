"""Tables of mixed dimensions, compressed, weighted, halved, regularized; twins by loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recs.layers import (
    BatchL2,
    Compositional,
    FeatureEmbedding,
    MultiHash,
    QuotientRemainder,
    TableConfig,
)

ROWS = np.array([1, 2, 5, 17, 23, 5], "int32")


def one_table(table, **arguments):
    layer = FeatureEmbedding([table], {"item": table.name}, **arguments)
    layer.build({"item": (None,)})
    return layer


def fields(layer, rows=ROWS, **call):
    return np.asarray(layer({"item": tf.constant(rows)}, **call))[:, 0]


# === Mixed dimensions ===


def test_smaller_tables_are_projected():
    layer = FeatureEmbedding(
        [TableConfig("a", 5, 2), TableConfig("b", 6, 4), TableConfig("c", 7, 2)],
        {"x": "a", "y": "b", "z": "c", "zs": "c"},
        {"zs": "sum"},
    )
    inputs = {"x": [1, 4], "y": [5, 0], "z": [3, 3], "zs": [[6, 0, 3], [0, 0, 0]]}
    output = layer({name: tf.constant(value) for name, value in inputs.items()})
    assert output.shape == (2, 4, 4)
    projection = {
        name: np.asarray(weight) for name, weight in layer.projections.items()
    }
    assert set(projection) == {"a", "c"}

    def row(table, r):
        value = layer.read_rows(table, [r])[0]
        return value @ projection[table] if table in projection else value

    for b in range(2):
        expected = [row("a", inputs["x"][b]), row("b", inputs["y"][b] or 1)]
        expected.append(row("c", inputs["z"][b]))
        bag = sum((row("c", r) for r in inputs["zs"][b] if r), np.zeros(4))
        np.testing.assert_allclose(output[b], [*expected, bag], rtol=1e-5, atol=1e-6)
    # Each dimension is one variable: one gather each.
    assert sorted(tuple(shard.shape) for shard in layer.shards) == [(6, 4), (12, 2)]


# === Compression ===


def murmur(row, salt):
    """The finalizer of MurmurHash3 in plain integers."""
    bits = (row + salt * 0x9E3779B9) & 0xFFFFFFFF
    bits = ((bits ^ (bits >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    bits = ((bits ^ (bits >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return bits ^ (bits >> 16)


def parts_of(compression, row):
    """Rows of the stored tables that a row is composed of."""
    if isinstance(compression, MultiHash):
        salts = [compression.seed * compression.num_hashes + 1 + k for k in range(2)]
        return [
            (0, (murmur(row, s) & 0x7FFFFFFF) % compression.num_buckets) for s in salts
        ]
    bases = (
        (compression.num_buckets, 10**9)
        if isinstance(compression, QuotientRemainder)
        else compression.bases
    )
    parts = []
    for number, base in enumerate(bases):
        parts.append((number, row % base))
        row //= base
    return parts


@pytest.mark.parametrize("operation", ["add", "multiply", "concatenate"])
@pytest.mark.parametrize(
    "compression",
    [
        QuotientRemainder(5),
        Compositional((3, 3, 3)),
        MultiHash(11, seed=3),
    ],
)
def test_a_compressed_row_is_composed(compression, operation):
    import dataclasses

    compression = dataclasses.replace(compression, operation=operation)
    table = TableConfig("item", 25, 6, initializer="normal", compression=compression)
    layer = one_table(table)
    stored = np.concatenate([np.asarray(shard) for shard in layer.shards])
    sizes = [size for size, _ in compression.stored(table)]
    starts = np.cumsum([0, *sizes])
    assert stored.shape == (sum(sizes), compression.stored(table)[0][1])
    output = fields(layer)
    for b, row in enumerate(ROWS):
        parts = [stored[starts[t] + r] for t, r in parts_of(compression, int(row))]
        expected = {
            "add": lambda p: np.sum(p, axis=0),
            "multiply": lambda p: np.prod(p, axis=0),
            "concatenate": np.concatenate,
        }[operation](parts)
        np.testing.assert_allclose(output[b], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(layer.read_rows("item", ROWS), output, rtol=1e-6)


@pytest.mark.parametrize(
    "compression", [QuotientRemainder(10), Compositional((5, 5, 4))]
)
def test_no_two_rows_of_complementary_partitions_are_the_same(compression):
    table = TableConfig("item", 100, 4, compression=compression)
    found = compression.lookups(table, np.arange(100))
    combined = np.stack([np.asarray(rows) for _, rows in found], axis=1)
    assert len(np.unique(combined, axis=0)) == 100
    for (number, rows), (size, _) in zip(found, compression.stored(table)):
        assert np.min(rows) >= 0 and np.max(rows) < size, number


def test_two_hashes_meet_once_in_buckets_squared():
    buckets, rows = 64, np.arange(20_000)
    compression = MultiHash(buckets)
    (_, first), (_, second) = compression.lookups(None, tf.constant(rows, tf.int32))
    for found in (first, second):  # each is uniform: χ² of 63 degrees, beyond 1e-6
        counts = np.bincount(np.asarray(found), minlength=buckets)
        assert ((counts - len(rows) / buckets) ** 2).sum() * buckets / len(rows) < 130
    pairs = np.asarray(first) * buckets + np.asarray(second)
    counts = np.bincount(pairs, minlength=buckets**2)
    expected = len(rows) / buckets**2
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert abs(statistic - buckets**2) < 6 * np.sqrt(2 * buckets**2), "independent"


def test_a_hash_of_long_ids_uses_all_bits():
    ids = np.array([5, 5 + 2**31, 5 + 2**40], "int64")
    (_, first), (_, second) = MultiHash(2**20).lookups(None, tf.constant(ids))
    assert len(set(np.asarray(first).tolist())) == 3
    assert len(set(np.asarray(second).tolist())) == 3


def test_compressed_and_plain_tables_side_by_side():
    layer = FeatureEmbedding(
        [
            TableConfig("a", 30, 4, compression=QuotientRemainder(6)),
            TableConfig("b", 9, 4),
            TableConfig("c", 40, 4, compression=MultiHash(8, operation="concatenate")),
        ],
        {"tags": "a", "x": "a", "y": "b", "z": "c"},
        {"tags": "mean"},
    )
    inputs = {"tags": [[3, 29, 0], [0, 0, 0]], "x": [7, 1], "y": [8, 2], "z": [39, 5]}
    output = layer({name: tf.constant(value) for name, value in inputs.items()})
    assert layer.field_names == ["x", "y", "z", "tags"]
    for b in range(2):
        expected = [
            layer.read_rows("a", [inputs["x"][b]])[0],
            layer.read_rows("b", [inputs["y"][b]])[0],
            layer.read_rows("c", [inputs["z"][b]])[0],
        ]
        bag = [layer.read_rows("a", [r])[0] for r in inputs["tags"][b] if r]
        expected.append(np.mean(bag, axis=0) if bag else np.zeros(4))
        np.testing.assert_allclose(output[b], expected, rtol=1e-5, atol=1e-7)


# === Weights ===


@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
def test_weights(combiner):
    layer = FeatureEmbedding(
        [TableConfig("tag", 9, 3, initializer="normal")],
        {"tags": "tag"},
        {"tags": combiner},
        value_weights={"tags": "tag_weight"},
    )
    tags = [[1, 2, 0], [8, 8, 3], [0, 0, 0], [4, 0, 5], [6, 0, 0]]
    weights = [[0.5, 2, 9], [1, 3, np.nan], [1, 1, 1], [np.inf, 7, 0.25], [0, 1, 1]]
    output = layer(
        {"tags": tf.constant(tags), "tag_weight": tf.constant(weights, tf.float32)}
    )
    assert np.isfinite(output).all()
    for b in range(5):
        total, sums, squares = np.zeros(3), 0.0, 0.0
        for row, w in zip(tags[b], weights[b]):
            if row and np.isfinite(w):
                total += w * layer.read_rows("tag", [row])[0]
                sums, squares = sums + w, squares + w * w
        scale = {"sum": 1.0, "mean": sums, "sqrtn": np.sqrt(squares)}[combiner]
        expected = total / scale if scale else np.zeros(3)
        np.testing.assert_allclose(output[b, 0], expected, rtol=1e-5, atol=1e-6)


def test_weights_get_a_gradient_only_where_a_value_is():
    layer = FeatureEmbedding(
        [TableConfig("tag", 9, 3)],
        {"tags": "tag"},
        {"tags": "mean"},
        value_weights={"tags": "w"},
    )
    weights = tf.constant([[1.0, np.nan, 3.0]])
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = tf.reduce_sum(layer({"tags": tf.constant([[1, 2, 0]]), "w": weights}))
    gradient = tape.gradient(loss, weights).numpy()[0]
    assert np.isfinite(gradient).all() and (gradient[1:] == 0).all()


# === Storage ===


def in_files(folder, **arguments):
    """A table of which three rows are in memory, beside one that is there wholly."""
    layer = FeatureEmbedding(
        [
            TableConfig("a", 12, 4, hot_rows=3, folder=str(folder)),
            TableConfig("b", 6, 4),
        ],
        {"x": "a", "xs": "a", "y": "b"},
        {"xs": "mean"},
        **arguments,
    )
    layer.build({"x": (None,), "xs": (None, 2), "y": (None,)})
    return layer


def test_tables_in_files_and_in_memory_side_by_side(tmp_path):
    layer = in_files(tmp_path / "a")
    inputs = {"x": [7, 99, 0], "xs": [[1, 7], [0, 0], [-1, 0]], "y": [1, 2, 5]}
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    rows = layer.read_rows("a", np.arange(12))
    assert len(np.unique(rows)) == 48
    output = layer(inputs).numpy()
    assert layer.field_names == ["x", "y", "xs"]
    np.testing.assert_array_equal(output[:, 0], rows[[7, 1, 1]])
    expected = [rows[[1, 7]].mean(axis=0), np.zeros(4), rows[1]]
    np.testing.assert_allclose(output[:, 2], expected, rtol=1e-6)
    # In training the rows come into memory.
    np.testing.assert_array_equal(layer(inputs, training=True), output)
    table = layer.stacks["two_level_a"]
    assert sorted(np.flatnonzero(table.pager.slots_of(np.arange(12)) >= 0)) == [0, 1, 7]
    assert [tuple(shard.shape) for shard in layer.shards] == [(3, 4), (6, 4)]


def test_rows_of_a_table_in_files(tmp_path):
    layer = in_files(tmp_path / "a")
    before = layer.read_rows("a", np.arange(12))
    layer.stacks["two_level_a"](np.array([2, 3]), training=True)
    rows, values = np.array([2, 9]), np.array([[1.0] * 4, [2.0] * 4], "float32")
    layer.write_rows("a", rows, values)
    np.testing.assert_array_equal(layer.read_rows("a", rows), values)
    untouched = np.setdiff1d(np.arange(12), rows)
    np.testing.assert_array_equal(layer.read_rows("a", untouched), before[untouched])
    ((variable, places),) = layer.variable_rows("a", rows)
    np.testing.assert_array_equal(variable.numpy()[places], values[:1])
    layer.reset_rows("a", rows)
    np.testing.assert_array_equal(layer.read_rows("a", np.arange(12)), before)
    with pytest.raises(ValueError, match=r"Table 'a' has 12 rows.* 1 to 12"):
        layer.write_rows("a", [1, 12], values)
    with pytest.raises(ValueError, match="Table 'a': `values` must be finite"):
        layer.write_rows("a", [1, 2], values * np.nan)


def test_a_table_in_files_has_no_regularizer_of_the_whole(tmp_path):
    with pytest.raises(ValueError, match=r"Table 'a' lies partly in a file .*BatchL2"):
        in_files(tmp_path / "a", embeddings_regularizer="l2")
    layer = in_files(tmp_path / "a", embeddings_regularizer=BatchL2(0.5))
    inputs = {"x": tf.constant([2]), "xs": tf.constant([[0, 0]]), "y": tf.constant([3])}
    layer(inputs, training=True)
    read = layer.read_rows("a", [2]), layer.read_rows("b", [3])
    np.testing.assert_allclose(
        sum(layer.losses), sum(0.5 * np.square(r).sum() for r in read), rtol=1e-5
    )


@pytest.mark.parametrize(
    "initializer", ["uniform", keras.initializers.HeNormal(seed=3)]
)
def test_tables_in_files_start_with_rows_of_their_own(initializer, tmp_path):
    tables = [
        TableConfig(name, 12, 4, hot_rows=3, folder=str(tmp_path / name))
        for name in ("a", "b")
    ]
    layer = FeatureEmbedding(
        tables, {"x": "a", "y": "b"}, embeddings_initializer=initializer
    )
    layer.build({"x": (None,), "y": (None,)})
    a, b = (layer.read_rows(name, np.arange(12)) for name in ("a", "b"))
    assert (a != b).all()
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.5


def test_rows_of_a_compressed_table_have_no_place():
    layer = one_table(TableConfig("item", 30, 4, compression=QuotientRemainder(6)))
    message = "Table 'item' is compressed: its rows share memory"
    with pytest.raises(ValueError, match=message):
        layer.write_rows("item", [1], np.ones((1, 4)))
    for call in (layer.reset_rows, layer.variable_rows):
        with pytest.raises(ValueError, match=message):
            call("item", [1])


def test_bfloat16_storage_takes_half_the_memory():
    layer = one_table(
        TableConfig("item", 30, 4, dtype="bfloat16", initializer="normal")
    )
    (shard,) = layer.shards
    assert shard.dtype == "bfloat16"
    output = fields(layer)
    assert output.dtype == np.float32
    np.testing.assert_array_equal(output, np.asarray(shard, "float32")[ROWS])


def test_tables_of_both_dtypes_side_by_side():
    layer = FeatureEmbedding(
        [TableConfig("a", 5, 4, dtype="bfloat16"), TableConfig("b", 5, 4)],
        {"x": "a", "y": "b"},
    )
    output = layer({"x": tf.constant([3]), "y": tf.constant([4])})
    np.testing.assert_array_equal(output[0, 0], layer.read_rows("a", [3])[0])
    np.testing.assert_array_equal(output[0, 1], layer.read_rows("b", [4])[0])


@pytest.mark.parametrize(
    "initializer", ["uniform", keras.initializers.RandomNormal(seed=1)]
)
def test_shards_do_not_start_equal(initializer):
    layer = one_table(
        TableConfig("item", 30, 4), num_shards=3, embeddings_initializer=initializer
    )
    values = layer.read_rows("item", np.arange(30))
    assert len(np.unique(values, axis=0)) == 30


def test_each_table_has_its_initializer():
    layer = FeatureEmbedding(
        [
            TableConfig("a", 5, 4, initializer="ones"),
            TableConfig("b", 6, 4),
            TableConfig("c", 3, 4, initializer=keras.initializers.Constant(2.0)),
        ],
        {"x": "a", "y": "b", "z": "c"},
        num_shards=2,
        embeddings_initializer="zeros",
    )
    layer.build({"x": (None,), "y": (None,), "z": (None,)})
    for table, rows, value in (("a", 5, 1), ("b", 6, 0), ("c", 3, 2)):
        assert (layer.read_rows(table, np.arange(rows)) == value).all()


# === Regularizer ===


def test_rows_of_the_batch_are_penalized_once_each():
    layer = FeatureEmbedding(
        [TableConfig("a", 30, 4), TableConfig("b", 9, 2)],
        {"x": "a", "xs": "a", "y": "b"},
        {"xs": "sum"},
        embeddings_initializer="normal",
        embeddings_regularizer=BatchL2(0.3),
    )
    inputs = {"x": [5, 5, 7], "xs": [[5, 0], [8, 8], [0, 0]], "y": [2, 3, 2]}
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    layer(tensors)
    assert layer.losses == [], "nothing is penalized at inference"
    layer(tensors, training=True)
    expected = sum(
        float(np.sum(np.square(layer.read_rows(table, [row]))))
        for table, rows in (("a", {5, 7, 8}), ("b", {2, 3}))
        for row in rows
    )
    np.testing.assert_allclose(sum(layer.losses), 0.3 * expected, rtol=1e-5)


def test_counts_divide_the_penalty():
    layer = one_table(
        TableConfig("item", 30, 4), embeddings_regularizer=BatchL2(1.0, by_count=True)
    )
    counts = np.arange(30.0)
    layer.set_row_counts("item", counts)
    fields(layer, training=True)
    expected = sum(
        float(np.sum(np.square(layer.read_rows("item", [row])))) / counts[row]
        for row in set(ROWS.tolist())
    )
    np.testing.assert_allclose(layer.losses[0], expected, rtol=1e-5)


def test_counts_of_a_compressed_table_are_those_of_its_parts():
    layer = one_table(
        TableConfig("item", 30, 4, compression=MultiHash(7, 2)),
        embeddings_regularizer=BatchL2(1.0, by_count=True),
    )
    counts = np.arange(30.0)
    layer.set_row_counts("item", counts)
    expected = np.zeros(7)
    for _, buckets in MultiHash(7, 2).lookups(layer.tables[0], np.arange(30)):
        np.add.at(expected, np.asarray(buckets), counts)
    np.testing.assert_array_equal(layer.row_counts["tables"], expected)


@pytest.mark.parametrize("compiled", [False, True])
def test_training_without_counts(compiled):
    layer = FeatureEmbedding(
        [TableConfig("a", 5, 4), TableConfig("b", 8, 4)],
        {"x": "a", "y": "b"},
        embeddings_regularizer=BatchL2(1.0, by_count=True),
    )
    inputs = {"x": tf.constant([2]), "y": tf.constant([3])}
    layer(inputs)
    train = tf.function(layer) if compiled else layer
    message = r"Table '{}' of layer.*features \['{}'\].*keras_recs.*set_row_counts\("
    with pytest.raises(ValueError, match=message.format("a", "x")):
        train(inputs, training=True)
    layer.set_row_counts("a", np.ones(5))
    with pytest.raises(ValueError, match=message.format("b", "y")):
        train(inputs, training=True)
    layer.set_row_counts("b", np.ones(8))
    train(inputs, training=True)


def test_the_gradient_of_the_penalty_stays_sparse():
    layer = one_table(TableConfig("item", 30, 4), embeddings_regularizer=BatchL2(0.5))
    with tf.GradientTape() as tape:
        fields(layer, training=True)
        loss = tf.add_n(layer.losses)
    (gradient,) = tape.gradient(loss, [shard.value for shard in layer.shards])
    assert isinstance(gradient, tf.IndexedSlices)
    dense = tf.convert_to_tensor(gradient).numpy()
    expected = np.zeros((30, 4))
    used = sorted(set(ROWS.tolist()))
    expected[used] = 2 * 0.5 * layer.read_rows("item", used)
    np.testing.assert_allclose(dense, expected, rtol=1e-5)


# === Rows from outside ===


@pytest.mark.parametrize("num_shards", [1, 3])
def test_rows_are_written_and_read(num_shards):
    layer = FeatureEmbedding(
        [TableConfig("a", 5, 4), TableConfig("b", 8, 4)],
        {"x": "a", "y": "b"},
        num_shards=num_shards,
    )
    layer.build({"x": (None,), "y": (None,)})
    before = layer.read_rows("b", np.arange(8))
    values = np.arange(12.0).reshape(3, 4)
    layer.write_rows("b", [7, 0, 4], values)
    np.testing.assert_array_equal(layer.read_rows("b", [7, 0, 4]), values)
    others = [1, 2, 3, 5, 6]
    np.testing.assert_array_equal(layer.read_rows("b", others), before[others])
    layer.reset_rows("b", [7])
    fresh = layer.read_rows("b", [7])
    assert (np.abs(fresh) <= 0.05).all() and (fresh != values[0]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda e: e.write_rows("item", [30], np.ones((1, 4))),
            "has 30 rows.*30 to 30",
        ),
        (
            lambda e: e.write_rows("item", [-1], np.ones((1, 4))),
            "has 30 rows.*-1 to -1",
        ),
        (
            lambda e: e.write_rows("item", [1], np.ones((1, 3))),
            r"shape \(1, 4\).*\(1, 3\)",
        ),
        (
            lambda e: e.write_rows("item", [1], np.full((1, 4), np.nan)),
            r"finite.*\[1\]",
        ),
        (lambda e: e.read_rows("items", [1]), "no table 'items'.*'item'"),
        (lambda e: e.set_row_counts("item", np.ones(30)), "keeps no counts"),
    ],
)
def test_messages_of_rows(call, message):
    with pytest.raises(ValueError, match=message):
        call(one_table(TableConfig("item", 30, 4)))


# === Bad input ===


@pytest.mark.parametrize("jit_compile", [False, True])
def test_bad_ids_read_the_oov_row_compiled_or_not(jit_compile):
    layer = FeatureEmbedding(
        [
            TableConfig("a", 30, 4),
            TableConfig("b", 30, 4, compression=QuotientRemainder(6)),
        ],
        {"x": "a", "y": "b"},
    )
    call = tf.function(layer, jit_compile=jit_compile)
    bad = tf.constant([-1, 30, 2**31 - 1, 2**40, -(2**40)], tf.int64)
    output = call({"x": bad, "y": bad}).numpy()
    np.testing.assert_allclose(output[:, 0], np.repeat(layer.read_rows("a", [1]), 5, 0))
    np.testing.assert_allclose(
        output[:, 1], np.repeat(layer.read_rows("b", [1]), 5, 0), rtol=1e-6
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_bad_ids_train_the_oov_row_alone(jit_compile):
    layer = one_table(TableConfig("item", 30, 4))
    before = layer.read_rows("item", np.arange(30))
    (shard,) = layer.shards

    @tf.function(jit_compile=jit_compile)
    def gradient(rows):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer({"item": rows}))
        return tf.convert_to_tensor(tape.gradient(loss, shard.value))

    bad = gradient(tf.constant([-5, 99, 2**31 - 1])).numpy()
    expected = np.zeros_like(before)
    expected[1] = 3
    np.testing.assert_array_equal(bad, expected)


@pytest.mark.parametrize("compression", [None, QuotientRemainder(6)])
def test_row_0_of_a_single_value_is_out_of_vocabulary(compression):
    """Padding is never trained, and a single value cannot be padding."""
    layer = one_table(TableConfig("item", 30, 4, compression=compression))
    variables = [shard.value for shard in layer.shards]

    def gradients(row):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer({"item": tf.constant([row])}) ** 2)
        return [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]

    for zero, oov in zip(gradients(0), gradients(1), strict=True):
        np.testing.assert_array_equal(zero, oov)
    if compression is None:
        assert not gradients(0)[0][0].numpy().any()


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "uint64", "int16", "int64"])
def test_types_of_rows(dtype):
    layer = one_table(TableConfig("item", 30, 4))
    highest = np.iinfo(dtype).max
    rows = layer({"item": tf.constant(np.array([5, 40, highest], dtype))}).numpy()
    np.testing.assert_array_equal(rows[:, 0], layer.read_rows("item", [5, 1, 1]))


def test_ranks_of_rows():
    layer = one_table(TableConfig("item", 30, 4))
    with pytest.raises(
        ValueError, match=r"Feature 'item'.*\(B,\) or \(B, L\).*\(2, 3, 1\)"
    ):
        type(layer).from_config(layer.get_config())({"item": np.ones((2, 3, 1), int)})


def test_rows_that_are_reset_are_of_the_size_of_the_others():
    """Variance scaling depends on the size of the table, not on the rows reset."""
    layer = FeatureEmbedding(
        [TableConfig("item", 4000, 4)],
        {"item": "item"},
        embeddings_initializer=keras.initializers.GlorotUniform(seed=1),
    )
    layer.build({"item": (None,)})
    limit = (6 / (4000 + 4)) ** 0.5
    assert abs(layer.read_rows("item", np.arange(4000))).max() <= limit
    seen = []
    for _ in range(2):
        layer.reset_rows("item", [5, 9])
        seen.append(layer.read_rows("item", [5, 9]))
        assert 0.1 * limit < abs(seen[-1]).max() <= limit
    assert not np.allclose(*seen), "new numbers each time"


def test_rows_must_be_integers():
    layer = one_table(TableConfig("item", 30, 4))
    with pytest.raises(TypeError, match=r"Feature 'item'.*must be int rows.*float32"):
        layer({"item": tf.constant([1.0])})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"compression": QuotientRemainder(0)}, "`num_buckets` must be 1 to its 30"),
        ({"compression": QuotientRemainder(9, "max")}, "`operation` must be of"),
        ({"compression": Compositional((5, 5))}, "product of `bases` must reach.*25"),
        ({"compression": Compositional((30,))}, "two or more"),
        ({"compression": MultiHash(0)}, "`num_buckets` must be positive"),
        (
            {"compression": MultiHash(9, 3, "concatenate")},
            "concatenated of 3 equal parts",
        ),
        ({"dtype": "float16"}, "`dtype` must be of"),
        ({"hot_rows": 3}, "`hot_rows` and `folder` go together"),
        ({"hot_rows": 3, "folder": "f", "dtype": "bfloat16"}, "`hot_rows` is float32"),
        (
            {"hot_rows": 31, "folder": "f"},
            "`hot_rows` must not be more than its rows.*hot_rows=31, num_rows=30",
        ),
        ({"max_saved_bytes": 1.5}, "`max_saved_bytes` must be a positive integer"),
    ],
)
def test_messages_of_tables(arguments, message):
    with pytest.raises(ValueError, match=message):
        TableConfig("item", 30, 4, **arguments)


def test_messages_of_weights():
    with pytest.raises(ValueError, match=r"Feature 'tags' has `value_weights`.*'max'"):
        FeatureEmbedding(
            [TableConfig("tag", 9, 3)],
            {"tags": "tag"},
            {"tags": "max"},
            value_weights={"tags": "w"},
        )
    layer = FeatureEmbedding(
        [TableConfig("tag", 9, 3)],
        {"tags": "tag"},
        {"tags": "sum"},
        value_weights={"tags": "w"},
    )
    with pytest.raises(ValueError, match=r"without features \['w'\]"):
        layer({"tags": tf.constant([[1]])})
    with pytest.raises(ValueError, match="`l2` must not be negative"):
        BatchL2(-1.0)
