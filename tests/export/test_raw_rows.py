"""The rows on which an export is checked."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recs.data import parse_examples
from keras_recs.export.generate_rows import generate_rows
from keras_recs.export.raw_rows import RawRows
from tests.samples import click_columns


@pytest.fixture(scope="module")
def rows(schema):
    return RawRows.for_check(schema)


def test_generated_rows_hold_what_real_ones_rarely_do(schema):
    columns = generate_rows(schema, 1000)
    assert set(columns) == {f.name for f in schema.raw_features}
    assert all(len(column) == 1000 for column in columns.values())
    users = columns["user"]
    assert {"ann", "bob", "cy", ""} < set(users)
    assert 50 < sum(u not in ("ann", "bob", "cy", "") for u in users) < 150
    lengths = {len(history) for history in columns["history"]}
    assert lengths == {0, 1, 2, 3, 6}  # 6: longer than the three that are kept
    assert {-1, -2, 24} < set(columns["hour"])
    ages = np.array(columns["age"])
    assert np.isnan(ages).any()
    assert np.isinf(ages).any()
    assert ages[np.isfinite(ages)].min() < 0.0
    assert ages[np.isfinite(ages)].max() > 90.0
    last = {name: column[-1] for name, column in columns.items()}
    assert (last["user"], last["history"], last["hour"]) == ("", [], -1)
    assert np.isnan(last["price"])


def test_generated_rows_are_the_same_each_time(schema):
    first, second = generate_rows(schema, 50), generate_rows(schema, 50)
    assert repr(first) == repr(second)
    assert repr(first) != repr(generate_rows(schema, 50, seed=1))


def test_examples_and_arrays_are_the_same_rows(schema, rows):
    parsed = parse_examples(tf.constant(rows.examples(0, 1000)), schema)
    for name, array in rows.arrays(0, 1000).items():
        column = parsed[name]
        if isinstance(column, tf.RaggedTensor):
            filling = "" if column.dtype == tf.string else -1
            column = column.to_tensor(filling)
        np.testing.assert_array_equal(column.numpy(), array)


def test_real_rows_come_first(schema):
    rows = RawRows.for_check(schema, click_columns(2000))
    assert len(rows) == 1000
    given = click_columns(2000)
    for index in (0, 450, 899):
        row = rows.describe(index)
        assert row["user"] == given["user"][index]
        assert row["history"] == given["history"][index]
    few = RawRows.for_check(schema, click_columns(3))
    assert len(few) == 1000
    assert few.describe(2)["genres"] == click_columns(3)["genres"][2]
    assert few.describe(999)["user"] == ""


def test_the_filling_of_lists_is_no_value(schema):
    columns = click_columns(2)
    columns["genres"] = np.array([["war", ""], ["", ""]])
    rows = RawRows.for_check(schema, columns)
    assert rows.describe(0)["genres"] == ["war"]
    assert rows.describe(1)["genres"] == []
    assert rows.arrays(1, 2)["genres"].tolist() == [[b""]]


def test_a_data_frame(schema):
    pandas = pytest.importorskip("pandas")
    rows = RawRows.for_check(schema, pandas.DataFrame(click_columns(20)))
    same = RawRows.for_check(schema, click_columns(20))
    assert repr([rows.describe(i) for i in range(25)]) == repr(
        [same.describe(i) for i in range(25)]
    )


def test_examples_must_fit_the_schema(schema):
    columns = click_columns(5)
    with pytest.raises(ValueError, match="at least one row"):
        RawRows.for_check(schema, {name: [] for name in columns})
    del columns["hour"]
    with pytest.raises(ValueError, match="lacks column 'hour'"):
        RawRows.for_check(schema, columns)
