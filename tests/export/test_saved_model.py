"""The export as a whole, asked through the C++ loader."""

import hashlib
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

import keras_recs
from keras_recs import (
    CategoricalFeature,
    CrossedFeature,
    Label,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from keras_recs.export import saved_model
from keras_recs.export.float32_twin import float32_twin
from keras_recs.export.fresh_process import _environment
from keras_recs.export.raw_rows import RawRows
from keras_recs.models import logistic_regression, youtube_ranking
from keras_recs.preprocessing import SchemaPreprocessor
from keras_recs.schema import FittedNumeric
from tests import numpy_reference
from tests.export.small_models import deep_model, linear_model, make_inputs
from tests.samples import ITEMS, PRICE, USERS, click_columns, example, write_vocabulary

BINARY, VALUES = ("click", "buy"), ("rating", "stay")

# Rows, and by hand the rows of the tables that they stand for.
ROWS = [
    {
        "user": "bob",
        "item": "i2",
        "genres": ["drama", "war"],
        "history": ["i1", "i2", "i3", "i4"],  # the last three are kept
        "hour": 5,
        "price": 1.25,
        "age": 18.0,
    },
    {
        "user": "newcomer",
        "item": "i5",
        "genres": [],
        "history": [],
        "hour": 24,  # out of range
        "price": None,
        "age": None,
    },
    {
        "user": None,
        "item": "i1",
        "genres": ["drama"],
        "history": ["i5"],
        "hour": None,  # default 12
        "price": -3.5,
        "age": 77.0,
    },
]


def weight(row):
    return row / 10 - 0.2


def expected_logits():
    user = {name: 2 + i for i, name in enumerate(USERS)}  # padding, one OOV row
    item = {name: 3 + i for i, name in enumerate(ITEMS)}  # padding, two OOV rows

    def price(x):
        return (np.sign(x) * np.log1p(abs(x)) - PRICE["mean"]) / PRICE["std"]

    cross = 0.1
    first = [
        weight(user["bob"]),
        weight(item["i2"]),
        2 * 0.1,
        sum(weight(item[i]) for i in ("i2", "i3", "i4")),
        weight(2 + 5),
        0.5 * price(1.25),
        weight(3),  # 18 ≤ age < 40
    ]
    second = [weight(1), weight(item["i5"]), weight(1), weight(1)]
    third = [
        weight(1),
        weight(item["i1"]),
        0.1,
        weight(item["i5"]),
        weight(2 + 12),
        0.5 * price(-3.5),
        weight(4),
    ]
    return np.array([[sum(row) + cross] for row in (first, second, third)])


def expected_outputs():
    z = expected_logits()
    p = 1 / (1 + np.exp(-z))
    return {"click": p, "buy": 1 - p, "rating": z, "stay": 3 * z + 1, "logit": z}


def serialized(rows):
    rows = [{k: v for k, v in row.items() if v != []} for row in rows]
    return np.array([example(row) for row in rows], object)


def raw_arrays(rows):
    missing = {"hour": -1, "price": np.nan, "age": np.nan}
    arrays = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if isinstance(values[0], list):
            width = max(map(len, values)) + 1  # one more column of filling
            values = [
                [v.encode() for v in x] + [b""] * (width - len(x)) for x in values
            ]
            arrays[name] = np.array(values, object)
        elif name in missing:
            kind = "int64" if name == "hour" else "float32"
            values = [missing[name] if v is None else v for v in values]
            arrays[name] = np.array(values, kind)
        else:
            arrays[name] = np.array([(v or "").encode() for v in values], object)
    return arrays


def check_outputs(outputs):
    wanted = expected_outputs()
    assert set(outputs) == set(wanted)
    for name, value in outputs.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, wanted[name], rtol=1e-5, atol=1e-6)


def test_raw_features_are_answered_by_label(linear_export, ask):
    check_outputs(ask(linear_export[0], "serving_default", raw_arrays(ROWS)))


def test_examples_are_answered_by_label(linear_export, ask):
    inputs = {"examples": serialized(ROWS)}
    check_outputs(ask(linear_export[0], "serve_tf_example", inputs))


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_one_row_is_answered_as_in_a_batch(linear_export, ask, row):
    outputs = ask(linear_export[0], "serving_default", raw_arrays(ROWS[row : row + 1]))
    for name, value in expected_outputs().items():
        np.testing.assert_allclose(outputs[name], value[row : row + 1], rtol=1e-5)


