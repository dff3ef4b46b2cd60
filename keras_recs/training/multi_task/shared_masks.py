"""Which parts of a model's weights several tasks share."""

import numpy as np

from keras_recs.layers import ExtractionBlock, MultiGate, TaskTowers


def shared_masks(model):
    """Where weights of several tasks lie side by side in one variable.

    Args:
        model: built `keras.Model`.

    Returns:
        dict of a variable's `id` to a float32 mask that its shape broadcasts: 1 where
        several tasks share the weights, 0 where each has its own. Of other variables
        all weights are shared.
    """
    masks = {}
    for layer in model._flatten_layers():
        if isinstance(layer, TaskTowers) or (
            isinstance(layer, MultiGate) and layer.num_gates > 1
        ):
            masks |= {id(weight): np.float32(0) for weight in layer.trainable_weights}
        elif isinstance(layer, ExtractionBlock) and layer.is_last:
            masks[id(layer.gates)] = np.float32(0)
            is_shared = np.arange(layer.num_all) >= layer.num_own
            mask = is_shared.astype("float32")[:, None]  # (E, 1)
            experts = layer.experts
            masks |= {id(weight): mask for weight in experts.kernels + experts.biases}
    return masks
