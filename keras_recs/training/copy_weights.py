"""Weights of one model for another one with layers of the same names."""


def copy_weights(target, source):
    """Gives each layer of a model the weights of its namesake in another model.

    Call it before training. What the source has besides, such as the heads of a
    pre-training, is left out; every weight of the target must be there.

    Args:
        target: a built `keras.Model`, which gets the weights.
        source: a built `keras.Model`.

    Raises:
        ValueError: if the source lacks a weight or has it in another shape. Nothing is
            copied then.
    """
    wanted, there = _weights(target), _weights(source)
    faults = []
    for path, weight in wanted.items():
        if path not in there:
            faults.append(f"'{path}' is not there")
        elif there[path].shape != weight.shape:
            shape, other = tuple(weight.shape), tuple(there[path].shape)
            faults.append(f"'{path}' has the shape {other}, not {shape}")
    if faults:
        raise ValueError(
            f"`source` must have all weights of the target '{target.name}', by layer "
            f"and in the same shapes. Received: '{source.name}', in which "
            f"{'; '.join(faults)}"
        )
    for path, weight in wanted.items():
        weight.assign(there[path])


def _weights(model):
    """Each weight by the name of its layer and its path in there."""
    return {
        f"{layer.name}/{weight.path.rpartition(f'{layer.name}/')[2]}": weight
        for layer in model.layers
        for weight in layer.weights
    }
