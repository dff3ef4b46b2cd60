"""Exports of models whose tables lie partly in files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_recs.export import saved_model
from keras_recs.export.float32_twin import float32_twin
from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables
from keras_recs.models import EmbeddingOptions, deepfm
from tests.harness import model_inputs

HOT = 3


def model_of(schema, folder, **options):
    """Item rows 1 to 3 are in memory; 4 to 6 were, and went to the files."""
    options = EmbeddingOptions(hot_rows={"item": HOT}, folder=str(folder), **options)
    model = deepfm(schema, 4, (4,), embedding_options=options)
    for table in find_two_level_tables(model):
        table.write_rows(np.arange(8), values_of(table))
        for rows in ([4, 5, 6], [1, 2, 3]):
            table(np.array(rows), training=True)
            table.embeddings.value.assign_add(tf.ones((HOT, table.embedding_dim)))
    return model


def values_of(table, scale=1.0):
    rng = np.random.default_rng(0)
    return scale * rng.normal(size=(8, table.embedding_dim)).astype("float32")


def answers(model, schema, rows=12):
    inputs = {n: tf.constant(v) for n, v in model_inputs(schema, rows).items()}
    return {name: value.numpy() for name, value in model(inputs).items()}


def operations(folder):
    """Names of all operations of an exported graph."""
    data = (folder / "saved_model.pb").read_bytes()
    graph = saved_model_pb2.SavedModel.FromString(data).meta_graphs[0].graph_def
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    return {node.op for node in nodes}


def test_the_table_is_an_ordinary_one_in_the_export(click_schema, tmp_path):
    model = model_of(click_schema, tmp_path / "tables")
    tables = find_two_level_tables(model)
    for table in tables:  # some rows are newer than the files
        assert table.pager.state is None
        np.testing.assert_allclose(
            table.materialize()[1:7], values_of(table)[1:7] + 1, rtol=1e-6
        )
    before = answers(model, click_schema)
    moved = [table.pager.evictions for table in tables]
    # It compares the export with the model that reads the files.
    path = saved_model(model, click_schema, tmp_path / "export")
    assert not {name for name in operations(path) if "PyFunc" in name}
    stored = tf.train.list_variables(str(path / "variables" / "variables"))
    shapes = [tuple(shape) for _, shape in stored]
    for table in tables:
        assert (8, table.embedding_dim) in shapes
        assert (HOT, table.embedding_dim) not in shapes
    # The model reads its files as before.
    after = answers(model, click_schema)
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
    assert [table.pager.evictions for table in tables] == moved
    tables[0].write_rows(np.arange(8), values_of(tables[0], 9.0))
    assert np.abs(answers(model, click_schema)["click"] - before["click"]).max() > 0.01


def test_a_large_table_is_not_exported(click_schema, tmp_path):
    model = model_of(click_schema, tmp_path / "tables", max_saved_bytes=127)
    message = (
        r"'two_level_item' in '.*tables/item' has 128 bytes, .*neither saved.*exported"
        r".*EmbeddingOptions\(max_saved_bytes=.*Received: max_saved_bytes=127"
    )
    with pytest.raises(ValueError, match=message):
        saved_model(model, click_schema, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_the_twin_in_full_precision_has_the_same_rows(click_schema, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = model_of(click_schema, tmp_path / "tables")
    keras.config.set_dtype_policy("float32")
    twin = float32_twin(model)
    for table, copy in zip(*map(find_two_level_tables, (model, twin)), strict=True):
        np.testing.assert_array_equal(copy(np.arange(8)), table.materialize())
    expected = answers(model, click_schema)
    for name, values in answers(twin, click_schema).items():
        np.testing.assert_allclose(values, expected[name], atol=0.05)
