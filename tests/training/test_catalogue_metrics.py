"""Ranks over the catalogue in the logs of an epoch, beside loops over users."""

import csv

import keras
import numpy as np
import pytest

from keras_recs import Label, NumericFeature, Schema, SequenceFeature
from keras_recs.data import masked_item_batches, next_item_batches
from keras_recs.evaluation import next_item_ranks
from keras_recs.evaluation.ranking import next_item_queries as queries_module
from keras_recs.models import bert4rec, logistic_regression, sasrec
from keras_recs.training import CatalogueMetrics, fit
from keras_recs.training.monitored import direction_of

T, V = 4, 9
FEATURE = SequenceFeature("items", vocabulary_size=V, max_length=T, padding="left")
SCHEMA = Schema([FEATURE], [])
# Rows: 0 is padding, 1 an unknown item. The last target is unknown; one is missing.
ROWS = np.array(
    [[0, 0, 2, 5], [3, 4, 5, 6], [0, 0, 0, 1], [0, 2, 3, 4], [0, 0, 0, 7]], "int32"
)
TARGETS = np.array([8, 3, 5, 1, 0], "int32")
SEEN = [[2, 5, 0], [3, 4, 9], [1, 0, 0], [2, 3, 4], [7, 0, 0]]


def make(builder=sasrec, **options):
    keras.utils.set_random_seed(0)
    model = builder(SCHEMA, embedding_dim=6, num_layers=1, seed=0, **options)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def batches(with_seen=False):
    targets = np.zeros_like(ROWS)
    targets[:, -1] = TARGETS
    y = {"next_item": targets}
    if with_seen:
        y["seen"] = np.array(SEEN, "int32")
    parts = (slice(0, 2), slice(2, 5))
    return [
        ({"items": ROWS[part]}, {name: a[part] for name, a in y.items()})
        for part in parts
    ]


def loops(model, seen):
    """Ranks of the targets, user by user; ties do not come up."""
    vectors, biases = model.item_vectors()
    queries = np.asarray(model.query_model()({"items": ROWS}))
    ranks = []
    for user, target in enumerate(TARGETS):
        if target == 0:
            continue
        if target == 1:
            ranks.append(V + 1)
            continue
        scores = vectors @ queries[user] + biases
        away = {row - 2 for row in seen[user]} - {target - 2}
        better = [
            item
            for item in range(V)
            if item not in away and scores[item] > scores[target - 2]
        ]
        ranks.append(1 + len(better))
    return ranks


@pytest.mark.parametrize("builder", [sasrec, bert4rec])
def test_ranks(builder, monkeypatch):
    monkeypatch.setattr(queries_module, "CHUNK_USERS", 3)
    model = make(builder)
    nothing = [[]] * len(ROWS)
    assert next_item_ranks(model, batches()).tolist() == loops(model, ROWS)
    assert next_item_ranks(model, batches(True)).tolist() == loops(model, SEEN)
    found = next_item_ranks(model, batches(), exclude_seen=False)
    assert found.tolist() == loops(model, nothing)
    assert len({tuple(loops(model, seen)) for seen in (nothing, ROWS, SEEN)}) > 1


def test_in_keras_fit():
    """Early stopping sees the metrics."""
    model = make(num_negatives=None)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    watcher = CatalogueMetrics(batches(), ks=(1, 10))
    stopping = keras.callbacks.EarlyStopping("val_ndcg@10", mode="max", patience=1)
    train = next_item_batches([[2, 3, 4], [5, 6, 7, 8]], T, 2)
    history = model.fit(train, epochs=9, verbose=0, callbacks=[watcher, stopping])
    assert len(history.epoch) == 2
    ranks = np.array(loops(model, ROWS))
    found = {name: values[0] for name, values in history.history.items()}
    assert set(watcher.names) == set(found) - {"loss"}
    assert found["val_hit_rate@1"] == np.mean(ranks == 1)
    assert found["val_mrr"] == pytest.approx(np.mean(1 / ranks))
    gains = [1 / np.log2(1 + rank) if rank <= 10 else 0 for rank in ranks]
    assert found["val_ndcg@10"] == pytest.approx(np.mean(gains))


def dataset(sequences):
    import tensorflow as tf

    batches = next_item_batches(sequences, T, 100)
    return tf.data.Dataset.from_tensor_slices(batches[0]).batch(9)


def test_a_run_keeps_the_best_epoch(tmp_path):
    keras.utils.set_random_seed(0)
    sequences = [2 + (np.arange(5) + start) % V for start in range(V)] * 2
    train, valid = dataset(sequences), dataset([s[1:] for s in sequences[:V]])
    model = sasrec(SCHEMA, embedding_dim=8, num_layers=1, num_negatives=None, seed=0)
    model.compile(keras.optimizers.Adam(0.03), run_eagerly=True)
    history = fit(
        model, train, SCHEMA, tmp_path, validation=valid, epochs=6, patience=9,
        verbose=0,
    )  # fmt: skip
    with open(tmp_path / "history.csv", newline="") as file:
        values = [float(row["val_ndcg@10"]) for row in csv.DictReader(file)]
    assert values == history.history["val_ndcg@10"] and values[-1] > values[0] + 0.1
    loaded = keras.models.load_model(tmp_path / "model.keras")
    ranks = next_item_ranks(loaded, valid)
    assert np.mean(1 / np.log2(1 + ranks)) == pytest.approx(max(values))
    watcher = CatalogueMetrics(valid, ks=(2,))
    again = fit(model, train, SCHEMA, tmp_path, validation=watcher, verbose=0)
    assert "val_ndcg@2" in again.history
    with pytest.raises(ValueError, match=r"`monitor` must be.*'val_auc'.*val_ndcg@10"):
        fit(model, train, SCHEMA, tmp_path, validation=valid, monitor="val_auc")


def test_which_way_is_better():
    assert direction_of("val_ndcg@10") == direction_of("val_hit_rate@5") == "max"


def test_bad_input():
    model = make()
    schema = Schema([NumericFeature("x")], [Label("y")])
    with pytest.raises(TypeError, match=r"`model` must be a.*Received: Functional"):
        next_item_ranks(logistic_regression(schema), batches())
    masked = masked_item_batches([[2, 3, 4]], T, 1)
    with pytest.raises(ValueError, match=r"`dataset` must have the item after each"):
        next_item_ranks(model, masked)
    callback = CatalogueMetrics(batches()[:0])
    callback.set_model(model)
    with pytest.raises(ValueError, match=r"`dataset` must have an example.*: none"):
        callback.on_epoch_end(0, {})
