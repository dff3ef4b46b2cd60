"""The input of a feature."""

import keras

from keras_recs.register import register


@register
class FeatureInput(keras.layers.InputLayer):
    """A Keras input for a feature of any name, be it that of another layer.

    Keras asks that all layers of a model have different names, inputs among them. Here
    the tensor has the feature's name, which is the key of the model's inputs, and the
    layer has `input_` in front of it.

    Args:
        feature: string. Name of the feature.
        shape: tuple, without the batch. Defaults to `()`.
        dtype: string. Defaults to `"int32"`.

    Example:
    >>> x = keras_recs.layers.FeatureInput("deep", dtype="float32").output
    >>> y = keras.layers.Dense(1, name="deep")(keras.ops.expand_dims(x, 1))
    >>> list(keras.Model({"deep": x}, y).input)
    ['deep']
    """

    def __init__(self, feature, shape=(), dtype="int32"):
        tensor = keras.KerasTensor((None, *shape), dtype, name=feature)
        super().__init__(input_tensor=tensor, name=f"input_{feature}")
        self.feature = feature
        self.shape = tuple(shape)

    def get_config(self):
        """Constructor arguments."""
        return {"feature": self.feature, "shape": self.shape, "dtype": self.dtype}
