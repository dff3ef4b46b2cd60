"""Histories in TFRecords become the batches that arrays make of them."""

import dataclasses

import numpy as np
import pytest

from keras_recs import Schema, SequenceFeature
from keras_recs.data import next_item_batches, sequence_dataset
from tests.samples import example, write_records, write_vocabulary

T = 4
NAMES = [f"m{i}" for i in range(8)]  # rows 2 … 9
HISTORIES = [
    ["m0"],
    ["m1", "m2"],
    ["m0", "m1", "m2", "m3", "m4"],
    ["m7", "m6", "m5", "m4", "m3", "m2", "m1"],
    ["m3", "new", "m3"],
    ["m4", "", "m5"],
]
ROWS = [
    [NAMES.index(name) + 2 if name in NAMES else 1 for name in history if name]
    for history in HISTORIES
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("histories")
    feature = SequenceFeature("movie", max_length=T, padding="left")
    fitted = write_vocabulary(folder / "movie.txt", NAMES)
    schema = Schema([feature], group_key="user", vocabularies={"movie": fitted})
    rows = [{"movie": h, "user": f"u{i}"} for i, h in enumerate(HISTORIES)]
    return write_records(folder / "train.tfrecord", map(example, rows)), schema


def padded(rows, length):
    rows = list(rows)[-length:]
    return [0] * (length - len(rows)) + rows


def joined(dataset):
    parts = list(dataset.as_numpy_iterator())
    y = {name: np.concatenate([p[1][name] for p in parts]) for name in parts[0][1]}
    return np.concatenate([p[0]["movie"] for p in parts]), y


def test_next_items(data):
    dataset = sequence_dataset(*data, 4, shuffle=False)
    assert int(dataset.cardinality()) == 2
    rows, y = joined(dataset)
    assert rows.tolist() == [padded(history[:-1], T) for history in ROWS]
    assert y["next_item"].tolist() == [padded(history[1:], T) for history in ROWS]
    assert rows.dtype == y["next_item"].dtype == np.int32
    # As arrays are, which leave out histories of one event.
    batches = next_item_batches(ROWS, T, 9)
    expected = {
        (tuple(x), tuple(t))
        for x, t in zip(batches[0][0]["items"], batches[0][1]["next_item"])
    }
    found = set(zip(map(tuple, rows), map(tuple, y["next_item"])))
    assert found - expected == {((0,) * T, (0,) * T)} and expected < found


def test_seen(data):
    dataset = sequence_dataset(*data, 6, shuffle=False, with_seen=True)
    rows, y = joined(dataset)
    assert rows.tolist() == [padded(history[:-1], T) for history in ROWS]
    assert y["next_item"].tolist() == [padded(history[1:], T) for history in ROWS]
    for seen, history in zip(y["seen"], ROWS):
        assert sorted(seen[seen != 0]) == sorted(history[:-1])


@pytest.mark.parametrize("max_masked", [None, 1])
def test_masks(data, max_masked):
    options = {"mask_row": 1, "mask_rate": 0.5, "max_masked": max_masked}
    dataset = sequence_dataset(*data, 6, shuffle=False, last_rate=0, **options)
    rows, y = joined(dataset)
    most = max_masked or 2
    assert y["next_item"].shape == y["places"].shape == (6, most)
    for row, targets, places, history in zip(rows, y["next_item"], y["places"], ROWS):
        whole = padded(history, T)
        length = min(len(history), T)
        hidden = [p for t, p in zip(targets, places) if t]
        wanted = 0 if length == 1 else min(most, max(1, round(0.5 * length)))
        assert len(set(hidden)) == len(hidden) == wanted
        assert [whole[place] for place in hidden] == [t for t in targets if t]
        assert [0 if i in hidden else v for i, v in enumerate(whole)] == [
            0 if i in hidden else v for i, v in enumerate(row)
        ]
        assert all(row[place] == 1 for place in hidden)


def test_draws_and_order(data, tmp_path):
    """Of the seed and the epoch alone; a share of examples hides the last event."""

    def epochs(seed):
        dataset = sequence_dataset(*data, 2, mask_row=1, seed=seed)
        return [joined(dataset) for _ in range(2)]

    def same(a, b):
        parts = zip([a[0], *a[1].values()], [b[0], *b[1].values()])
        return all(np.array_equal(x, y) for x, y in parts)

    first, again, other = epochs(0), epochs(0), epochs(1)
    assert same(first[0], again[0]) and same(first[1], again[1])
    assert not same(first[0], first[1]) and not same(first[0], other[0])
    records = [example({"movie": NAMES[:3], "user": "u"})] * 400
    path = write_records(tmp_path / "same.tfrecord", records)
    rows, _ = joined(
        sequence_dataset(path, data[1], 400, mask_row=1, mask_rate=1.0, last_rate=0.5)
    )
    counts = (rows == 1).sum(1)
    assert set(counts) == {1, 3} and (rows[:, -1] == 1).all()
    share = (counts == 1).mean()  # four standard deviations
    assert abs(share - 1 / 3) < 4 * np.sqrt(1 / 3 * 2 / 3 / 400)


def test_bad_input(data):
    files, schema = data
    right = dataclasses.replace(schema.features[0], padding="right")
    other = dataclasses.replace(schema, features=[right])
    with pytest.raises(ValueError, match=r"`items` must name.*'movie': 'right'"):
        sequence_dataset(files, other, 2)
    with pytest.raises(ValueError, match=r"`items` must name.*items='goods'"):
        sequence_dataset(files, schema, 2, items="goods")
    with pytest.raises(ValueError, match=r"`with_seen` is for.*mask_row=1"):
        sequence_dataset(files, schema, 2, with_seen=True, mask_row=1)
    with pytest.raises(ValueError, match=r"`mask_rate` must.*mask_rate=0"):
        sequence_dataset(files, schema, 2, mask_row=1, mask_rate=0)
    with pytest.raises(ValueError, match=r"`max_masked` must.*max_masked=0"):
        sequence_dataset(files, schema, 2, mask_row=1, max_masked=0)