@pytest.mark.parametrize(("key", "label"), [("classify", 0), ("classify_buy", 1)])
def test_classify(linear_export, ask, key, label):
    outputs = ask(linear_export[0], key, {"inputs": serialized(ROWS)})
    p = expected_outputs()[BINARY[label]]
    assert outputs["classes"].tolist() == [[b"0", b"1"]] * len(ROWS)
    assert outputs["scores"].dtype == np.float32
    np.testing.assert_allclose(outputs["scores"], np.hstack([1 - p, p]), atol=1e-6)


@pytest.mark.parametrize(("key", "label"), [("regress", 0), ("regress_stay", 1)])
def test_regress(linear_export, ask, key, label):
    outputs = ask(linear_export[0], key, {"inputs": serialized(ROWS)})
    assert outputs["outputs"].dtype == np.float32
    wanted = expected_outputs()[VALUES[label]]
    np.testing.assert_allclose(outputs["outputs"], wanted, rtol=1e-5, atol=1e-6)


def shapes(tensors):
    return {
        name: (tf.as_dtype(t.dtype).name, [d.size for d in t.tensor_shape.dim])
        for name, t in tensors.items()
    }


def test_signatures(linear_export, signature_defs):
    signatures = signature_defs(linear_export[0])
    methods = {key: s.method_name for key, s in signatures.items()}
    assert methods == {
        "serving_default": "tensorflow/serving/predict",
        "serve_tf_example": "tensorflow/serving/predict",
        "classify": "tensorflow/serving/classify",
        "classify_buy": "tensorflow/serving/classify",
        "regress": "tensorflow/serving/regress",
        "regress_stay": "tensorflow/serving/regress",
    }
    outputs = {n: ("float32", [-1, 1]) for n in (*BINARY, *VALUES, "logit")}
    assert shapes(signatures["serving_default"].inputs) == {
        "user": ("string", [-1]),
        "item": ("string", [-1]),
        "genres": ("string", [-1, -1]),
        "history": ("string", [-1, -1]),
        "hour": ("int64", [-1]),
        "price": ("float32", [-1]),
        "age": ("float32", [-1]),
    }
    assert shapes(signatures["serving_default"].outputs) == outputs
    assert shapes(signatures["serve_tf_example"].inputs) == {
        "examples": ("string", [-1])
    }
    assert shapes(signatures["serve_tf_example"].outputs) == outputs
    for key in ("classify", "classify_buy", "regress", "regress_stay"):
        assert shapes(signatures[key].inputs) == {"inputs": ("string", [-1])}
    assert shapes(signatures["classify"].outputs) == {
        "classes": ("string", [-1, 2]),
        "scores": ("float32", [-1, 2]),
    }
    assert shapes(signatures["regress"].outputs) == {"outputs": ("float32", [-1, 1])}


def test_a_version_is_complete_when_it_appears(linear_export):
    path, watcher = linear_export
    assert path.name == "1"
    assert watcher.seen == {"1"}
    assert watcher.incomplete == []
    assert [p.name for p in path.parent.iterdir()] == ["1"]


def test_manifest(linear_export, schema):
    path = linear_export[0]
    manifest = json.loads((path / "manifest.json").read_text())
    files = {
        file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.is_file() and file.name != "manifest.json"
    }
    assert manifest["files"] == files
    assert {"assets/user.txt", "assets.extra/schema.json"} <= set(files)
    assert manifest["format"] == 1
    assert manifest["model"] == "linear"
    assert manifest["schema_fingerprint"] == schema.fingerprint()
    assert manifest["versions"]["tensorflow"] == tf.__version__
    assert manifest["versions"]["keras"] == keras.__version__
    assert manifest["metrics"] == {"test": {"click": {"auc": 0.75}}}
    tables = schema.tables
    rows = [tables[f.table_name].num_rows for f in schema.id_features]
    assert manifest["num_parameters"] == sum(rows)
    assert manifest["stand_ins"] == {"inputs": {}, "outputs": {}}
    parity = manifest["parity"]
    assert (parity["rows"], parity["batch_sizes"]) == (1000, [1000, 1])
    assert parity["tolerances"]["click"] == {"absolute": 1e-6, "relative": 0.0}
    assert parity["tolerances"]["stay"]["relative"] == 1e-5
    largest = parity["largest_differences"]
    assert largest["classify"].keys() == {"classes", "scores"}
    assert 0 <= largest["classify"]["scores"] <= 1e-6


