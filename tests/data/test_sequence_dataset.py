"""Histories in TFRecords become the batches that arrays make of them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_recs import Schema, SequenceFeature
from keras_recs.data import (
    PopularitySampler,
    UniformSampler,
    next_item_batches,
    read_histories,
    sequence_dataset,
)
from tests.samples import example, write_records, write_vocabulary

T = 4
V = 12
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


@pytest.mark.parametrize("has_key", [True, False])
@pytest.mark.parametrize("kind", ["uniform", "popular"])
def test_unseen_negatives(kind, has_key, tmp_path):
    """None is an item of the user, whichever record and place it is in."""
    rng = np.random.default_rng(0)
    feature = SequenceFeature("movie", vocabulary_size=V, max_length=T, padding="left")
    schema = Schema([feature], group_key="user" if has_key else None)
    rows, own = [], {}
    for user in range(30):
        # Most have windows in both files, and items before the last T + 1 ones.
        for window in range(1 + rng.integers(3)):
            items = rng.choice(V, 4) if window else rng.choice(4, 9)
            items = [*items.tolist(), 99] if user % 5 == 0 else items.tolist()
            key = f"u{user}" if has_key else len(rows)
            own.setdefault(key, set()).update(items)
            rows.append({"movie": items, "user": f"u{user}"})
    order = rng.permutation(len(rows))
    for part in range(2):
        records = [example(rows[i]) for i in order[part::2]]
        write_records(tmp_path / f"train-{part}.tfrecord", records)
    sampler = UniformSampler(V)
    if kind == "popular":
        sampler = PopularitySampler(np.arange(1, V + 1), 0.5)
    options = {"sampler": sampler, "num_negatives": 5, "shuffle": False}
    dataset = sequence_dataset(f"{tmp_path}/train-*", schema, 7, **options)
    users = [
        i if not has_key else rows[i]["user"] for p in range(2) for i in order[p::2]
    ]
    drawn = [joined(dataset)[1]["negatives"] for _ in range(2)]
    assert not np.array_equal(*drawn) and drawn[0].dtype == np.int32
    again = sequence_dataset(f"{tmp_path}/train-*", schema, 7, **options)
    np.testing.assert_array_equal(joined(again)[1]["negatives"], drawn[0])
    free = set()
    for negatives in drawn:
        assert negatives.shape == (len(rows), T, 5)
        for user, mine in zip(users, negatives):
            ids = set((mine - 2).ravel().tolist())
            assert not ids & own[user] and ids <= set(range(V))
            free |= {(user, i) for i in ids}
    # What is left is drawn.
    left = {(u, i) for u in own for i in range(V) if i not in own[u]}
    assert len(free) > 0.95 * len(left)
    # On the way to training, too, with another order.
    shuffled = sequence_dataset(
        f"{tmp_path}/train-*", schema, 7, sampler=sampler, num_negatives=2, seed=3
    )
    for inputs, y in shuffled.as_numpy_iterator():
        for mine, negatives in zip(inputs["movie"], y["negatives"]):
            assert not set(mine[mine > 0]) & set(negatives.ravel())


def test_what_else_is_known(tmp_path):
    """Beside the event, not the one that is to be foretold; masks hide it."""
    options = {"vocabulary_size": 9, "max_length": T, "padding": "left"}
    features = [SequenceFeature(name, **options) for name in ("kind", "movie")]
    schema = Schema(features, group_key="user")
    histories = [[1, 2, 3, 4, 5, 6], [7, 8], [3, 99, 5]]
    kinds = [[2, 3, 4, 5, 6, 7], [], [0, 8, 99]]
    rows = [
        {"movie": movies, "user": f"u{i}", **({"kind": own} if own else {})}
        for i, (movies, own) in enumerate(zip(histories, kinds))
    ]
    files = write_records(tmp_path / "train.tfrecord", map(example, rows))
    named = {"items": "movie", "features": ["kind"], "shuffle": False}

    def rows_of(values):
        return [i + 2 if i < 9 else 1 for i in values]

    for with_seen in (False, True):
        dataset = sequence_dataset(files, schema, 3, with_seen=with_seen, **named)
        ((inputs, y),) = dataset.as_numpy_iterator()
        assert list(inputs) == ["movie", "kind"]
        for i, (movies, own) in enumerate(zip(histories, kinds)):
            assert inputs["movie"][i].tolist() == padded(rows_of(movies)[:-1], T)
            assert inputs["kind"][i].tolist() == padded(rows_of(own)[:-1], T)
            assert y["next_item"][i].tolist() == padded(rows_of(movies)[1:], T)
    dataset = sequence_dataset(files, schema, 3, mask_row=1, **named)
    ((inputs, y),) = dataset.as_numpy_iterator()
    for i, own in enumerate(kinds):
        hidden = [p for t, p in zip(y["next_item"][i], y["places"][i]) if t]
        whole = padded(rows_of(own), T)
        assert hidden and inputs["kind"][i].tolist() == [
            0 if place in hidden else value for place, value in enumerate(whole)
        ]
    rows[0]["kind"] = [1, 2]
    files = write_records(tmp_path / "shifted.tfrecord", map(example, rows))
    dataset = sequence_dataset(files, schema, 3, **named)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"Feature kind must have a value for each"
    ):
        list(dataset)


def test_whole_histories(data):
    found = read_histories(*data)
    assert [history.tolist() for history in found] == ROWS
    with pytest.raises(ValueError, match=r"`items` must name.*items='goods'"):
        read_histories(*data, items="goods")


def test_bad_input(data, tmp_path):
    files, schema = data
    right = dataclasses.replace(schema.features[0], padding="right")
    other = dataclasses.replace(schema, features=[right])
    with pytest.raises(ValueError, match=r"`items` must name.*'movie': 'right'"):
        sequence_dataset(files, other, 2)
    with pytest.raises(ValueError, match=r"`items` must name.*items='goods'"):
        sequence_dataset(files, schema, 2, items="goods")
    with pytest.raises(
        ValueError, match=r"`with_seen` and `s.*with_seen=True, mask_ro"
    ):
        sequence_dataset(files, schema, 2, with_seen=True, mask_row=1)
    sampler = UniformSampler(8)
    with pytest.raises(ValueError, match=r"`with_seen` and `sampler` are for.*_row=1"):
        sequence_dataset(files, schema, 2, sampler=sampler, mask_row=1)
    with pytest.raises(ValueError, match=r"`sampler` must draw from the 8 items.*=7"):
        sequence_dataset(files, schema, 2, sampler=UniformSampler(7))
    with pytest.raises(ValueError, match=r"`num_negatives` must be.*num_negatives=0"):
        sequence_dataset(files, schema, 2, sampler=sampler, num_negatives=0)
    with pytest.raises(ValueError, match=r"`features` must name further.*'kind'"):
        sequence_dataset(files, schema, 2, features=["kind"])
    record = example({"movie": NAMES, "user": "u 7"})
    greedy = write_records(tmp_path / "all.tfrecord", [record])
    with pytest.raises(ValueError, match=r"`sampler` must have an item.*b'u 7', whose"):
        sequence_dataset(greedy, schema, 1, sampler=sampler)
    with pytest.raises(ValueError, match=r"`mask_rate` must.*mask_rate=0"):
        sequence_dataset(files, schema, 2, mask_row=1, mask_rate=0)
    with pytest.raises(ValueError, match=r"`max_masked` must.*max_masked=0"):
        sequence_dataset(files, schema, 2, mask_row=1, max_masked=0)
