"""BERT4Rec against loops; what a mask sees; targets at some places as at all."""

import math

import keras
import numpy as np
import pytest

import keras_recs
from keras_recs import Schema, SequenceFeature
from keras_recs.data import masked_item_batches
from keras_recs.models import NextItemModel, bert4rec
from tests.layers.sequence.attention_twin import block, dense, normed

T, V, D = 5, 7, 6
FEATURE = SequenceFeature("items", vocabulary_size=V, max_length=T, padding="left")
SCHEMA = Schema([FEATURE], [])
MASK = 1
ROWS = np.array(
    [[0, 0, 2, 1, 8], [1, 4, 5, 6, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], "int32"
)
TARGETS = np.array(
    [[0, 0, 0, 5, 0], [3, 0, 0, 0, 7], [0, 0, 0, 0, 8], [0, 0, 0, 0, 0]], "int32"
)
# The same by their places, not in their order.
SOME = {
    "next_item": np.array([[5, 0], [7, 3], [8, 0], [0, 0]], "int32"),
    "places": np.array([[3, 0], [4, 0], [4, 0], [0, 0]], "int32"),
}


def make(seed=0, **options):
    keras.utils.set_random_seed(seed)
    options = {"embedding_dim": D, "dropout": 0.0, **options}
    model = bert4rec(SCHEMA, **options)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(rng.normal(size=weight.shape, scale=0.5))
    return model


def states_of(model, rows=ROWS):
    return np.asarray(model({"items": rows}, training=False)["states"])


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def twin(model, rows=ROWS, sees="all"):
    values = {
        w.path.removeprefix("bert4rec/"): np.asarray(w, "float64")
        for w in model.weights
    }

    def part(name):
        prefix = f"{name}/"
        return {k.removeprefix(prefix): v for k, v in values.items() if prefix in k}

    table, positions = values["items/tables/embeddings"], values["positions/positions"]
    mask = rows != 0
    x = np.zeros((*rows.shape, D))
    for b, t in zip(*np.nonzero(mask)):
        x[b, t] = table[rows[b, t]] + positions[t]
    x = normed(x, values["norm/gamma"], values["norm/beta"], 1e-6)
    for i in range(2):
        x = block(part(f"block_{i}"), x, mask, "post", 2, sees, gelu)
    head = part("head")
    x = gelu(dense(x, head["dense/kernel"], head["dense/bias"]))
    return normed(x, head["norm/gamma"], head["norm/beta"], 1e-6)


@pytest.mark.parametrize(("window", "sees"), [(None, "all"), (1, 1)])
def test_as_loops(window, sees):
    model = make(window=window)
    assert model.get_layer("block_0").inner.units == 4 * D
    found, expected, there = states_of(model), twin(model, sees=sees), ROWS != 0
    np.testing.assert_allclose(found[there], expected[there], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "initializer", [None, keras.initializers.TruncatedNormal(stddev=0.02, seed=1)]
)
def test_initializer(initializer):
    """Cut at two standard deviations, after which 0.8796 of one is left."""
    schema = Schema(
        [SequenceFeature("items", vocabulary_size=200, max_length=9, padding="left")],
        [],
    )
    keras.utils.set_random_seed(3)
    model = bert4rec(schema, embedding_dim=32, initializer=initializer)
    (table,) = (np.asarray(shard) for shard in model.item_table.tables.shards)
    np.testing.assert_allclose(table.std(), 0.8796 * 0.02, rtol=0.02)
    assert 0.038 < np.abs(table).max() <= 0.04
    positions = np.asarray(model.get_layer("positions").positions)
    assert np.abs(positions - table[:9]).max() > 0.01
    assert not model.item_vectors()[1].any()


def test_cross_entropy_of_masked_places():
    model = make()
    model.compile("sgd")
    states, (vectors, biases) = states_of(model), model.item_vectors()
    assert vectors.shape == (V, D) and biases.any()
    terms = []
    for b, t in zip(*np.nonzero(TARGETS)):
        scores = vectors @ states[b, t] + biases
        terms.append(np.log(np.exp(scores).sum()) - scores[TARGETS[b, t] - 2])
    for y in ({"next_item": TARGETS}, SOME):
        found = model.evaluate({"items": ROWS}, y, batch_size=4, verbose=0)
        np.testing.assert_allclose(found, np.mean(terms), rtol=1e-5)


def test_half_precision():
    values = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        model = make()
        model.compile("sgd", run_eagerly=True)
        loss = model.evaluate({"items": ROWS}, SOME, batch_size=4, verbose=0)
        values.append(loss)
    np.testing.assert_allclose(values[0], values[1], rtol=0.02)


def test_dropouts_draw_apart():
    model = bert4rec(SCHEMA, embedding_dim=D, dropout=0.5, seed=5)
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Dropout)
    ]
    assert {layer.rate for layer in layers} == {0.5}
    assert len({layer.seed for layer in layers}) == len(layers) == 9


