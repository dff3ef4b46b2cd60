"""Rows of stale keys go back to what they were before training."""

import logging

import keras
import numpy as np
import pytest

from keras_recs.layers.embedding.dynamic_vocabulary import DynamicVocabulary
from keras_recs.training.evict_stale_keys import EvictStaleKeys


def array(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


class Optimizer(keras.optimizers.Adagrad):
    """A stand-in for those of `keras_recs.optimizers`."""

    def reset_rows(self, variable, rows):
        slot = self._accumulators[self._get_variable_index(variable)]
        values = array(slot)
        values[rows] = self.initial_accumulator_value
        slot.assign(values)

    def accumulator(self, variable):
        return array(self._accumulators[self._get_variable_index(variable)])


class Tables(keras.layers.Embedding):
    """A stand-in for `FeatureEmbedding`: row r of table "item" is row r + 3."""

    def reset_rows(self, table, rows):
        assert table == "item"
        values = array(self.embeddings)
        values[rows + 3] = 7
        self.embeddings.assign(values)

    def variable_rows(self, table, rows):
        assert table == "item"
        return [(self.embeddings, rows + 3)]


STREAM = np.array([[5], [6], [5], [6], [6], [7], [6], [7]])  # batches of two


def make_model(table=None, optimizer=None, **arguments):
    layer = DynamicVocabulary(9, name="vocabulary", **arguments)
    table = table or keras.layers.Embedding(
        layer.num_rows, 2, embeddings_initializer="ones", name="table"
    )
    inputs = keras.Input((1,), dtype="int64")
    vectors = keras.layers.Flatten()(table(layer(inputs)))
    model = keras.Model(
        inputs, keras.layers.Dense(1, kernel_initializer="ones")(vectors)
    )
    # Tracing the map takes longer than four steps.
    model.compile(optimizer or Optimizer(0.1), "mse", run_eagerly=True)
    return model


def train(model, callback, epochs=1):
    targets = np.zeros((len(STREAM), 1))
    return model.fit(
        STREAM,
        targets,
        batch_size=2,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[callback],
    )


def test_rows_and_slots_of_stale_keys_are_fresh(caplog):
    model = make_model()
    layer, table = model.get_layer("vocabulary"), model.get_layer("table")
    with caplog.at_level(logging.INFO):
        history = train(model, EvictStaleKeys(layer, [table], expire_after=2))
    assert [part.tolist() for part in layer.vocabulary()[:2]] == [[6, 7], [3, 4]]
    values = array(table.embeddings)
    slots = model.optimizer.accumulator(table.embeddings)
    np.testing.assert_array_equal(values[2], 1)  # of key 5, evicted
    np.testing.assert_allclose(slots[2], 0.1)
    assert (values[3:5] < 1).all(), "the others keep what they learnt"
    assert (slots[3:5] > 0.1).all()
    assert history.history["evicted_keys"] == [1]
    assert "vocabulary: 1 keys evicted, 2 of 9 rows in use" in caplog.text


def test_every_few_steps():
    model = make_model(expire_after=1)
    history = train(model, EvictStaleKeys("vocabulary", ["table"], every=3), epochs=2)
    # After step 3 keys 6 and 7 were just seen, after step 6 keys 5 and 6.
    assert history.history["evicted_keys"] == [1, 1]
    assert set(model.get_layer("vocabulary").vocabulary()[0]) == {5, 6, 7}


def test_steps_per_execution_counts_steps():
    model = make_model(expire_after=1)
    model.compile(Optimizer(0.1), "mse", steps_per_execution=2)
    callback = EvictStaleKeys("vocabulary", ["table"], every=4)
    assert train(model, callback).history["evicted_keys"] == [1]


def test_a_layer_of_several_tables():
    model = make_model(Tables(20, 2, embeddings_initializer="ones", name="tables"))
    train(model, EvictStaleKeys("vocabulary", [("tables", "item")], expire_after=2))
    table = model.get_layer("tables").embeddings
    np.testing.assert_array_equal(array(table)[5], 7)
    assert (array(table) == 7).sum() == 2
    np.testing.assert_allclose(model.optimizer.accumulator(table)[5], 0.1)


def test_the_log_has_the_sum_of_several_tables():
    model = make_model()
    first, second = (EvictStaleKeys("vocabulary", ["table"], 2) for _ in range(2))
    for callback in (first, second):
        callback.set_model(model)
        callback.on_train_begin()
        callback.on_epoch_begin(0)
    first._evicted, second._evicted = 3, 4
    logs = {}
    first.on_epoch_end(0, logs)
    second.on_epoch_end(0, logs)
    assert logs == {"evicted_keys": 7}


def test_a_compressed_table_cannot_be_reset():
    from keras_recs.layers import FeatureEmbedding, QuotientRemainder, TableConfig

    table = TableConfig("item", 11, 2, compression=QuotientRemainder(4))
    layer = FeatureEmbedding([table], {"item": "item"}, name="tables")
    callback = EvictStaleKeys("vocabulary", [(layer, "item")], 2)
    callback.set_model(make_model())
    with pytest.raises(
        ValueError, match=r"'item' of 'tables' is compressed.*QuotientRemainder"
    ):
        callback.on_train_begin()


def test_nothing_stale_changes_nothing():
    model = make_model()
    history = train(model, EvictStaleKeys("vocabulary", ["table"], expire_after=9))
    twin = make_model()
    targets = np.zeros((len(STREAM), 1))
    twin.fit(STREAM, targets, batch_size=2, shuffle=False, verbose=0)
    assert history.history["evicted_keys"] == [0]
    for one, other in zip(model.get_weights(), twin.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_an_optimizer_without_slots_needs_no_reset():
    model = make_model(optimizer=keras.optimizers.SGD(0.1))
    train(model, EvictStaleKeys("vocabulary", ["table"], expire_after=2))
    np.testing.assert_array_equal(array(model.get_layer("table").embeddings)[2], 1)


def test_a_scaled_optimizer():
    optimizer = keras.optimizers.LossScaleOptimizer(Optimizer(0.1))
    model = make_model(optimizer=optimizer)
    train(model, EvictStaleKeys("vocabulary", ["table"], expire_after=2))
    slots = optimizer.inner_optimizer.accumulator(model.get_layer("table").embeddings)
    np.testing.assert_allclose(slots[2], 0.1)


@pytest.mark.parametrize(
    ("arguments", "optimizer", "error", "message"),
    [
        (("vocab", ["table"], 2), None, ValueError, "vocab"),
        (("vocabulary", ["tables"], 2), None, ValueError, "tables"),
        (
            ("table", ["table"], 2),
            None,
            TypeError,
            "must be a DynamicVocabulary.*Embedd",
        ),
        (
            ("vocabulary", ["table"]),
            None,
            ValueError,
            "Give `expire_after` to EvictStale",
        ),
        (
            ("vocabulary", ["dense"], 2),
            None,
            TypeError,
            r"Each `embedding` must be .*Dense, table=None",
        ),
        (
            ("vocabulary", [("table", "item")], 2),
            None,
            TypeError,
            r"Each `embedding` must be .*Embedding, table='item'",
        ),
        (
            ("vocabulary", ["small"], 2),
            None,
            ValueError,
            r"'small' must have the vocabulary's 11 rows.*input_dim=10",
        ),
        (
            ("vocabulary", ["table"], 2),
            "adam",
            ValueError,
            r"cannot reset the slots of rows. Received: Adam; use one of keras_recs",
        ),
    ],
)
def test_messages(arguments, optimizer, error, message):
    model = make_model(optimizer=optimizer)
    parts = {
        "dense": model.layers[-1],
        "small": keras.layers.Embedding(10, 2, name="small"),
    }
    vocabulary, tables, *rest = arguments
    tables = [parts.get(t, t) if isinstance(t, str) else t for t in tables]
    with pytest.raises(error, match=message):
        train(model, EvictStaleKeys(vocabulary, tables, *rest))


@pytest.mark.parametrize("every", [0, -1, True, 1.5, "step"])
def test_every_is_checked(every):
    with pytest.raises(
        ValueError, match='`every` must be "epoch" or a positive number'
    ):
        EvictStaleKeys("vocabulary", ["table"], every=every)
