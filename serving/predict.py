"""Predict, once for both protocols."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from grpc import StatusCode
from tensorflow_serving.apis import model_pb2, predict_pb2

from serving.errors import ServingError
from serving.servable import CLASSIFY, PREDICT, REGRESS, Servable, Signature
from serving.tensor_proto import decode, encode

DEFAULT_SIGNATURE = "serving_default"


def predict(servable: Servable, request: Any) -> Any:
    """Answers a `PredictRequest` with a `PredictResponse`.

    Raises:
        ServingError: with TF Serving's code and message.
    """
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(key)
    if signature is None:
        raise ServingError(
            StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{key}" not found.',
        )
    inputs = {}
    for name, proto in request.inputs.items():
        try:
            inputs[name] = decode(proto)
        except ServingError as error:
            raise ServingError(
                error.code, f"tensor parsing error: {name}. {error.message}"
            ) from error
    outputs = predict_arrays(servable, signature, inputs, request.output_filter)
    response = predict_pb2.PredictResponse(
        model_spec=response_model_spec(servable, request.model_spec, key)
    )
    for name, array in outputs.items():
        response.outputs[name].CopyFrom(encode(array))
    return response


def predict_arrays(
    servable: Servable,
    signature: Signature,
    inputs: Mapping[str, np.ndarray],
    output_filter: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Runs a signature on arrays.

    Args:
        servable: the model version.
        signature: one of its signatures.
        inputs: dict of input name to array.
        output_filter: output names to return. Defaults to all.

    Returns:
        dict of output name to array.

    Raises:
        ServingError: if names of inputs or outputs do not fit the signature.
    """
    if signature.method_name not in (PREDICT, CLASSIFY, REGRESS):
        raise ServingError(
            StatusCode.INTERNAL,
            "Expected prediction signature method_name to be one of "
            f"{{{PREDICT}, {CLASSIFY}, {REGRESS}}}. Was: {signature.method_name}",
        )
    feeds = {}
    for name, spec in signature.inputs.items():
        array = inputs.get(name)
        if array is None:
            array = signature.defaults.get(name)
        if array is None:
            raise _input_mismatch(signature, inputs)
        feeds[spec.tensor_name] = array
    if not inputs.keys() <= signature.inputs.keys():
        raise _input_mismatch(signature, inputs)
    names = list(output_filter) or list(signature.outputs)
    for position, name in enumerate(names):
        if name not in signature.outputs:
            raise ServingError.invalid_argument(
                f"output tensor alias not found in signature: {name} Outputs expected "
                f"to be in the set {{{','.join(signature.outputs)}}}."
            )
        if name in names[:position]:
            raise ServingError.invalid_argument(
                f"duplicate output tensor alias: {name}"
            )
    tensors = servable.run(feeds, [signature.outputs[n].tensor_name for n in names])
    return {name: tensors[signature.outputs[name].tensor_name] for name in names}


def response_model_spec(servable: Servable, requested: Any, signature_name: str) -> Any:
    """Returns the `ModelSpec` of a response: what answered, not what was asked."""
    spec = model_pb2.ModelSpec(name=requested.name, signature_name=signature_name)
    spec.version.value = servable.version
    return spec


def _input_mismatch(signature: Signature, inputs: Mapping[str, Any]) -> ServingError:
    sent, wanted = set(inputs), set(signature.inputs)
    missing = wanted - sent - signature.defaults.keys()

    def braces(names: set[str]) -> str:
        return "{" + ",".join(sorted(names)) + "}"

    return ServingError.invalid_argument(
        f"input size does not match signature: {len(sent)}!={len(wanted)} "
        f"len({braces(sent)}) != len({braces(wanted)}). Sent extra: "
        f"{braces(sent - wanted)}. Missing but required: {braces(missing)}."
    )
