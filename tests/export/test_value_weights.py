"""Weights of a feature's values in an export."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recs import Label, MultiValuedFeature, NumericFeature, Schema
from keras_recs.export import saved_model
from keras_recs.export.check_model import check_model
from keras_recs.export.raw_rows import RawRows
from keras_recs.models import logistic_regression
from tests import numpy_reference
from tests.samples import example

NAN = float("nan")
SCHEMA = Schema(
    features=[
        MultiValuedFeature("tags", hash_bins=9, weights="tag-weights", combiner="sum"),
        MultiValuedFeature("ids", vocabulary_size=5, max_length=2, weights="w"),
        NumericFeature("price"),
    ],
    labels=[Label("click"), Label("rating", task="regression")],
)
ROWS = [
    {
        "tags": ["a", "b"],
        "tag-weights": [0.5, -2.0],
        "ids": [1, 2, 3],
        "w": [1.0, 3.0, 100.0],
        "price": 2.0,
    },
    {"tags": ["c"], "ids": [4], "w": [7.0]},
    {"tags": ["b", "c"], "tag-weights": [NAN, 4.0]},
    {},
]


@pytest.fixture(scope="module")
def model():
    model = logistic_regression(SCHEMA)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return saved_model(model, SCHEMA, tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def expected(model):
    """Answers by label, from loops over the raw rows."""
    answers = []
    for row in ROWS:
        tags, ids = row.get("tags", []), row.get("ids", [])
        inputs = {
            "tags": [numpy_reference.hash_row(tag, 9) for tag in tags],
            "tag-weights": row.get("tag-weights") or [1.0] * len(tags),
            "ids": [2 + number for number in ids[:2]],
            "w": (row.get("w") or [1.0] * len(ids))[:2],
            "price": row.get("price", 0.0),
        }
        answers.append(numpy_reference.logistic_regression(model, SCHEMA, inputs))
    return {name: np.array([a[name] for a in answers]) for name in SCHEMA.label_names}


def arrays():
    """The rows as a client sends tensors: lists filled up."""

    def filled(name, length, filling):
        lists = [row.get(name, []) for row in ROWS]
        return [[*v, *[filling] * (length - len(v))] for v in lists]

    return {
        "tags": np.char.encode(filled("tags", 2, "")).astype(object),
        "tag-weights": np.array(filled("tag-weights", 2, NAN), "float32"),
        "ids": np.array(filled("ids", 3, -1), "int64"),
        "w": np.array(filled("w", 3, NAN), "float32"),
        "price": np.array([row.get("price", NAN) for row in ROWS], "float32"),
    }


def test_every_signature_weighs(exported, signature_defs, ask, expected):
    signature = signature_defs(exported)["serving_default"]
    assert set(signature.inputs) == set(SCHEMA.request_columns)
    for name in ("tag-weights", "w"):
        tensor = signature.inputs[name]
        assert tensor.dtype == tf.float32.as_datatype_enum
        assert [dim.size for dim in tensor.tensor_shape.dim] == [-1, -1]
    serialized = np.array([example(row) for row in ROWS], object)
    for key, feeds in (
        ("serving_default", arrays()),
        ("serve_tf_example", {"examples": serialized}),
    ):
        answer = ask(exported, key, feeds)
        for name, values in expected.items():
            np.testing.assert_allclose(answer[name][:, 0], values, rtol=1e-5)
    scores = ask(exported, "classify", {"inputs": serialized})["scores"]
    np.testing.assert_allclose(scores[:, 1], expected["click"], rtol=1e-5)
    values = ask(exported, "regress", {"inputs": serialized})["outputs"]
    np.testing.assert_allclose(values[:, 0], expected["rating"], rtol=1e-5)


def test_a_request_that_does_not_match_is_refused(exported, ask):
    feeds = arrays()
    feeds["w"] = feeds["w"][:, :2]
    message = "Feature ids must have a weight for each value in column w"
    with pytest.raises(RuntimeError, match=message):
        ask(exported, "serving_default", feeds)
    wrong = np.array([example({"ids": [1, 2], "w": [1.0]})], object)
    with pytest.raises(RuntimeError, match=message):
        ask(exported, "serve_tf_example", {"examples": wrong})


def test_the_rows_of_the_check_have_weights():
    rows = RawRows.for_check(SCHEMA)
    found = rows.arrays(0, len(rows))
    assert found["w"].shape == found["ids"].shape
    assert found["tag-weights"].shape == found["tags"].shape
    there = found["ids"] != -1
    given = ~np.isnan(found["w"])
    assert not (given & ~there).any()
    some = given.any(axis=1)
    assert (given[some] == there[some]).all()
    none = ~some & there.any(axis=1)
    assert 20 < none.sum() < 200
    assert (found["w"][given] == 0).any()
    real = RawRows.for_check(SCHEMA, {n: [r[n]] for r in ROWS[:1] for n in r})
    assert real.describe(0)["w"] == [1.0, 3.0, 100.0]


def test_a_model_without_the_weights(model):
    features = [
        MultiValuedFeature("tags", hash_bins=9, combiner="sum"),
        *SCHEMA.features[1:],
    ]
    schema = Schema(features=features, labels=SCHEMA.labels)
    message = r"and the weights of .*lacks \[\]; the schema lacks \['tag-weights'\]"
    with pytest.raises(ValueError, match=message):
        check_model(model, schema)
    with pytest.raises(ValueError, match=r"The model lacks \['tag-weights'\]"):
        check_model(logistic_regression(schema), SCHEMA)
