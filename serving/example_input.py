"""What Classify, Regress and MultiInference share: `tf.train.Example` in."""

from typing import Any

from grpc import StatusCode

from serving.errors import ServingError
from serving.servable import Servable, Signature


def serialized_examples(request_input: Any) -> list[bytes]:
    """Returns the examples of an `Input` proto, each with the context in front.

    Concatenated protos merge when parsed, and of two equal features the later, that
    is the example's own, wins.

    Raises:
        ServingError: if there is no example.
    """
    context = b""
    examples: Any = request_input.example_list.examples
    if request_input.WhichOneof("kind") == "example_list_with_context":
        with_context = request_input.example_list_with_context
        context = with_context.context.SerializeToString()
        examples = with_context.examples
    if not examples:
        raise ServingError.invalid_argument("Input is empty.")
    return [context + example.SerializeToString() for example in examples]


def example_signature(servable: Servable, name: str) -> Signature:
    """Returns a signature of `servable`.

    Raises:
        ServingError: if there is none of this name.
    """
    signature = servable.signatures.get(name)
    if signature is None:
        raise ServingError.invalid_argument(
            f"No signature was found with the name: {name}"
        )
    return signature


def examples_tensor(signature: Signature, method_name: str, word: str) -> str:
    """Returns the name of the tensor that takes the examples.

    Args:
        signature: the signature.
        method_name: str. Method that the signature must declare.
        word: str. `classification` or `regression`, for the messages.

    Raises:
        ServingError: if the signature is for another method, or has other inputs than
            `inputs`.
    """
    if signature.method_name != method_name:
        raise ServingError.invalid_argument(
            f"Expected {word} signature method_name to be {method_name}. Was: "
            f"{signature.method_name}"
        )
    if len(signature.inputs) != 1:
        raise ServingError.invalid_argument("Expected one input Tensor.")
    if "inputs" not in signature.inputs:
        raise ServingError(
            StatusCode.FAILED_PRECONDITION,
            f"No {word} inputs found in SignatureDef: {signature}",
        )
    return signature.inputs["inputs"].tensor_name
