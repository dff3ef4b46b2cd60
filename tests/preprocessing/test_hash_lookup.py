"""Strings to hash buckets."""

import numpy as np
import pytest

from keras_recs.preprocessing import HashLookup
from tests import numpy_reference

# Every branch of the algorithm: 1 to 3, 4 to 7 and 8 to 16 bytes; beyond ASCII too.
WORDS = [
    "",
    "a",
    "ab",
    "abc",
    "café",
    "drama",
    "adventure",
    "sixteen bytes ok",
    "日本",
    " ",
]


@pytest.mark.parametrize(
    ("hash_bins", "num_oov"), [(1, 1), (7, 1), (1000, 3), (2**31 - 10, 1)]
)
def test_rows(hash_bins, num_oov):
    rows = HashLookup(hash_bins, num_oov)(np.array(WORDS))
    expected = [numpy_reference.hash_row(word, hash_bins, num_oov) for word in WORDS]
    assert rows.numpy().tolist() == expected
    assert rows.dtype == "int32"


def test_rows_fit_the_table():
    words = np.array([str(i) for i in range(2000)])
    rows = HashLookup(13, 2)(words).numpy()
    assert set(rows.tolist()) == set(range(3, 3 + 13)), "every bucket and no other row"


def test_lists_keep_their_shape():
    rows = HashLookup(5)(np.array([["a", ""], ["", "a"]])).numpy()
    assert rows[0, 0] == rows[1, 1] > 1
    assert rows[0, 1] == rows[1, 0] == 0
