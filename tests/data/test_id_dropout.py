"""Ids put out of vocabulary in training, and the counts that decide about it."""

import collections

import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, MultiValuedFeature, Schema
from keras_recs.data import array_dataset, id_dropout, row_counts
from tests import samples

NUM_ROWS = 3000
SCHEMA = Schema(
    features=[
        CategoricalFeature("item", vocabulary_size=3, num_oov=2),
        MultiValuedFeature("seen", table="item"),
        CategoricalFeature("hour", vocabulary_size=24),
        CategoricalFeature("key", max_keys=9),
    ],
    labels=[Label("click")],
)
RNG = np.random.default_rng(0)
DATA = {
    "item": RNG.choice(3, NUM_ROWS, p=[0.8, 0.19, 0.01]),
    "seen": [list(range(i % 4)) for i in range(NUM_ROWS)],
    "hour": np.arange(NUM_ROWS) % 24,
    "key": ["k"] * NUM_ROWS,
    "click": np.arange(NUM_ROWS) % 2,
}


@pytest.fixture(scope="module")
def batches():
    return array_dataset(DATA, SCHEMA, 64, shuffle=False)


def column(dataset, name):
    return np.concatenate([batch[0][name].numpy() for batch in dataset])


def test_counts_of_rows(click_schema, batches):
    counts = row_counts(batches, SCHEMA)
    assert set(counts) == {"item", "hour"}, "keys that are learnt have no rows yet"
    expected = collections.Counter(DATA["item"].tolist())
    expected.update(value for values in DATA["seen"] for value in values)
    assert counts["item"].tolist() == [0, 0, 0, *(expected[i] for i in range(3))]
    assert counts["hour"].tolist() == [0, 0] + [125] * 24
    data = array_dataset(samples.click_columns(40), click_schema, 16)
    counts = row_counts(data, click_schema)
    assert {n: len(c) for n, c in counts.items()} == {
        name: table.num_rows for name, table in click_schema.tables.items()
    }
    assert all(count[0] == 0 for count in counts.values())


def test_a_constant_rate(batches):
    before = column(batches, "item")
    dataset = batches.apply(id_dropout(SCHEMA, ["item"], rate=0.3))
    assert dataset.cardinality() == batches.cardinality()
    assert dataset.element_spec == batches.element_spec
    first, second = column(dataset, "item"), column(dataset, "item")
    replaced = first != before
    assert abs(replaced.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / NUM_ROWS)
    ones = (first[replaced] == 1).mean()
    assert set(first[replaced].tolist()) == {1, 2}
    assert abs(ones - 0.5) < 4 * np.sqrt(0.25 / replaced.sum())
    assert (first != second).any(), "anew in each epoch"
    again = batches.apply(id_dropout(SCHEMA, ["item"], rate=0.3))
    np.testing.assert_array_equal(column(again, "item"), first, "the seed decides")
    other = batches.apply(id_dropout(SCHEMA, ["item"], rate=0.3, seed=1))
    assert (column(other, "item") != first).any()
    for name in ("seen", "hour", "key"):
        np.testing.assert_array_equal(column(dataset, name), column(batches, name))
    labels = [batch[1]["click"].numpy() for batch in dataset]
    np.testing.assert_array_equal(np.concatenate(labels)[:, 0], DATA["click"])


def test_by_count(batches):
    """a / (a + n) for an id with n occurrences, in both features of the table."""
    counts = row_counts(batches, SCHEMA)
    transform = id_dropout(SCHEMA, ["item", "seen"], counts=counts, strength=500.0)
    dataset = batches.apply(transform)
    for name in ("item", "seen"):
        before, after = column(batches, name), column(dataset, name)
        assert (after[before == 0] == 0).all(), "padding stays"
        for row in (3, 4, 5):
            chance = 500 / (500 + counts["item"][row])
            values = after[before == row]
            deviation = np.sqrt(chance * (1 - chance) / len(values))
            assert abs((values != row).mean() - chance) < 4 * deviation
    # Each feature has draws of its own.
    both = (column(batches, "item") == 3) & (column(batches, "seen")[:, 0] == 3)
    first = column(dataset, "item")[both] != 3
    second = column(dataset, "seen")[both, 0] != 3
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(both.sum())


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_none_and_all(batches, rate):
    after = column(batches.apply(id_dropout(SCHEMA, ["item"], rate=rate)), "item")
    assert ((after != column(batches, "item")) == bool(rate)).all()


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (["item"], {}, "one of them. Received: rate=None, strength=None"),
        (["item"], {"rate": 0.1, "strength": 1.0}, "rate=0.1, strength=1.0"),
        (["item"], {"rate": 1.5}, "`rate` must be in 0 … 1. Received: rate=1.5"),
        (["item"], {"strength": 0.0}, "above 0 and finite. Received: strength=0.0"),
        (["item"], {"strength": 1.0}, r"the 6 counts of table 'item'. .*shape \(0,\)"),
        (["no"], {"rate": 0.1}, "rows of ids.*Received: 'no'; the schema has"),
        (["key"], {"rate": 0.1}, "without `max_keys`. Received: 'key'"),
    ],
)
def test_messages(features, options, message):
    with pytest.raises(ValueError, match=message):
        id_dropout(SCHEMA, features, **options)
