"""Batches of S3-Rec: what is masked, and whose the segments are."""

import itertools

import numpy as np
import pytest

from keras_recs.data import UniformSampler, s3rec_batches

# Lengths from 1, which is left out, to 12; each item is in one place alone.
LENGTHS = [1, 2, 3, 5, 12, 9, 7, 4, 8, 2]
SPLITS = np.cumsum([0, *LENGTHS])
SEQUENCES = [np.arange(a, b) + 2 for a, b in itertools.pairwise(SPLITS)]
OWNER = {item: i for i, items in enumerate(SEQUENCES) for item in items.tolist()}
T, SAMPLER = 8, UniformSampler(60)


def make(batch_size=5, sequences=SEQUENCES, **options):
    return s3rec_batches(sequences, T, batch_size, SAMPLER, **options)


def epoch_of(batches):
    parts = [batches[i] for i in range(batches.num_batches)]
    rows = np.concatenate([x["items"] for x, _ in parts])
    y = {name: np.concatenate([y[name] for _, y in parts]) for name in parts[0][1]}
    assert {a.dtype for a in (rows, *y.values())} == {np.dtype("int32")}
    assert {a.shape for a in (rows, *y.values())} == {rows.shape}
    return rows, y


def padded(items):
    items = list(items)[-T:]
    return tuple([0] * (T - len(items)) + items)


@pytest.mark.parametrize("each_place", [True, False])
def test_examples(each_place):
    rows, y = epoch_of(make(each_place=each_place))
    whole = np.where(y["masked_items"] > 0, y["masked_items"], rows)
    ends = [
        items[:n]
        for items in SEQUENCES
        for n in (range(2, len(items) + 1) if each_place else [len(items)])
        if len(items) > 1
    ]
    assert sorted(map(tuple, whole)) == sorted(padded(part) for part in ends)
    is_masked = y["masked_items"] > 0
    np.testing.assert_array_equal(is_masked, rows == 1)
    assert is_masked[:, -1].all()
    np.testing.assert_array_equal(y["negatives"] > 0, is_masked)
    for items, negatives in zip(whole, y["negatives"]):
        own = SEQUENCES[OWNER[items[-1]]]
        drawn = negatives[negatives > 0]
        assert not np.isin(drawn, own).any(), "of the whole sequence of the user"
        assert drawn.min() >= 2 and drawn.max() < 62


def test_segments():
    batches, lengths, starts = make(), set(), set()
    for epoch in range(8):
        batches.epoch = epoch
        rows, y = epoch_of(batches)
        whole = np.where(y["masked_items"] > 0, y["masked_items"], rows)
        parts = (y["masked_segment"], y["segment"], y["other_segment"])
        for items, without, own, other in zip(whole, *parts):
            there = items != 0
            for part in (without, own, other):
                np.testing.assert_array_equal(part != 0, there)
            inside = np.flatnonzero(there & (own != 1))
            n = len(inside)
            assert 1 <= n <= there.sum() // 2
            assert inside[-1] - inside[0] == n - 1, "one piece"
            np.testing.assert_array_equal(own[inside], items[inside])
            assert (without[inside] == 1).all()
            outside = np.setdiff1d(np.flatnonzero(there), inside)
            np.testing.assert_array_equal(without[outside], items[outside])
            assert (own[outside] == 1).all() and (other[outside] == 1).all()
            owners = {OWNER[item] for item in other[inside].tolist()}
            assert len(owners) == 1 and owners != {OWNER[items[-1]]}
            assert (np.diff(other[inside]) == 1).all(), "consecutive events"
            if there.sum() == 8:
                lengths.add(n)
                starts.add(inside[0])
    assert lengths == {1, 2, 3, 4} and {0, 7} <= starts


def test_share_of_masks():
    """Four standard deviations; none and all at the ends."""
    n = 2000
    for rate in (0.0, 0.2, 1.0):
        batches = make(n, [np.arange(6) + 2] * n, mask_rate=rate, each_place=False)
        (x, _), there = batches[0], slice(2, -1)
        share = (x["items"][:, there] == 1).mean(0)
        assert np.abs(share - rate).max() <= 4 * np.sqrt(rate * (1 - rate) / n)


def test_segments_of_the_longest_user():
    """Never longer than what another user has."""
    _, y = epoch_of(make(3, [np.arange(2, 10), np.arange(10, 12)]))
    assert ((y["segment"] > 1).sum(1) <= 2).all()


def test_unknown_items():
    sequences = [[1, *items] for items in SEQUENCES if len(items) > 1]
    for seed in range(5):
        rows, y = epoch_of(make(sequences=sequences, seed=seed))
        whole = np.where(y["masked_items"] > 0, y["masked_items"], rows)
        assert (whole == 1).any()
        for items, negatives in zip(whole, y["negatives"]):
            own = SEQUENCES[OWNER[items[-1]]]
            assert not np.isin(negatives, [1, *own]).any()


def test_epochs():
    def contents(seed, epoch):
        batches = make(seed=seed)
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


def test_bad_input():
    with pytest.raises(ValueError, match=r"`mask_rate` must be.*mask_rate=1\.5"):
        make(mask_rate=1.5)
    with pytest.raises(ValueError, match=r"`max_length` must be at least 2.*=1"):
        s3rec_batches(SEQUENCES, 1, 4, SAMPLER)
    with pytest.raises(ValueError, match=r"before 62\. Received: from 2 to 62"):
        make(sequences=[[2, 3], [4, 62]])
    with pytest.raises(ValueError, match=r"two users.*Received: 1"):
        make(sequences=[[2, 3], [4]])