def test_schema_refers_to_the_assets_of_the_export(linear_export, schema, tmp_path):
    # As a copy of the version folder alone would be read.
    moved = tmp_path / "moved"
    subprocess.run(["cp", "-r", linear_export[0], moved], check=True)
    stored = Schema.load(moved / "assets.extra")
    assert stored.fingerprint() == schema.fingerprint()
    preprocessor = keras_recs.preprocessing.SchemaPreprocessor(stored)
    raw = {name: tf.constant(value) for name, value in raw_arrays(ROWS).items()}
    assert preprocessor(raw)["user"].numpy().tolist() == [3, 1, 1]
    for vocabulary in stored.vocabularies.values():
        assert str(moved) in vocabulary.path


def test_warmup_requests(linear_export, signature_defs):
    path = linear_export[0] / "assets.extra/tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record)
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    asked = set()
    for log in logs:
        kind = log.WhichOneof("log_type")
        request = getattr(log, kind).request
        if kind == "predict_log":
            tensors = request.inputs.values()
            sizes = {t.tensor_shape.dim[0].size for t in tensors}
        else:
            sizes = {len(request.input.example_list.examples)}
        key = request.model_spec.signature_name
        asked.update((key, kind.removesuffix("_log"), size) for size in sizes)
    assert asked == {
        (key, signature.method_name.split("/")[-1], size)
        for key, signature in signature_defs(linear_export[0]).items()
        for size in (1, 64)
    }
    # Real rows come first.
    first = logs[0].predict_log.request.inputs
    given = click_columns(50)
    assert first["user"].string_val == [given["user"][0].encode()]
    assert first["hour"].int64_val[0] == given["hour"][0]


def test_our_server_loads_it_and_replays_the_warmup(linear_export):
    from serving.load_version import load_version

    servable = load_version("linear", 1, linear_export[0], require_manifest=True)
    servable.close()


def test_pythons_loader_answers_too(linear_export):
    loaded = tf.saved_model.load(str(linear_export[0]))
    serve = loaded.signatures["serving_default"]
    raw = {name: tf.constant(value) for name, value in raw_arrays(ROWS).items()}
    check_outputs({name: value.numpy() for name, value in serve(**raw).items()})


