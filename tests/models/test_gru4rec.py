"""GRU4Rec: its losses by loops; what is carried, and that nothing else is."""

import keras
import numpy as np
import pytest

from keras_recs import Schema, SequenceFeature, losses
from keras_recs.data import PopularitySampler, next_item_batches, session_batches
from keras_recs.models import NextItemModel, SessionModel, gru4rec

T, V = 5, 9
FEATURE = SequenceFeature("items", vocabulary_size=V, max_length=T, padding="left")
SCHEMA = Schema([FEATURE], [])
RNG = np.random.default_rng(0)
SESSIONS = [RNG.integers(1, 2 + V, n) for n in (2, 5, 3, 9, 4, 2, 6, 3)]
UNITS = (4, 6)


def make(seed=0, **options):
    keras.utils.set_random_seed(seed)
    model = gru4rec(SCHEMA, **{"hidden_units": UNITS, "num_negatives": 3, **options})
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape, scale=0.7))
    return model


def histories(lists):
    rows = np.zeros((len(lists), max(T, *map(len, lists))), "int32")
    for row, items in zip(rows, lists):
        row[len(row) - len(items) :] = items
    return rows


def queries(model, lists):
    """The state after each list."""
    return np.asarray(model.query_model()({"items": histories(lists)}))


# === Losses ===

TARGETS = np.array([[3, 5, 0], [3, 1, 7]], "int32")  # padding and an unknown item
DRAWN = np.array([5, 8, 8, 3], "int32")


def bpr_max(own, others):
    shares = np.exp(others) / np.exp(others).sum()
    right = 1 / (1 + np.exp(others - own))
    return -np.log((shares * right).sum()) + 0.5 * (shares * others**2).sum()


def softmax(own, others):
    return np.log(np.exp(own) + np.exp(others).sum()) - own


@pytest.mark.parametrize("each", [False, True])
def test_weights_of_shared_negatives(each):
    """A weight of each negative, or of each at each place; targets weigh 1."""
    model = make(num_slots=2)
    model.compile("sgd", losses.SampledSoftmax())
    x = {"items": np.array([[2, 3, 0], [9, 3, 4]]), "starts": np.eye(2, 3) > 0}
    states = np.asarray(model(x, training=False)["states"])
    table, biases = (
        np.asarray(layer.tables.shards[0])
        for layer in (model.item_table, model.item_biases)
    )
    weights = RNG.choice([0, 0.3, 2], (2, 3, 4) if each else 4).astype("float32")
    of_places = np.broadcast_to(weights, (2, 3, 4)).reshape(6, 4)
    candidates = np.array([*TARGETS.reshape(-1), *DRAWN])
    scores = states.reshape(6, -1) @ table[candidates].T + biases[candidates, 0]
    terms = []
    for place, target in enumerate(TARGETS.reshape(-1)):
        shares = np.concatenate([np.ones(6), of_places[place]])
        shares = shares * (candidates >= 2) * (candidates != target)
        if target >= 2:
            wrong = (shares * np.exp(scores[place])).sum()
            own = scores[place, place]
            terms.append(np.log(np.exp(own) + wrong) - own)
    y = {"next_item": TARGETS, "negatives": DRAWN, "negative_weights": weights}
    found = model.compute_loss(y=y, y_pred={"states": states}, training=False)
    np.testing.assert_allclose(found, np.mean(terms), rtol=1e-4)


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("embedding_dim", [None, 5])
@pytest.mark.parametrize(
    ("loss", "by_hand"),
    [(losses.BPRMax(0.5), bpr_max), (losses.SampledSoftmax(), softmax)],
)
def test_losses_of_shared_candidates(loss, by_hand, embedding_dim, corrected):
    model = make(embedding_dim=embedding_dim, num_slots=2)
    model.compile("sgd", loss)
    (biases,) = model.item_biases.tables.shards
    biases.assign(RNG.normal(size=biases.shape))
    x = {"items": np.array([[2, 3, 0], [9, 3, 4]]), "starts": np.eye(2, 3) > 0}
    states = np.asarray(model(x, training=False)["states"])
    width = 6 if embedding_dim is None else 5
    assert model.get_layer("items").embedding_dim == width
    table, biases = (
        np.asarray(layer.tables.shards[0])
        for layer in (model.item_table, model.item_biases)
    )
    candidates = [*TARGETS.reshape(-1), *DRAWN]
    logs = RNG.normal(size=len(candidates)).astype("float32") * corrected
    scores = states.reshape(6, -1) @ table[candidates].T + biases[candidates, 0] - logs
    terms = []
    for place, target in enumerate(TARGETS.reshape(-1)):
        others = [j for j, c in enumerate(candidates) if c >= 2 and c != target]
        if target >= 2:
            terms.append(by_hand(scores[place, place], scores[place, others]))
    y = {"next_item": TARGETS, "negatives": DRAWN}
    if corrected:
        y["log_counts"] = logs
    found = model.compute_loss(y=y, y_pred={"states": states}, training=False)
    np.testing.assert_allclose(found, np.mean(terms), rtol=1e-4)
    assert len(terms) == 4


