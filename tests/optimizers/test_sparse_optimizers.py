"""The formulas against loops and against Keras; rows that rest; every way of training."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recs.layers import FeatureEmbedding, TableConfig
from keras_recs.layers.embedding.stacked_tables import StackedTables
from keras_recs.optimizers import (
    FusedAdam,
    LazyAdam,
    RowwiseAdagrad,
    SparseAdagrad,
    SparseFTRL,
)
from keras_recs.optimizers.sparse_optimizer import NUMBERS_A_ROW

ROWS, DIM, STEPS = 12, 3, 6


def table(num_rows=ROWS, **arguments):
    layer = StackedTables(
        [num_rows], DIM, embeddings_initializers="normal", **arguments
    )
    layer.build()
    return layer


def batches(seed=0, size=9, high=ROWS):
    """Rows that repeat, and a gradient for each."""
    rng = np.random.default_rng(seed)
    return [
        (rng.integers(1, high, size), rng.normal(size=(size, DIM)).astype("float32"))
        for _ in range(STEPS)
    ]


def train(optimizer, variable, data, dense=False):
    """Applies gradients as a step of `fit` does."""
    for rows, gradient in data:
        slices = tf.IndexedSlices(
            tf.constant(gradient), tf.constant(rows, tf.int32), variable.shape
        )
        if dense:
            slices = tf.convert_to_tensor(slices)
        optimizer.apply([slices], [variable])


# === Twins: plain loops in float64 ===


def sums(rows, gradient):
    total = {}
    for row, g in zip(rows, gradient.astype("float64")):
        total[int(row)] = total.get(int(row), 0) + g
    return total


def rowwise_adagrad(w, data, lr=0.1):
    a = np.full(len(w), 0.1)
    for rows, gradient in data:
        for row, g in sums(rows, gradient).items():
            a[row] += np.mean(g**2)
            w[row] -= lr * g / np.sqrt(a[row] + 1e-7)
    return w


def sparse_adagrad(w, data, lr=0.1):
    a = np.full(w.shape, 0.1)
    for rows, gradient in data:
        for row, g in sums(rows, gradient).items():
            a[row] += g**2
            w[row] -= lr * g / np.sqrt(a[row] + 1e-7)
    return w


def lazy_adam(w, data, lr=0.1):
    m, v = np.zeros(w.shape), np.zeros(w.shape)
    for step, (rows, gradient) in enumerate(data, start=1):
        for row, g in sums(rows, gradient).items():
            m[row] = 0.9 * m[row] + 0.1 * g
            v[row] = 0.999 * v[row] + 0.001 * g**2
            rate = lr * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            w[row] -= rate * m[row] / (np.sqrt(v[row]) + 1e-7)
    return w


def sparse_ftrl(w, data, lr=0.1, l1=0.4, l2=0.2, beta=1.0):
    n, z = np.full(w.shape, 0.1), np.zeros(w.shape)
    for rows, gradient in data:
        for row, g in sums(rows, gradient).items():
            sigma = (np.sqrt(n[row] + g**2) - np.sqrt(n[row])) / lr
            z[row] += g - sigma * w[row]
            n[row] += g**2
            for d in range(DIM):
                w[row, d] = 0.0
                if abs(z[row, d]) > l1:
                    rate = (beta + np.sqrt(n[row, d])) / lr + 2 * l2
                    w[row, d] = (np.sign(z[row, d]) * l1 - z[row, d]) / rate
    return w


def adam(w, data, lr=0.1):
    m, v = np.zeros(w.shape), np.zeros(w.shape)
    for step, (rows, gradient) in enumerate(data, start=1):
        g = np.zeros(w.shape)
        for row, total in sums(rows, gradient).items():
            g[row] = total
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        rate = lr * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        w = w - rate * m / (np.sqrt(v) + 1e-7)
    return w


CASES = {
    "rowwise_adagrad": (lambda: RowwiseAdagrad(0.1), rowwise_adagrad),
    "sparse_adagrad": (lambda: SparseAdagrad(0.1), sparse_adagrad),
    "lazy_adam": (lambda: LazyAdam(0.1), lazy_adam),
    "sparse_ftrl": (lambda: SparseFTRL(0.1, l1=0.4, l2=0.2, beta=1.0), sparse_ftrl),
}


@pytest.mark.parametrize("clip", [{}, {"clipnorm": 2.0}], ids=["", "clipped"])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("dense", [False, True], ids=["slices", "dense"])
def test_fused_adam(dense, amsgrad, clip):
    """Loops, and Keras where gradients are dense: rows without one move too."""
    (variable,) = table().shards
    before, data = variable.numpy(), batches(high=7)
    train(FusedAdam(0.1, amsgrad=amsgrad, **clip), variable, data, dense)
    found = variable.numpy()
    if not amsgrad and not clip:
        expected = adam(before.astype("float64"), data)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    variable.assign(before)
    train(keras.optimizers.Adam(0.1, amsgrad=amsgrad, **clip), variable, data, True)
    np.testing.assert_allclose(found, variable.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("num_rows", [ROWS, 300], ids=["whole", "rows"])
@pytest.mark.parametrize("dense", [False, True], ids=["slices", "dense"])
@pytest.mark.parametrize("name", CASES)
def test_formula(name, dense, num_rows):
    """A dense gradient, as JAX and torch give it, has the same result.

    A small table may be updated whole.
    """
    make, twin = CASES[name]
    (variable,) = table(num_rows).shards
    before = variable.numpy()
    data = batches()
    train(make(), variable, data, dense)
    expected = twin(before.astype("float64"), data)
    np.testing.assert_allclose(variable, expected, rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("num_rows", [ROWS, 9 * NUMBERS_A_ROW + 1])
@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
def test_rows_of_one_number(known, num_rows):
    """As those of a linear term, whole or by rows, in batches of any size."""
    layer = StackedTables([num_rows], 1, embeddings_initializers="normal")
    layer.build()
    (variable,) = layer.shards
    before = variable.numpy()
    data = [(rows, gradient[:, :1]) for rows, gradient in batches()]
    optimizer = RowwiseAdagrad(0.1)
    optimizer.build([variable])
    size = 9 if known else None

    @tf.function(
        input_signature=[
            tf.TensorSpec((size, 1)),
            tf.TensorSpec((size,), tf.int32),
        ]
    )
    def step(values, rows):
        optimizer.apply([tf.IndexedSlices(values, rows, (num_rows, 1))], [variable])

    for rows, gradient in data:
        step(gradient, rows.astype("int32"))
    expected = rowwise_adagrad(before.astype("float64"), data)
    np.testing.assert_allclose(variable, expected, rtol=2e-5, atol=5e-6)
    graph = step.get_concrete_function().graph
    operations = [operation.type for operation in graph.get_operations()]
    if known:
        assert ("ResourceApplyAdagradV2" in operations) == (num_rows == ROWS)
    else:
        assert "If" in operations


def test_an_optimizer_without_an_operation_for_a_small_table():
    class Plain(SparseAdagrad):
        def update_at_once(self, gradient, variable, slots, learning_rate):
            return False

    (variable,) = table().shards
    before = variable.numpy()
    data = batches()
    train(Plain(0.1), variable, data)
    expected = sparse_adagrad(before.astype("float64"), data)
    np.testing.assert_allclose(variable, expected, rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("dense", [False, True], ids=["slices", "dense"])
@pytest.mark.parametrize("name", CASES)
def test_rows_that_no_batch_looked_up_rest(name, dense):
    (variable,) = table().shards
    before = variable.numpy()
    train(CASES[name][0](), variable, batches(high=7), dense)
    np.testing.assert_array_equal(variable.numpy()[7:], before[7:])
    assert (variable.numpy()[1:7] != before[1:7]).any(axis=1).all()


@pytest.mark.parametrize("name", CASES)
def test_a_row_whose_gradient_is_zero_rests(name):
    """As that of padding, which is looked up and masked."""
    (variable,) = table().shards
    optimizer = CASES[name][0]()
    train(optimizer, variable, batches())
    before = variable.numpy()
    train(optimizer, variable, [(np.array([3, 4, 4]), np.zeros((3, DIM), "float32"))])
    np.testing.assert_array_equal(variable, before)


@pytest.mark.parametrize(
    ("ours", "keras_twin"),
    [
        (SparseAdagrad(0.1), keras.optimizers.Adagrad(0.1)),
        (LazyAdam(0.1), keras.optimizers.Adam(0.1)),
        (
            SparseFTRL(0.1, l1=0.3, l2=0.1, beta=0.5),
            keras.optimizers.Ftrl(
                0.1,
                l1_regularization_strength=0.3,
                l2_regularization_strength=0.1,
                beta=0.5,
            ),
        ),
    ],
)
def test_equal_to_keras_where_every_row_is_touched(ours, keras_twin):
    (variable,) = table().shards
    other = keras.Variable(variable.numpy())
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        rows = rng.permutation(ROWS)
        gradient = rng.normal(size=(ROWS, DIM)).astype("float32")
        slices = tf.IndexedSlices(tf.constant(gradient), rows, variable.shape)
        ours.apply([slices], [variable])
        keras_twin.apply([tf.convert_to_tensor(slices)], [other])
    np.testing.assert_allclose(variable, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["sparse_adagrad", "lazy_adam", "rowwise_adagrad"])
def test_ordinary_variables_are_trained_as_keras_does(name):
    ours = CASES[name][0]()
    twin = (
        keras.optimizers.Adam(0.1)
        if name == "lazy_adam"
        else keras.optimizers.Adagrad(0.1)
    )
    start = np.random.default_rng(2).normal(size=(4, 3)).astype("float32")
    variable, other = keras.Variable(start), keras.Variable(start)
    for seed in range(STEPS):
        gradient = tf.constant(
            np.random.default_rng(seed).normal(size=(4, 3)).astype("float32")
        )
        ours.apply([gradient], [variable])
        twin.apply([gradient], [other])
    np.testing.assert_allclose(variable, other, rtol=1e-6, atol=1e-6)


def test_one_accumulator_a_row():
    (variable,) = table(100).shards
    optimizer = RowwiseAdagrad()
    optimizer.build([variable, keras.Variable(np.ones((4, 3)))])
    sizes = [int(np.prod(slot.shape)) for slot in optimizer.variables[2:]]
    assert sizes == [100, 12]


def test_no_step_reads_or_writes_a_whole_table():
    (variable,) = table(1000).shards
    for make, _ in CASES.values():
        optimizer = make()
        optimizer.build([variable])

        @tf.function
        def step(values, rows, optimizer=optimizer):
            optimizer.apply([tf.IndexedSlices(values, rows, (1000, DIM))], [variable])

        graph = step.get_concrete_function(
            tf.TensorSpec((None, DIM)), tf.TensorSpec((None,), tf.int32)
        ).graph
        reads = {
            tuple(operation.outputs[0].shape)
            for operation in graph.get_operations()
            if operation.type == "ReadVariableOp"
        }
        assert not [shape for shape in reads if 1000 in shape], type(optimizer)


# === Storage in bfloat16 ===


def test_small_steps_survive_in_bfloat16():
    """Each is a thousandth of the spacing: rounding to nearest would lose all."""
    layer = table(4000, storage_dtype="bfloat16")
    (variable,) = layer.shards
    layer.write_rows(np.arange(4000), np.ones((4000, DIM)))
    optimizer = SparseAdagrad(1e-3 * 2.0**-8 * np.sqrt(0.1 + 50), epsilon=50.0)
    rows = np.arange(1, 4000)
    for _ in range(20):
        train(optimizer, variable, [(rows, np.ones((3999, DIM), "float32") * 1e-3)])
    moved = 1 - layer.read_rows(rows)
    expected = 20 * 1e-3 * 1e-3 * 2.0**-8
    spread = np.sqrt(expected * 2.0**-8 / moved.size)
    assert abs(moved.mean() - expected) < 6 * spread
    assert (layer.read_rows([0]) == 1).all()


def test_bfloat16_follows_float32():
    full, half = table(), table(storage_dtype="bfloat16")
    half.write_rows(np.arange(ROWS), full.read_rows(np.arange(ROWS)))
    for layer in (full, half):
        train(RowwiseAdagrad(0.01), layer.shards[0], batches())
    np.testing.assert_allclose(
        half.read_rows(np.arange(ROWS)), full.read_rows(np.arange(ROWS)), atol=5e-3
    )


def test_a_value_that_is_not_finite_stays_so_when_rounded():
    from keras_recs.optimizers.round_stochastically import round_stochastically

    values = tf.constant([np.nan, np.inf, -np.inf, 1.0, 0.0])
    rounded = tf.cast(round_stochastically(values, tf.constant([1, 2])), tf.float32)
    np.testing.assert_array_equal(rounded[:3], values[:3])
    np.testing.assert_array_equal(rounded[3:], values[3:])


# === Under fit ===


def model(**arguments):
    keras.utils.set_random_seed(3)
    inputs = {name: keras.Input((), name=name, dtype="int32") for name in ("x", "y")}
    tables = [TableConfig("a", 20, 4), TableConfig("b", 30, 4)]
    fields = FeatureEmbedding(tables, {"x": "a", "y": "b"}, name="table", **arguments)
    flat = keras.layers.Flatten()(fields(inputs))
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")(flat)
    output = keras.layers.Dense(1, activation="sigmoid", dtype="float32", name="out")
    return keras.Model(inputs, output(hidden))


def data(count=256):
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 20, count), rng.integers(0, 30, count)
    label = ((x + y) % 3 == 0).astype("float32")
    return {"x": x.astype("int32"), "y": y.astype("int32")}, label[:, None]


def fit(
    optimizer, epochs=3, steps_per_execution=1, start=None, built=True, **arguments
):
    network = model(**arguments)
    if start is not None:
        network.set_weights(start)
    network.compile(
        optimizer, "binary_crossentropy", steps_per_execution=steps_per_execution
    )
    if built:
        # Else Keras traces a step twice: the first time the optimizer makes its slots.
        optimizer.build(network.trainable_variables)
    x, y = data()
    history = network.fit(x, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0)
    return network, history.history["loss"]


@functools.cache
def trained(name, num_shards=1):
    """A model as others are compared with; it is only read."""
    return fit(CASES[name][0](), num_shards=num_shards)[0]


@pytest.mark.parametrize("name", CASES)
def test_fit_learns(name):
    optimizer = SparseFTRL(0.1) if name == "sparse_ftrl" else CASES[name][0]()
    if name == "lazy_adam":
        optimizer.learning_rate = 0.01
    _, loss = fit(optimizer, epochs=10, built=False)
    assert loss[-1] < loss[0] - 0.02


@pytest.mark.parametrize(
    ("name", "num_shards"),
    [
        *((name, 2) for name in CASES),
        ("lazy_adam", 1),
        *(
            pytest.param(name, 1, marks=pytest.mark.large)
            for name in CASES
            if name != "lazy_adam"
        ),
    ],
)
def test_several_steps_an_execution_are_the_same(name, num_shards):
    one = trained(name, num_shards)
    four, _ = fit(CASES[name][0](), steps_per_execution=4, num_shards=num_shards)
    for a, b in zip(one.get_weights(), four.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["rowwise_adagrad", "lazy_adam"])
def test_shards_train_as_one_table(name):
    whole = trained(name)
    start = model().get_weights()
    layer = model().get_layer("table")
    network = model(num_shards=3)
    sharded = network.get_layer("table")
    for t, rows in (("a", 20), ("b", 30)):
        sharded.write_rows(t, np.arange(rows), layer.read_rows(t, np.arange(rows)))
    rest = start[1:]
    begin = [np.asarray(shard) for shard in sharded.shards] + rest
    split, _ = fit(CASES[name][0](), start=begin, num_shards=3)
    for t, rows in (("a", 20), ("b", 30)):
        np.testing.assert_allclose(
            split.get_layer("table").read_rows(t, np.arange(rows)),
            whole.get_layer("table").read_rows(t, np.arange(rows)),
            rtol=1e-5,
            atol=1e-6,
        )


def test_schedule():
    """A rate that falls to nothing after the first epoch: nothing moves later."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([7], [0.1, 0.0])
    one, _ = fit(RowwiseAdagrad(schedule), epochs=1)
    three, _ = fit(RowwiseAdagrad(schedule), epochs=3)
    for a, b in zip(one.get_weights(), three.get_weights()):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "clip", [{"clipnorm": 0.2}, {"global_clipnorm": 0.3}, {"clipvalue": 0.05}]
)
def test_clipping_sees_the_summed_gradient(clip):
    (variable,) = table().shards
    before = variable.numpy().astype("float64")
    weights = keras.Variable(np.zeros((2, 2), "float32"))
    rows = np.array([3, 3, 5])
    values = np.array([[1, 0, 0], [1, 2, 0], [0, 0, 0.5]], "float32")
    dense = np.full((2, 2), 0.25, "float32")
    total = {3: np.array([2.0, 2.0, 0.0]), 5: np.array([0.0, 0.0, 0.5])}
    norm = np.sqrt(8 + 0.25)
    if "clipnorm" in clip:
        factor = 0.2 / norm
    elif "global_clipnorm" in clip:
        factor = 0.3 / np.sqrt(norm**2 + 4 * 0.25**2)
    optimizer = SparseAdagrad(0.1, **clip)
    optimizer.apply(
        [
            tf.IndexedSlices(tf.constant(values), tf.constant(rows), variable.shape),
            tf.constant(dense),
        ],
        [variable, weights],
    )
    expected = before.copy()
    for row, g in total.items():
        g = np.clip(g, -0.05, 0.05) if "clipvalue" in clip else g * factor
        expected[row] -= 0.1 * g / np.sqrt(0.1 + g**2 + 1e-7)
    np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_loss_scaling_in_mixed_precision(name):
    optimizer = keras.optimizers.LossScaleOptimizer(CASES[name][0](), initial_scale=8.0)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half, loss = fit(optimizer)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(loss).all()
    full = trained(name)
    a = half.get_layer("table").read_rows("a", np.arange(20))
    b = full.get_layer("table").read_rows("a", np.arange(20))
    assert np.abs(a - b).mean() < 0.05 * np.abs(b).mean() + 5e-3