def gradients(model, y):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        y_pred = model({"items": ROWS}, training=True)
        loss = model.compute_loss(y=y, y_pred=y_pred)
    values = [weight.value for weight in model.trainable_weights]
    found = tape.gradient(loss, values)
    return [tf.convert_to_tensor(gradient).numpy() for gradient in found]


def test_targets_at_some_places_are_those_at_all():
    model = make()
    model.compile("sgd")
    whole = gradients(model, {"next_item": TARGETS})
    some = gradients(model, SOME)
    for weight, a, b in zip(model.trainable_weights, whole, some):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=weight.path)
        assert np.isfinite(a).all()
        if "key/bias" not in weight.path:  # softmax does not change with it
            assert a.any(), weight.path


def test_negatives_at_some_places():
    functional = make()
    model = NextItemModel(
        functional.input, functional.output, num_negatives=3, mask_row=MASK
    )
    model.compile("sgd")
    draws = np.random.default_rng(0).integers(2, 2 + V, (4, 2, 3)).astype("int32")
    by_place = np.full((4, T, 3), 2, "int32")
    for b, (targets, places) in enumerate(zip(SOME["next_item"], SOME["places"])):
        for number in np.flatnonzero(targets):
            by_place[b, places[number]] = draws[b, number]
    y_pred = model({"items": ROWS})
    some = model.compute_loss(y={**SOME, "negatives": draws}, y_pred=y_pred)
    whole = {"next_item": TARGETS, "negatives": by_place}
    whole = model.compute_loss(y=whole, y_pred=y_pred)
    np.testing.assert_allclose(float(some), float(whole), rtol=1e-6)


def test_unknown_items_are_not_learned():
    """Their row is the mask's and no candidate's."""
    model = make()
    model.compile("sgd")
    unknown = TARGETS.copy()
    unknown[0, 4] = 1
    losses = [
        model.evaluate({"items": ROWS}, {"next_item": y}, batch_size=4, verbose=0)
        for y in (TARGETS, unknown)
    ]
    assert losses[0] == losses[1]


def test_a_masked_item_is_not_seen():
    """Sequences that differ there alone give the same inputs, hence predictions."""
    (a, b) = (
        masked_item_batches([np.array([2, x, 4, y, 6])], T, 1, mask_rate=0.4, seed=s)
        for x, y, s in ((3, 5, 0), (7, 8, 0))
    )
    for epoch in range(20):
        a.epoch = b.epoch = epoch
        (rows, y), (others, _) = a[0], b[0]
        if set(y["places"][0]) == {1, 3}:
            break
    np.testing.assert_array_equal(rows["items"], [[2, MASK, 4, MASK, 6]])
    np.testing.assert_array_equal(others["items"], rows["items"])


def test_a_mask_sees_both_sides_and_no_padding():
    model = make()
    before = states_of(model)
    changed = ROWS.copy()
    changed[0, [2, 4]] = [3, 4]
    for place in (2, 4):
        one = ROWS.copy()
        one[0, place] = changed[0, place]
        assert np.abs(states_of(model, one)[0, 3] - before[0, 3]).max() > 1e-3
    (shard,) = model.item_table.tables.shards
    shard.assign(np.where(np.arange(2 + V)[:, None] == 0, 100.0, np.asarray(shard)))
    np.testing.assert_allclose(states_of(model)[:3], before[:3], atol=1e-6)


def test_a_longer_history_is_only_padded():
    longer = Schema(
        [SequenceFeature("items", vocabulary_size=V, max_length=T + 3, padding="left")],
        [],
    )
    model, wide = make(), bert4rec(longer, embedding_dim=D, dropout=0.0)
    for weight, other in zip(model.weights, wide.weights):
        value = np.asarray(weight)
        if "positions" in weight.path:
            value = np.concatenate([np.ones((3, D)), value])
        other.assign(value)
    padded = np.pad(ROWS, ((0, 0), (3, 0)))
    found = states_of(wide, padded)[:3, 3:]
    expected = states_of(model)[:3]
    there = ROWS[:3] != 0
    np.testing.assert_allclose(found[there], expected[there], atol=1e-5)


