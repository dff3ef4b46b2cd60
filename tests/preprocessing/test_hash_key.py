"""Strings to keys of 63 bits."""

import numpy as np

from keras_recs.preprocessing import HashKey
from tests import numpy_reference

WORDS = ["", "a", "abcde", "adventure", "日本", " ", "sixteen bytes ok"]


def test_keys():
    keys = HashKey()(np.array(WORDS))
    expected = [numpy_reference.hash_key(word) for word in WORDS]
    assert keys.numpy().tolist() == expected
    assert keys.dtype == "int64"
    assert expected[0] == 0
    assert min(expected[1:]) > 2**32, "all bits are used"


def test_keys_differ_and_are_no_padding():
    keys = HashKey()(np.array([str(i) for i in range(20_000)])).numpy()
    assert len(np.unique(keys)) == len(keys)
    assert keys.min() > 0


def test_lists_keep_their_shape():
    keys = HashKey()(np.array([["a", ""], ["", "a"]])).numpy()
    assert keys[0, 0] == keys[1, 1] > 0
    assert keys[0, 1] == keys[1, 0] == 0
