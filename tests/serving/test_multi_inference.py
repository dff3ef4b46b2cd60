"""MultiInference on a graph whose signatures share their input, as TF 1 wrote them."""

import pytest
import tensorflow as tf
from tensorflow_serving.apis import inference_pb2

from serving.load_version import load_version
from serving.multi_inference import multi_inference


@pytest.fixture(scope="module")
def servable(tmp_path_factory):
    v1 = tf.compat.v1
    folder = tmp_path_factory.mktemp("v1") / "1"
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None])
        spec = {"age": tf.io.FixedLenFeature([], tf.float32)}
        age = tf.io.parse_example(examples, spec)["age"]  # (B,)
        classes = tf.tile([["old"]], [tf.shape(age)[0], 1])
        info = v1.saved_model.build_tensor_info
        build = v1.saved_model.build_signature_def
        inputs = {"inputs": info(examples)}
        signatures = {
            "classify": build(
                inputs,
                {"classes": info(classes), "scores": info(age[:, None])},
                "tensorflow/serving/classify",
            ),
            "labels_only": build(
                inputs, {"classes": info(classes)}, "tensorflow/serving/classify"
            ),
            "regress": build(
                inputs, {"outputs": info(age)}, "tensorflow/serving/regress"
            ),
        }
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    servable = load_version("m", 1, folder)
    yield servable
    servable.close()


def test_classify_and_regress_in_one_run(servable):
    request = inference_pb2.MultiInferenceRequest()
    for key in ("regress", "classify", "labels_only"):
        method = "regress" if key == "regress" else "classify"
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = "m"
        task.model_spec.signature_name = key
    for age in (31.0, 45.0):
        example = request.input.example_list.examples.add()
        example.features.feature["age"].float_list.value.append(age)
    results = multi_inference(servable, request).results
    keys = [result.model_spec.signature_name for result in results]
    assert keys == ["regress", "classify", "labels_only"]
    assert {result.model_spec.version.value for result in results} == {1}
    values = [r.value for r in results[0].regression_result.regressions]
    assert values == [31.0, 45.0]
    for result, scores in ((results[1], [31.0, 45.0]), (results[2], [0.0, 0.0])):
        rows = result.classification_result.classifications
        assert [(c.label, c.score) for row in rows for c in row.classes] == [
            ("old", score) for score in scores
        ]


def test_no_tasks(servable):
    with pytest.raises(Exception, match="has no tasks"):
        multi_inference(servable, inference_pb2.MultiInferenceRequest())