def test_versions_count_up_from_the_highest(schema, linear_export, tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").mkdir()
    plain = _small_schema()
    path = saved_model(linear_model(plain), plain, tmp_path)
    assert path == tmp_path / "8"
    with pytest.raises(ValueError, match=r"`version` must be new .*version=8"):
        saved_model(linear_model(plain), plain, tmp_path, version=8)
    # Numbers alone need no asset and no regression label.
    keys = json.loads((path / "manifest.json").read_text())["parity"]
    assert list(keys["largest_differences"]) == [
        "serving_default",
        "serve_tf_example",
        "classify",
        "regress",
    ]
    assert {p.name for p in tmp_path.iterdir()} == {"7", "8", "notes"}


def _small_schema():
    return Schema(
        features=[NumericFeature("x"), CategoricalFeature("id", vocabulary_size=4)],
        labels=[Label("click")],
    )


def test_a_schema_without_labels(tmp_path, signature_defs):
    plain = _small_schema()
    schema = Schema(plain.features)
    inputs = make_inputs(schema)
    vector = keras.ops.stack([inputs["x"], 2 * inputs["x"]], axis=1)  # (B, 2)
    model = keras.Model(inputs, {"vector": vector, "id": inputs["id"]})
    path = saved_model(model, schema, tmp_path)
    signatures = signature_defs(path)
    assert set(signatures) == {"serving_default", "serve_tf_example"}
    assert shapes(signatures["serving_default"].outputs) == {
        "vector": ("float32", [-1, 2]),
        "id": ("int32", [-1]),
    }


@pytest.fixture(scope="module")
def odd_export(tmp_path_factory):
    """Names that Python or TensorFlow would change, or of layers; no vocabulary."""
    folder = tmp_path_factory.mktemp("odd")
    schema = Schema(
        features=[
            CategoricalFeature("Movie Title"),
            CategoricalFeature("user-id", vocabulary_size=9),
            CategoricalFeature("class", hash_bins=5),
            CategoricalFeature("USER-ID"),
            NumericFeature("self"),
            NumericFeature("größe"),
            NumericFeature("Tensor_0"),
            NumericFeature("deep"),
            NumericFeature("Deep"),
            CrossedFeature("user-id × class", keys=("user-id", "class"), hash_bins=3),
        ],
        labels=[Label("click-through"), Label("2nd-click"), Label("buy"), Label("Buy")],
        vocabularies={
            "Movie Title": write_vocabulary(folder / "titles.txt", ["Heat", "Ran, 乱"]),
            "USER-ID": write_vocabulary(folder / "none.txt", []),
        },
    )
    model = keras_recs.models.deepfm(schema, embedding_dim=4)
    return schema, model, saved_model(model, schema, folder / "export", version=3)


def test_odd_names_are_kept(odd_export, signature_defs, ask):
    """In the signatures; Python's loader has stand-ins, which the manifest lists."""
    schema, model, path = odd_export
    assert path.name == "3"
    signature = signature_defs(path)["serving_default"]
    names = {feature.name for feature in schema.raw_features}
    assert set(signature.inputs) == names
    assert set(signature.outputs) == set(schema.label_names)
    assert "classify_2nd-click" in signature_defs(path)
    raw = {
        "Movie Title": np.array(["Ran, 乱".encode(), b"", b"?"], object),
        "user-id": np.array([0, 8, -1]),
        "class": np.array([b"a", b"b", b""], object),
        "USER-ID": np.array([b"a", b"", b"c"], object),
        "self": np.array([0.5, np.nan, 1], "float32"),
        "größe": np.array([1, 2, 3], "float32"),
        "Tensor_0": np.array([-1, 0, 1], "float32"),
        "deep": np.array([2, 0, 1], "float32"),
        "Deep": np.array([5, 6, 7], "float32"),
    }
    preprocessor = keras_recs.preprocessing.SchemaPreprocessor(schema)
    rows = preprocessor({name: tf.constant(value) for name, value in raw.items()})
    wanted = model(rows)
    outputs = ask(path, "serving_default", raw)
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    stand_ins = json.loads((path / "manifest.json").read_text("utf-8"))["stand_ins"]
    assert set(stand_ins["inputs"].values()) == names - {"Tensor_0"}
    assert set(stand_ins["outputs"].values()) == set(schema.label_names)
    names_of = {name: stand_in for stand_in, name in stand_ins["inputs"].items()}
    found = serve(**{names_of.get(n, n): tf.constant(raw[n]) for n in raw})
    found = {stand_ins["outputs"][key]: value for key, value in found.items()}
    for name in schema.label_names:
        np.testing.assert_allclose(outputs[name], wanted[name], atol=1e-6)
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-6)


def test_an_empty_vocabulary_travels_too(odd_export):
    stored = Schema.load(odd_export[2] / "assets.extra")
    assert stored.fingerprint() == odd_export[0].fingerprint()
    keras_recs.preprocessing.SchemaPreprocessor(stored)


@pytest.mark.parametrize(
    ("policy", "rounding", "small"),
    [("mixed_bfloat16", 2.0**-8, False), ("mixed_float16", 2.0**-11, True)],
)
def test_mixed_precision_is_served_as_float32(
    schema, tmp_path, signature_defs, policy, rounding, small
):
    schema = _small_schema() if small else schema
    keras.config.set_dtype_policy(policy)
    model = deep_model(schema)
    assert model.output["click"].dtype == policy.removeprefix("mixed_")
    path = saved_model(model, schema, tmp_path)
    outputs = signature_defs(path)["serving_default"].outputs
    assert {tensor.dtype for tensor in outputs.values()} == {
        tf.float32.as_datatype_enum
    }

    # The tolerance is twice what half precision costs, and one rounding.
    keras.config.set_dtype_policy("float32")
    exact = deep_model(schema)
    exact.set_weights(model.get_weights())
    rows = RawRows.for_check(schema).arrays(0, 1000)
    rows = {name: tf.constant(array) for name, array in rows.items()}
    inputs = keras_recs.preprocessing.SchemaPreprocessor(schema)(rows)
    parity = json.loads((path / "manifest.json").read_text())["parity"]
    for name, value in exact(inputs).items():
        noise = np.abs(value - tf.cast(model(inputs)[name], "float32")).max()
        assert noise > 0
        floor = 1e-7 if name in VALUES else 1e-6
        tolerance = parity["tolerances"][name]
        assert tolerance["absolute"] == pytest.approx(floor + 2 * noise, rel=0.01)
        assert tolerance["relative"] == pytest.approx(rounding, rel=0.03)
    assert parity["tolerances"]["click"]["absolute"] < 0.02


