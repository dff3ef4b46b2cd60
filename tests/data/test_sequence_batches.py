"""Batches of sequences beside loops over users; counts and shares of masks."""

import itertools

import numpy as np
import pytest

from keras_recs.data import UniformSampler, masked_item_batches, next_item_batches

NUM_ITEMS = 60
# Lengths from 1, which is left out, to 12; each item is in one place alone.
LENGTHS = [1, 2, 3, 5, 12, 9, 7, 4, 8, 2]
SPLITS = np.cumsum([0, *LENGTHS])
SEQUENCES = [np.arange(a, b) + 2 for a, b in itertools.pairwise(SPLITS)]
T = 8


def epoch_of(batches):
    """All batches of the epoch that comes, joined: rows, targets as dicts."""
    parts = [batches[i] for i in range(batches.num_batches)]
    rows = np.concatenate([x["items"] for x, _ in parts])
    y = {name: np.concatenate([y[name] for _, y in parts]) for name in parts[0][1]}
    return rows, y


def padded(items):
    items = list(items)[-T:]
    return [0] * (T - len(items)) + items


def restored(rows, y):
    """Rows with what stood at masked places, and which were masked."""
    rows, is_masked = rows.copy(), np.zeros(rows.shape, bool)
    for b, (targets, places) in enumerate(zip(y["next_item"], y["places"])):
        for target, place in zip(targets, places):
            if target:
                assert rows[b, place] == 1, "twice the same place, or no mask"
                rows[b, place], is_masked[b, place] = target, True
    assert not (rows == 1).any()
    return rows, is_masked


def test_next_items():
    batches = next_item_batches(SEQUENCES, T, 4)
    rows, y = epoch_of(batches)
    expected = {
        (tuple(padded(items[:-1])), tuple(padded(items[1:])))
        for items in SEQUENCES
        if len(items) > 1
    }
    found = {(tuple(x), tuple(t)) for x, t in zip(rows, y["next_item"])}
    assert found == expected and len(rows) == len(expected) == 9
    assert rows.dtype == y["next_item"].dtype == np.int32


def test_like_lengths():
    """The examples of the plain batches, each once, without what is padding in all."""
    plain, y = epoch_of(next_item_batches(SEQUENCES, T, 4))
    expected = sorted(map(tuple, np.concatenate([plain, y["next_item"]], 1)))
    sampler = UniformSampler(NUM_ITEMS)
    batches = next_item_batches(SEQUENCES, T, 2, sampler=sampler, lengths=(3, 5))
    assert batches.num_batches == 2 + 1 + 2  # of 4, 2 and 3 users
    orders = set()
    for _ in range(20):
        found, lengths = [], []
        for i in range(batches.num_batches):
            x, y = batches[i]
            length = x["items"].shape[1]
            assert y["next_item"].shape == (len(x["items"]), length)
            assert y["negatives"].shape == (len(x["items"]), length, 1)
            needed = np.count_nonzero(x["items"], axis=1).max()
            assert length == min(size for size in (3, 5, T) if size >= needed)
            lengths.append(length)
            for pair in zip(x["items"], y["next_item"]):
                found.append(
                    tuple(
                        np.concatenate([[0] * (T - length) + list(row) for row in pair])
                    )
                )
        assert sorted(found) == expected
        assert lengths[0] != lengths[1]
        orders.add(tuple(lengths))
        batches.on_epoch_end()
    assert len(orders) > 5
    whole = next_item_batches(SEQUENCES, T, 2, lengths=(3, 5), drop_remainder=True)
    assert whole.num_batches == 2 + 1 + 1
    assert {len(whole[i][0]["items"]) for i in range(4)} == {2}
    with pytest.raises(ValueError, match=r"`lengths` must be.*lengths=\(9,\)"):
        next_item_batches(SEQUENCES, T, 2, lengths=(9,))


def test_negatives_are_not_of_the_user():
    sampler = UniformSampler(NUM_ITEMS)
    batches = next_item_batches(SEQUENCES, T, 4, sampler=sampler, num_negatives=5)
    rows, y = epoch_of(batches)
    assert y["negatives"].shape == (9, T, 5) and y["negatives"].dtype == np.int32
    for row, negatives in zip(rows, y["negatives"]):
        own = next(s for s in SEQUENCES if row[-1] in s)
        assert not np.isin(negatives, own).any()
        assert negatives.min() >= 2 and negatives.max() < 2 + NUM_ITEMS


