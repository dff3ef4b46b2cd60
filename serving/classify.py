"""Classify, once for both protocols."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from grpc import StatusCode
from tensorflow_serving.apis import classification_pb2

from serving.errors import ServingError
from serving.example_input import (
    example_signature,
    examples_tensor,
    serialized_examples,
)
from serving.predict import DEFAULT_SIGNATURE, response_model_spec
from serving.servable import CLASSIFY, Servable, Signature

_OUTPUTS = {
    "classes": (np.dtype(object), "DT_STRING"),
    "scores": (np.dtype(np.float32), "DT_FLOAT"),
}


def classify(servable: Servable, request: Any) -> Any:
    """Answers a `ClassificationRequest` with a `ClassificationResponse`.

    Raises:
        ServingError: with TF Serving's code and message.
    """
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    labels, scores = classify_examples(
        servable, key, serialized_examples(request.input)
    )
    return classification_pb2.ClassificationResponse(
        model_spec=response_model_spec(servable, request.model_spec, key),
        result=classification_result(labels, scores),
    )


def classify_examples(
    servable: Servable, signature_name: str, examples: Sequence[bytes]
) -> tuple[np.ndarray, np.ndarray]:
    """Classifies serialized `tf.train.Example`s.

    Returns:
        Labels (bytes) and scores (float32), each of shape (examples, classes). A
        signature without `classes` gives empty labels, one without `scores` zeros, as
        the protos have it.
    """
    signature = example_signature(servable, signature_name)
    feed, fetches = classification_tensors(signature)
    tensors = servable.run({feed: np.array(examples, object)}, fetches)
    return classification_arrays(signature, tensors, len(examples))


def classification_tensors(signature: Signature) -> tuple[str, list[str]]:
    """Returns the tensor to feed and those to fetch."""
    feed = examples_tensor(signature, CLASSIFY, "classification")
    if not 1 <= len(signature.outputs) <= 2:
        raise ServingError.invalid_argument(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    fetches = [
        signature.outputs[name].tensor_name
        for name in _OUTPUTS
        if name in signature.outputs
    ]
    if not fetches:
        raise ServingError(
            StatusCode.FAILED_PRECONDITION,
            "Expected classification signature outputs to contain at least one of "
            f'"classes" or "scores". Signature was: {signature}',
        )
    return feed, fetches


def classification_arrays(
    signature: Signature, tensors: Mapping[str, np.ndarray], batch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels and scores of the fetched tensors, once they are checked."""
    found = {}
    for name, (dtype, type_name) in _OUTPUTS.items():
        if name not in signature.outputs:
            continue
        array = tensors[signature.outputs[name].tensor_name]
        if array.ndim != 2:
            raise ServingError.invalid_argument(
                "Expected Tensor shape: [batch_size num_classes] but got "
                f"{list(array.shape)}"
            )
        if array.dtype != dtype:
            raise ServingError.invalid_argument(
                f"Expected {name} Tensor of {type_name}. Got: {array.dtype}"
            )
        if len(array) != batch:
            raise ServingError.invalid_argument(
                f"Expected {name} output batch size of {batch}. Got: {len(array)}"
            )
        found[name] = array
    widths = sorted({array.shape[1] for array in found.values()})
    if len(widths) > 1:
        raise ServingError.invalid_argument(
            "Tensors class and score should match in dim_size(1). Got "
            f"{found['classes'].shape[1]} vs. {found['scores'].shape[1]}"
        )
    shape = (batch, widths[0])
    labels = found.get("classes", np.full(shape, b"", object))
    scores = found.get("scores", np.zeros(shape, np.float32))
    return labels, scores


def classification_result(labels: np.ndarray, scores: np.ndarray) -> Any:
    """Returns labels and scores as `ClassificationResult`."""
    result = classification_pb2.ClassificationResult()
    for row_labels, row_scores in zip(labels.tolist(), scores.tolist(), strict=True):
        classes = result.classifications.add().classes
        for label, score in zip(row_labels, row_scores, strict=True):
            # `label` is a proto string, which must be valid UTF-8.
            classes.add(label=label.decode("utf-8", "replace"), score=score)
    return result
