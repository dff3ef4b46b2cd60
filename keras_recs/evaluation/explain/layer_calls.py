"""Where a functional model calls its layers, and with what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from keras_recs.evaluation.explain.held_examples import HeldExamples


def layer_calls(
    model: keras.Model, kinds: tuple[type[keras.layers.Layer], ...]
) -> dict[str, tuple]:
    """Finds the calls of layers of some classes.

    Args:
        model: functional model.
        kinds: layer classes.

    Returns:
        dict of layer name, in the order of the calls, to the layer and the structure of
        symbolic tensors that it is called with. A second call has `":1"` at its name.

    Raises:
        ValueError: for a model that is not functional, or has no such layer.
    """
    if not hasattr(model, "_nodes_by_depth"):
        raise ValueError(
            "`model` must be a functional model, `keras.Model(inputs, outputs)`. "
            f"Received: {type(model).__name__} '{model.name}'"
        )
    found: dict[str, tuple] = {}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if isinstance(node.operation, kinds):
                name = node.operation.name
                calls = sum(other.split(":")[0] == name for other in found)
                name = f"{name}:{calls}" if calls else name
                found[name] = (node.operation, node.arguments.args[0])
    if not found:
        raise ValueError(
            f"`model` must have one of the layers {[kind.__name__ for kind in kinds]} "
            f"at its top level. Received: '{model.name}' with the layers "
            f"{sorted({type(layer).__name__ for layer in model.layers})}"
        )
    return found


def run_to(
    model: keras.Model, tensors: Any, examples: HeldExamples
) -> Iterator[dict[str, Any]]:
    """Runs a model as far as some tensors of its graph.

    Args:
        model: functional model.
        tensors: structure of symbolic tensors within it.
        examples: what it is run on.

    Yields:
        The structure with float32 arrays, or bool ones, a batch at a time.
    """
    flat = keras.tree.flatten(tensors)
    part = keras.Model(model.input, flat)
    for batch in examples.batches():
        # A graph of its own for a few batches would take longer to make than to run.
        outputs = keras.tree.flatten(part(batch[0], training=False))
        arrays = [keras.ops.convert_to_numpy(output) for output in outputs]
        values = [a if a.dtype == "bool" else a.astype("float32") for a in arrays]
        yield keras.tree.pack_sequence_as(tensors, values)
