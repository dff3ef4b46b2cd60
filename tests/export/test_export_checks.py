"""Models, schemas and files that do not belong together; a broken artifact."""

import shutil
import sys
from pathlib import Path

import keras
import pytest

from keras_recs import Label, NumericFeature, Schema
from keras_recs.export import saved_model
from keras_recs.export.check_model import check_model
from keras_recs.export.check_parity import check_parity
from keras_recs.export.raw_rows import RawRows
from keras_recs.preprocessing.schema_preprocessor import SchemaPreprocessor
from tests.export.small_models import linear_model, make_inputs
from tests.samples import click_schema, unfitted_schema


def test_an_unfitted_schema(tmp_path):
    with pytest.raises(ValueError, match=r"An export needs a fitted schema.*'user'"):
        saved_model(keras.Model(), unfitted_schema(), tmp_path)


def test_a_missing_vocabulary(tmp_path):
    schema = click_schema(tmp_path)
    (tmp_path / "item.txt").unlink()
    with pytest.raises(ValueError, match=r"of features item, history is missing: '.*"):
        saved_model(keras.Model(), schema, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_a_changed_vocabulary(tmp_path):
    schema = click_schema(tmp_path)
    (tmp_path / "user.txt").write_text("bob\nann\ncy\n")
    with pytest.raises(ValueError, match=r"of feature user is not the one .* SHA-256"):
        saved_model(keras.Model(), schema, tmp_path / "export")


def test_a_model_that_is_not_functional(schema):
    with pytest.raises(ValueError, match=r"must be a functional keras\.Model"):
        check_model(keras.Sequential([keras.layers.Dense(1)]), schema)


def test_inputs_that_are_not_the_features(schema):
    inputs = make_inputs(schema)
    del inputs["user"]
    inputs["device"] = keras.Input((), name="device")
    model = keras.Model(inputs, {"click": inputs["price"][:, None]})
    with pytest.raises(
        ValueError, match=r"lacks \['user'\]; the schema lacks \['device'"
    ):
        check_model(model, schema)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "message"),
    [
        ("history", (9,), "int32", r"'history'.*shape \(None, 3\).*\(None, 9\)"),
        ("user", (1,), "int32", r"'user'.*shape \(None,\).*\(None, 1\)"),
        ("price", (), "int32", "'price'.*type float32.*int32"),
        ("age", (), "float32", "'age'.*type int32.*float32"),
    ],
)
def test_an_input_that_is_not_as_the_feature(schema, name, shape, dtype, message):
    inputs = make_inputs(schema)
    inputs[name] = keras.Input(shape, dtype=dtype, name=name)
    output = keras.ops.cast(inputs["hour"][:, None], "float32")
    with pytest.raises(ValueError, match=f"Feature {message}"):
        check_model(keras.Model(inputs, {"click": output}), schema)


def test_outputs_that_are_not_the_labels(schema):
    inputs = make_inputs(schema)
    price = inputs["price"][:, None]
    with pytest.raises(ValueError, match="no output for label 'buy'"):
        check_model(keras.Model(inputs, {"click": price}), schema)
    outputs = dict.fromkeys(schema.label_names, price) | {"buy": inputs["price"] * 2}
    with pytest.raises(ValueError, match=r"Output 'buy'.*\(None, 1\).*\(None,\)"):
        check_model(keras.Model(inputs, outputs), schema)
    outputs = dict.fromkeys(schema.label_names, price)
    outputs["total"] = keras.ops.sum(inputs["price"])
    with pytest.raises(ValueError, match=r"'total'.*first dimension"):
        check_model(keras.Model(inputs, outputs), schema)


def test_another_backend(schema, monkeypatch, tmp_path):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(
        ValueError, match=r"TensorFlow backend\. Received: backend='jax'"
    ):
        saved_model(keras.Model(), schema, tmp_path)


def test_no_serving_api(monkeypatch, tmp_path):
    schema = Schema([NumericFeature("x")], [Label("y", task="regression")])
    inputs = make_inputs(schema)
    model = keras.Model(inputs, {"y": inputs["x"][:, None] * 2})
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(ImportError, match="pip install tensorflow-serving-api"):
        saved_model(model, schema, tmp_path)
    assert list(tmp_path.iterdir()) == []


# === A SavedModel that is broken after it was written ===


@pytest.fixture
def parity_of_damaged(schema, linear_export, tmp_path):
    """Function that damages a copy of an export and checks it."""

    def check(damage):
        copy = tmp_path / "1"
        shutil.copytree(linear_export[0], copy)
        damage(copy)
        rows = RawRows.for_check(schema)
        model, preprocessor = linear_model(schema), SchemaPreprocessor(schema)
        return check_parity(copy, model, schema, preprocessor, rows, timeout=60)

    return check


def test_a_vocabulary_in_another_order_fails(parity_of_damaged):
    def damage(copy):
        (copy / "assets" / "user.txt").write_text("bob\nann\ncy\n")

    # Users ann and bob are 0.1 apart.
    with pytest.raises(RuntimeError, match=r"The row: \{'user': '(ann|bob)'"):
        parity_of_damaged(damage)


def test_damaged_weights_fail(parity_of_damaged):
    def damage(copy):
        path = copy / "variables" / "variables.data-00000-of-00001"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x40
        path.write_bytes(data)

    with pytest.raises(RuntimeError, match=r"C\+\+ loader failed|does not answer"):
        parity_of_damaged(damage)


def test_a_missing_asset_fails(parity_of_damaged):
    def damage(copy):
        Path(copy / "assets" / "item.txt").unlink()

    with pytest.raises(RuntimeError, match=r"C\+\+ loader failed.*item\.txt"):
        parity_of_damaged(damage)
