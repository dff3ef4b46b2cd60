"""Runs of models whose tables lie partly in files, beside the same ones in memory."""

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs.data import array_dataset
from keras_recs.export import write_table
from keras_recs.layers import FeatureEmbedding
from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables
from keras_recs.models import EmbeddingOptions, deepfm
from keras_recs.optimizers import CompositeOptimizer, LazyAdam, RowwiseAdagrad
from keras_recs.training import fit, initialize_table

SCHEMA = Schema(
    features=[
        CategoricalFeature("user", vocabulary_size=38),
        CategoricalFeature("item", vocabulary_size=8),
        NumericFeature("x"),
    ],
    labels=[Label("click")],
)
ROWS = {"user": 40, "item": 10}  # with padding and a row for what is not known
HOT = 10


def columns(size=48, seed=0):
    """Few users come often, as in life."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, 38, size) ** 2 // 38
    data = {"user": user, "item": rng.integers(0, 8, size), "x": rng.normal(size=size)}
    data["click"] = rng.binomial(1, np.where(user % 2, 0.8, 0.2))
    return data


@pytest.fixture(scope="module")
def train():
    return array_dataset(columns(), SCHEMA, 8, shuffle=False)


@pytest.fixture(scope="module")
def valid():
    return array_dataset(columns(seed=1), SCHEMA, 48, shuffle=False)


def model_of(folder=None, optimizer=None, compiled=True, eager=True, **options):
    """Without a folder all tables are in memory."""
    if folder is not None:
        options.update(hot_rows={"user": HOT}, folder=folder)
    keras.utils.set_random_seed(0)
    model = deepfm(SCHEMA, 4, (4,), embedding_options=EmbeddingOptions(**options))
    if compiled:
        optimizer = RowwiseAdagrad(0.3) if optimizer is None else optimizer
        # Tracing would take longer than these steps.
        model.compile(optimizer, "binary_crossentropy", run_eagerly=eager)
    return model


def embeddings(model):
    """The layers that hold tables, the first-order one last."""
    return [layer for layer in model._flatten_layers() if _is_embedding(layer)]


def _is_embedding(layer):
    return isinstance(layer, FeatureEmbedding)


def rows_of(model):
    return {
        (layer.name, table): layer.read_rows(table, np.arange(count))
        for layer in embeddings(model)
        for table, count in ROWS.items()
    }


def copy_weights(source, target):
    """From a model to one whose tables are stored otherwise."""
    for layer, other in zip(embeddings(source), embeddings(target), strict=True):
        for table, count in ROWS.items():
            rows = np.arange(count)
            other.write_rows(table, rows, layer.read_rows(table, rows))
    for layer in source.layers:
        if layer.weights and layer.name not in ("embedding", "linear"):
            target.get_layer(layer.name).set_weights(layer.get_weights())


def assert_same(left, right, **tolerance):
    for key, values in left.items():
        np.testing.assert_allclose(
            values, right[key], **{"rtol": 1e-5, "atol": 1e-6, **tolerance}, err_msg=key
        )


class Stop(keras.callbacks.Callback):
    """Interrupts the run at the second batch of its second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == batch == 1:
            raise KeyboardInterrupt


# === Training ===


@pytest.mark.parametrize("optimizer", [RowwiseAdagrad, LazyAdam])
def test_a_run_is_that_of_tables_in_memory(optimizer, train, tmp_path):
    model = model_of(tmp_path / "tables", optimizer(0.1), eager=False)
    twin = model_of(None, optimizer(0.1))  # an independent path
    copy_weights(model, twin)
    fit(model, train, SCHEMA, tmp_path / "run", epochs=2, verbose=0)
    twin.fit(train, epochs=2, shuffle=False, verbose=0)
    assert_same(rows_of(model), rows_of(twin))
    tables = find_two_level_tables(model)
    assert [table.pager.evictions > 20 for table in tables] == [True, True]
    assert [table.pager.num_hot for table in tables] == [HOT, HOT]
    # Each has its folder, and all rows are in their files.
    names = sorted(path.name for path in (tmp_path / "tables").iterdir())
    assert names == ["user", "user.linear", "user.linear.lock", "user.lock"]
    for table in tables:
        everything = np.arange(ROWS["user"])
        np.testing.assert_array_equal(
            table.pager.read(everything), table.read_rows(everything)
        )
        assert table.pager.state


