"""How the tables of a model are stored."""

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.layers import BatchL2, QuotientRemainder
from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables
from keras_recs.models import (
    EmbeddingOptions,
    deepfm,
    fm,
    logistic_regression,
    wide_and_deep,
)
from keras_recs.optimizers import RowwiseAdagrad

SCHEMA = Schema(
    features=[
        CategoricalFeature("user", vocabulary_size=18),
        CategoricalFeature("item", vocabulary_size=8),
    ],
    labels=[Label("click")],
)


def test_arguments_of_a_table(tmp_path):
    options = EmbeddingOptions(
        dtype="bfloat16",
        embedding_dims={"item": 2},
        hot_rows={"user": 5},
        folder=str(tmp_path),
        max_saved_bytes=1000,
    )
    assert options.of_table("item", 4) == {
        "embedding_dim": 2,
        "dtype": "bfloat16",
        "compression": None,
    }
    assert options.of_table("user", 4) == {
        "embedding_dim": 4,
        "dtype": "float32",
        "compression": None,
        "hot_rows": 5,
        "folder": str(tmp_path / "user"),
        "max_saved_bytes": 1000,
    }


@pytest.mark.parametrize("builder", [deepfm, wide_and_deep])
def test_each_layer_of_a_model_has_a_folder_for_a_table(builder, tmp_path):
    options = EmbeddingOptions(
        hot_rows={"user": 5, "item": 3}, folder=str(tmp_path), max_saved_bytes=1000
    )
    model = builder(SCHEMA, 4, (4,), embedding_options=options)
    tables = find_two_level_tables(model)
    found = {table.folder: (table.embedding_dim, table.hot_rows) for table in tables}
    assert found == {
        str(tmp_path / "user"): (4, 5),
        str(tmp_path / "item"): (4, 3),
        str(tmp_path / "user.linear"): (1, 5),
        str(tmp_path / "item.linear"): (1, 3),
    }
    assert {table.max_saved_bytes for table in tables} == {1000}
    # The first-order weights start at zero, the embeddings of no two tables alike.
    values = {table.folder: table.materialize() for table in tables}
    assert not values[str(tmp_path / "user.linear")].any()
    user, item = values[str(tmp_path / "user")], values[str(tmp_path / "item")]
    assert (user[: len(item)] != item).all()
    assert np.abs(user).max() <= 0.05


ODD = ("価格 (€)", "u i", "u_i")


@pytest.mark.parametrize("way", ["projected", "in files"])
def test_a_table_may_have_any_name(way, tmp_path):
    schema = Schema(
        features=[CategoricalFeature(name, vocabulary_size=18) for name in (*ODD, "x")],
        labels=[Label("click")],
    )
    if way == "projected":
        options = EmbeddingOptions(
            num_shards=2,
            embedding_dims=dict.fromkeys(ODD, 2),
            compression={name: QuotientRemainder(5) for name in ODD[:2]},
        )
        optimizer = "adam"  # names its slots by the variables
    else:
        options = EmbeddingOptions(hot_rows=dict.fromkeys(ODD, 9), folder=str(tmp_path))
        optimizer = RowwiseAdagrad(0.1)
    regularizer = BatchL2(1e-3, by_count=True)
    model = fm(schema, 4, embeddings_regularizer=regularizer, embedding_options=options)
    model.compile(optimizer, "binary_crossentropy")
    rows = np.arange(8, dtype="int32")
    for layer in (model.get_layer("embedding"), model.get_layer("linear")):
        layer = getattr(layer, "weight_of_value", layer)
        for name in (*ODD, "x"):
            layer.set_row_counts(name, np.ones(20))
    inputs = dict.fromkeys((*ODD, "x"), rows)
    model.fit(inputs, {"click": (rows % 2)[:, None]}, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    answers = [m.predict(inputs, verbose=0)["click"] for m in (model, loaded)]
    np.testing.assert_array_equal(*answers)
    tables = [table.name for table in loaded.get_layer("embedding").tables]
    assert tables == [*ODD, "x"]


def test_messages(tmp_path):
    for arguments in ({"hot_rows": {"user": 5}}, {"folder": "x"}):
        with pytest.raises(ValueError, match=r"`hot_rows` and `folder` go together"):
            EmbeddingOptions(**arguments)
    options = EmbeddingOptions(embedding_dims={"user": 4})
    with pytest.raises(ValueError, match=r"`embedding_dims`.*one weight.*'user': 4"):
        logistic_regression(SCHEMA, embedding_options=options)
    for hot_rows, message in (
        ({"user": 21}, r"Table 'user': `hot_rows` must not be more.*=21, num_rows=20"),
        ({"user": 0}, r"Table 'user': `hot_rows` must be a positive.*hot_rows=0"),
        ({"uzer": 5}, r"`hot_rows` names tables that the schema does not.*'uzer'"),
    ):
        options = EmbeddingOptions(hot_rows=hot_rows, folder=str(tmp_path))
        with pytest.raises(ValueError, match=message):
            deepfm(SCHEMA, 4, (4,), embedding_options=options)
    options = EmbeddingOptions(
        hot_rows={"user": 5}, folder=str(tmp_path), max_saved_bytes=0
    )
    with pytest.raises(ValueError, match=r"'user': `max_saved_bytes` must be a pos"):
        deepfm(SCHEMA, 4, (4,), embedding_options=options)
