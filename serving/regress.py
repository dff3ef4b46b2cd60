"""Regress, once for both protocols."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from grpc import StatusCode
from tensorflow_serving.apis import regression_pb2

from serving.errors import ServingError
from serving.example_input import (
    example_signature,
    examples_tensor,
    serialized_examples,
)
from serving.predict import DEFAULT_SIGNATURE, response_model_spec
from serving.servable import REGRESS, Servable, Signature


def regress(servable: Servable, request: Any) -> Any:
    """Answers a `RegressionRequest` with a `RegressionResponse`.

    Raises:
        ServingError: with TF Serving's code and message.
    """
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    values = regress_examples(servable, key, serialized_examples(request.input))
    return regression_pb2.RegressionResponse(
        model_spec=response_model_spec(servable, request.model_spec, key),
        result=regression_result(values),
    )


def regress_examples(
    servable: Servable, signature_name: str, examples: Sequence[bytes]
) -> np.ndarray:
    """Returns the float32 value of each serialized `tf.train.Example`."""
    signature = example_signature(servable, signature_name)
    feed, fetches = regression_tensors(signature)
    tensors = servable.run({feed: np.array(examples, object)}, fetches)
    return regression_values(signature, tensors, len(examples))


def regression_tensors(signature: Signature) -> tuple[str, list[str]]:
    """Returns the tensor to feed and the one to fetch, in a list."""
    feed = examples_tensor(signature, REGRESS, "regression")
    if len(signature.outputs) != 1:
        raise ServingError.invalid_argument("Expected one output Tensor.")
    if "outputs" not in signature.outputs:
        raise ServingError(
            StatusCode.FAILED_PRECONDITION,
            f"No regression outputs found in SignatureDef: {signature}",
        )
    return feed, [signature.outputs["outputs"].tensor_name]


def regression_values(
    signature: Signature, tensors: Mapping[str, np.ndarray], batch: int
) -> np.ndarray:
    """Returns the fetched values as vector, once they are checked."""
    array = tensors[signature.outputs["outputs"].tensor_name]
    if array.ndim != 1 and (array.ndim != 2 or array.shape[1] != 1):
        raise ServingError.invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or "
            f"[batch_size, 1] but got {list(array.shape)}"
        )
    if len(array) != batch:
        raise ServingError.invalid_argument(
            f"Input batch size did not match output batch size: {batch} vs. "
            f"{len(array)}"
        )
    if array.dtype != np.float32:
        raise ServingError.invalid_argument(
            f"Expected output Tensor of DT_FLOAT. Got: {array.dtype}"
        )
    return array.reshape(batch)


def regression_result(values: np.ndarray) -> Any:
    """Returns values as `RegressionResult`."""
    result = regression_pb2.RegressionResult()
    for value in values.tolist():
        result.regressions.add(value=value)
    return result
