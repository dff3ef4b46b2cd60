"""Batches of sequences beside loops over users; counts and shares of masks."""

import itertools

import numpy as np
import pytest

from keras_recs.data import (
    HardNegatives,
    ItemSets,
    NegativeWeights,
    PopularitySampler,
    UniformSampler,
    masked_item_batches,
    next_item_batches,
)

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


# === What belongs to negatives ===

POPULARITY = np.random.default_rng(5).integers(0, 4, NUM_ITEMS)
POPULARITY[50:] = 2  # some items are never drawn
CHANCES = np.sqrt(POPULARITY) / np.sqrt(POPULARITY).sum()


def test_expected_draws_of_a_place():
    sampler = PopularitySampler(POPULARITY, 0.5)
    options = {"sampler": sampler, "num_negatives": 5, "correct": True}
    _, y = epoch_of(next_item_batches(SEQUENCES, T, 4, **options))
    assert y["log_counts"].shape == (9, T, 6) and y["log_counts"].dtype == np.float32
    rows = np.concatenate([y["next_item"][..., None], y["negatives"]], -1)
    least = CHANCES[CHANCES > 0].min()
    expected = np.log(5 * np.maximum(CHANCES, least))[np.maximum(rows - 2, 0)]
    there = np.broadcast_to(y["next_item"][..., None] > 0, rows.shape)
    np.testing.assert_allclose(y["log_counts"][there], expected[there], rtol=1e-5)
    assert np.isfinite(y["log_counts"]).all()
    assert (CHANCES[rows[there] - 2] == 0).any(), "targets that are never drawn"


@pytest.mark.parametrize("options", [{}, {"stride": 3}, {"lengths": (3,)}])
def test_shared_draws(options):
    sampler = PopularitySampler(POPULARITY + 1, 0.5)
    batches = next_item_batches(
        SEQUENCES,
        T,
        4,
        sampler=sampler,
        num_negatives=50,
        shared=True,
        correct=True,
        **options,
    )
    parts = [batches[number] for number in range(batches.num_batches)]
    counts = np.zeros(NUM_ITEMS)
    for _, y in parts:
        np.add.at(counts, y["next_item"][y["next_item"] > 0] - 2, 1)
    chances = np.sqrt(POPULARITY + 1) / np.sqrt(POPULARITY + 1).sum()
    expected = np.log(counts / len(parts) + 50 * chances)
    drawn = set()
    for x, y in parts:
        assert y["negatives"].shape == (50,) and y["negatives"].dtype == np.int32
        drawn.add(tuple(y["negatives"]))
        rows = np.concatenate([y["next_item"].reshape(-1), y["negatives"]])
        assert y["log_counts"].shape == rows.shape and len(rows) == 50 + x["items"].size
        there = rows > 0
        np.testing.assert_allclose(
            y["log_counts"][there], expected[rows[there] - 2], rtol=1e-5
        )
    assert len(drawn) == len(parts)


@pytest.mark.parametrize("shared", [False, True])
def test_weights_of_negatives(shared):
    """Near duplicates and skipped items; users are numbers of all sequences."""
    near = [[(item + 17) % NUM_ITEMS, (item + 29) % NUM_ITEMS] for item in range(60)]
    duplicates = ItemSets(np.ravel(near), np.arange(0, 121, 2), NUM_ITEMS)
    skips = [np.arange(user, 60, 7) for user in range(len(SEQUENCES))]
    splits = np.cumsum([0, *map(len, skips)])
    skipped = ItemSets(np.concatenate(skips), splits, NUM_ITEMS)
    weigh = NegativeWeights(duplicates, 0.1, skipped, 3.0)
    batches = next_item_batches(
        SEQUENCES,
        T,
        4,
        sampler=UniformSampler(NUM_ITEMS),
        num_negatives=20,
        shared=shared,
        negative_weights=weigh,
        stride=3,
    )
    found = set()
    for number in range(batches.num_batches):
        x, y = batches[number]
        weights = y["negative_weights"]
        assert weights.shape == (*y["next_item"].shape, 20)
        assert weights.dtype == np.float32
        for place in zip(*np.nonzero(y["next_item"])):
            (user,) = [i for i, s in enumerate(SEQUENCES) if x["items"][place] in s]
            negatives = y["negatives"] if shared else y["negatives"][place]
            for negative, weight in zip(negatives - 2, weights[place]):
                is_near = negative in near[y["next_item"][place] - 2]
                expected = (0.1 if is_near else 1) * (
                    3 if negative in skips[user] else 1
                )
                assert weight == pytest.approx(expected)
                found.add(round(expected, 2))
    assert found == {0.1, 0.3, 1, 3}


def test_weights_of_another_kind():
    options = {"sampler": UniformSampler(NUM_ITEMS), "num_negatives": 3}

    def first(weights, **more):
        batches = next_item_batches(
            SEQUENCES, T, 4, negative_weights=lambda *_: weights, **options, **more
        )
        return batches[0][1]["negative_weights"]

    np.testing.assert_array_equal(first(np.arange(3.0), shared=True), [0, 1, 2])
    with pytest.raises(ValueError, match=r"\(4, 8, 3\) of at least.*shape \(3,\)"):
        first(np.ones(3))
    with pytest.raises(ValueError, match=r"or \(3,\) of at least 0.*least -1\.0"):
        first(np.array([1, -1, 1]), shared=True)
    with pytest.raises(ValueError, match=r"must be at least 0.*skipped_weight=-0\.5"):
        NegativeWeights(skipped_weight=-0.5)


def test_what_needs_a_sampler():
    for option in ({"shared": True}, {"correct": True}, {"negative_weights": len}):
        with pytest.raises(ValueError, match=r"need a `sampler`.*sampler=None"):
            next_item_batches(SEQUENCES, T, 4, **option)
    hard = HardNegatives(UniformSampler(NUM_ITEMS), 20, 2)
    with pytest.raises(TypeError, match=r"HardNegatives needs.*hard_negatives=…"):
        next_item_batches(SEQUENCES, T, 4, sampler=hard)


@pytest.mark.parametrize("stride", [None, 3])
def test_seen(stride):
    """All before the last target, also what the window does not have."""
    batches = next_item_batches(SEQUENCES, T, 4, stride=stride, with_seen=True)
    rows, y = epoch_of(batches)
    assert y["seen"].shape == (len(rows), 11) and y["seen"].dtype == np.int32
    for row, targets, seen in zip(rows, y["next_item"], y["seen"]):
        (own,) = [s.tolist() for s in SEQUENCES if row[-1] in s]
        before = own[: own.index(targets[-1])]
        assert seen.tolist() == [0] * (11 - len(before)) + before


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
