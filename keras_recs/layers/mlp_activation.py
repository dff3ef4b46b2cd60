"""The activation of an MLP, from an argument and to a config."""

import keras

from keras_recs.layers.dice import Dice

# Activations with weights of their own: a layer a block.
LEARNED = {"dice": Dice, "prelu": keras.layers.PReLU}


def mlp_activation(activation):
    """What `keras.activations.get` finds, a name of `LEARNED`, or a copy of a layer.

    Args:
        activation: string, function, layer, config of one, or `None`.

    Raises:
        TypeError: for a class.
        ValueError: for `"Dice"` and the like, and for an unknown name.
    """
    if isinstance(activation, type):
        raise TypeError(
            "`activation` must be a name, a function or a layer, not a class: give "
            f"`{activation.__name__}()`. Received: activation={activation}"
        )
    if isinstance(activation, str) and activation.lower() in LEARNED:
        if activation not in LEARNED:
            raise ValueError(
                f"`activation` is spelled '{activation.lower()}'. Received: "
                f"activation='{activation}'"
            )
        return activation
    activation = keras.activations.get(activation)
    if isinstance(activation, keras.layers.Layer):
        return type(activation).from_config(activation.get_config())
    return activation


def mlp_activation_config(activation):
    """What `mlp_activation` takes back.

    Args:
        activation: what `mlp_activation` returned.
    """
    if isinstance(activation, str):
        return activation
    return keras.activations.serialize(activation)
