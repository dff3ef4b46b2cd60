"""Every signature of an export of ours answers over REST and gRPC as Keras does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_recs
from keras_recs import CategoricalFeature, Label, MultiValuedFeature, NumericFeature
from serving.client import Client, PredictionError

pytestmark = pytest.mark.serving

COLUMNS = {
    "user": ["7", "", "12"],
    "hour": [3, 23, -1],
    "price": [1.5, float("nan"), 200.0],
    "tags": [["a", "b"], [], ["c"]],
    "tag_weights": [[0.5, 2.0], [], []],
}
NAN = float("nan")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The base folder of an export, and what Keras predicts for the columns."""
    schema = keras_recs.Schema(
        features=[
            CategoricalFeature("user", hash_bins=50),
            CategoricalFeature("hour", vocabulary_size=24),
            NumericFeature("price", transform="log1p"),
            MultiValuedFeature("tags", hash_bins=9, weights="tag_weights"),
        ],
        labels=[Label("click"), Label("rating", task="regression")],
    )
    keras.utils.set_random_seed(0)
    model = keras_recs.models.deepfm(schema, 4, (8,))
    labels = {"click": [0, 1, 0], "rating": [1.0, 2.0, 3.0]}
    batches = keras_recs.data.array_dataset(COLUMNS | labels, schema, 3, shuffle=False)
    inputs, _ = next(iter(batches))
    expected = {k: np.ravel(v) for k, v in model.predict_on_batch(inputs).items()}
    base = tmp_path_factory.mktemp("export") / "deepfm"
    keras_recs.export.saved_model(model, schema, base)
    return base, expected


@pytest.fixture(scope="module")
def server(exported, start_server):
    return start_server(
        "--model_name=deepfm", f"--model_base_path={exported[0]}", "--require_manifest"
    )


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_every_signature_answers(exported, server, protocol):
    _, expected = exported
    address = server.rest if protocol == "rest" else f"grpc://{server.grpc}"
    client = Client(address, "deepfm", timeout=20)
    signatures = client.metadata()["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "serve_tf_example", "classify", "regress"} <= set(
        signatures
    )

    columns = COLUMNS | {
        "tags": [["a", "b"], ["", ""], ["c", ""]],
        "tag_weights": [[0.5, 2.0], [NAN, NAN], [NAN, NAN]],
    }
    examples, serialized = [], []
    for i in range(3):
        row = {name: values[i] for name, values in COLUMNS.items()}
        # A missing feature is left out of an example.
        if row["user"] == "":
            del row["user"], row["price"]
        if row["hour"] == -1:
            del row["hour"]
        examples.append(
            {
                k: [v.encode() for v in vs]
                if k == "tags"
                else vs.encode()
                if k == "user"
                else vs
                for k, vs in row.items()
            }
        )
        feature = {
            "tags": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[t.encode() for t in row["tags"]])
            ),
            "tag_weights": tf.train.Feature(
                float_list=tf.train.FloatList(value=row["tag_weights"])
            ),
        }
        if "user" in row:
            feature["user"] = tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[row["user"].encode()])
            )
        if "hour" in row:
            feature["hour"] = tf.train.Feature(
                int64_list=tf.train.Int64List(value=[row["hour"]])
            )
        if "price" in row:
            feature["price"] = tf.train.Feature(
                float_list=tf.train.FloatList(value=[row["price"]])
            )
        serialized.append(
            tf.train.Example(
                features=tf.train.Features(feature=feature)
            ).SerializeToString()
        )

    answers = {
        "serving_default": client.predict(columns),
        "serve_tf_example": client.predict(
            {"examples": serialized}, "serve_tf_example"
        ),
    }
    for answer in answers.values():
        for name, values in expected.items():
            np.testing.assert_allclose(np.ravel(answer[name]), values, atol=1e-5)
    classified = client.classify(examples, "classify")
    for pairs, p in zip(classified, expected["click"], strict=True):
        assert [label for label, _ in pairs] == ["0", "1"]
        np.testing.assert_allclose([score for _, score in pairs], [1 - p, p], atol=1e-6)
    regressed = client.regress(examples, "regress")
    np.testing.assert_allclose(regressed, expected["rating"], atol=1e-5)
    client.close()


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_weights_that_do_not_match_are_refused(server, protocol):
    address = server.rest if protocol == "rest" else f"grpc://{server.grpc}"
    client = Client(address, "deepfm", timeout=20)
    columns = {name: values[:1] for name, values in COLUMNS.items()}
    wrong = columns | {"tag_weights": [[0.5, 2.0, 3.0]]}
    with pytest.raises(
        PredictionError, match="Feature tags must have a weight for each"
    ):
        client.predict(wrong)
    assert set(client.predict(columns)) == {"click", "rating"}
    client.close()
