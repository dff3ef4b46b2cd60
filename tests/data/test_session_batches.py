"""Sessions side by side: each pair once, and each slot walks through whole sessions."""

import itertools

import numpy as np
import pytest

from keras_recs.data import PopularitySampler, read_sequences, session_batches

NUM_ITEMS = 200
# Each event is an item of its own, so that a pair tells where it is from.
LENGTHS = [1, 2, 3, 5, 12, 9, 7, 4, 8, 2, 2, 3, 0, 6, 2, 3]
SPLITS = np.cumsum([0, *LENGTHS])
SEQUENCES = [np.arange(a, b) + 2 for a, b in itertools.pairwise(SPLITS)]
PAIRS = sorted(pair for s in SEQUENCES for pair in itertools.pairwise(s.tolist()))
SHAPES = [(1, 1), (3, 1), (3, 4), (4, 16), (30, 2)]


def epoch_of(batches):
    """All batches side by side: rows, starts and targets `(B, W)`."""
    parts = [batches[i] for i in range(batches.num_batches)]
    return [
        np.concatenate(arrays, axis=1)
        for arrays in zip(
            *((x["items"], x["starts"], y["next_item"]) for x, y in parts)
        )
    ]


@pytest.mark.parametrize(("slots", "steps"), SHAPES)
def test_each_pair_once(slots, steps):
    batches = session_batches(SEQUENCES, slots, steps)
    assert batches.num_examples == len(PAIRS)
    counts = set()
    for _ in range(3):
        rows, starts, targets = epoch_of(batches)
        assert rows.shape == (slots, batches.num_batches * steps)
        assert rows.dtype == targets.dtype == np.int32 and starts.dtype == bool
        there = rows != 0
        assert sorted(zip(rows[there], targets[there])) == PAIRS
        assert not targets[~there].any() and not starts[~there].any()
        # Nothing but padding comes behind padding, and no batch is padding alone.
        assert (np.diff(there.astype(int), axis=1) <= 0).all()
        assert there[:, -steps:].any()
        counts.add(tuple(there.sum(axis=1)))
        batches.on_epoch_end()
    assert len(counts) == 1
    (loads,) = counts
    assert max(loads) - min(loads) <= 11  # the longest session


@pytest.mark.parametrize(("slots", "steps"), SHAPES)
def test_slots_walk_through_sessions(slots, steps):
    found = []
    for rows, starts, targets in zip(
        *epoch_of(session_batches(SEQUENCES, slots, steps))
    ):
        session = None
        for row, start, target in zip(rows, starts, targets):
            if start:
                session = [row]
                found.append(session)
            if row:
                assert session[-1] == row, "a session was broken off"
                session.append(target)
    expected = [s.tolist() for s in SEQUENCES if len(s) > 1]
    assert sorted(found) == expected


def test_epochs():
    """Each has its own order and draws, by its number and the seed alone."""
    sampler = PopularitySampler(np.ones(NUM_ITEMS))

    def contents(seed, epoch):
        batches = session_batches(
            SEQUENCES, 3, 2, sampler=sampler, num_negatives=4, seed=seed
        )
        batches.epoch = epoch
        return [batches[i] for i in (1, 0)]

    def same(a, b):
        return all(
            np.array_equal(p[i][name], q[i][name])
            for p, q in zip(a, b)
            for i in (0, 1)
            for name in p[i]
        )

    assert same(contents(0, 3), contents(0, 3))
    assert not same(contents(0, 3), contents(0, 4))
    assert not same(contents(0, 3), contents(1, 3))
    batches = session_batches(SEQUENCES, 3, 2, sampler=sampler, num_negatives=4)
    for _ in range(3):
        batches.on_epoch_end()
    assert same([batches[1], batches[0]], contents(0, 3))


def test_every_order_comes():
    """Of two sessions of one length and a longer one in one slot."""
    found = set()
    batches = session_batches([[2, 3], [4, 5], [6, 7, 8]], 1, 4)
    for epoch in range(60):
        batches.epoch = epoch
        found.add(tuple(batches[0][0]["items"][0]))
    assert len(found) == 6


@pytest.mark.parametrize("correct", [False, True])
def test_shared_draws(correct):
    counts = np.random.default_rng(0).integers(0, 9, NUM_ITEMS)
    batches = session_batches(
        SEQUENCES,
        3,
        2,
        sampler=PopularitySampler(counts, 0.5),
        num_negatives=50,
        correct=correct,
    )
    targets = [target for _, target in PAIRS]
    for number in range(batches.num_batches):
        _, y = batches[number]
        assert y["negatives"].shape == (50,) and y["negatives"].dtype == np.int32
        assert (counts[y["negatives"] - 2] > 0).all()
        assert ("log_counts" in y) == correct
        if correct:
            rows = [*y["next_item"].reshape(-1), *y["negatives"]]
            assert y["log_counts"].shape == (3 * 2 + 50,)
            for row, found in zip(rows, y["log_counts"]):
                if row:
                    drawn = np.sqrt(counts[row - 2]) / np.sqrt(counts).sum()
                    expected = 6 * targets.count(row) / len(targets) + 50 * drawn
                    np.testing.assert_allclose(found, np.log(expected), rtol=1e-4)


def test_bad_input():
    with pytest.raises(ValueError, match=r"`max_length` must be.*max_length=0"):
        session_batches(SEQUENCES, 3, 0)
    with pytest.raises(ValueError, match=r"two items at least.*Received: 2 sequences"):
        session_batches([[2], []], 3)
    with pytest.raises(ValueError, match=r"`correct` needs a `sampler`.*sampler=None"):
        session_batches(SEQUENCES, 3, correct=True)
    with pytest.raises(ValueError, match=r"`sequences` must be rows.*from 0 to 3"):
        session_batches([[2, 0, 3]], 3)
    sampler = PopularitySampler(np.ones(3))
    with pytest.raises(ValueError, match=r"before 5\. Received: from 2 to 5"):
        session_batches([[2, 5]], 3, sampler=sampler)


# === Sequences of a dataset ===


def test_sequences_of_records(tmp_path):
    from keras_recs import Label, Schema, SequenceFeature
    from keras_recs.data import tfrecord_dataset
    from tests import samples

    words = [["a", "b", "a"], [], ["c"], ["x", "b", "c", "a", "a"]]
    names = samples.write_vocabulary(tmp_path / "items.txt", ["a", "b", "c"])
    schema = Schema(
        [SequenceFeature("items", max_length=4, padding="left")],
        [Label("any")],
        vocabularies={"items": names},
    )
    records = [samples.example({"items": part, "any": 0.0}) for part in words]
    samples.write_records(tmp_path / "train-0.tfrecord", records)
    dataset = tfrecord_dataset(tmp_path / "train-*", schema, 3, shuffle=False)
    found = read_sequences(dataset, "items")
    # The last four; 1 is what the vocabulary does not have.
    assert [part.tolist() for part in found] == [[2, 3, 2], [], [4], [3, 4, 2, 2]]
    assert {part.dtype for part in found} == {np.dtype("int32")}
    with pytest.raises(
        ValueError, match=r"`name` must be among.*name='goods'.*'items'"
    ):
        read_sequences(dataset, "goods")
    with pytest.raises(ValueError, match=r"must be a sequence of rows.*shape \(3,\)"):
        read_sequences([{"items": np.zeros(3, int)}], "items")
