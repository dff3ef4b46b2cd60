"""Numbers to buckets."""

import numpy as np
import pytest

from keras_recs.preprocessing import Bucketize
from tests import numpy_reference

VALUES = [-np.inf, -1e9, 0.0, 1.0, 1.5, 2.0, 1e9, np.inf, np.nan]


@pytest.mark.parametrize("default", [None, 1.25])
@pytest.mark.parametrize("boundaries", [(1.0, 2.0), (1.0,), ()])
def test_rows(boundaries, default):
    rows = Bucketize(boundaries, default)(np.array(VALUES, "float32"))
    expected = [numpy_reference.bucket_row(x, boundaries, default) for x in VALUES]
    assert rows.numpy().tolist() == expected
    assert rows.dtype == "int32"


def test_rows_fit_the_table():
    from keras_recs import NumericFeature, Schema
    from keras_recs.schema import FittedNumeric

    schema = Schema(
        features=[NumericFeature("x", num_buckets=3)],
        numerics={"x": FittedNumeric(0, 0, 1, 0, 1, boundaries=(0.0, 1.0))},
    )
    rows = Bucketize((0.0, 1.0))(np.array(VALUES, "float32")).numpy()
    assert rows.min() == 1  # a missing number; row 0 is padding
    assert rows.max() == schema.tables["x"].num_rows - 1


def test_a_list_of_numbers_keeps_its_shape():
    rows = Bucketize((1.0, 2.0))(np.array([[0.0, 5.0, np.nan]], "float32"))
    assert rows.numpy().tolist() == [[2, 4, 1]]


def test_the_global_policy_does_not_round_numbers():
    """In bfloat16, 16777 and 16778 are one number."""
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    rows = Bucketize((16777.5,))(np.array([16777.0, 16778.0], "float32"))
    assert rows.numpy().tolist() == [2, 3]