def test_draws_of_its_own():
    model = make(num_negatives=50)
    model.compile("sgd", losses.BPRMax())
    y_pred, y = model({"items": histories([[2, 3]])}), {"next_item": np.eye(1, T) * 4}
    found = {float(model.compute_loss(y=y, y_pred=y_pred)) for _ in range(3)}
    assert len(found) == 3
    # The other targets alone: of one place without any.
    model = make(num_negatives=0)
    model.compile("sgd", losses.BPRMax())
    assert float(model.compute_loss(y=y, y_pred=y_pred)) == 0


# === What is carried ===


@pytest.mark.parametrize(("slots", "steps"), [(1, 1), (3, 2), (3, 16)])
def test_a_place_knows_its_session_and_nothing_else(slots, steps):
    """In each batch of two epochs, as `query_model` of the session's events alone."""
    model = make(num_slots=slots)
    batches = session_batches(SESSIONS, slots, steps)
    open_sessions = [[] for _ in range(slots)]
    lists, found = [], []
    for _ in range(2):
        for number in range(batches.num_batches):
            x, _ = batches[number]
            states = np.asarray(model(x, training=False)["states"])
            for slot, t in np.ndindex(slots, steps):
                if x["starts"][slot, t]:
                    open_sessions[slot] = []
                if x["items"][slot, t]:
                    open_sessions[slot].append(x["items"][slot, t])
                    lists.append(list(open_sessions[slot]))
                    found.append(states[slot, t])
        batches.on_epoch_end()
    assert len(lists) == 2 * batches.num_examples
    distinct = sorted(set(map(tuple, lists)))
    by_list = dict(zip(distinct, queries(model, distinct)))
    expected = np.array([by_list[tuple(one)] for one in lists])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_slots", [None, 7])
def test_step_by_step(num_slots):
    """Going on from a stored state is as reading the whole history."""
    model = make(num_slots=num_slots, embedding_dim=3)
    step = model.step_model()
    lists = [[], [4], [5, 5, 2], [1, 7, 1, 1, 10]]  # 1 is unknown
    rows = histories(lists)
    state = {f"state_{i}": np.zeros((4, n), "float32") for i, n in enumerate(UNITS)}
    for t in range(rows.shape[1]):
        outputs = step({"items": rows[:, t], **state})
        state = {name: np.asarray(outputs[name]) for name in state}
    np.testing.assert_allclose(outputs["query"], queries(model, lists), atol=1e-5)
    np.testing.assert_array_equal(outputs["query"][0], np.zeros(6))
    assert np.abs(np.asarray(outputs["query"][1:])).max(axis=1).min() > 0.01


def test_with_reset_after_it_is_the_gru_of_keras():
    model = make(hidden_units=(4,), reset_after=True)
    rows = RNG.integers(2, 2 + V, (3, T))
    twin = keras.layers.GRU(4, reset_after=True)
    cell = model.get_layer("gru").loops[0].cell
    twin.build((None, T, 4))
    of_state = np.zeros(12)
    of_state[8:] = cell.candidate_bias
    weights = [cell.kernel, cell.recurrent_kernel, np.stack([cell.bias, of_state])]
    sign = np.repeat([-1, 1, 1], 4)  # Keras's update gate keeps the state
    twin.set_weights([np.asarray(weight) * sign for weight in weights])
    expected = twin(model.get_layer("items")(rows))
    np.testing.assert_allclose(queries(model, list(rows)), expected, atol=1e-6)


def test_padding_and_what_comes_later():
    model = make()
    rows = histories([[3, 4, 5], [7], []])
    found = np.asarray(model({"items": rows})["states"])
    query_model = make(num_slots=2).query_model()  # of any length
    np.testing.assert_array_equal(query_model({"items": rows}), found[:, -1])
    wider = np.pad(rows, ((0, 0), (3, 0)))
    np.testing.assert_array_equal(query_model({"items": wider}), found[:, -1])
    rows[:, -1] = [2, 3, 4]
    later = np.asarray(model({"items": rows})["states"])
    np.testing.assert_array_equal(found[:, :-1], later[:, :-1])
    assert np.abs(found[:, -1] - later[:, -1]).max(axis=1).min() > 0.01


# === Training ===


