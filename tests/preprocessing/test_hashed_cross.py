"""Combinations of values to hash buckets."""

import numpy as np

from keras_recs.preprocessing import HashedCross
from tests import numpy_reference


def test_rows():
    strings, ids = ["a", "b", "", "a", "bob"], [3, -5, 3, -1, 17]
    rows = HashedCross(11)([np.array(strings), np.array(ids)])
    expected = [numpy_reference.cross_row(pair, 11) for pair in zip(strings, ids)]
    assert rows.numpy().tolist() == expected
    assert rows.numpy()[[2, 3]].tolist() == [1, 1], "a missing part"


def test_the_separator_keeps_parts_apart():
    layer = HashedCross(2**30)
    left = layer([np.array(["ab"]), np.array(["c"])])
    right = layer([np.array(["a"]), np.array(["bc"])])
    swapped = layer([np.array(["c"]), np.array(["ab"])])
    assert len({int(rows[0]) for rows in (left, right, swapped)}) == 3


def test_rows_fit_the_table():
    values = np.array([str(i) for i in range(2000)])
    rows = HashedCross(13)([values, values]).numpy()
    assert set(rows.tolist()) == set(range(2, 2 + 13))
