"""The gRPC contract, asked by generic calls: method path, bytes, status code."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

pytestmark = pytest.mark.serving

PREDICTION = "/tensorflow.serving.PredictionService/"
MODEL = "/tensorflow.serving.ModelService/"


@pytest.fixture(scope="module")
def call(served):
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(served.grpc, options=options) as channel:

        def call(path, request, response_type):
            method = channel.unary_unary(
                path,
                request_serializer=type(request).SerializeToString,
                response_deserializer=response_type.FromString,
            )
            return method(request, timeout=20)

        yield call


def predict_request(inputs, signature_name="", name="demo", output_filter=()):
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = name
    request.model_spec.signature_name = signature_name
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


@pytest.fixture
def predict(call):
    return lambda request: call(
        PREDICTION + "Predict", request, predict_pb2.PredictResponse
    )


def fill_examples(request, ages, context=None, signature_name="regress"):
    request.model_spec.name = "demo"
    request.model_spec.signature_name = signature_name
    examples = request.input.example_list
    if context is not None:
        examples = request.input.example_list_with_context
        fill_age(examples.context, context)
    for age in ages:
        fill_age(examples.examples.add(), age)
    return request


def fill_age(example, age):
    if age is not None:
        example.features.feature["age"].float_list.value.append(age)


def check_error(code, message, function, *args):
    with pytest.raises(grpc.RpcError) as caught:
        function(*args)
    assert caught.value.code() == code, caught.value
    assert message in caught.value.details()


INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND


# === Predict ===


def test_predict(predict):
    response = predict(predict_request({"x": np.float32([2.0, 4.0])}))
    # The typed field, which clients read directly.
    assert list(response.outputs["y"].float_val) == [3.0, 4.0]
    assert response.model_spec.name == "demo"
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"


def test_predict_several_inputs_and_types(predict):
    inputs = {
        "age": np.float32([30.0]),
        "clicks": np.int64([[1, 2]]),
        "country": np.array([b"de"], object),
    }
    outputs = predict(predict_request(inputs, "mixed")).outputs
    assert tf.make_ndarray(outputs["score"]).tolist() == [[35.0]]
    assert tf.make_ndarray(outputs["label"]).tolist() == [b"c:de"]


def test_every_type_there_and_back(predict, echo_types):
    inputs = {
        name: np.array([b"\xff", b""], object)
        if name == "string"
        else np.array([0, 1], name)
        for name in echo_types
    }
    outputs = predict(predict_request(inputs, "echo")).outputs
    for name, value in inputs.items():
        result = tf.make_ndarray(outputs[f"{name}_out"])
        assert result.dtype == value.dtype
        assert result.tolist() == value.tolist()


def test_half_is_for_grpc(predict):
    outputs = predict(predict_request({"x": np.float16([1.5])}, "half_in")).outputs
    assert list(outputs["y"].float_val) == [1.5]
    outputs = predict(predict_request({"x": np.float32([1.5])}, "half_out")).outputs
    assert tf.make_ndarray(outputs["y"]).tolist() == [1.5]


def test_message_limit(predict):
    x = np.zeros(200_000, np.float32)
    request = predict_request({"x": x})
    response = predict(request)
    assert len(response.outputs["y"].float_val) == len(x)
    # The server's own limit is --max_request_bytes.
    request = predict_request({"x": np.zeros(300_000, np.float32)})
    check_error(grpc.StatusCode.RESOURCE_EXHAUSTED, "", predict, request)


def test_output_filter(predict):
    inputs = {
        "age": np.float32([30.0]),
        "clicks": np.int64([[1, 2]]),
        "country": np.array([b"de"], object),
    }
    request = predict_request(inputs, "mixed", output_filter=["label"])
    assert list(predict(request).outputs) == ["label"]
    request.output_filter[:] = ["label", "label"]
    check_error(INVALID, "duplicate output tensor alias: label", predict, request)
    request.output_filter[:] = ["x"]
    message = "output tensor alias not found in signature: x"
    check_error(INVALID, message, predict, request)


def test_unknown_model_version_label_signature(predict):
    request = predict_request({"x": np.float32([2.0])}, name="m")
    message = "Servable not found for request: Latest(m)"
    check_error(NOT_FOUND, message, predict, request)
    request.model_spec.version.value = 3
    message = "Servable not found for request: Specific(m, 3)"
    check_error(NOT_FOUND, message, predict, request)
    request.model_spec.name = "both"
    request.model_spec.version_label = "x"
    message = "Unrecognized servable version label: x"
    check_error(INVALID, message, predict, request)
    request.model_spec.version_label = "stable"
    assert list(predict(request).outputs["y"].float_val) == [2.0]
    request.model_spec.signature_name = "s"
    message = 'Serving signature key "s" not found.'
    check_error(grpc.StatusCode.FAILED_PRECONDITION, message, predict, request)
    request.model_spec.name = ""
    check_error(INVALID, "ModelSpec has no name", predict, request)
    request.ClearField("model_spec")
    check_error(INVALID, "Missing ModelSpec", predict, request)


def test_inputs_that_do_not_fit(predict):
    x = np.float32([2.0])
    message = "Sent extra: {z}. Missing but required: {}."
    check_error(INVALID, message, predict, predict_request({"x": x, "z": x}))
    message = "Sent extra: {z}. Missing but required: {x}."
    check_error(INVALID, message, predict, predict_request({"z": x}))
    check_error(INVALID, "", predict, predict_request({"x": np.int64([2])}))


def test_tensor_that_does_not_parse(predict):
    request = predict_request({"x": np.float32([2.0])})
    request.inputs["x"].tensor_shape.dim[0].size = 1 << 40
    check_error(INVALID, "tensor parsing error: x", predict, request)


# === Classify, Regress, MultiInference ===


def test_regress(call):
    request = fill_examples(regression_pb2.RegressionRequest(), [1.0, 2.0])
    response = call(PREDICTION + "Regress", request, regression_pb2.RegressionResponse)
    assert [r.value for r in response.result.regressions] == [3.0, 4.0]
    assert response.model_spec.version.value == 2
    request = fill_examples(regression_pb2.RegressionRequest(), [1.0, None], context=8)
    response = call(PREDICTION + "Regress", request, regression_pb2.RegressionResponse)
    assert [r.value for r in response.result.regressions] == [3.0, 10.0]


def test_classify(call):
    request = classification_pb2.ClassificationRequest()
    fill_examples(request, [1.0], signature_name="classify")
    response = call(
        PREDICTION + "Classify", request, classification_pb2.ClassificationResponse
    )
    classes = response.result.classifications[0].classes
    assert [(c.label, c.score) for c in classes] == [("no", -3.0), ("yes", 3.0)]


def test_classify_and_regress_refuse(call):
    for path, request_type, response_type in (
        (
            "Classify",
            classification_pb2.ClassificationRequest,
            classification_pb2.ClassificationResponse,
        ),
        (
            "Regress",
            regression_pb2.RegressionRequest,
            regression_pb2.RegressionResponse,
        ),
    ):
        for signature, ages, message in (
            ("s", [1.0], "No signature was found with the name: s"),
            ("", [1.0], "signature method_name to be tensorflow/serving/"),
            (path.lower(), [], "Input is empty."),
        ):
            request = fill_examples(request_type(), ages, signature_name=signature)
            args = (PREDICTION + path, request, response_type)
            check_error(INVALID, message, call, *args)


def multi_request(*tasks):
    request = inference_pb2.MultiInferenceRequest()
    for name, signature in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{signature}")
        task.model_spec.name = name
        task.model_spec.signature_name = signature
    fill_age(request.input.example_list.examples.add(), 1.0)
    return request


def test_multi_inference(call):
    args = (PREDICTION + "MultiInference", inference_pb2.MultiInferenceResponse)

    def ask(request):
        return call(args[0], request, args[1])

    response = ask(multi_request(("demo", "regress")))
    assert response.results[0].regression_result.regressions[0].value == 3.0
    assert response.results[0].model_spec.signature_name == "regress"
    for tasks, message in (
        ([("demo", "regress")] * 2, "Duplicate evaluation of signature: regress"),
        ([("demo", "regress"), ("both", "classify")], "must access the same model"),
        ([("demo", "regress"), ("", "classify")], "empty model name"),
    ):
        check_error(INVALID, message, ask, multi_request(*tasks))
    request = multi_request(("demo", "regress"))
    request.tasks[0].model_spec.signature_name = "s"
    message = "Requested signature not found in model graph: s"
    check_error(INVALID, message, ask, request)
    request = multi_request(("demo", "predict"))
    request.tasks[0].model_spec.signature_name = "serving_default"
    check_error(grpc.StatusCode.UNIMPLEMENTED, "Unsupported", ask, request)
    # Our exports give every signature its own placeholder.
    request = multi_request(("demo", "regress"), ("demo", "classify"))
    check_error(INVALID, "Input tensor must be the same", ask, request)


# === Metadata, status, configuration ===


def test_metadata(call):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "both"
    request.model_spec.version.value = 1
    response_type = get_model_metadata_pb2.GetModelMetadataResponse
    args = (PREDICTION + "GetModelMetadata", request, response_type)
    check_error(INVALID, "at least one metadata_field", call, *args)
    request.metadata_field.append("signature_def")
    response = call(*args)
    assert response.model_spec.version.value == 1
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def["mixed"].inputs) == {
        "age",
        "clicks",
        "country",
    }
    request.metadata_field.append("x")
    check_error(INVALID, "Metadata field x is not supported", call, *args)


def test_status(call):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "both"
    response_type = get_model_status_pb2.GetModelStatusResponse
    args = (MODEL + "GetModelStatus", request, response_type)
    states = [(s.version, s.state) for s in call(*args).model_version_status]
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert states == [(2, available), (1, available)]
    request.model_spec.version_label = "x"
    assert len(call(*args).model_version_status) == 2
    request.model_spec.version.value = 9
    message = "Could not find version 9 of model both"
    check_error(NOT_FOUND, message, call, *args)


def test_reload_config_replaces_all(start_server, saved_models):
    """On a server of its own, because it removes the models of the others."""
    server = start_server(f"--model_base_path={saved_models}", "--model_name=old")
    with grpc.insecure_channel(server.grpc) as channel:
        reload = channel.unary_unary(
            MODEL + "HandleReloadConfigRequest",
            request_serializer=model_management_pb2.ReloadConfigRequest.SerializeToString,
            response_deserializer=model_management_pb2.ReloadConfigResponse.FromString,
        )
        predict = channel.unary_unary(
            PREDICTION + "Predict",
            request_serializer=predict_pb2.PredictRequest.SerializeToString,
            response_deserializer=predict_pb2.PredictResponse.FromString,
        )

        def config(text):
            request = model_management_pb2.ReloadConfigRequest()
            text_format.Parse(text, request.config)
            return request

        old = predict_request({"x": np.float32([2.0])}, name="old")
        new = predict_request({"x": np.float32([2.0])}, name="new")
        assert list(predict(old).outputs["y"].float_val) == [3.0]
        model = f'name: "new" base_path: "{saved_models}" model_platform: "tensorflow"'
        policy = "model_version_policy { specific { versions: 1 } }"
        text = f"model_config_list {{ config {{ {model} {policy} }} }}"
        assert reload(config(text)).status.error_code == 0
        assert list(predict(new).outputs["y"].float_val) == [2.0]
        check_error(NOT_FOUND, "Latest(old)", predict, old)

        twice = f"model_config_list {{ config {{ {model} }} config {{ {model} }} }}"
        check_error(INVALID, "multiple times", reload, config(twice))
        relative = twice.replace(str(saved_models), "x")
        check_error(INVALID, "absolute path", reload, config(relative))
        check_error(INVALID, "`config` is empty", reload, config(""))
        assert list(predict(new).outputs["y"].float_val) == [2.0]
