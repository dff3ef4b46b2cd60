"""The size of a table."""

import dataclasses

import pytest

from keras_recs.layers import TableConfig


@pytest.mark.parametrize("argument", ["num_rows", "embedding_dim"])
@pytest.mark.parametrize("value", [0, -3, 2.0, None])
def test_sizes_must_be_positive(argument, value):
    sizes = {"num_rows": 3, "embedding_dim": 2, argument: value}
    with pytest.raises(
        ValueError, match=f"Table 'item': `{argument}` must be .*{argument}={value}"
    ):
        TableConfig("item", **sizes)


def test_a_table_is_a_value():
    assert TableConfig("item", 3, 2) == TableConfig("item", 3, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        TableConfig("item", 3, 2).num_rows = 4


def test_a_compression_by_name():
    with pytest.raises(TypeError, match=r"Table 'a': `compression` must be.*'qr'"):
        TableConfig("a", 9, 4, compression="qr")