def test_a_step_with_an_infinite_gradient_is_left_out():
    (variable,) = table().shards
    before = variable.numpy()
    optimizer = keras.optimizers.LossScaleOptimizer(RowwiseAdagrad(0.1))
    bad = np.ones((2, DIM), "float32")
    bad[1, 1] = np.inf
    train(optimizer, variable, [(np.array([2, 2]), bad)])
    np.testing.assert_array_equal(variable, before)
    train(optimizer, variable, [(np.array([2, 2]), np.ones((2, DIM), "float32"))])
    assert (variable.numpy()[2] != before[2]).all()


@pytest.mark.parametrize("name", CASES)
def test_a_saved_run_goes_on_as_if_it_had_not_stopped(name, tmp_path):
    x, y = data()
    whole, _ = fit(CASES[name][0](), epochs=4)
    first, _ = fit(CASES[name][0](), epochs=2)
    first.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is type(first.optimizer)
    assert int(again.optimizer.iterations) == 16
    again.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(again.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_config_round_trip(name):
    optimizer = CASES[name][0]()
    optimizer.clipnorm = None
    config = keras.optimizers.serialize(optimizer)
    again = keras.optimizers.deserialize(config)
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()


def test_rows_are_reset():
    (variable,) = table().shards
    optimizer = LazyAdam(0.1)
    train(optimizer, variable, batches())
    momentum, velocity = (slot.numpy() for slot in optimizer.variables[2:])
    optimizer.reset_rows(variable, [3, 5])
    for slot, before in zip(optimizer.variables[2:], (momentum, velocity)):
        assert (slot.numpy()[[3, 5]] == 0).all()
        others = [r for r in range(ROWS) if r not in (3, 5)]
        np.testing.assert_array_equal(slot.numpy()[others], before[others])


@pytest.mark.parametrize("make", [RowwiseAdagrad, SparseAdagrad, LazyAdam, SparseFTRL])
def test_a_learning_rate_of_zero_changes_no_weight(make):
    """As at the end of a cosine decay."""
    (variable,) = table().shards
    optimizer = make(keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.1, 0.0]))
    train(optimizer, variable, batches()[:3])
    before = variable.numpy()
    train(optimizer, variable, batches()[3:])
    np.testing.assert_array_equal(variable.numpy(), before)
    assert np.isfinite(before).all()


