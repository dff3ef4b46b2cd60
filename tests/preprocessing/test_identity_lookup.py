"""Integer ids to rows."""

import numpy as np
import pytest

from keras_recs.preprocessing import IdentityLookup
from tests import numpy_reference

IDS = [-(2**40), -7, -2, -1, 0, 1, 4, 5, 6, 2**31, 2**40 + 3]


@pytest.mark.parametrize("num_oov", [1, 2, 3])
def test_rows(num_oov):
    rows = IdentityLookup(5, num_oov)(np.array(IDS, "int64"))
    expected = [numpy_reference.identity_row(i, 5, num_oov) for i in IDS]
    assert rows.numpy().tolist() == expected
    assert rows.dtype == "int32"
    outside = [row for i, row in zip(IDS, expected) if i != -1 and not 0 <= i < 5]
    assert all(1 <= row <= num_oov for row in outside)


def test_id_0_is_an_ordinary_id():
    rows = IdentityLookup(3)(np.array([[0, 1, 2, -1]])).numpy()
    assert rows.tolist() == [[2, 3, 4, 0]]


def test_a_table_of_more_rows_than_int32_has():
    rows = IdentityLookup(10**10)(np.array([0, 2**32, 2**31, -1, 10**10]))
    assert rows.dtype == "int64"
    assert rows.numpy().tolist() == [2, 2**32 + 2, 2**31 + 2, 0, 1]