def test_users_do_not_see_each_other():
    model = make()
    alone = np.concatenate([states_of(model, ROWS[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(states_of(model)[:3], alone, atol=1e-5)


def test_queries_have_a_mask_after_the_history():
    model = make()
    histories = np.array([[0, 0, 2, 5, 8], [3, 4, 5, 6, 7], [0, 0, 0, 0, 0]], "int32")
    by_hand = np.array(
        [[0, 2, 5, 8, MASK], [4, 5, 6, 7, MASK], [0, 0, 0, 0, MASK]], "int32"
    )
    query_model = model.query_model()
    found = np.asarray(query_model({"items": histories}))
    np.testing.assert_allclose(found, states_of(model, by_hand)[:, -1], atol=1e-6)
    # Of the same weights, whatever happens to them.
    (shard,) = model.item_table.tables.shards
    shard.assign(2 * np.asarray(shard))
    after = np.asarray(query_model({"items": histories}))
    np.testing.assert_allclose(after, states_of(model, by_hand)[:, -1], atol=1e-6)
    assert np.abs(after - found).max() > 0.01


def test_saved_and_loaded(tmp_path):
    model = make(num_shards=2, window=2)
    model.compile("adam", run_eagerly=True)
    model.fit({"items": ROWS}, SOME, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is NextItemModel and loaded.mask_row == MASK
    np.testing.assert_array_equal(states_of(loaded), states_of(model))
    histories = {"items": TARGETS}
    query_models = model.query_model(), loaded.query_model()
    found = [np.asarray(one(histories)) for one in query_models]
    np.testing.assert_array_equal(found[0], found[1])
    for a, b in zip(model.item_vectors(), loaded.item_vectors()):
        np.testing.assert_array_equal(a, b)
    query_models[0].save(tmp_path / "queries.keras")
    alone = keras.models.load_model(tmp_path / "queries.keras")
    np.testing.assert_array_equal(np.asarray(alone(histories)), found[0])
    assert loaded.fit({"items": ROWS}, SOME, verbose=0).history["loss"]


def test_learns_what_follows_and_what_is_between():
    """Each item is followed by the next number."""
    keras.utils.set_random_seed(0)
    sequences = [2 + (np.arange(T) + start) % V for start in range(V)] * 40
    model = bert4rec(SCHEMA, embedding_dim=16, num_layers=1, dropout=0.0, seed=1)
    model.compile(keras.optimizers.Adam(0.01))
    batches = masked_item_batches(sequences, T, 28, mask_rate=0.4, last_rate=0.5)
    model.fit(batches, epochs=20, verbose=0)
    vectors, biases = model.item_vectors()
    history = np.array([[0] + [2 + (i + j) % V for j in range(4)] for i in range(V)])
    queries = np.asarray(model.query_model()({"items": history.astype("int32")}))
    best = (queries @ vectors.T + biases).argmax(1)
    np.testing.assert_array_equal(best, (np.arange(V) + 4) % V)
    masked = np.array([[2 + (i + j) % V for j in range(T)] for i in range(V)])
    masked[:, [1, 3]] = MASK
    states = states_of(model, masked.astype("int32"))
    for place in (1, 3):
        best = (states[:, place] @ vectors.T + biases).argmax(1)
        np.testing.assert_array_equal(best, (np.arange(V) + place) % V)


def test_bad_input():
    with pytest.raises(ValueError, match=r"BERT4Rec reads one sequence.*items='goods'"):
        bert4rec(SCHEMA, items="goods")
    right = SequenceFeature("items", vocabulary_size=V, max_length=T)
    with pytest.raises(
        ValueError, match=r"feature 'items' must have .*padding='right'"
    ):
        bert4rec(Schema([right], []))
    with pytest.raises(ValueError, match=r"`sees` must be .*sees=0"):
        bert4rec(SCHEMA, window=0)
    plain = make()
    for row in (0, 2):
        with pytest.raises(ValueError, match=rf"`mask_row` must be.*mask_row={row}"):
            NextItemModel(plain.input, plain.output, mask_row=row)
    rows = keras.Input((T,), dtype="int32", name="rows")
    moved = keras_recs.layers.ItemTable(2 + V, D, name="items")(rows + 0)
    with pytest.raises(ValueError, match=r"`mask_row` is appended to the input that"):
        NextItemModel({"rows": rows}, {"states": moved}, mask_row=1)