def test_ftrl_without_any_start_or_strength_makes_no_nan():
    dense = keras.Variable(np.ones((2, 3), "float32"))
    optimizer = SparseFTRL(0.1, initial_accumulator_value=0.0)
    optimizer.apply([tf.constant([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])], [dense])
    # n = 1, z = g − √n w/η = −9, w = −z η/√n; elsewhere z = 0, hence w = 0.
    expected = [[0.0, 0.9, 0.0], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(dense.numpy(), expected, rtol=1e-6)


# === Errors ===


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_ema": True}, "`use_ema` touches every row.*table '.*embeddings'"),
        ({"gradient_accumulation_steps": 2}, "`gradient_accumulation_steps` touches"),
        ({"weight_decay": 0.1}, "exclude_from_weight_decay.*weight_decay=0.1"),
    ],
)
def test_options_that_touch_the_whole_table(options, message):
    with pytest.raises(ValueError, match=message):
        RowwiseAdagrad(**options).build(table().shards)
    RowwiseAdagrad(**options).build([keras.Variable(np.ones(3))])


def test_weight_decay_of_what_is_not_a_table():
    shards = table().shards
    optimizer = RowwiseAdagrad(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_list=shards)
    optimizer.build([*shards, keras.Variable(np.ones(3))])


def test_negative_strengths():
    with pytest.raises(ValueError, match=r"`l1` must be at least 0.*l1=-1"):
        SparseFTRL(l1=-1)


@pytest.mark.parametrize(
    ("make", "argument", "value"),
    [
        (RowwiseAdagrad, "epsilon", 0.0),
        (RowwiseAdagrad, "initial_accumulator_value", -0.1),
        (SparseAdagrad, "epsilon", -1.0),
        (LazyAdam, "beta_1", 1.0),
        (LazyAdam, "beta_2", -0.1),
        (LazyAdam, "epsilon", -1e-7),
        (SparseFTRL, "beta", -1.0),
    ],
)
def test_ranges_of_arguments(make, argument, value):
    with pytest.raises(
        ValueError, match=rf"`{argument}` must be at.*{argument}={value}"
    ):
        make(**{argument: value})