def test_a_model_that_half_precision_upsets_is_not_published(tmp_path):
    schema = _small_schema()
    keras.config.set_dtype_policy("mixed_bfloat16")
    inputs = make_inputs(schema)
    # 1 + x / 1000 keeps hardly a bit of x in bfloat16, and the factor 1000 brings that
    # to light. Were so much noise tolerated, the skew of the layer would pass.
    x = keras.layers.Reshape((1,), dtype="bfloat16")(1 + inputs["x"] * 1e-3)
    z = ComparesWithBatch(dtype="bfloat16")(x) * 1000.0
    model = keras.Model(inputs, {"click": keras.ops.sigmoid(z)})
    with pytest.raises(RuntimeError, match="half precision"):
        saved_model(model, schema, tmp_path / "export")
    assert list((tmp_path / "export").iterdir()) == []


def test_float32_twin(schema):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = deep_model(schema)
    twin = float32_twin(model)
    assert {x.compute_dtype for x in twin.layers if x.weights} == {"float32"}
    assert {output.dtype for output in twin.output.values()} == {"float32"}
    assert [layer.name for layer in twin.layers] == [x.name for x in model.layers]
    for mine, theirs in zip(model.weights, twin.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert model.layers[-1].compute_dtype == "bfloat16"  # as it was


def test_a_trained_model_leaves_its_optimizer_behind(tmp_path):
    schema = _small_schema()
    model = deep_model(schema)
    model.compile("adam", loss="binary_crossentropy")
    inputs = {"x": np.ones(8, "float32"), "id": np.ones(8, "int32")}
    model.fit(inputs, {"click": np.ones((8, 1))}, verbose=0)
    path = saved_model(model, schema, tmp_path)
    stored = tf.train.list_variables(str(path / "variables" / "variables"))
    sizes = [np.prod(shape) for name, shape in stored if not name.startswith("_CHECK")]
    assert sum(sizes) == model.count_params()


# === What must not be published ===


@keras.saving.register_keras_serializable(package="tests")
class OtherwiseWhenTraced(keras.layers.Layer):
    """Adds 1 in a graph, nothing when called eagerly."""

    def call(self, inputs):
        return inputs if tf.executing_eagerly() else inputs + 1.0


@keras.saving.register_keras_serializable(package="tests")
class ComparesWithBatch(keras.layers.Layer):
    """Subtracts the mean of the batch."""

    def call(self, inputs):
        return inputs - keras.ops.mean(inputs, axis=0, keepdims=True)


def _model_with(layer, schema):
    inputs = make_inputs(schema)
    x = keras.layers.Reshape((1,))(inputs["x"])
    outputs = {"click": keras.ops.sigmoid(layer(x))}
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(
    ("layer", "where"),
    [
        (OtherwiseWhenTraced(), r"'[a-z_]+', output '[a-z]+', at batch size 1000"),
        (ComparesWithBatch(), r"'[a-z_]+', output '[a-z]+', at batch size 1:"),
    ],
)
def test_a_skewed_model_is_not_published(tmp_path, layer, where):
    schema = _small_schema()
    base = tmp_path / "export"
    with pytest.raises(RuntimeError, match=where) as caught:
        saved_model(_model_with(layer, schema), schema, base)
    message = str(caught.value)
    assert "nothing was published" in message
    assert "The row: {'x': " in message
    assert list(base.iterdir()) == []


def test_a_model_that_answers_nan_is_not_published(tmp_path):
    schema = _small_schema()
    model = linear_model(schema)
    model.layers[-1].trainable = True
    for variable in model.variables:
        variable.assign(variable * np.nan)
    with pytest.raises(RuntimeError, match=r"'click' of model 'linear' is not finite"):
        saved_model(model, schema, tmp_path / "export")
    assert list((tmp_path / "export").iterdir()) == []


def test_no_tensorflow_in_the_process_that_checks():
    code = (
        "import sys, keras_recs.export, keras_recs.export.run_requests\n"
        "loaded = {'tensorflow', 'keras'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, env=_environment()
    )


@pytest.mark.parametrize(
    "policy",
    [
        "float32",
        "mixed_bfloat16",
        pytest.param("mixed_float16", marks=pytest.mark.large),
    ],
)
def test_watch_times_and_quantiles(policy, tmp_path, ask):
    """Each time within the error that half precision makes of its logit."""
    keras.config.set_dtype_policy(policy)
    percentiles = tuple(np.linspace(-1, 1, 101) ** 3)
    schema = Schema(
        features=[
            CategoricalFeature("video", vocabulary_size=40),
            SequenceFeature("watched", table="video", max_length=3),
            NumericFeature("age", transform="quantile"),
        ],
        labels=[Label("click"), Label("watch", task="watch_time")],
        numerics={"age": FittedNumeric(0.0, 0.0, 1.0, -1.0, 1.0, 0, percentiles)},
    )
    keras.utils.set_random_seed(0)
    model = youtube_ranking(schema, 8, (16, 8))
    embedding = model.get_layer("embedding")
    embedding.write_rows("video", range(42), np.random.normal(size=(42, 8)) * 3)

    path = saved_model(model, schema, tmp_path / "export")
    raw = {
        "video": np.arange(20) % 40,
        "watched": np.tile(np.array([[3, -1], [4, 7]]), (10, 1)),
        "age": np.linspace(-1.5, 1.5, 20).astype("float32"),
    }
    raw["age"][3] = np.nan
    answer = ask(path, "serving_default", raw)["watch"]
    layer = SchemaPreprocessor(schema)
    inputs = layer({name: tf.constant(value) for name, value in raw.items()})
    expected = [
        numpy_reference.quantile_rank(x, percentiles) for x in raw["age"].tolist()
    ]
    np.testing.assert_allclose(inputs["age"], expected, atol=1e-6)
    assert answer.dtype == "float32" and np.ptp(np.log(answer)) > 3
    tolerance = 1e-5 if policy == "float32" else 0.1
    np.testing.assert_allclose(answer, model(inputs)["watch"], rtol=tolerance)
    manifest = json.loads((path / "manifest.json").read_text())
    signatures = {"classify", "regress", "serving_default", "serve_tf_example"}
    assert set(manifest["parity"]["largest_differences"]) == signatures
    rows = [
        {
            "video": int(raw["video"][i]),
            "watched": raw["watched"][i].tolist(),
            "age": float(raw["age"][i]),
        }
        for i in range(20)
    ]
    examples = np.array([example(row) for row in rows], object)
    answer_of_regress = ask(path, "regress", {"inputs": examples})["outputs"]
    np.testing.assert_array_equal(np.ravel(answer_of_regress), np.ravel(answer))


def test_keys_that_training_learnt_are_answered_as_in_keras(tmp_path, ask):
    """A key with a row, one seen too seldom, one never seen, and a missing value."""
    schema = Schema(
        features=[
            CategoricalFeature("user", max_keys=4, admission_count=2),
            SequenceFeature("friends", table="user", max_length=2),
        ],
        labels=[Label("y", task="regression")],
    )
    model = logistic_regression(schema)
    linear = model.get_layer("linear")
    linear.weight_of_value.write_rows("user", range(6), 10.0 ** np.arange(6)[:, None])
    layer = SchemaPreprocessor(schema)
    batch = {"user": ["a", "a", "b"], "friends": [["c", ""], ["c", ""], ["", ""]]}
    model(layer({n: tf.constant(v) for n, v in batch.items()}), training=True)

    path = saved_model(model, schema, tmp_path / "export")
    raw = {
        "user": np.array([b"a", b"b", b"never", b"", b"c"], object),
        "friends": np.array(
            [[b"", b""], [b"", b""], [b"", b""], [b"", b""], [b"a", b"never"]], object
        ),
    }
    # Row 1 is out of vocabulary, 2 that of a, 3 that of c; friends are averaged.
    expected = [100, 10, 10, 10, 1000 + (100 + 10) / 2]
    answer = ask(path, "serving_default", raw)["y"]
    np.testing.assert_allclose(answer[:, 0], expected, rtol=1e-6)
    inputs = layer({name: tf.constant(value) for name, value in raw.items()})
    np.testing.assert_allclose(model(inputs)["y"], answer, rtol=1e-6)
