"""Batches of arrays as data sets: the same batches, anew in each epoch."""

import numpy as np
import pytest

from keras_recs.data import (
    UniformSampler,
    batch_dataset,
    next_item_batches,
    s3rec_batches,
    session_batches,
)

RNG = np.random.default_rng(0)
SEQUENCES = [RNG.integers(2, 12, RNG.integers(2, 9)) for _ in range(23)]


def flat(batch):
    inputs, y = batch
    return {**inputs, **y}


def epochs(dataset, count=2):
    return [[flat(b) for b in dataset.as_numpy_iterator()] for _ in range(count)]


def same(one, other):
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)
        for a, b in zip(one, other)
    )


def facts(batches):
    """What each epoch has, in whatever order: events and what stands beside them."""
    found = []
    for batch in batches:
        rows, targets = batch["items"], batch.get("next_item")
        if targets is None:  # the last item of each part is masked
            found += batch["masked_items"][:, -1].tolist()
        else:
            there = rows > 0
            found += zip(rows[there].tolist(), targets[there].tolist())
    return sorted(found)


SAMPLER = UniformSampler(10)
MAKERS = {
    "sessions": lambda: session_batches(
        SEQUENCES, 4, 3, sampler=SAMPLER, num_negatives=5
    ),
    "s3rec": lambda: s3rec_batches(SEQUENCES, 5, 16, SAMPLER),
    "lengths": lambda: next_item_batches(
        SEQUENCES, 7, 4, sampler=SAMPLER, lengths=(2, 4)
    ),
    "one": lambda: next_item_batches(SEQUENCES, 7, 50),
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_batches_of_an_epoch(name):
    dataset, batches = batch_dataset(MAKERS[name]()), MAKERS[name]()
    first, second = epochs(dataset)
    assert int(dataset.cardinality()) == len(first) == batches.num_batches
    assert not same(first, second)
    expected = facts(flat(batches[i]) for i in range(batches.num_batches))
    assert facts(first) == facts(second) == expected and expected
    for batch in (*first, *second):
        for key, spec in flat(dataset.element_spec).items():
            assert spec.shape.is_compatible_with(batch[key].shape)
            assert spec.dtype.as_numpy_dtype == batch[key].dtype


def test_another_process_goes_on_in_the_midst():
    """As `training.fit` does: it looks at the first batch, skips epochs and steps."""
    make = MAKERS["sessions"]
    dataset = batch_dataset(make())
    for _ in dataset.take(1):
        pass
    runs = epochs(dataset, 3)
    again = batch_dataset(make())
    for _ in again.take(1):
        pass
    for _ in range(2):
        iter(again)
    rest = [flat(batch) for batch in again.skip(2).as_numpy_iterator()]
    assert same(rest, runs[2][2:]) and len(rest) > 2


def test_bad_input():
    with pytest.raises(TypeError, match=r"`batches` must be batches of.*: list"):
        batch_dataset([1])
    batches = next_item_batches(SEQUENCES, 6, 50, drop_remainder=True)
    with pytest.raises(ValueError, match=r"must have a batch.*23 examples.*size=50"):
        batch_dataset(batches)
