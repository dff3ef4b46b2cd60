"""Examples left out: which, how many, and what the rest weighs."""

import collections
import itertools
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.data import (
    DownSampleFrequent,
    DownSampleNegatives,
    array_dataset,
    tfrecord_dataset,
)
from keras_recs.models import logistic_regression
from keras_recs.training import fit
from tests import samples

NUM_ROWS = 4000
ROWS = np.arange(NUM_ROWS)
SCHEMA = Schema(
    features=[
        CategoricalFeature("row", vocabulary_size=NUM_ROWS),
        CategoricalFeature("item", hash_bins=50),
        CategoricalFeature("hour", vocabulary_size=4),
    ],
    labels=[Label("click"), Label("buy", sample_weight="importance")],
    group_key="row",
)
RNG = np.random.default_rng(0)
DATA = {
    "row": ROWS,
    "item": [f"i{k}" for k in RNG.choice(4, NUM_ROWS, p=[0.7, 0.2, 0.09, 0.01])],
    "hour": RNG.choice(4, NUM_ROWS, p=[0.7, 0.2, 0.09, 0.01]),
    "click": (RNG.random(NUM_ROWS) < 0.25).astype("float32"),
    "buy": (RNG.random(NUM_ROWS) < 0.1).astype("float32"),
    "importance": RNG.uniform(1, 3, NUM_ROWS).astype("float32"),
}
PLAIN = Schema(features=SCHEMA.features, labels=SCHEMA.labels[:1], group_key="row")
SHARES = {name: n / NUM_ROWS for name, n in collections.Counter(DATA["item"]).items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of 1,500, 0 and 2,500 records."""
    folder, paths = tmp_path_factory.mktemp("down"), []
    for number, (start, stop) in enumerate([(0, 1500), (1500, 1500), (1500, NUM_ROWS)]):
        records = [
            samples.example({name: _plain(values[i]) for name, values in DATA.items()})
            for i in range(start, stop)
        ]
        paths.append(samples.write_records(folder / f"t-{number}.tfrecord", records))
    return paths


def _plain(value):
    return value.item() if hasattr(value, "item") else value


def kept(dataset):
    """Rows in the order of the data set."""
    return [int(row) - 2 for batch in dataset for row in batch[0]["row"].numpy()]


def weights(dataset, label="click"):
    """Weight by row."""
    found = {}
    for inputs, _, weight, *_ in dataset:
        rows = inputs["row"].numpy() - 2
        found.update(zip(rows.tolist(), weight[label].numpy().tolist(), strict=True))
    return found


def assert_about(count, expected, variance):
    assert abs(count - expected) < 4 * math.sqrt(variance) + 1e-9


# === Negatives ===


@pytest.mark.parametrize("rate", [0.5, 0.1])
def test_all_positives_and_a_share_of_the_negatives(files, rate):
    down = DownSampleNegatives(rate=rate)
    for rows in (
        kept(array_dataset(DATA, SCHEMA, 64, down_sampling=down)),
        kept(tfrecord_dataset(files, SCHEMA, 64, down_sampling=down)),
    ):
        assert len(set(rows)) == len(rows)
        rows = np.array(rows)
        positive = np.flatnonzero(DATA["click"])
        assert set(positive) <= set(rows.tolist())
        total = NUM_ROWS - len(positive)
        negatives = len(rows) - len(positive)
        assert_about(negatives, rate * total, rate * (1 - rate) * total)


def test_an_example_has_one_fate(files):
    """In each epoch, order, batch size and split over workers."""
    options = {"down_sampling": DownSampleNegatives(rate=0.3)}
    dataset = tfrecord_dataset(files, SCHEMA, 64, seed=1, **options)
    first, second = kept(dataset), kept(dataset)
    assert first != second, "another order"
    expected = sorted(first)
    assert sorted(second) == expected
    unshuffled = tfrecord_dataset(files, SCHEMA, 7, shuffle=False, **options)
    assert kept(unshuffled) == expected
    for workers in (2, 4):  # by file, by record
        parts = [
            kept(
                tfrecord_dataset(
                    files, SCHEMA, 16, num_workers=workers, worker_index=i, **options
                )
            )
            for i in range(workers)
        ]
        assert sorted(itertools.chain(*parts)) == expected
    arrays = array_dataset(DATA, SCHEMA, 16, shuffle=False, **options)
    rows = kept(arrays)
    assert rows == kept(arrays) == sorted(rows)
    assert arrays.cardinality() == math.ceil(len(rows) / 16) == len(list(arrays))


def test_another_seed_keeps_others(files):
    sets = [
        set(
            kept(
                tfrecord_dataset(
                    files,
                    SCHEMA,
                    64,
                    down_sampling=DownSampleNegatives(rate=0.5, seed=s),
                )
            )
        )
        for s in (0, 1)
    ]
    positive = set(np.flatnonzero(DATA["click"]).tolist())
    total = NUM_ROWS - len(positive)
    both = len(sets[0] & sets[1]) - len(positive)
    assert_about(both, total / 4, total * 3 / 16)


def test_draws_are_even():
    """A smaller rate keeps a subset; alike examples have fates of their own."""
    alike = {**DATA, "click": np.zeros(NUM_ROWS), "item": ["i0"] * NUM_ROWS}
    found = [
        set(
            kept(
                array_dataset(
                    alike, SCHEMA, 64, down_sampling=DownSampleNegatives(rate=rate)
                )
            )
        )
        for rate in (0.25, 0.5, 0.75, 1.0)
    ]
    assert found[0] < found[1] < found[2] < found[3] == set(ROWS.tolist())
    quarters = [len(b) - len(a) for a, b in zip([set(), *found], found, strict=False)]
    for count in quarters:
        assert_about(count, NUM_ROWS / 4, NUM_ROWS * 3 / 16)


def test_weights_of_negatives(files):
    down = DownSampleNegatives(rate=0.25, label="click", weigh=True)
    for dataset in (
        array_dataset(DATA, SCHEMA, 64, down_sampling=down),
        tfrecord_dataset(files, SCHEMA, 64, down_sampling=down),
    ):
        for row, weight in weights(dataset).items():
            assert weight == pytest.approx(1 if DATA["click"][row] else 4)
        for row, weight in weights(dataset, "buy").items():
            own = DATA["importance"][row]
            assert weight == pytest.approx(own * (1 if DATA["click"][row] else 4))
    assert len(next(iter(array_dataset(DATA, PLAIN, 64, down_sampling=down)))) == 3
    plain = DownSampleNegatives(rate=0.25)
    assert len(next(iter(array_dataset(DATA, PLAIN, 64, down_sampling=plain)))) == 2


def test_the_other_label(files):
    down = DownSampleNegatives(rate=0.2, label="buy")
    rows = set(kept(tfrecord_dataset(files, SCHEMA, 64, down_sampling=down)))
    assert set(np.flatnonzero(DATA["buy"]).tolist()) <= rows
    assert not set(np.flatnonzero(DATA["click"]).tolist()) <= rows


def test_groups_stay_with_their_examples(files):
    down = DownSampleNegatives(rate=0.2)
    for inputs, _, _, groups in tfrecord_dataset(
        files, SCHEMA, 64, with_group=True, down_sampling=down
    ):
        rows = [str(row - 2).encode() for row in inputs["row"].numpy()]
        assert groups.numpy().tolist() == rows


def test_a_damaged_record_is_still_found(files, tmp_path):
    """At its place among all records, wherever the kept ones are."""
    path = tmp_path / "t-0.tfrecord"
    path.write_bytes(Path(files[0]).read_bytes())
    offset = samples.record_offsets(path)[1234]
    samples.flip_bit(path, offset + 12)
    down = DownSampleNegatives(rate=0.01)
    message = rf"\[at byte\] \[{offset}\] \[after record\] \[1234\] \[of\] \[1500\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        kept(tfrecord_dataset(path, SCHEMA, 64, down_sampling=down))


def test_a_run_on_records_that_are_left(files, tmp_path):
    train = tfrecord_dataset(
        files, PLAIN, 64, down_sampling=DownSampleNegatives(rate=0.2)
    )
    model = logistic_regression(PLAIN)
    model.compile("adam", loss="binary_crossentropy")
    validation = tfrecord_dataset(files, PLAIN, 512, shuffle=False)
    seen = []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    history = fit(
        model,
        train,
        PLAIN,
        tmp_path,
        validation=validation,
        epochs=2,
        callbacks=[count],
        verbose=0,
    )
    assert len(history.history["val_click_auc"]) == 2
    steps = len(list(train))
    assert steps == train.cardinality() < math.ceil(NUM_ROWS / 64)
    assert seen == 2 * list(range(steps))


# === Frequent values ===


@pytest.mark.parametrize("feature", ["item", "hour"])
def test_chances_of_frequent_values(files, feature):
    counts = collections.Counter(DATA[feature])
    down = DownSampleFrequent(feature=feature, counts=counts, threshold=0.05)
    column = np.array(DATA[feature])
    for dataset in (
        array_dataset(DATA, SCHEMA, 64, down_sampling=down),
        tfrecord_dataset(files, SCHEMA, 64, down_sampling=down),
    ):
        found = weights(dataset)
        rows = np.array(sorted(found))
        for value, count in counts.items():
            chance = min(1.0, math.sqrt(0.05 / (count / NUM_ROWS)))
            own = rows[column[rows] == value]
            assert_about(len(own), chance * count, chance * (1 - chance) * count)
            for row in own:
                assert found[row] == pytest.approx(1 / chance, rel=1e-5)
        # What the weights correct: sums over all examples, here the count of each value.
        variance = sum(
            n * (1 / c - 1)
            for n, c in (
                (n, min(1.0, math.sqrt(0.05 * NUM_ROWS / n))) for n in counts.values()
            )
        )
        assert_about(sum(found.values()), NUM_ROWS, variance)


def test_without_weights_and_without_frequent_values():
    counts = collections.Counter(DATA["item"])
    down = DownSampleFrequent(
        feature="item", counts=counts, threshold=0.05, weigh=False
    )
    assert len(next(iter(array_dataset(DATA, PLAIN, 64, down_sampling=down)))) == 2
    down = DownSampleFrequent(feature="item", counts=counts, threshold=1.0)
    assert len(kept(array_dataset(DATA, PLAIN, 64, down_sampling=down))) == NUM_ROWS


def test_a_value_without_a_count_is_kept():
    down = DownSampleFrequent(feature="item", counts={"i0": 2800}, threshold=1e-6)
    rows = kept(array_dataset(DATA, PLAIN, 64, down_sampling=down))
    others = [i for i, item in enumerate(DATA["item"]) if item != "i0"]
    assert set(others) <= set(rows)
    assert len(rows) < len(others) + 20


# === Messages ===


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: DownSampleNegatives(rate=0),
            "above 0 and at most 1. Received: rate=0",
        ),
        (
            lambda: DownSampleNegatives(rate=0.5, seed=-1),
            "at least 0. Received: seed=-1",
        ),
        (
            lambda: DownSampleFrequent(feature="item", counts={"a": 1}, threshold=0),
            "`threshold` must be above 0. Received: threshold=0",
        ),
        (
            lambda: DownSampleFrequent(feature="item", counts={"a": 0}, threshold=1),
            "positive number of examples for each value. Received: {'a': 0}",
        ),
        (
            lambda: DownSampleFrequent(
                feature="item", counts={"a": 1}, threshold=1, seed=-2
            ),
            "at least 0. Received: seed=-2",
        ),
        (
            lambda: DownSampleNegatives(rate=0.5, label="no").column(SCHEMA),
            "binary label of the schema. Received: label='no'; the schema has .*click",
        ),
        (
            lambda: DownSampleFrequent(
                feature="no", counts={"a": 1}, threshold=1
            ).column(SCHEMA),
            "CategoricalFeature of the schema. Received: feature='no'; .*'hour'",
        ),
    ],
)
def test_messages(make, message):
    with pytest.raises(ValueError, match=message):
        make()
