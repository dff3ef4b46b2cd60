"""What else is known of events and items: beside loops, and that nothing leaks."""

import keras
import numpy as np
import pytest

from keras_recs import Schema, SequenceFeature
from keras_recs.data import masked_item_batches, next_item_batches
from keras_recs.layers import AttributedItemTable
from keras_recs.models import ItemEvents, bert4rec, sasrec

T, V, D = 5, 7, 6


def sequence(name, size, **options):
    options = {"max_length": T, "padding": "left", **options}
    return SequenceFeature(name, vocabulary_size=size, **options)


SCHEMA = Schema(
    [
        sequence("gap", 4),
        sequence("items", V),
        sequence("kind", 3),
        sequence("last_kind", 3, table="kind"),
    ],
    [],
)
NAMES = ("gap", "kind", "last_kind")
ATTRIBUTES = np.array(
    [[0, 0], [0, 0], [1, 3], [2, 0], [0, 0], [3, 1], [1, 0], [2, 3], [3, 3]]
)
EVENTS = ItemEvents("items", NAMES, ATTRIBUTES)
RNG = np.random.default_rng(0)
ROWS = np.array([[0, 0, 2, 5, 8], [3, 4, 5, 6, 7], [0, 0, 0, 0, 2]], "int32")


def columns(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    sizes = {"gap": 4, "kind": 3, "last_kind": 3}
    return {
        name: np.where(rows, rng.integers(0, size + 2, rows.shape), 0).astype("int32")
        for name, size in sizes.items()
    }


def make(builder=sasrec, events=EVENTS, **options):
    keras.utils.set_random_seed(0)
    model = builder(SCHEMA, events, embedding_dim=D, dropout=0.0, **options)
    for weight in model.trainable_weights:
        weight.assign(RNG.normal(size=weight.shape, scale=0.5))
    return model


def states_of(model, inputs):
    return np.asarray(model(inputs, training=False)["states"])


def value(model, path):
    (found,) = (w for w in model.weights if w.path.endswith(path))
    return np.asarray(found, "float64")


def item_vector(model, row):
    own = value(model, "items/tables/embeddings")[row].copy()
    for attribute in ATTRIBUTES[row]:
        if attribute:
            own += value(model, "items/attribute_tables/embeddings")[attribute]
    return own


def test_vectors_are_sums():
    model = make()
    embed = keras.Model(model.input, model.get_layer("with_last_kind").output)
    sides = columns()
    found = np.asarray(embed({"items": ROWS, **sides}))
    tables = {"gap": "gap", "kind": "kind", "last_kind": "kind"}
    for b, t in np.ndindex(*ROWS.shape):
        expected = np.zeros(D)
        if ROWS[b, t]:
            expected = item_vector(model, ROWS[b, t]) * np.sqrt(D)
        for name, table in tables.items():
            row = sides[name][b, t]
            if row:
                expected = (
                    expected + value(model, f"table_{table}/tables/embeddings")[row]
                )
        np.testing.assert_allclose(found[b, t], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_negatives", [None, 2])
def test_candidates_have_their_attributes(num_negatives):
    model = make(num_negatives=num_negatives)
    vectors, _ = model.item_vectors()
    expected = [item_vector(model, row) for row in range(2, 2 + V)]
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)
    states = states_of(model, {"items": ROWS, **columns()})
    rows = np.arange(2, 2 + V)
    scores = np.asarray(model.score(states, rows))
    np.testing.assert_allclose(scores, states @ vectors.T, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.item_table.whole(2), vectors, rtol=1e-4, atol=1e-5)
    model.compile(keras.optimizers.SGD(0.5))
    before = value(model, "attribute_tables/embeddings")
    targets = {"next_item": np.where(ROWS == 0, 0, 4).astype("int32")}
    model.fit({"items": ROWS, **columns()}, targets, verbose=0)
    moved = np.abs(value(model, "attribute_tables/embeddings") - before).max(1) > 0
    assert moved[1:].any() and not moved[0]
    np.testing.assert_array_equal(value(model, "items/attributes"), ATTRIBUTES)


def test_no_event_sees_what_is_known_of_later_ones():
    model, sides = make(), columns()
    before = states_of(model, {"items": ROWS, **sides})
    for name in NAMES:
        changed = {**sides, name: sides[name].copy()}
        changed[name][:, 3] = (changed[name][:, 3] + 1) % 4
        moved = np.abs(states_of(model, {"items": ROWS, **changed}) - before).max(-1)
        assert not moved[:, :3].any() and (moved[:2, 3:] > 1e-4).all()


def test_columns_stand_beside_the_events_that_are_read():
    """Not beside the next ones, whose values would tell of the targets."""
    sequences = [np.array([2, 3, 4]), np.array([5]), np.array([6, 7, 8, 2, 3, 4, 5])]
    gaps = [10 + sequence for sequence in sequences]
    batches = next_item_batches(sequences, T, 2, columns={"gap": gaps}, lengths=(2,))
    for number in range(2):
        x, y = batches[number]
        there = x["items"] > 0
        assert x["gap"].dtype == np.int32 and list(x) == ["items", "gap"]
        np.testing.assert_array_equal(x["gap"], np.where(there, x["items"] + 10, 0))
        assert (y["next_item"] > 0).tolist() == there.tolist()
    with pytest.raises(ValueError, match=r"`columns` must stand.*'gap' has other"):
        next_item_batches(sequences, T, 2, columns={"gap": [*gaps[:2], gaps[2][1:]]})


def test_nothing_is_known_of_a_masked_event():
    sequences = [np.array([2, 3, 4]), np.array([6, 7, 8, 2, 3, 4, 5])]
    gaps = [10 + sequence for sequence in sequences]
    batches = masked_item_batches(
        sequences, T, 2, mask_rate=0.5, last_rate=0.0, columns={"gap": gaps}
    )
    for _ in range(3):
        x, _ = batches[0]
        known = x["items"] > 1
        np.testing.assert_array_equal(x["gap"], np.where(known, x["items"] + 10, 0))
        assert (x["items"] == 1).any()
        batches.on_epoch_end()


def test_queries_have_an_unknown_event_after_the_history():
    model, sides = make(bert4rec), columns()
    found = np.asarray(model.query_model()({"items": ROWS, **sides}))

    def appended(rows, last):
        return np.concatenate([rows[:, 1:], np.full((len(rows), 1), last)], 1)

    masked = {name: appended(rows, 0) for name, rows in sides.items()}
    masked["items"] = appended(ROWS, 1)
    expected = states_of(model, masked)[:, -1]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("builder", [sasrec, bert4rec])
def test_saved_and_loaded(builder, tmp_path):
    model = make(builder)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = {"items": ROWS, **columns()}
    np.testing.assert_array_equal(states_of(loaded, inputs), states_of(model, inputs))
    np.testing.assert_array_equal(
        loaded.query_model()(inputs), model.query_model()(inputs)
    )
    np.testing.assert_array_equal(loaded.item_vectors()[0], model.item_vectors()[0])


def test_bad_input():
    with pytest.raises(ValueError, match=r"further sequence features.*'items'"):
        sasrec(SCHEMA, ItemEvents("items", ("items",)))
    with pytest.raises(ValueError, match=r"further sequence features.*'price'"):
        sasrec(SCHEMA, ItemEvents("items", ("price",)))
    short = Schema([sequence("items", V), sequence("gap", 4, max_length=3)], [])
    with pytest.raises(ValueError, match=r"'gap' must have the length.*\(3, 'left'\)"):
        sasrec(short, ItemEvents(features=("gap",)))
    for table in (ATTRIBUTES[:-1], ATTRIBUTES[::-1]):
        with pytest.raises(
            ValueError, match=r"`attributes` must be \(rows, n\) of the 9"
        ):
            sasrec(SCHEMA, ItemEvents("items", attributes=table))
    for table in (ATTRIBUTES[0], ATTRIBUTES * 0.5, -ATTRIBUTES, 0 * ATTRIBUTES):
        with pytest.raises(ValueError, match=r"`attributes` must be integers"):
            ItemEvents("items", attributes=table)
    layer = AttributedItemTable(9, D, num_attributes=2, max_attributes=2)
    with pytest.raises(ValueError, match=r"`table` must be integers from 0 to 2.*to 3"):
        layer.set_attributes(ATTRIBUTES)
