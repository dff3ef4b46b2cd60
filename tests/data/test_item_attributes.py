"""Attributes of items, from files of several formats."""

import json

import numpy as np
import pytest

from keras_recs import Schema, SequenceFeature
from keras_recs.data import item_attributes
from keras_recs.preprocessing.reading.raw_format import RawFormat
from tests.samples import write_vocabulary

NAMES = ["a", "b,b", "é"]  # rows 2, 3, 4
TABLE = [[0, 0, 0], [0, 0, 0], [1, 3, 0], [1, 2, 4], [0, 0, 0]]


@pytest.fixture
def schema(tmp_path):
    feature = SequenceFeature("movie", max_length=4, padding="left")
    fitted = {"movie": write_vocabulary(tmp_path / "movie.txt", NAMES)}
    return Schema([feature], group_key="user", vocabularies=fitted)


def test_formats(schema, tmp_path):
    """Attributes by column and value: x and y of `kind`, x and z of `tags`."""
    text = 'movie,kind,tags\na,x,x\n"b,b",x|y,z\nnobody,w,w\né,,\n'
    (tmp_path / "items.csv").write_text(text)
    columns = ["kind", "tags"]
    table = item_attributes(tmp_path / "items.csv", schema, columns)
    assert table.tolist() == TABLE and table.dtype == np.int32
    lines = [
        {"id": "b,b", "kind": ["y"], "tags": ["z"]},
        {"id": "a", "kind": "x", "tags": ["x"]},
        {"id": "b,b", "kind": ["x", "y"], "tags": []},
    ]
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    table = item_attributes(path, schema, columns, item_column="id")
    assert table.tolist() == TABLE
    (tmp_path / "items.txt").write_text("a;x;x\n")
    raw_format = RawFormat(kind="csv", delimiter=";", columns=("movie", *columns))
    table = item_attributes(
        tmp_path / "items.txt", schema, ["tags"], raw_format=raw_format
    )
    assert table.tolist() == [[0], [0], [1], [0], [0]]


def test_integer_items(tmp_path):
    schema = Schema([SequenceFeature("item", vocabulary_size=3, padding="left")])
    path = tmp_path / "items.jsonl"
    path.write_text('{"item": 2, "tag": [7, 11]}\n{"item": 9, "tag": [7]}\n')
    table = item_attributes(path, schema, ["tag"])
    assert table.tolist() == [[0, 0]] * 4 + [[1, 2]]


def test_bad_input(schema, tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("movie,kind\nnobody,x\n,y\n")
    with pytest.raises(ValueError, match=r"line 3, column 'movie'"):
        item_attributes(path, schema, ["kind"])
    with pytest.raises(ValueError, match=r"`files` must have an attribute.*1 items"):
        item_attributes(path, schema, ["kind"], max_bad_rows=1)
    with pytest.raises(ValueError, match=r"`columns` must be a list.*columns='kind'"):
        item_attributes(path, schema, "kind")
    with pytest.raises(ValueError, match=r"'brand'"):
        item_attributes(path, schema, ["brand"], max_bad_rows=1)