@pytest.mark.parametrize("stride", [T, 3])
def test_windows(stride):
    """With a stride of T each pair is in one example, with a smaller one in some."""
    sampler = UniformSampler(NUM_ITEMS)
    batches = next_item_batches(SEQUENCES, T, 3, sampler=sampler, stride=stride)
    rows, y = epoch_of(batches)
    assert len(rows) == batches.num_examples
    pairs = [
        (int(item), int(after))
        for x, t in zip(rows, y["next_item"])
        for item, after in zip(x, t)
        if after
    ]
    expected = {(int(a), int(b)) for s in SEQUENCES for a, b in itertools.pairwise(s)}
    assert set(pairs) == expected and (len(pairs) == len(expected)) == (stride == T)
    for row, negatives in zip(rows, y["negatives"]):
        own = next(s for s in SEQUENCES if row[-1] in s)
        assert not np.isin(negatives, own).any()
    newest = {tuple(padded(s[:-1])) for s in SEQUENCES if len(s) > 1}
    assert newest < set(map(tuple, rows))


@pytest.mark.parametrize("rate", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("max_masked", [None, 3])
def test_counts_of_masks(rate, max_masked):
    batches = masked_item_batches(
        SEQUENCES, T, 4, mask_rate=rate, max_masked=max_masked, last_rate=0
    )
    rows, y = epoch_of(batches)
    most = min(max_masked or T, round(rate * T))
    assert y["next_item"].shape == y["places"].shape == (9, most)
    assert {rows.dtype, *(v.dtype for v in y.values())} == {np.dtype("int32")}
    whole, is_masked = restored(rows, y)
    assert sorted(map(tuple, whole)) == sorted(
        tuple(padded(s)) for s in SEQUENCES if len(s) > 1
    )
    for row, masked in zip(whole, is_masked):
        length = np.count_nonzero(row)
        expected = min(max_masked or T, max(1, round(rate * length)))
        assert masked.sum() == expected


def test_last_items():
    batches = masked_item_batches(SEQUENCES, T, 5, mask_rate=0.5, last_rate=1.0)
    assert batches.num_batches == 4
    rows, y = epoch_of(batches)
    whole, is_masked = restored(rows, y)
    expected = sorted(2 * [tuple(padded(s)) for s in SEQUENCES if len(s) > 1])
    assert sorted(map(tuple, whole)) == expected
    # Of each user one example at least has the last item masked alone.
    alone = is_masked[:, -1] & (is_masked.sum(1) == 1)
    assert {tuple(row) for row in whole[alone]} == set(expected)


def test_share_of_last_items():
    sequences = [np.arange(8) + 2] * 40
    batches = masked_item_batches(sequences, T, 10, mask_rate=0.5, last_rate=0.25)
    assert batches.num_batches == 5
    for _ in range(3):
        _, y = epoch_of(batches)
        alone = (y["next_item"] != 0).sum(1) == 1
        assert alone.sum() == 10
        np.testing.assert_array_equal(y["places"][alone, 0], T - 1)
        batches.on_epoch_end()


def test_each_place_is_masked_as_often():
    """Four standard deviations, of the places alone and of pairs of them."""
    n = 3000
    batches = masked_item_batches(
        [np.arange(6) + 2] * n, T, n, mask_rate=0.5, last_rate=0
    )
    rows, _ = batches[0]
    is_masked = rows["items"][:, 2:] == 1
    assert not rows["items"][:, :2].any()
    share = is_masked.mean(0)
    assert np.abs(share - 0.5).max() < 4 * np.sqrt(0.25 / n)
    # Without replacement: two of six given three are drawn, 3/6 · 2/5.
    both = (is_masked.T @ is_masked.astype(float)) / n
    pairs = both[np.triu_indices(6, 1)]
    assert np.abs(pairs - 0.2).max() < 4 * np.sqrt(0.16 / n)


@pytest.mark.parametrize("make", [next_item_batches, masked_item_batches])
def test_epochs(make):
    """Each has its own order and draws, by its number and the seed alone."""

    def contents(seed, epoch):
        batches = make(SEQUENCES, T, 4, seed=seed)
        batches.epoch = epoch
        return [batches[i] for i in (1, 0)]

    def same(a, b):
        return all(
            np.array_equal(p[0]["items"], q[0]["items"])
            and all(np.array_equal(p[1][name], q[1][name]) for name in p[1])
            for p, q in zip(a, b)
        )

    assert same(contents(0, 3), contents(0, 3))
    assert not same(contents(0, 3), contents(0, 4))
    assert not same(contents(0, 3), contents(1, 3))
    batches = make(SEQUENCES, T, 4, seed=0)
    for _ in range(3):
        batches.on_epoch_end()
    assert same([batches[1], batches[0]], contents(0, 3))


def test_masks_differ_from_epoch_to_epoch():
    batches = masked_item_batches([np.arange(8) + 2], T, 1, last_rate=0)
    found = set()
    for epoch in range(60):
        batches.epoch = epoch
        found.add(tuple(sorted(batches[0][1]["places"][0])))
    assert len(found) > 15  # of 28 pairs of places


@pytest.mark.parametrize("make", [next_item_batches, masked_item_batches])
def test_remainder(make):
    assert make(SEQUENCES, T, 4, drop_remainder=False).num_batches == 3
    batches = make(SEQUENCES, T, 4, drop_remainder=True)
    assert batches.num_batches == 2
    assert len(epoch_of(batches)[0]) == 8


@pytest.mark.parametrize("make", [next_item_batches, masked_item_batches])
def test_bad_input(make):
    with pytest.raises(ValueError, match=r"`max_length` must be.*max_length=0"):
        make(SEQUENCES, 0, 4)
    with pytest.raises(ValueError, match=r"`batch_size` must be.*batch_size=2\.5"):
        make(SEQUENCES, T, 2.5)
    with pytest.raises(ValueError, match=r"two items at least.*Received: 1 sequences"):
        make([[2]], T, 4)


@pytest.mark.parametrize("make", [next_item_batches, masked_item_batches])
def test_bad_rows(make):
    for rows, found in (([0, 2, 3], "0 to 3"), ([3, -7, 10**10], "-7 to 10000000000")):
        with pytest.raises(ValueError, match=rf"must be rows.*Received: from {found}"):
            make([[2, 3], rows], T, 4)
    with pytest.raises(ValueError, match=r"leave 0, which is padding, out.*from 0"):
        make(np.array([[0, 0, 2, 3], [2, 3, 4, 5]]), T, 4)
    with pytest.raises(TypeError, match=r"must hold integers.*Received: dtype=float64"):
        make([[2.7, 3.2], [4, 5]], T, 4)
    with pytest.raises(TypeError, match=r"number them.*return_inverse.*dtype=<U1"):
        make([["a", "b", "c"]], T, 4)
    with pytest.raises(TypeError, match=r"of each user.*Received.*shape \(4, 2\)"):
        make([[[2, 3], [4, 5]], [[2, 3], [4, 5]]], T, 4)


def test_rows_beyond_the_sampler():
    with pytest.raises(ValueError, match=r"before 5\. Received: from 2 to 5"):
        next_item_batches([[2, 5]], T, 4, sampler=UniformSampler(3))


def test_unknown_items_of_histories():
    """They are in no set of what negatives avoid; a user's own items all are."""
    sampler = UniformSampler(4)
    sequences = [[1, 2, 3, 1, 4], [1, 1], [5, 1, 2]]
    batches = next_item_batches(sequences, T, 3, sampler=sampler, num_negatives=50)
    x, y = batches[0]
    rows = np.concatenate([x["items"], y["next_item"]], 1)
    assert len(rows) == 3
    for row, negatives in zip(rows, y["negatives"]):
        assert set(negatives.flat) == {2, 3, 4, 5} - set(row.tolist())


def test_windows_that_would_lose_pairs():
    with pytest.raises(ValueError, match=r"`stride` must be at most.*stride=9, max"):
        next_item_batches(SEQUENCES, T, 4, stride=9)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("mask_rate", 0), ("mask_rate", 1.5), ("last_rate", -0.1), ("max_masked", 0)],
)
def test_bad_masks(argument, value):
    with pytest.raises(ValueError, match=rf"`{argument}` must be.*{argument}={value}"):
        masked_item_batches(SEQUENCES, T, 4, **{argument: value})
