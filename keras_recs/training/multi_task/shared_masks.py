"""Which parts of a model's weights several tasks share."""

import numpy as np

from keras_recs.layers import (
    BilinearFusion,
    ExtractionBlock,
    LinearTerm,
    MultiGate,
    PredictionHeads,
    TaskTowers,
)


def shared_masks(model):
    """Where weights of several tasks lie side by side in one variable.

    Args:
        model: built `keras.Model`.

    Returns:
        dict of a variable's `id` to a float32 mask that its shape broadcasts: 1 where
        several tasks share the weights, 0 where each has its own. Of other variables
        all weights are shared.
    """
    layers = list(model._flatten_layers())
    heads = [layer for layer in layers if isinstance(layer, PredictionHeads)]
    if len(heads) != 1 or len(heads[0].tasks) < 2:
        return {}
    # What others are given trains with them: a click with the conversion.
    is_given = [label in heads[0].given.values() for label in heads[0].tasks]
    by_label = np.array(is_given, "float32")  # (K,)
    masks = {}
    for layer in layers:
        if isinstance(layer, TaskTowers):
            masks |= _masks([layer.kernel, layer.bias], by_label)
            if layer.hidden is not None:
                hidden = [*layer.hidden.kernels, *layer.hidden.biases]
                masks |= _masks(hidden, by_label[:, None])  # (K, 1) of (…, K, H)
        elif isinstance(layer, PredictionHeads) and layer.dense is not None:
            masks |= _masks(layer.dense.trainable_weights, by_label)
        elif (isinstance(layer, LinearTerm) and layer.units == len(by_label)) or (
            isinstance(layer, BilinearFusion) and layer.units == len(by_label)
        ):
            masks |= _masks(layer.trainable_weights, by_label)  # (…, K)
        elif isinstance(layer, MultiGate) and layer.num_gates > 1:
            masks |= _masks(layer.trainable_weights, np.float32(0))
    blocks = [layer for layer in layers if isinstance(layer, ExtractionBlock)]
    for layer in blocks:
        if layer.is_last:
            is_shared = np.arange(layer.num_all) >= layer.num_own
            own = [*layer.experts.kernels, *layer.experts.biases]
            masks |= _masks(own, is_shared.astype("float32")[:, None])  # (E, 1)
    # What a gate of the level before gives, its own task alone reads.
    for layer in blocks[-2:]:
        masks[id(layer.gates)] = np.float32(0)
    return masks


def _masks(variables, mask):
    return {id(variable): mask for variable in variables}
