"""Drawn rows: never the right one, all others equally often."""

import keras
import numpy as np
import pytest

from keras_recs.layers import UniformNegatives


def drawn(rows, **arguments):
    layer = UniformNegatives(**{"num_rows": 7, "first_row": 3, "seed": 1, **arguments})
    return np.asarray(layer(np.asarray(rows, "int32"), training=True))


@pytest.mark.parametrize(
    ("row", "others"),
    [
        (3, [4, 5, 6]),
        (5, [3, 4, 6]),
        (6, [3, 4, 5]),
        (1, [3, 4, 5, 6]),  # out of vocabulary, as are the next two
        (2, [3, 4, 5, 6]),
        (99, [3, 4, 5, 6]),
    ],
)
def test_all_others_are_equally_likely(row, others):
    found, counts = np.unique(drawn(np.full((300, 40), row)), return_counts=True)
    assert found.tolist() == others
    expected = 12_000 / len(others)
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_padding_stays_padding():
    rows = np.array([[3, 0, 4], [0, 0, 5]])
    np.testing.assert_array_equal(drawn(rows) == 0, rows == 0)


def test_each_step_draws_anew():
    layer = UniformNegatives(1000, seed=1)
    rows = np.full((4, 50), 5, "int32")
    first, second = (np.asarray(layer(rows, training=True)) for _ in range(2))
    assert (first != second).mean() > 0.9
    again = UniformNegatives(1000, seed=1)(rows, training=True)
    np.testing.assert_array_equal(again, first)


def test_outside_training_nothing_is_drawn():
    layer = UniformNegatives(9, seed=1)
    state = np.asarray(layer.seed_generator.state).copy()
    assert layer(np.ones((3, 4), "int32")).shape == (3, 0)
    np.testing.assert_array_equal(layer.seed_generator.state, state)


@pytest.mark.parametrize("step", [1, 8, 2**30, 2**31 - 5])
def test_a_table_as_large_as_int32(step, monkeypatch):
    """A row goes on by the drawn step, and from the last one to the first."""

    def randint(shape, low, high, dtype, seed):
        return keras.ops.full(shape, step, dtype)

    monkeypatch.setattr(keras.random, "randint", randint)
    count = 2**31 - 4
    rows = [[3, 10, 2**30, 2**31 - 2]]
    expected = [[3 + (row - 3 + step) % count for row in rows[0]]]
    assert drawn(rows, num_rows=3 + count).tolist() == expected


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_rows_keep_their_type(dtype):
    layer = UniformNegatives(9)
    for training in (False, True):
        assert layer(np.ones((3, 4), dtype), training=training).dtype == dtype


def test_too_few_rows():
    with pytest.raises(ValueError, match=r"Negatives need two rows .* num_rows=3"):
        UniformNegatives(3, first_row=2)
