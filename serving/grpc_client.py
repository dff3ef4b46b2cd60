"""Transport of `Client` over gRPC.

Importing this imports TensorFlow, which the protos need.
"""

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.json_example import make_example
from serving.json_values import from_base64, to_json
from serving.prediction_error import PredictionError
from serving.tensor_proto import decode, encode


class GrpcClient:
    """A model behind the gRPC interface; see `Client` for arguments and methods."""

    def __init__(
        self,
        address: urllib.parse.SplitResult,
        model_name: str,
        version: int | None,
        label: str | None,
        timeout: float,
    ):
        # Python's default of 4 MiB is less than a batch of embeddings.
        unlimited = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ]
        self._channel = grpc.insecure_channel(address.netloc, options=unlimited)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._spec: dict[str, Any] = {"name": model_name}
        if version is not None:
            self._spec["version"] = {"value": version}
        elif label is not None:
            self._spec["version_label"] = label
        self._timeout = timeout
        self._input_types: dict[str, dict[str, int]] = {}

    def predict(
        self, inputs: Mapping[str, Any], signature_name: str
    ) -> dict[str, np.ndarray]:
        """Runs a signature on arrays or nested lists."""
        types = self._types(signature_name)
        request = predict_pb2.PredictRequest()
        request.model_spec.CopyFrom(self._model_spec(signature_name))
        for name, value in inputs.items():
            array = _to_array(name, value, types.get(name))
            request.inputs[name].CopyFrom(encode(array))
        response = self._call(self._stub.Predict, request)
        return {name: decode(proto) for name, proto in response.outputs.items()}

    def classify(
        self, examples: Sequence[Mapping[str, Any]], signature_name: str
    ) -> list[list[tuple[str, float]]]:
        """Returns `(label, score)` pairs per example."""
        request = classification_pb2.ClassificationRequest()
        self._fill(request, examples, signature_name)
        result = self._call(self._stub.Classify, request).result
        return [
            [(c.label, c.score) for c in row.classes] for row in result.classifications
        ]

    def regress(
        self, examples: Sequence[Mapping[str, Any]], signature_name: str
    ) -> list[float]:
        """Returns a value per example."""
        request = regression_pb2.RegressionRequest()
        self._fill(request, examples, signature_name)
        result = self._call(self._stub.Regress, request).result
        return [regression.value for regression in result.regressions]

    def metadata(self) -> dict[str, Any]:
        """Returns version and signatures."""
        response = self._metadata_response()
        to_dict = json_format.MessageToDict
        return {
            "model_spec": to_dict(
                response.model_spec, preserving_proto_field_name=True
            ),
            "metadata": {
                "signature_def": to_dict(
                    self._signature_defs(response), preserving_proto_field_name=True
                )
            },
        }

    def status(self) -> list[dict[str, Any]]:
        """Returns the state of each version."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.CopyFrom(self._model_spec(""))
        response = self._call(self._models.GetModelStatus, request)
        return [
            json_format.MessageToDict(status, preserving_proto_field_name=True)
            for status in response.model_version_status
        ]

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def _types(self, signature_name: str) -> dict[str, int]:
        """Returns the inputs' types: Python's floats are not the model's float32."""
        if signature_name not in self._input_types:
            signatures = self._signature_defs(self._metadata_response()).signature_def
            signature = signatures[signature_name or "serving_default"]
            self._input_types[signature_name] = {
                name: info.dtype for name, info in signature.inputs.items()
            }
        return self._input_types[signature_name]

    def _metadata_response(self) -> Any:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        )
        request.model_spec.CopyFrom(self._model_spec(""))
        return self._call(self._stub.GetModelMetadata, request)

    @staticmethod
    def _signature_defs(response: Any) -> Any:
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return signatures

    def _fill(
        self, request: Any, examples: Sequence[Mapping[str, Any]], signature_name: str
    ) -> None:
        request.model_spec.CopyFrom(self._model_spec(signature_name))
        for example in examples:
            request.input.example_list.examples.append(make_example(to_json(example)))

    def _model_spec(self, signature_name: str) -> Any:
        return model_pb2.ModelSpec(**self._spec, signature_name=signature_name)

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise PredictionError(error.code().name, error.details()) from error


def _to_array(name: str, value: Any, data_type: int | None) -> np.ndarray:
    """Returns `value` in the signature's type."""
    if data_type is None:
        return np.asarray(value)  # An unknown name is the server's to refuse.
    if data_type == types_pb2.DT_STRING:
        # NumPy's own bytes would lose trailing zeros.
        return np.asarray(from_base64(value), object)
    array = np.asarray(value)
    dtype = np.dtype(tf.dtypes.as_dtype(data_type).as_numpy_dtype)
    with np.errstate(invalid="ignore"):
        converted = array.astype(dtype)
    if dtype.kind in "iub" and not np.array_equal(converted, array):
        raise ValueError(
            f"`inputs['{name}']` must hold values of type {dtype}. Received: "
            f"{np.array2string(array, threshold=10)}"
        )
    return converted