def test_the_best_epoch_is_kept(train, valid, tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(rows_of(self.model))
            self.model.optimizer.learning_rate = 50.0

    seen = []
    model = model_of(tmp_path / "tables", max_saved_bytes=2**20)
    history = fit(
        model,
        train,
        SCHEMA,
        tmp_path / "run",
        validation=valid,
        monitor="loss",
        epochs=2,
        callbacks=[Spoil()],
        verbose=0,
    ).history["loss"]
    assert history[0] < history[1]
    assert np.abs(seen[1]["embedding", "user"]).max() > 10
    assert_same(rows_of(model), seen[0])
    # The saved model finds its files, whose state is its own.
    loaded = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert_same(rows_of(loaded), seen[0])
    sizes = [table.max_saved_bytes for table in find_two_level_tables(loaded)]
    assert sizes == [2**20, 2**20]


def test_an_interrupted_run_goes_on(train, tmp_path):
    options = {"schema": SCHEMA, "epochs": 3, "verbose": 0}
    whole = model_of(tmp_path / "whole")
    fit(whole, train, workdir=tmp_path / "whole_run", **options)

    model = model_of(tmp_path / "tables")
    with pytest.raises(KeyboardInterrupt):
        fit(model, train, workdir=tmp_path / "run", callbacks=[Stop()], **options)
    del model
    # Only that run may go on with what it left.
    with pytest.raises(ValueError, match=r"not flushed.*load saved weights"):
        fit(model_of(tmp_path / "tables"), train, workdir=tmp_path / "new", **options)
    resumed = model_of(tmp_path / "tables")
    history = fit(resumed, train, workdir=tmp_path / "run", **options)
    assert history.epoch == [0, 1, 2]
    assert_same(rows_of(resumed), rows_of(whole), rtol=1e-6)


def test_what_an_earlier_run_left_is_not_mixed_with_new_weights(train, tmp_path):
    options = {"train": train, "schema": SCHEMA, "verbose": 0}
    model = model_of(tmp_path / "tables")
    fit(model, workdir=tmp_path / "run", **options)
    del model
    new = model_of(tmp_path / "tables")
    message = r"'.*tables/user' holds rows that were trained before.*Remove the folder"
    with pytest.raises(ValueError, match=message):
        fit(new, workdir=tmp_path / "other", **options)
    del new
    loaded = keras.models.load_model(tmp_path / "run" / "model.keras")
    before = rows_of(loaded)
    fit(loaded, workdir=tmp_path / "other", **options)
    assert np.abs(
        rows_of(loaded)["embedding", "user"] - before["embedding", "user"]
    ).max()


def test_rows_of_keys_that_are_evicted_start_anew(tmp_path):
    schema = Schema(
        features=[
            CategoricalFeature("user", max_keys=30, expire_after=3),
            CategoricalFeature("item", vocabulary_size=8),
        ],
        labels=[Label("click")],
    )
    users = [f"u{number}" for number in np.repeat(np.arange(12), 4)]
    data = {"user": users, "item": np.arange(48) % 8, "click": np.arange(48) % 2}
    options = EmbeddingOptions(hot_rows={"user": 6}, folder=str(tmp_path / "tables"))
    model = deepfm(schema, 4, (4,), embedding_options=options)
    tables = find_two_level_tables(model)
    before = [table.materialize() for table in tables]
    model.compile(RowwiseAdagrad(0.3), "binary_crossentropy", run_eagerly=True)
    batches = array_dataset(data, schema, 8, shuffle=False)  # two users in each
    history = fit(model, batches, schema, tmp_path / "run", verbose=0).history
    assert history["evicted_keys"] == [6]
    for table, old in zip(tables, before, strict=True):
        assert table.pager.evictions > 0
        changed = np.flatnonzero((table.materialize() != old).any(axis=1))
        assert len(changed) == 6
        others = np.setdiff1d(np.arange(32), changed)
        rows = table.read_rows(others, "accumulator")
        assert len(rows) == 26
        np.testing.assert_array_equal(rows, np.float32(0.1 + 1e-7))  # Adagrad's with ε


# === What would train wrong, or fail later ===

STATEFUL = [
    (lambda: keras.optimizers.Adam(), "Adam with .*momentum.*velocity"),
    (lambda: keras.optimizers.SGD(0.1, momentum=0.9), r"SGD with \['momentum'\]"),
    (lambda: keras.optimizers.SGD(0.1, weight_decay=0.1), r"with \['weight_decay'\]"),
    (lambda: keras.optimizers.SGD(0.1, use_ema=True), r"with \['average'\]"),
    (
        lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
        r"with \['gradient_accumulator'\]",
    ),
    (lambda: keras.optimizers.Adafactor(), "Adafactor with .*velocity"),
    (
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
        "LossScaleOptimizer with .*velocity",
    ),
    (
        lambda: CompositeOptimizer(
            RowwiseAdagrad(), {"embedding": keras.optimizers.RMSprop()}
        ),
        r"CompositeOptimizer with \['velocity'\]",
    ),
    (
        lambda: CompositeOptimizer(
            RowwiseAdagrad(),
            {"embedding": keras.optimizers.SGD(0.1, weight_decay=0.1)},
        ),
        r"CompositeOptimizer with \['weight_decay'\]",
    ),
]


@pytest.mark.parametrize(("optimizer", "message"), STATEFUL)
def test_an_optimizer_whose_state_stays_behind(optimizer, message, train, tmp_path):
    model = model_of(tmp_path / "tables", optimizer())
    message = rf"two_level_user.*Use an optimizer of keras_recs.*{message}"
    with pytest.raises(ValueError, match=message):
        fit(model, train, SCHEMA, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match=message):
        model.fit(train, shuffle=False, verbose=0)
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.1),
        lambda: keras.optimizers.LossScaleOptimizer(RowwiseAdagrad()),
        lambda: CompositeOptimizer(
            keras.optimizers.Adam(),
            {"embedding": LazyAdam(), "linear": keras.optimizers.SGD(0.1)},
        ),
    ],
)
def test_an_optimizer_that_can_train_it(optimizer, tmp_path):
    model = model_of(tmp_path / "tables", optimizer())
    model.optimizer.build(model.trainable_variables)
    for table in find_two_level_tables(model):
        table.check_optimizer(model.optimizer)


