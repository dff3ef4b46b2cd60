"""MultiInference: several signatures of one model in one run of its graph."""

from typing import Any

import numpy as np
from grpc import StatusCode
from tensorflow_serving.apis import inference_pb2

from serving.classify import (
    classification_arrays,
    classification_result,
    classification_tensors,
)
from serving.errors import ServingError
from serving.example_input import serialized_examples
from serving.predict import DEFAULT_SIGNATURE, response_model_spec
from serving.regress import regression_result, regression_tensors, regression_values
from serving.servable import CLASSIFY, REGRESS, Servable


def multi_inference(servable: Servable, request: Any) -> Any:
    """Answers a `MultiInferenceRequest` with a `MultiInferenceResponse`.

    All tasks must name the same model, each signature at most once, and share the
    input tensor.

    Raises:
        ServingError: with TF Serving's code and message.
    """
    plans: dict[str, tuple[Any, list[str]]] = {}  # signature name -> task, fetches
    feeds = set()
    for task in request.tasks:
        _check_model(task, request.tasks[0])
        key = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if key in plans:
            raise ServingError.invalid_argument(
                f"Duplicate evaluation of signature: {key}"
            )
        signature = servable.signatures.get(key)
        if signature is None:
            raise ServingError.invalid_argument(
                f"Requested signature not found in model graph: {key}"
            )
        if task.method_name == CLASSIFY:
            feed, fetches = classification_tensors(signature)
        elif task.method_name == REGRESS:
            feed, fetches = regression_tensors(signature)
        else:
            raise ServingError(
                StatusCode.UNIMPLEMENTED,
                f"Unsupported signature method_name: {task.method_name}",
            )
        plans[key] = (task, fetches)
        feeds.add(feed)
    if len(feeds) != 1:
        raise ServingError.invalid_argument(
            "Input tensor must be the same for all Signatures."
            if feeds
            else "MultiInferenceRequest has no tasks."
        )
    examples = serialized_examples(request.input)
    tensors = servable.run(
        {feeds.pop(): np.array(examples, object)},
        [tensor for _, fetches in plans.values() for tensor in fetches],
    )
    response = inference_pb2.MultiInferenceResponse()
    for key, (task, _) in plans.items():
        signature = servable.signatures[key]
        result = response.results.add(
            model_spec=response_model_spec(servable, task.model_spec, key)
        )
        if task.method_name == CLASSIFY:
            arrays = classification_arrays(signature, tensors, len(examples))
            result.classification_result.CopyFrom(classification_result(*arrays))
        else:
            values = regression_values(signature, tensors, len(examples))
            result.regression_result.CopyFrom(regression_result(values))
    return response


def _check_model(task: Any, first: Any) -> None:
    if not task.model_spec.name:
        raise ServingError.invalid_argument("Found ModelSpec with an empty model name.")
    if task.model_spec.name != first.model_spec.name:
        raise ServingError.invalid_argument(
            "All ModelSpecs in a MultiInferenceRequest must access the same model name."
        )
