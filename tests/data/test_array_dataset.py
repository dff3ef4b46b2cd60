"""Columns in memory to batches."""

import itertools

import numpy as np
import pandas as pd
import pytest

from keras_recs import CategoricalFeature, Label, MultiValuedFeature, Schema
from keras_recs.data import array_dataset
from tests import samples

NUM_ROWS = 53


@pytest.fixture(scope="module")
def columns():
    return samples.click_columns(NUM_ROWS)


@pytest.fixture(scope="module")
def ids():
    """A schema and data in which each example has a label of its own."""
    schema = Schema(
        features=[CategoricalFeature("x", vocabulary_size=100)],
        labels=[Label("number", task="regression")],
        group_key="x",
    )
    return schema, {"x": np.arange(20), "number": np.arange(20.0)}


def numbers(dataset):
    return [batch[1]["number"].numpy()[:, 0].astype(int).tolist() for batch in dataset]


def test_batches(click_schema, columns):
    dataset = array_dataset(columns, click_schema, 10, shuffle=False)
    batches = list(dataset)
    assert dataset.cardinality() == len(batches) == 6
    for inputs, labels, weights in batches:
        size = len(inputs["user"])
        assert set(inputs) == set(click_schema.feature_names)
        assert {n: t.shape.as_list() for n, t in labels.items()} == {
            "click": [size, 1],
            "rating": [size, 1],
        }
        assert {n: t.shape.as_list() for n, t in weights.items()} == {
            "click": [size],
            "rating": [size],
        }
        assert {t.dtype.name for t in (*labels.values(), *weights.values())} == {
            "float32"
        }
    labels = np.concatenate([b[1]["click"] for b in batches])[:, 0]
    np.testing.assert_array_equal(labels, columns["click"])
    weights = np.concatenate([b[2]["click"] for b in batches])
    np.testing.assert_array_equal(weights, columns["weight"])
    # A label without a weight weighs 1 where another has one.
    assert all((b[2]["rating"].numpy() == 1).all() for b in batches)


def test_no_weights_and_a_group(ids):
    schema, data = ids
    assert all(len(batch) == 2 for batch in array_dataset(data, schema, 8))
    batches = list(array_dataset(data, schema, 8, shuffle=False, with_group=True))
    assert [len(batch) for batch in batches] == [4, 4, 4]
    groups = [g for batch in batches for g in batch[3].numpy()]
    assert groups == [str(i).encode() for i in range(20)]
    assert all((batch[2]["number"].numpy() == 1).all() for batch in batches)


def test_a_frame_is_like_a_dict(click_schema, columns):
    frame = pd.DataFrame(columns)
    for left, right in zip(
        array_dataset(columns, click_schema, 16, shuffle=False),
        array_dataset(frame, click_schema, 16, shuffle=False),
    ):
        for a, b in zip(left, right):
            for name in a:
                np.testing.assert_array_equal(a[name], b[name], name)


def test_text_with_separators_is_like_lists(click_schema, columns):
    text = {
        **columns,
        **{n: ["|".join(v) for v in columns[n]] for n in ("genres", "history")},
    }
    left = next(iter(array_dataset(columns, click_schema, NUM_ROWS, shuffle=False)))
    right = next(iter(array_dataset(text, click_schema, NUM_ROWS, shuffle=False)))
    for name in ("genres", "history"):
        np.testing.assert_array_equal(left[0][name], right[0][name])


def test_the_order_is_another_in_each_epoch_and_the_seeds(ids):
    schema, data = ids

    def epochs(seed):
        dataset = array_dataset(data, schema, 8, seed=seed)
        return [list(itertools.chain(*numbers(dataset))) for _ in range(3)]

    first = epochs(1)
    assert first == epochs(1)
    assert first != epochs(2)
    assert len({tuple(epoch) for epoch in first}) == 3
    assert all(sorted(epoch) == list(range(20)) for epoch in first)


def test_drop_remainder(ids):
    schema, data = ids
    dataset = array_dataset(data, schema, 8, shuffle=False, drop_remainder=True)
    assert numbers(dataset) == [list(range(8)), list(range(8, 16))]
    assert dataset.cardinality() == 2
    assert numbers(array_dataset(data, schema, 8, shuffle=False))[2] == [16, 17, 18, 19]


def test_more_rows_than_are_preprocessed_at_once(monkeypatch):
    """The parts' multi-valued features have different widths."""
    import sys

    monkeypatch.setattr(
        sys.modules["keras_recs.data.array_dataset"], "_PREPROCESS_ROWS", 2
    )
    schema = Schema(
        features=[MultiValuedFeature("m", vocabulary_size=9)], labels=[Label("y")]
    )
    data = {"m": [[1], [], [1, 2, 3], [4], [5, 6]], "y": [0, 1, 0, 1, 1]}
    ((inputs, labels),) = array_dataset(data, schema, 5, shuffle=False)
    assert inputs["m"].numpy().tolist() == [
        [3, 0, 0],
        [0, 0, 0],
        [3, 4, 5],
        [6, 0, 0],
        [7, 8, 0],
    ]
    assert labels["y"].numpy()[:, 0].tolist() == data["y"]


def test_no_rows(ids):
    schema, _ = ids
    dataset = array_dataset({"x": [], "number": []}, schema, 8)
    assert dataset.cardinality() == 0
    assert list(dataset) == []


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, None])
def test_batch_size(ids, batch_size):
    schema, data = ids
    with pytest.raises(
        ValueError, match=f"`batch_size` must be .*batch_size={batch_size}"
    ):
        array_dataset(data, schema, batch_size)


def test_messages(ids):
    schema, data = ids
    with pytest.raises(ValueError, match="array_dataset needs a fitted schema"):
        array_dataset({}, samples.unfitted_schema(), 4)
    with pytest.raises(ValueError, match="lacks column 'number'"):
        array_dataset({"x": [1]}, schema, 4)
    without = Schema(features=schema.features, labels=schema.labels)
    with pytest.raises(
        ValueError, match="`with_group=True` needs a schema with a group key"
    ):
        array_dataset(data, without, 4, with_group=True)
