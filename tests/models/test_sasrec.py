"""SASRec against loops, its losses, and that nothing leaks between places or users."""

import keras
import numpy as np
import pytest

from keras_recs import Schema, SequenceFeature, losses
from keras_recs.data import (
    ItemSets,
    NegativeWeights,
    PopularitySampler,
    UniformSampler,
    next_item_batches,
)
from keras_recs.evaluation import next_item_queries
from keras_recs.models import NextItemModel, sasrec
from tests.layers.sequence.attention_twin import block, normed

T, V, D = 5, 7, 6
FEATURE = SequenceFeature("items", vocabulary_size=V, max_length=T, padding="left")
SCHEMA = Schema([FEATURE], [])
ROWS = np.array(
    [[0, 0, 2, 5, 8], [3, 4, 5, 6, 7], [0, 0, 0, 0, 2], [0, 0, 0, 0, 0]], "int32"
)
TARGETS = np.array(
    [[0, 0, 5, 8, 3], [4, 5, 6, 7, 2], [0, 0, 0, 0, 8], [0, 0, 0, 0, 0]], "int32"
)


def make(seed=0, **options):
    keras.utils.set_random_seed(seed)
    options = {"embedding_dim": D, "num_heads": 2, "dropout": 0.0, **options}
    model = sasrec(SCHEMA, **options)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(rng.normal(size=weight.shape, scale=0.5))
    return model


def states_of(model, rows=ROWS):
    return np.asarray(model({"items": rows}, training=False)["states"])


def twin(model, rows=ROWS, wiring="sasrec"):
    values = {
        w.path.removeprefix("sasrec/"): np.asarray(w, "float64") for w in model.weights
    }
    table, positions = values["items/tables/embeddings"], values["positions/positions"]
    mask = rows != 0
    x = np.zeros((*rows.shape, D))
    for b, row in enumerate(rows):
        for t, item in enumerate(row):
            if item:
                x[b, t] = table[item] * np.sqrt(D) + positions[t]
    for i in range(2):
        prefix = f"block_{i}/"
        own = {k.removeprefix(prefix): v for k, v in values.items() if prefix in k}
        x = block(own, x, mask, wiring, 2, "past", lambda a: np.maximum(a, 0))
    return normed(x, values["norm/gamma"], values["norm/beta"], 1e-8), table


@pytest.mark.parametrize("wiring", ["sasrec", "pre", "post"])
def test_as_loops(wiring):
    model = make(wiring=wiring)
    expected, _ = twin(model, wiring=wiring)
    there = ROWS != 0
    found = states_of(model)
    np.testing.assert_allclose(found[there], expected[there], rtol=1e-4, atol=1e-4)


def log_softmax(scores):
    return scores - np.log(np.exp(scores - scores.max()).sum()) - scores.max()


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("chunk_size", [100, 3])
def test_cross_entropy_over_the_catalogue(chunk_size, use_bias):
    plain = make(num_negatives=None)
    model = NextItemModel(
        plain.input, plain.output, use_bias=use_bias, chunk_size=chunk_size
    )
    if use_bias:
        (shard,) = model.item_biases.tables.shards
        shard.assign(np.random.default_rng(1).normal(size=shard.shape))
    model.compile("sgd")
    states, (vectors, biases) = states_of(model), model.item_vectors()
    expected = [
        -log_softmax(vectors @ states[place] + biases)[TARGETS[place] - 2]
        for place in zip(*np.nonzero(TARGETS))
    ]
    found = model.evaluate(
        {"items": ROWS}, {"next_item": TARGETS}, batch_size=4, verbose=0
    )
    np.testing.assert_allclose(found, np.mean(expected), rtol=1e-4)


def test_binary_cross_entropy_of_given_negatives():
    model = make()
    model.compile("sgd")
    negatives = np.random.default_rng(0).integers(2, 2 + V, (4, T, 3)).astype("int32")
    states, table = states_of(model), np.asarray(model.item_table.tables.shards[0])
    terms = []
    for b, t in zip(*np.nonzero(TARGETS)):
        right = states[b, t] @ table[TARGETS[b, t]]
        others = [row for row in negatives[b, t] if row != TARGETS[b, t]]
        wrong = table[others] @ states[b, t]
        terms.append(np.log1p(np.exp(-right)) + np.log1p(np.exp(wrong)).sum())
    y = {"next_item": TARGETS, "negatives": negatives}
    found = model.evaluate({"items": ROWS}, y, batch_size=4, verbose=0)
    np.testing.assert_allclose(found, np.mean(terms), rtol=1e-4)


