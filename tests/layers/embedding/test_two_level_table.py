"""A table that is partly in memory, against the same one wholly in memory."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recs.layers.embedding.two_level_table import TwoLevelTable
from keras_recs.optimizers import LazyAdam, RowwiseAdagrad

ROWS, DIM, HOT = 48, 3, 12


class InMemory(keras.layers.Layer):
    """The twin: every row in one variable."""

    supports_jit = False

    def build(self, input_shape):
        self.embeddings = self.add_weight(name="embeddings", shape=(ROWS, DIM))
        self.embeddings.is_table = True

    def call(self, rows):
        return tf.nn.embedding_lookup(self.embeddings.value, rows)


def make(path, **arguments):
    arguments = {"num_rows": ROWS, "embedding_dim": DIM, "hot_rows": HOT, **arguments}
    initializer = keras.initializers.RandomUniform(seed=7)
    return TwoLevelTable(
        folder=path, **{"embeddings_initializer": initializer, **arguments}
    )


def model_of(layer):
    inputs = keras.Input((2,), dtype="int32")
    values = keras.layers.Flatten()(layer(inputs))
    head = keras.layers.Dense(1, kernel_initializer="ones", name="head")
    return keras.Model(inputs, head(values))


def batches(steps=16, size=5, seed=0):
    """Ids of which some repeat in a batch; at most 10 of them differ."""
    rng = np.random.default_rng(seed)
    rows = (rng.integers(0, ROWS, (steps * size, 2)) ** 2 // ROWS).astype("int32")
    return rows, rng.normal(size=(steps * size, 1)).astype("float32")


def train(model, optimizer=None, seed=0, **options):
    """A pass over the batches; without an optimizer it goes on with the last one."""
    if optimizer is not None:
        model.compile(optimizer, loss="mse", **options)
    rows, labels = batches(seed=seed)
    model.fit(rows, labels, batch_size=5, shuffle=False, verbose=0)


def pair(path):
    layer, twin = make(path, name="table"), InMemory(name="table")
    model, other = model_of(layer), model_of(twin)
    other.get_layer("head").set_weights(model.get_layer("head").get_weights())
    twin.set_weights([layer.materialize()])
    return layer, model, twin, other


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.3),
    "rowwise_adagrad": lambda: RowwiseAdagrad(0.3),
    "lazy_adam": lambda: LazyAdam(0.05),
}


@pytest.mark.parametrize(
    "name, options",
    [
        ("sgd", {}),
        ("rowwise_adagrad", {"steps_per_execution": 4}),
        ("lazy_adam", {"run_eagerly": True}),
    ],
)
def test_training_equals_that_of_a_table_in_memory(name, options, tmp_path):
    layer, model, twin, other = pair(tmp_path / "table")
    optimizer, other_optimizer = OPTIMIZERS[name](), OPTIMIZERS[name]()
    train(model, optimizer, **options)
    train(other, other_optimizer)
    assert layer.pager.evictions > 20
    assert layer.pager.num_hot == HOT
    np.testing.assert_allclose(
        layer.materialize(), twin.get_weights()[0], rtol=1e-6, atol=1e-6
    )
    names = layer.pager.slot_names
    stored = {v.name.split("_embeddings_")[-1]: v for v in other_optimizer.variables}
    if name != "sgd":
        assert names
    for slot in names:
        np.testing.assert_allclose(
            layer.materialize(slot), stored[slot].numpy(), rtol=1e-6, atol=1e-6
        )
    rows, _ = batches(seed=3)
    np.testing.assert_allclose(model(rows), other(rows), atol=1e-5)
    # What is in memory is in the files too once it is flushed.
    layer.flush()
    everything = np.arange(ROWS)
    np.testing.assert_array_equal(layer.pager.read(everything), layer.materialize())


def test_mixed_precision(tmp_path):
    """Rows and what the optimizer keeps for them stay float32."""
    keras.config.set_dtype_policy("mixed_float16")
    layer, model, _, _ = pair(tmp_path / "table")
    before = layer.materialize()
    train(model, keras.optimizers.LossScaleOptimizer(RowwiseAdagrad(0.3)))
    assert layer.pager.evictions > 20
    assert layer(np.arange(3)).dtype == "float32"
    assert layer.materialize("accumulator").max() > 0.2
    changed = np.abs(layer.materialize() - before).max(axis=1) > 0
    assert set(np.flatnonzero(changed)) == set(np.unique(batches()[0]))


def test_the_gradient_is_sparse_and_that_of_the_rows(tmp_path):
    layer = make(tmp_path / "table")
    rows = tf.constant([[40, 3], [40, 7]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(rows, training=True) * [[[1.0]], [[2.0]]])
    gradient = tape.gradient(loss, layer.embeddings.value)
    assert isinstance(gradient, tf.IndexedSlices)
    slots = layer.pager.slots_of(np.array([40, 3, 40, 7]))
    np.testing.assert_array_equal(gradient.indices, slots)
    np.testing.assert_array_equal(gradient.values[:, 0], [1, 1, 2, 2])


def test_inference_moves_nothing(tmp_path):
    layer = make(tmp_path / "table")
    layer.build((None, 2))
    rows = np.arange(ROWS).reshape(8, 6)
    before = layer(rows)
    assert before.shape == (8, 6, DIM)
    assert before.dtype == "float32"
    assert not (tmp_path / "table").exists()
    np.testing.assert_array_equal(before, layer.materialize().reshape(8, 6, DIM))
    np.testing.assert_array_equal(layer(rows[:2], training=True), before[:2])
    pager = layer.pager
    figures = pager.hits, pager.misses, pager.evictions, pager.num_hot
    graph = tf.function(layer, reduce_retracing=True)
    np.testing.assert_array_equal(graph(rows), before)
    np.testing.assert_array_equal(layer(rows, training=False), before)
    assert figures == (pager.hits, pager.misses, pager.evictions, pager.num_hot)
    layer.trainable = False
    layer(rows[4:], training=True)
    assert pager.num_hot == 12


@pytest.mark.parametrize(
    "initializer, mean, deviation",
    [
        ("zeros", 0, 0),
        ("ones", 1, 0),
        (keras.initializers.Constant(0.3), 0.3, 0),
        (keras.initializers.RandomUniform(-1, 3), 1, 4 / 12**0.5),
        (keras.initializers.RandomNormal(0.5, 2.0), 0.5, 2),
        # A normal cut at two has 0.8796 of its standard deviation.
        (keras.initializers.TruncatedNormal(0.5, 2.0), 0.5, 2 * 0.879626),
        ("glorot_uniform", 0, (2 / 5050) ** 0.5),
        ("glorot_normal", 0, (2 / 5050) ** 0.5),
        (keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"), 0, 0.2),
    ],
)  # fmt: skip
def test_initial_values_have_the_distribution(initializer, mean, deviation, tmp_path):
    layer = make(
        tmp_path / "table",
        num_rows=5000,
        embedding_dim=50,
        embeddings_initializer=initializer,
    )
    layer.build((None,))
    values = layer.materialize()
    error = 5 / values.size**0.5  # five standard errors
    assert values.mean() == pytest.approx(mean, abs=deviation * error + 1e-6)
    assert values.std() == pytest.approx(deviation, rel=error, abs=1e-6)
    if deviation:
        assert len(np.unique(values[:, 0])) > 4990
        assert abs(np.corrcoef(values[:-1, 0], values[1:, 0])[0, 1]) < 0.07
        assert abs(np.corrcoef(values[:, 0], values[:, 1])[0, 1]) < 0.07
    if isinstance(initializer, keras.initializers.TruncatedNormal):
        assert np.abs(values - 0.5).max() <= 4.0001


def test_a_seed_that_was_drawn_is_in_the_configuration(tmp_path):
    layer = make(tmp_path / "table", embeddings_initializer="normal")
    config = json.loads(json.dumps(layer.get_config()))
    copy = TwoLevelTable.from_config(config)
    rows = np.arange(ROWS)
    np.testing.assert_array_equal(layer(rows), copy(rows))
    other = make(tmp_path / "other", embeddings_initializer="normal")
    assert np.abs(other(rows) - layer(rows)).max() > 0.01
    # The seed of files that are there is taken over.
    layer(rows[:3], training=True)
    layer.flush()
    layer.pager.close()
    again = make(tmp_path / "table", embeddings_initializer="normal")
    np.testing.assert_array_equal(again(rows), copy(rows))


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_save_and_load(tmp_path):
    path = tmp_path / "table"
    layer, model, _, _ = pair(path)
    optimizer = RowwiseAdagrad(0.3)
    train(model, optimizer)
    expected = layer.materialize(), layer.materialize("accumulator")
    rows, _ = batches(seed=3)
    outputs = model(rows)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    train(model, seed=1)
    after = layer.materialize(), layer.materialize("accumulator")
    assert np.abs(after[0] - expected[0]).max() > 0.01
    # The path is held until the one that trains it lets go.
    with pytest.raises(ValueError, match="is held by another process or layer"):
        keras.models.load_model(tmp_path / "model.keras")
    layer.pager.close()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    table = loaded.get_layer("table")
    np.testing.assert_array_equal(table.materialize(), expected[0])
    np.testing.assert_array_equal(table.materialize("accumulator"), expected[1])
    np.testing.assert_allclose(loaded(rows), outputs, rtol=1e-6)
    # Training goes on as it would have.
    train(loaded, seed=1)
    np.testing.assert_allclose(table.materialize(), after[0], atol=1e-6)
    np.testing.assert_allclose(table.materialize("accumulator"), after[1], atol=1e-6)
    # Into a model that trains, with weights alone, and with another seed.
    loaded.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(table.materialize(), expected[0])
    other = make(tmp_path / "other", name="table", embeddings_initializer="uniform")
    other_model = model_of(other)
    other_model.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.materialize(), expected[0])
    assert other.embeddings_initializer.seed == 7
    np.testing.assert_allclose(other_model(rows), outputs, rtol=1e-6)


def test_loading_the_state_of_the_files_touches_none(tmp_path):
    layer, model, _, _ = pair(tmp_path / "table")
    train(model, RowwiseAdagrad(0.3))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")  # the path is held
    np.testing.assert_array_equal(
        loaded.get_layer("table").materialize(), layer.materialize()
    )


def test_a_table_that_was_never_trained_is_saved_and_loaded(tmp_path):
    model = model_of(make(tmp_path / "table"))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    rows, _ = batches()
    np.testing.assert_allclose(loaded(rows), model(rows))
    assert not (tmp_path / "table").exists()


def test_a_table_that_is_too_large_for_a_file(tmp_path):
    layer = make(tmp_path / "table", max_saved_bytes=4 * ROWS * DIM - 1)
    assert layer.export_size_bytes == 4 * ROWS * DIM
    message = r"has 576 bytes.*`snapshot\(folder\)`.*=575"
    with pytest.raises(ValueError, match=message):
        model_of(layer).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=message), layer.in_memory():
        pass


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_another_table_are_refused(tmp_path):
    model_of(make(tmp_path / "a")).save_weights(tmp_path / "a.weights.h5")
    other = model_of(make(tmp_path / "b", num_rows=ROWS + 1))
    with pytest.raises(ValueError, match=r"cannot load another table.*'num_rows': 48"):
        other.load_weights(tmp_path / "a.weights.h5")


def test_snapshot_and_restore(tmp_path):
    layer, model, _, _ = pair(tmp_path / "table")
    optimizer = RowwiseAdagrad(0.3)
    train(model, optimizer)
    expected = layer.materialize(), layer.materialize("accumulator")
    layer.snapshot(tmp_path / "snapshot")
    head = model.get_layer("head").get_weights()
    train(model, seed=1)
    after = layer.materialize(), layer.materialize("accumulator")
    layer.restore(tmp_path / "snapshot")
    np.testing.assert_array_equal(layer.materialize(), expected[0])
    np.testing.assert_array_equal(layer.materialize("accumulator"), expected[1])
    model.get_layer("head").set_weights(head)
    for variable in optimizer.variables:
        if "head" in variable.name:
            variable.assign(np.full(variable.shape, 0.1))
    with pytest.raises(ValueError, match="must not exist: give each snapshot a name"):
        layer.snapshot(tmp_path / "snapshot")
    # It also begins a new table, elsewhere.
    copy = make(tmp_path / "copy")
    copy.build((None, 2))
    copy.restore(tmp_path / "snapshot")
    np.testing.assert_array_equal(copy.materialize(), expected[0])
    assert np.abs(after[1] - expected[1]).max() > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "copy",
        "copy.lock",
        "snapshot",
        "table",
        "table.lock",
    ]


def test_reading_rows_in_chunks(tmp_path):
    layer = make(tmp_path / "table", num_rows=70_000)
    layer.build((None,))
    layer(np.arange(65_530, 65_540), training=True)
    parts = list(layer.row_chunks(5, 65_600))
    assert [len(part) for part in parts] == [65_536, 59]
    np.testing.assert_array_equal(
        np.concatenate(parts), layer(np.arange(5, 65_600)).numpy()
    )


def trained(folder):
    """A table of which some rows are in memory and some trained ones are not."""
    layer, model, _, _ = pair(folder)
    train(model, RowwiseAdagrad(0.3))
    slots = layer.pager.slots_of(np.arange(ROWS))
    there = layer.pager.stored_rows()
    cold = np.array([row for row in there if slots[row] < 0])
    return layer, model, np.flatnonzero(slots >= 0), cold


@pytest.mark.parametrize("complete", [False, True])
def test_rows_are_read_and_written_wherever_they_are(complete, tmp_path):
    layer, model, hot, cold = trained(tmp_path / "table")
    if complete:
        layer.flush()
    expected = layer.materialize()
    kept = layer.materialize("accumulator")
    state = layer.pager.state
    rows = np.array([hot[0], cold[0], hot[3], 47, cold[2]])
    np.testing.assert_array_equal(layer.read_rows(rows), expected[rows])
    np.testing.assert_array_equal(layer.read_rows(rows, "accumulator"), kept[rows])
    values = np.arange(15, dtype="float32").reshape(5, 3)
    layer.write_rows(rows, values)
    expected[rows] = values
    np.testing.assert_array_equal(layer.materialize(), expected)
    np.testing.assert_array_equal(layer(np.arange(ROWS)), expected)
    np.testing.assert_array_equal(layer.materialize("accumulator"), kept)
    # Complete files are complete again, with a state of their own.
    if complete:
        assert layer.pager.state not in (state, None, "")
        np.testing.assert_array_equal(layer.pager.read(np.arange(ROWS)), expected)
    else:
        assert layer.pager.state is None
    # Rows that are moved after that are those that were written.
    train(model, seed=1)
    untouched = np.setdiff1d(rows, batches(seed=1)[0])
    assert len(untouched)
    np.testing.assert_array_equal(layer.read_rows(untouched), expected[untouched])


def test_rows_that_are_reset_start_anew(tmp_path):
    layer, _, hot, cold = trained(tmp_path / "table")
    start = make(tmp_path / "other", name="table")
    start.build((None,))
    rows = np.array([hot[0], cold[0]])
    others = np.setdiff1d(np.arange(ROWS), rows)
    before = layer.materialize(), layer.materialize("accumulator")
    assert (before[1][rows] > 0.1).all()
    layer.reset_rows(rows)
    after = layer.materialize(), layer.materialize("accumulator")
    np.testing.assert_array_equal(after[0][rows], start.materialize()[rows])
    initial = np.full(2, 0.1 + 1e-7, "float32")  # with Adagrad's ε
    np.testing.assert_array_equal(after[1][rows], initial)
    for old, new in zip(before, after):
        np.testing.assert_array_equal(old[others], new[others])
    # Only rows in memory lie in a variable.
    ((variable, slots),) = layer.variable_rows(rows)
    assert variable is layer.embeddings
    np.testing.assert_array_equal(variable.numpy()[slots], after[0][rows[:1]])
    assert layer.variable_rows(cold) == []


def test_inference_from_a_copy_in_memory(tmp_path):
    layer, _, hot, cold = trained(tmp_path / "table")
    rows = np.array([hot[0], cold[0], 47])
    expected = layer(rows).numpy()
    with layer.in_memory() as whole:
        np.testing.assert_array_equal(whole.numpy(), layer.materialize())
        graph = tf.function(layer).get_concrete_function(tf.TensorSpec([None], "int64"))
        assert "PyFunc" not in {op.type for op in graph.graph.get_operations()}
        np.testing.assert_array_equal(layer(rows), expected)
    layer.write_rows(rows, expected + 1)
    np.testing.assert_array_equal(layer(rows), expected + 1)
    np.testing.assert_array_equal(graph(tf.constant(rows)), expected)
    assert layer.weights == [layer.embeddings]


def test_what_is_loaded_counts_and_not_an_optimizer_before(tmp_path):
    layer, model, _, _ = trained(tmp_path / "table")
    model.save_weights(tmp_path / "model.weights.h5")
    kept = layer.materialize("accumulator")
    layer.pager.close()
    model.compile(RowwiseAdagrad(0.3), loss="mse")  # which begins anew …
    model.optimizer.build(model.trainable_variables)
    model.load_weights(tmp_path / "model.weights.h5")  # … and goes on with these
    layer(np.arange(3), training=True)
    np.testing.assert_array_equal(layer.materialize("accumulator"), kept)


def test_a_new_optimizer_starts_anew(tmp_path):
    layer, model, twin, other = pair(tmp_path / "table")
    for one in (model, other):
        train(one, RowwiseAdagrad(0.3))
        train(one, RowwiseAdagrad(0.3), seed=1)
    np.testing.assert_allclose(layer.materialize(), twin.get_weights()[0], atol=1e-6)


def test_training_goes_on_in_another_process(tmp_path):
    """What one finds that opens the files again."""
    layer, model, _, _ = pair(tmp_path / "table")
    optimizer = RowwiseAdagrad(0.3)
    train(model, optimizer)
    layer.flush()
    layer.pager.close()
    expected = layer.materialize("accumulator")
    again = make(tmp_path / "table", name="table")
    train(model_of(again), RowwiseAdagrad(0.3), seed=1)
    touched = np.unique(batches(seed=1)[0])
    untouched = np.setdiff1d(np.arange(ROWS), touched)
    accumulator = again.materialize("accumulator")
    np.testing.assert_array_equal(accumulator[untouched], expected[untouched])
    assert (accumulator[touched] > expected[touched]).all()
    again.flush()
    again.pager.close()
    wrong = make(tmp_path / "table", name="table")
    wrong.build((None,))
    other = RowwiseAdagrad(0.3, initial_accumulator_value=0.2)
    other.build(wrong.trainable_variables)
    with pytest.raises(ValueError, match="keeps the optimizer's 'accumulator'"):
        wrong(np.arange(3), training=True)


# === Errors ===


def test_a_batch_with_too_many_rows(tmp_path):
    layer = make(tmp_path / "table")
    message = r"A batch needs 13 different rows .*smaller batch.*hot_rows=12"
    with pytest.raises(ValueError, match=message):
        layer(np.arange(13), training=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tf.function(layer)(np.arange(13), training=True)
    values = layer(np.arange(12), training=True)  # it can go on
    np.testing.assert_array_equal(values, layer.materialize()[:12])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("row", [-1, ROWS])
def test_a_row_outside(row, training, tmp_path):
    layer = make(tmp_path / "table")
    with pytest.raises(ValueError, match=rf"Row {row} is not in the table .* of 48"):
        layer(np.array([1, row]), training=training)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"Row {row} is not"):
        tf.function(layer)(np.array([1, row]), training=training)


def test_an_optimizer_whose_state_stays_behind(tmp_path):
    model = model_of(make(tmp_path / "table", name="table"))
    message = (
        r"'table' has only some rows in memory.*Use an optimizer of keras_recs.*LazyAdam"
        r".*Received: Adam with \['momentum', 'velocity'\]"
    )
    with pytest.raises(ValueError, match=message):
        train(model, keras.optimizers.Adam())
    assert not (tmp_path / "table").exists()
    with pytest.raises(ValueError, match=message):
        train(model, keras.optimizers.Adam(), run_eagerly=True)


def test_rows_that_are_written_wrong(tmp_path):
    layer = make(tmp_path / "table", name="table")
    layer.build((None,))
    with pytest.raises(ValueError, match=r"`values` must have the shape \(2, 3\).*1\)"):
        layer.write_rows([1, 2], np.ones((2, 1)))
    for call in (layer.read_rows, layer.reset_rows):
        with pytest.raises(ValueError, match="Row 48 is not in the table"):
            call([1, ROWS])
    assert not (tmp_path / "table").exists()


def test_two_calls_in_a_step(tmp_path):
    layer = make(tmp_path / "table")
    inputs = keras.Input((2,), dtype="int32")
    outputs = keras.layers.Dense(1)(layer(inputs) + layer(inputs))
    model = keras.Model(inputs, keras.layers.Flatten()(outputs))
    with pytest.raises(ValueError, match="called twice in a training step"):
        train(model, "sgd")


def test_an_optimizer_that_is_built_after_the_trace(tmp_path):
    layer = make(tmp_path / "table")
    step = tf.function(lambda rows: layer(rows, training=True))
    step(np.arange(3))
    optimizer = RowwiseAdagrad()
    optimizer.build(layer.trainable_variables)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="built after the training"
    ):
        step(np.arange(3))


def test_set_weights_while_rows_are_in_memory(tmp_path):
    layer = make(tmp_path / "table")
    layer.build((None,))
    layer.set_weights(layer.get_weights())
    layer(np.arange(3), training=True)
    with pytest.raises(
        ValueError, match=r"use `save_weights` and `load_weights` .* 3 "
    ):
        layer.set_weights(layer.get_weights())


def test_a_killed_process_leaves_files_that_are_refused(tmp_path):
    layer = make(tmp_path / "table")
    layer(np.arange(3), training=True)
    for training in (False, True):
        if training:
            layer.pager.close()
        with pytest.raises(ValueError, match=r"not flushed.*Call `flush\(\)`"):
            make(tmp_path / "table")(np.arange(3), training=training)


def test_more_than_one_replica(tmp_path):
    layer = make(tmp_path / "table")
    layer.build((None,))
    with tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"]).scope():
        for attempt in (make(tmp_path / "other").build, layer):
            with pytest.raises(ValueError, match=r"trained by one replica.*2 replicas"):
                attempt((None,) if attempt is not layer else np.arange(3))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_rows": 0}, "`num_rows` must be a positive integer.*num_rows=0"),
        ({"embedding_dim": 2.0}, "`embedding_dim` must be .*embedding_dim=2.0"),
        ({"hot_rows": -1}, "`hot_rows` must be .*hot_rows=-1"),
        ({"hot_rows": 49}, "more than `num_rows`.*hot_rows=49, num_rows=48"),
        ({"max_saved_bytes": None}, "`max_saved_bytes` must be .*=None"),
        ({"embeddings_initializer": "orthogonal"}, "a scalar constant, uniform"),
        (
            {"embeddings_initializer": keras.initializers.Constant([1.0, 2.0, 3.0])},
            "a scalar constant, uniform",
        ),
        (
            {
                "embeddings_initializer": keras.initializers.RandomNormal(
                    seed=keras.random.SeedGenerator(1)
                )
            },
            "must have an integer seed",
        ),
    ],
)
def test_arguments(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make(tmp_path / "table", **arguments)


def test_other_misuse(tmp_path, monkeypatch):
    layer = make(tmp_path / "table")
    with pytest.raises(ValueError, match="must be built before"):
        layer.snapshot(tmp_path / "snapshot")
    with pytest.raises(
        ValueError, match=r"needs integer rows. Received: dtype=float32"
    ):
        layer(np.ones(3, "float32"))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=re.escape("Received: jax; use FeatureEmbed")):
        make(tmp_path / "table")