def test_a_table_that_is_not_trained_takes_any_optimizer(train, tmp_path):
    model = model_of(tmp_path / "tables", compiled=False)
    for layer in embeddings(model):
        layer.trainable = False
    model.compile("adam", "binary_crossentropy", run_eagerly=True)
    fit(model, train, SCHEMA, tmp_path / "run", verbose=0)
    assert not (tmp_path / "tables").exists()


def test_what_would_fail_at_the_end_fails_at_the_start(train, tmp_path):
    large = model_of(tmp_path / "tables", max_saved_bytes=4 * 40 * 4 - 1)
    message = (
        r"'two_level_user' in '.*tables/user' has 640 bytes.*"
        r"EmbeddingOptions\(max_saved_bytes=.*=639"
    )
    with pytest.raises(ValueError, match=message):
        fit(large, train, SCHEMA, tmp_path / "run", verbose=0)
    stopping = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    with pytest.raises(ValueError, match=r"`restore_best_weights` keeps .*two_level_u"):
        fit(
            model_of(tmp_path / "other"),
            train,
            SCHEMA,
            tmp_path / "run",
            callbacks=[stopping],
            verbose=0,
        )
    assert not (tmp_path / "run").exists()


# === Rows by key ===


def test_rows_go_out_and_in_by_key(train, tmp_path):
    model = model_of(tmp_path / "tables")
    model.fit(train, shuffle=False, verbose=0)
    expected = rows_of(model)["embedding", "user"]
    path = tmp_path / "user.parquet"
    assert write_table(model, SCHEMA, "user", path, progress=False) == 39
    other = model_of(tmp_path / "other")
    found = initialize_table(other, SCHEMA, "user", path, progress=False)
    assert found == {"set": 39, "missing": 0, "unknown": 0}
    np.testing.assert_array_equal(rows_of(other)["embedding", "user"][1:], expected[1:])
    # Files that were complete are so again: another process may read them.
    del other
    again = model_of(tmp_path / "other")
    np.testing.assert_array_equal(rows_of(again)["embedding", "user"][1:], expected[1:])