@pytest.mark.parametrize("hard", [None, 1, 2, 9])
@pytest.mark.parametrize("loss", ["binary", "softmax"])
def test_weights_and_corrections_of_negatives(loss, hard):
    """The hardest of those that count; NumPy chooses, weighs and corrects alike."""
    model = make()
    model.hard_negatives = hard
    binary = loss == "binary"
    loss = losses.CandidateBinaryCrossentropy() if binary else losses.SampledSoftmax()
    model.compile("sgd", loss)
    rng = np.random.default_rng(0)
    negatives = rng.integers(2, 2 + V, (4, T, 6)).astype("int32")
    weights = rng.choice([0, 0.3, 1, 2], (4, T, 6)).astype("float32")
    logs = rng.normal(size=(4, T, 7)).astype("float32")
    states, table = states_of(model), np.asarray(model.item_table.tables.shards[0])
    terms = []
    for place in zip(*np.nonzero(TARGETS)):
        right = states[place] @ table[TARGETS[place]] - logs[place][0]
        scores = table[negatives[place]] @ states[place] - logs[place][1:]
        counts = (negatives[place] != TARGETS[place]) & (weights[place] > 0)
        others = sorted(zip(scores[counts], weights[place][counts]), reverse=True)
        others = others[:hard]
        if binary:
            wrong = sum(w * np.log1p(np.exp(r)) for r, w in others)
            terms.append(np.log1p(np.exp(-right)) + wrong)
        else:
            wrong = sum(w * np.exp(r) for r, w in others)
            terms.append(np.log(np.exp(right) + wrong) - right)
    y = {"next_item": TARGETS, "negatives": negatives}
    y |= {"negative_weights": weights, "log_counts": logs}
    found = model.evaluate({"items": ROWS}, y, batch_size=4, verbose=0)
    np.testing.assert_allclose(found, np.mean(terms), rtol=1e-4)


def test_hard_negatives_learn_as_if_they_were_given():
    """No row of the pool that is not chosen moves."""
    plain = make()
    hard = NextItemModel(plain.input, plain.output, hard_negatives=2, num_negatives=1)
    negatives = np.random.default_rng(0).integers(2, 2 + V, (4, T, 5)).astype("int32")
    table = np.asarray(plain.item_table.tables.shards[0])
    scores = np.einsum("btd,btnd->btn", states_of(plain), table[negatives])
    scores = np.where(negatives == TARGETS[..., None], -np.inf, scores)
    best = np.argsort(-scores, axis=-1)[..., :2]
    chosen = np.take_along_axis(negatives, best, -1)
    before, found = plain.get_weights(), []
    for model, given in ((plain, chosen), (hard, negatives)):
        model.set_weights(before)
        model.compile(keras.optimizers.SGD(0.5))
        model.train_on_batch(
            {"items": ROWS}, {"next_item": TARGETS, "negatives": given}
        )
        found.append(model.get_weights()[:-1])  # without the seed's
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_hard_negatives_of_own_draws(tmp_path):
    model = make(num_negatives=20)
    model.hard_negatives = 3
    model.compile("adam")
    sequences = [2 + (np.arange(6) + start) % V for start in range(V)]
    batches = next_item_batches(sequences, T, 4)
    history = model.fit(batches, epochs=10, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.hard_negatives == 3
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match=rf"`hard_negatives` must.*={wrong}"):
            model.hard_negatives = wrong
    with pytest.raises(ValueError, match=r"negatives of their own.*shares_negatives=T"):
        NextItemModel(
            model.input, model.output, shares_negatives=True, hard_negatives=2
        )