@pytest.mark.parametrize("carried", [True, False])
def test_learns_what_follows(carried, tmp_path):
    """Each item is followed by the next number; a loaded model goes on."""
    sequences = [2 + (np.arange(4) + start) % V for start in range(V)] * 4
    options = {"num_slots": 6} if carried else {"num_negatives": None}
    keras.utils.set_random_seed(0)
    model = gru4rec(SCHEMA, hidden_units=(16,), seed=1, **options)
    loss = losses.BPRMax() if carried else None
    model.compile(keras.optimizers.Adam(0.02), loss)
    sampler = PopularitySampler(np.ones(V), 0.5)
    batches = next_item_batches(sequences, T, 6)
    if carried:
        batches = session_batches(sequences, 6, 3, sampler=sampler, num_negatives=4)
    model.fit(batches, epochs=12, verbose=0)
    vectors, biases = model.item_vectors()
    last = histories([[2 + item] for item in range(V)])
    found = np.asarray(model.query_model()({"items": last}))
    best = (found @ vectors.T + biases).argmax(1)
    np.testing.assert_array_equal(best, (np.arange(V) + 1) % V)

    if carried:
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        assert type(loaded) is SessionModel and isinstance(loaded, NextItemModel)
        np.testing.assert_array_equal(loaded.query_model()({"items": last}), found)
        for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        (state,) = loaded.get_layer("gru").carried
        assert np.abs(np.asarray(state)).max() > 0.01
        loaded.fit(batches, epochs=1, verbose=0)


def test_whole_sequences_with_a_sampler():
    sequences = [2 + (np.arange(4) + start) % V for start in range(V)]
    options = {"sampler": PopularitySampler(np.ones(V)), "num_negatives": 4}
    model = gru4rec(SCHEMA, hidden_units=(8,), seed=1)
    model.compile(keras.optimizers.Adam(0.02), losses.SampledSoftmax())
    batches = next_item_batches(
        sequences,
        T,
        6,
        shared=True,
        correct=True,
        negative_weights=lambda users, targets, negatives: np.ones(4),
        **options,
    )
    history = model.fit(batches, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    own = next_item_batches(sequences, T, 6, **options)
    with pytest.raises(
        ValueError,
        match=r"\(n,\).*`shared=True`.*shape=\(\w+, 5, 4\), next_item.*\(\w+, 5\)",
    ):
        model.fit(own, verbose=0)


def test_batches_come_in_their_order():
    """In `fit` as Keras calls it: what is carried at the end is the whole session."""
    session = np.random.default_rng(1).integers(2, 2 + V, 30)
    model = make(num_slots=1)
    model.compile(keras.optimizers.SGD(0.0), losses.BPRMax())
    batches = session_batches([session], 1, 2)
    assert batches.num_batches == 15
    model.fit(batches, epochs=2, verbose=0)
    state = np.asarray(model.get_layer("gru").carried[-1])
    np.testing.assert_allclose(state, queries(model, [session[:-1]]), atol=1e-5)
    with pytest.raises(ValueError, match=r"`shuffle` must be False.*shuffle=True"):
        model.fit(batches, shuffle=True)


def test_validation_within_an_epoch_leaves_the_states_of_training():
    batches = session_batches(SESSIONS, 3, 2)

    def losses_of_steps(validates):
        model = make(num_slots=3)
        model.compile(keras.optimizers.SGD(0.0), losses.BPRMax())
        found = []
        for number in range(batches.num_batches):
            model.reset_metrics()
            x, y = batches[number]
            y = {**y, "negatives": DRAWN}
            found.append(float(model.train_on_batch(x, y)))
            if validates:
                model.test_on_batch(x, y)
        return found

    np.testing.assert_allclose(losses_of_steps(True), losses_of_steps(False))


def test_dropouts_draw_apart():
    model = gru4rec(SCHEMA, None, 4, UNITS, dropout=0.1, embedding_dropout=0.1, seed=5)
    seeds = [
        layer.seed
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Dropout)
    ]
    assert len(set(seeds)) == len(seeds) == 3 and None not in seeds


def test_bad_input():
    with pytest.raises(ValueError, match=r"GRU4Rec reads one sequence.*items='goods'"):
        gru4rec(SCHEMA, items="goods")
    with pytest.raises(ValueError, match=r"`num_slots` must be.*num_slots=\(0,\)"):
        gru4rec(SCHEMA, num_slots=0)
    with pytest.raises(ValueError, match=r"`num_negatives` must be.*at least 0.*=-1"):
        gru4rec(SCHEMA, num_negatives=-1)
    with pytest.raises(ValueError, match=r"`embedding_dim` must be.*\(-1,\)"):
        gru4rec(SCHEMA, embedding_dim=-1)
