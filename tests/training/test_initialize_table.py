"""Tables out to Parquet and back by key, and from one model to another."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.export import write_table
from keras_recs.models import deepfm, fm
from keras_recs.models.find_vocabulary import find_vocabulary
from keras_recs.schema import FittedVocabulary
from keras_recs.training import initialize_table
from tests.numpy_reference import hash_key
from tests.samples import write_vocabulary


def schema_of(folder, names, num_oov=2):
    folder.mkdir(exist_ok=True)
    fitted = write_vocabulary(folder / "item.txt", names)
    assert isinstance(fitted, FittedVocabulary)
    return Schema(
        features=[
            CategoricalFeature("item", num_oov=num_oov),
            CategoricalFeature("hour", vocabulary_size=24),
        ],
        labels=[Label("click")],
        vocabularies={"item": fitted},
    )


def model_of(schema, **arguments):
    return deepfm(schema, embedding_dim=3, hidden_units=(4,), **arguments)


@pytest.fixture
def schema(tmp_path):
    return schema_of(tmp_path / "a", ["i1", "i2", "käse"])


def rows(model, table="item", count=6):
    return model.get_layer("embedding").read_rows(table, np.arange(count))


def test_a_table_goes_out_by_key(schema, tmp_path):
    model = model_of(schema)
    assert write_table(model, schema, "item", tmp_path / "item.parquet") == 5
    table = pq.read_table(tmp_path / "item.parquet")
    assert table.column("key").to_pylist() == [None, None, "i1", "i2", "käse"]
    values = np.array(table.column("embedding").to_pylist())
    np.testing.assert_array_equal(values, rows(model)[1:])
    assert write_table(model, schema, "hour", tmp_path / "hour.parquet") == 25
    hours = pq.read_table(tmp_path / "hour.parquet").column("key").to_pylist()
    assert hours == [None, *range(24)]
    assert sorted(p.name for p in tmp_path.glob("*.*")) == [
        "hour.parquet",
        "item.parquet",
    ], "nothing temporary is left"


def test_and_back_into_a_model_with_another_vocabulary(schema, tmp_path):
    model = model_of(schema)
    write_table(model, schema, "item", tmp_path / "item.parquet")
    other_schema = schema_of(tmp_path / "b", ["new", "käse", "i1"], num_oov=1)
    other = model_of(other_schema)
    before = rows(other, count=5)
    found = initialize_table(
        other, other_schema, "item", tmp_path / "item.parquet", progress=False
    )
    # i2 and the second row out of vocabulary have no place.
    assert found == {"set": 3, "missing": 1, "unknown": 2}
    after, source = rows(other, count=5), rows(model)
    np.testing.assert_array_equal(after[1], source[1])
    np.testing.assert_array_equal(after[2], before[2])
    np.testing.assert_array_equal(after[3], source[5])
    np.testing.assert_array_equal(after[4], source[3])
    np.testing.assert_array_equal(after[0], before[0])


def test_from_another_model(schema):
    source, target = model_of(schema), model_of(schema)
    found = initialize_table(target, schema, "item", (source, schema), missing="error")
    assert found == {"set": 5, "missing": 0, "unknown": 0}
    np.testing.assert_array_equal(rows(target)[1:], rows(source)[1:])


def test_the_factorization_machine_of_another_model(schema):
    """All tables of both layers; with a silent tower DeepFM then is that machine."""
    source, target = fm(schema, embedding_dim=3), model_of(schema)
    rng = np.random.default_rng(0)
    source.set_weights([rng.normal(size=w.shape) for w in source.get_weights()])
    bias = source.get_layer("linear").bias
    bias.assign(np.zeros(1))  # no table
    for table in schema.tables:
        for layer in ("embedding", "weight_of_value"):
            initialize_table(target, schema, table, (source, schema), layer)
    dense = target.get_layer("heads").dense
    dense.set_weights([np.zeros(w.shape) for w in dense.get_weights()])
    inputs = {"item": np.array([1, 3, 5]), "hour": np.array([1, 2, 20])}
    expected = source.predict_on_batch(inputs)["click"]
    found = target.predict_on_batch(inputs)["click"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def write(path, keys, values):
    pq.write_table(pa.table({"key": keys, "embedding": values}), path)


def test_content_vectors_of_cold_items(schema, tmp_path):
    """A file that another program wrote: variable lists of doubles."""
    path = tmp_path / "content.parquet"
    write(path, ["käse", "elsewhere"], [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    model = model_of(schema)
    found = initialize_table(model, schema, "item", path, progress=False)
    assert found == {"set": 1, "missing": 2, "unknown": 1}
    np.testing.assert_array_equal(rows(model)[5], [1, 2, 3])


@pytest.mark.parametrize(
    ("keys", "values", "message"),
    [
        (["i1", "i1"], [[1.0] * 3] * 2, "key 'i1' stands twice in .*c.parquet"),
        (["i1"], [[1.0] * 2], "must have 3 numbers. Received: 2"),
        (["i1"], [[1.0, float("nan"), 0.0]], "key 'i1' in .* holds NaN"),
        ([7], [[1.0] * 3], "'key' of .* must hold strings. Received: int64"),
    ],
)
def test_bad_files(schema, tmp_path, keys, values, message):
    path = tmp_path / "c.parquet"
    write(path, keys, values)
    model = model_of(schema)
    before = rows(model)
    with pytest.raises(ValueError, match=message):
        initialize_table(model, schema, "item", path, progress=False)
    np.testing.assert_array_equal(rows(model), before)


def test_messages(schema, tmp_path):
    model = model_of(schema)
    with pytest.raises(ValueError, match=r"'nowhere.parquet', which is not there"):
        initialize_table(model, schema, "item", "nowhere.parquet")
    pq.write_table(pa.table({"id": ["i1"]}), tmp_path / "c.parquet")
    with pytest.raises(ValueError, match=r"columns 'key' and 'embedding'.*'id'"):
        initialize_table(model, schema, "item", tmp_path / "c.parquet")
    write(tmp_path / "c.parquet", ["i1"], [[1.0] * 3])
    with pytest.raises(ValueError, match=r"2 keys are not in .*'i2', 'käse'"):
        initialize_table(model, schema, "item", tmp_path / "c.parquet", missing="error")
    with pytest.raises(ValueError, match=r"no FeatureEmbedding 'deep'.*'embedding'"):
        write_table(model, schema, "item", tmp_path / "x.parquet", layer="deep")
    with pytest.raises(ValueError, match=r"no table 'user'.*'hour', 'item'"):
        write_table(model, schema, "user", tmp_path / "x.parquet")
    other = schema_of(tmp_path / "b", ["i1"])
    with pytest.raises(ValueError, match="4 rows in the schema and 6 in layer"):
        write_table(model, other, "item", tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def test_a_failed_write_leaves_the_file_that_was_there(schema, tmp_path, monkeypatch):
    model = model_of(schema)
    path = tmp_path / "item.parquet"
    write_table(model, schema, "item", path)
    before = path.read_bytes()
    layer = model.get_layer("embedding")
    monkeypatch.setattr(layer, "read_rows", lambda *_: np.ones((9, 9)))
    with pytest.raises(pa.ArrowInvalid):
        write_table(model, schema, "item", path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.glob("*.*")] == ["item.parquet"]


# === Tables whose keys are learnt in training ===


GROWING = Schema(
    features=[
        CategoricalFeature("item", max_keys=3, admission_count=2, num_oov=2),
        CategoricalFeature("hour", hash_bins=3),
    ],
    labels=[Label("click")],
)


def growing_model(*values, schema=GROWING):
    """A model that saw each of the values twice."""
    model = model_of(schema)
    keys = np.array([hash_key(value) for value in values] * 2, "int64")
    inputs = {"item": keys, "hour": np.ones(len(keys), "int32")}
    model(inputs, training=True)
    return model


def row_of(model):
    keys, its_rows, _ = find_vocabulary(model, GROWING, "item").vocabulary()
    return dict(zip(keys.tolist(), its_rows.tolist(), strict=True))


def test_learnt_keys_go_out_as_hashes_and_come_back(tmp_path):
    model = growing_model("a", "b")
    path = tmp_path / "item.parquet"
    assert write_table(model, GROWING, "item", path, progress=False) == 4
    table = pq.read_table(path)
    a, b = hash_key("a"), hash_key("b")
    assert table.column("key").to_pylist() == [None, None, a, b], "no free rows"
    assert table.schema.field("key").type == pa.int64()
    values = np.array(table.column("embedding").to_pylist())
    np.testing.assert_array_equal(values, rows(model, count=5)[1:])

    other = growing_model("b", "c")
    before = rows(other)
    found = initialize_table(other, GROWING, "item", path, progress=False)
    assert found == {"set": 4, "missing": 1, "unknown": 0}
    assert row_of(other) == {b: 3, hash_key("c"): 4, a: 5}
    after = rows(other)
    np.testing.assert_array_equal(after[[1, 2, 5, 3]], values)
    np.testing.assert_array_equal(after[4], before[4])
    counts = find_vocabulary(other, GROWING, "item").vocabulary()[2]
    assert counts.tolist() == [2, 2, 2], "the next sighting keeps it"

    third = growing_model()
    found = initialize_table(third, GROWING, "item", (other, GROWING), progress=False)
    assert found == {"set": 5, "missing": 0, "unknown": 0}
    assert row_of(third) == row_of(other)
    np.testing.assert_array_equal(rows(third)[1:], after[1:])


def test_values_of_ones_own_get_rows_while_there_are(tmp_path):
    model = growing_model("x")
    write(tmp_path / "t.parquet", ["a", "7", "c"], [[1.0] * 3] * 3)
    found = initialize_table(model, GROWING, "item", tmp_path / "t.parquet")
    assert found == {"set": 2, "missing": 1, "unknown": 1}
    assert row_of(model) == {hash_key("x"): 3, hash_key("a"): 4, hash_key("7"): 5}
    write(tmp_path / "t.parquet", [7, 8], [[2.0] * 3] * 2)
    found = initialize_table(model, GROWING, "item", tmp_path / "t.parquet")
    assert found == {"set": 1, "missing": 2, "unknown": 1}, "7 is the string '7'"
    assert rows(model)[5].tolist() == [2, 2, 2]


def test_from_a_fitted_vocabulary_and_what_hashes_cannot_do(schema, tmp_path):
    source = model_of(schema)
    model = growing_model()
    found = initialize_table(model, GROWING, "item", (source, schema), progress=False)
    assert found == {"set": 5, "missing": 0, "unknown": 0}
    assert row_of(model)[hash_key("käse")] == 5
    np.testing.assert_array_equal(rows(model), [*rows(model)[:1], *rows(source)[1:]])
    with pytest.raises(
        ValueError, match=r"'item' is of kind 'vocabulary' and .* of kind 'dynamic'"
    ):
        initialize_table(source, schema, "item", (model, GROWING))
    write_table(model, GROWING, "item", tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"Table 'item': .* must hold strings.*int64"):
        initialize_table(source, schema, "item", tmp_path / "t.parquet")
    write_table(model, GROWING, "hour", tmp_path / "t.parquet")
    with pytest.raises(
        ValueError, match=r"'item' is of kind 'dynamic' and .* of kind 'hash'"
    ):
        initialize_table(model, GROWING, "item", tmp_path / "t.parquet")
    write(tmp_path / "t.parquet", [1.5], [[1.0] * 3])
    with pytest.raises(ValueError, match=r"must hold strings or integers.*double"):
        initialize_table(model, GROWING, "item", tmp_path / "t.parquet")


def test_the_keys_of_a_schema_alone_are_not_known():
    from keras_recs.preprocessing.table_keys import table_keys

    with pytest.raises(ValueError, match=r"'item' are learnt.*call `vocabulary\(\)`"):
        table_keys(GROWING, "item")


def test_a_compressed_table_is_refused_before_anything_is_set(schema, tmp_path):
    from keras_recs.layers import QuotientRemainder
    from keras_recs.models import EmbeddingOptions

    options = EmbeddingOptions(compression={"item": QuotientRemainder(3)})
    model = model_of(schema, embedding_options=options)
    with pytest.raises(ValueError, match=r"Table 'item' is compressed.*QuotientRem"):
        initialize_table(model, schema, "item", tmp_path / "any.parquet")


def test_files_of_another_form(schema, tmp_path):
    model = model_of(schema)
    before = rows(model)
    path = tmp_path / "vectors"
    path.write_text("key,embedding\n")
    with pytest.raises(ValueError, match=r"must be a Parquet file.*vectors"):
        initialize_table(model, schema, "item", path)
    columns = {"key": ["i1"], "embedding": ["1,2,3"]}
    pq.write_table(pa.table(columns), path)
    with pytest.raises(ValueError, match=r"'embedding'.*lists of 3 numbers.*string"):
        initialize_table(model, schema, "item", path)
    columns = {"key": ["1"], "embedding": [[1.0, 2.0, 3.0]]}
    pq.write_table(pa.table(columns), path)
    with pytest.raises(
        ValueError, match=r"no key of .* is a key.*\['1'\].*\['i1', 'i2'"
    ):
        initialize_table(model, schema, "item", path, progress=False)
    np.testing.assert_array_equal(rows(model), before)
    keys = pa.array(["i1", "i2", "i1"]).dictionary_encode().slice(0, 2)
    vectors = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    pq.write_table(pa.table({"key": keys, "embedding": vectors}), path)
    found = initialize_table(model, schema, "item", path, progress=False)
    assert found == {"set": 2, "missing": 1, "unknown": 0}
    np.testing.assert_array_equal(rows(model)[3:5], vectors)