def test_trains_on_weighed_and_corrected_draws():
    model = make()
    model.hard_negatives = 4
    model.compile("adam", losses.SampledSoftmax())
    sequences = [2 + (np.arange(6) + start) % V for start in range(V)]
    duplicates = ItemSets([1, 0], [0, 1, 2, *[2] * (V - 2)], V)
    batches = next_item_batches(
        sequences,
        T,
        4,
        sampler=PopularitySampler(np.arange(1, 1 + V), 0.5),
        num_negatives=6,
        correct=True,
        negative_weights=NegativeWeights(duplicates),
        with_seen=True,
    )
    history = model.fit(batches, validation_data=batches, epochs=10, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_what_was_seen_before_the_window():
    """Of arrays, as of records: left out of the candidates if it is asked for."""
    model, sequence = make(), np.arange(2, 2 + V)
    for with_seen, expected in ((False, [1, 2, 3, 4, 5]), (True, [0, 1, 2, 3, 4, 5])):
        batches = next_item_batches([sequence], T, 1, with_seen=with_seen)
        ((_, targets, seen),) = next_item_queries(model, batches)
        assert targets.tolist() == [6] and seen[0].tolist() == expected


def test_negatives_of_another_shape():
    model = make()
    model.compile("sgd")
    batches = next_item_batches(
        [[2, 3, 4]], T, 1, sampler=UniformSampler(V), num_negatives=6, shared=True
    )
    with pytest.raises(ValueError, match=r"\(batch, places, n\).*`shared=False`"):
        model.fit(batches, verbose=0)


@pytest.mark.parametrize("num_negatives", [1, None])
def test_less_padding_changes_nothing(num_negatives):
    model = make(num_negatives=num_negatives)
    model.compile("sgd")
    rows, targets = ROWS[[0, 2]], TARGETS[[0, 2]]
    np.testing.assert_allclose(
        states_of(model, rows[:, 2:]), states_of(model, rows)[:, 2:], atol=1e-5
    )
    negatives = np.full((2, T, 1), 4, "int32")
    losses = [
        model.evaluate(
            {"items": rows[:, start:]},
            {"next_item": targets[:, start:]}
            | ({"negatives": negatives[:, start:]} if num_negatives else {}),
            verbose=0,
        )
        for start in (0, 2)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_trains_on_like_lengths():
    sequences = [np.arange(n) % V + 2 for n in (2, 3, 6, 2, 3, 6)]
    model = make(num_negatives=None, num_layers=1)
    model.compile("adam")
    batches = next_item_batches(sequences, T, 2, lengths=(1, 2))
    history = model.fit(batches, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize("num_negatives", [2, None])
def test_unknown_targets_are_not_learned(num_negatives):
    """A batch without a target has no loss, and moves nothing."""
    model = make(num_negatives=num_negatives)
    model.compile(keras.optimizers.SGD(1.0))
    before = model.get_weights()
    targets = np.where(TARGETS, 1, 0)  # row 1: an unknown item
    assert float(model.train_on_batch({"items": ROWS}, {"next_item": targets})) == 0
    for old, new in zip(before[:-1], model.get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("num_negatives", "loss"), [(None, None), (4, losses.SampledSoftmax())]
)
def test_learns_what_follows(num_negatives, loss):
    """Each item is followed by the next number."""
    keras.utils.set_random_seed(0)
    sequences = [2 + (np.arange(6) + start) % V for start in range(V)] * 4
    options = {"num_negatives": num_negatives, "dropout": 0.0, "seed": 1}
    model = sasrec(SCHEMA, embedding_dim=16, num_layers=1, **options)
    model.compile(keras.optimizers.Adam(0.01), loss)
    batches = next_item_batches(sequences, T, 14)
    model.fit(batches, epochs=30, verbose=0)
    vectors, biases = model.item_vectors()
    last = np.array([[0, 0, 0, 0, 2 + item] for item in range(V)], "int32")
    queries = np.asarray(model.query_model()({"items": last}))
    best = (queries @ vectors.T + biases).argmax(1)
    np.testing.assert_array_equal(best, (np.arange(V) + 1) % V)


def test_an_event_more_changes_nothing_before():
    model = make()
    changed = ROWS.copy()
    changed[:, -1] = [4, 2, 6, 3]
    before, after = states_of(model), states_of(model, changed)
    np.testing.assert_allclose(before[:3, :-1], after[:3, :-1], atol=1e-5)
    assert np.abs(before[:, -1] - after[:, -1]).max() > 0.01


def test_users_do_not_see_each_other():
    model = make()
    alone = np.concatenate([states_of(model, ROWS[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(states_of(model)[:3], alone, atol=1e-5)


def test_padding_has_no_gradient():
    import tensorflow as tf

    model = make(num_negatives=None)
    model.compile("sgd")
    with tf.GradientTape() as tape:
        y_pred = model({"items": ROWS}, training=True)
        loss = model.compute_loss(y={"next_item": TARGETS}, y_pred=y_pred)
    (shard,) = model.item_table.tables.shards
    gradient = tf.convert_to_tensor(tape.gradient(loss, shard.value)).numpy()
    assert not gradient[:2].any() and np.isfinite(gradient).all()
    assert (np.abs(gradient[2:]).sum(1) > 0).all()


def test_saved_and_loaded(tmp_path):
    model = make(num_negatives=3, num_layers=1)
    model.compile("adam", losses.SampledSoftmax(0.5))
    model.fit({"items": ROWS}, {"next_item": TARGETS}, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is NextItemModel and loaded.num_negatives == 3
    np.testing.assert_array_equal(states_of(loaded), states_of(model))
    loaded.fit({"items": ROWS}, {"next_item": TARGETS}, verbose=0)


def test_draws_differ_from_step_to_step():
    model = make(num_negatives=2)
    model.compile("sgd")
    y_pred = model({"items": ROWS})
    y = {"next_item": TARGETS}
    found = {float(model.compute_loss(y=y, y_pred=y_pred)) for _ in range(4)}
    assert len(found) == 4


def test_bad_input():
    with pytest.raises(ValueError, match=r"SASRec reads one sequence.*items='goods'"):
        sasrec(SCHEMA, items="goods")
    other = SequenceFeature("more", vocabulary_size=3, padding="left")
    with pytest.raises(ValueError, match=r"name it by `items`.*'items', 'more'"):
        sasrec(Schema([FEATURE, other], []))
    plain = make()
    with pytest.raises(ValueError, match=r"`items` must be the model's ItemTable"):
        NextItemModel(plain.input, plain.output, items="goods")
    with pytest.raises(ValueError, match=r"`num_negatives` must be.*num_negatives=0"):
        NextItemModel(plain.input, plain.output, num_negatives=0)
    whole = NextItemModel(plain.input, plain.output)
    with pytest.raises(ValueError, match=r"`loss` is of candidates"):
        whole.compile("sgd", losses.SampledSoftmax())
