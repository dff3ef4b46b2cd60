"""The compressed interaction network of xDeepFM."""

import keras
from keras import ops

from keras_recs.register import register


@register
class CIN(keras.layers.Layer):
    """Products of field embeddings of growing degree, number by number.

    Layer k holds `layer_sizes[k]` feature maps, each a weighted sum of the elementwise
    products of every map below with every field: k + 1 fields meet, and never do two
    dimensions of the embedding mix. The maps are summed over the dimensions.

    Args:
        layer_sizes: ints. Feature maps of each layer. Defaults to `(128, 128)`.
        split_half: bool. Half of the maps of a layer go to the next one and the other
            half to the output, as in the authors' code; in the paper all go to both.
            Defaults to `False`.
        activation: Keras activation of the maps. Defaults to `None`.
        kernel_initializer: Keras initializer. Defaults to `"glorot_uniform"`.
        kernel_regularizer: Keras regularizer. Defaults to `None`.

    Input shape: `(B, F, D)`.
    Output shape: `(B, M)`, M the number of maps that go to the output.

    Raises:
        ValueError: for sizes that are not positive, an odd one that is to be split, or
            an input that is not of rank 3.

    Example:
    >>> layer = keras_recs.layers.CIN((6, 4), split_half=True)
    >>> tuple(layer(np.ones((2, 3, 5))).shape)
    (2, 7)

    Reference: [Lian et al., 2018](https://arxiv.org/abs/1803.05170):
    X^k_h = Σ_ij W^{k,h}_ij (X^{k−1}_i ∘ X⁰_j), p^k_h = Σ_d X^k_{h,d}
    """

    def __init__(
        self,
        layer_sizes=(128, 128),
        split_half=False,
        activation=None,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.layer_sizes = tuple(layer_sizes)
        self.split_half = split_half
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        if not self.layer_sizes or min(self.layer_sizes) < 1:
            raise ValueError(
                "`layer_sizes` must be one or more positive integers. Received: "
                f"layer_sizes={layer_sizes!r}"
            )
        if split_half and any(size % 2 for size in self.layer_sizes[:-1]):
            raise ValueError(
                "`split_half` needs even `layer_sizes` before the last. Received: "
                f"layer_sizes={layer_sizes!r}"
            )

    def build(self, input_shape):
        """Creates a kernel `(maps below · F, maps)` a layer."""
        if len(input_shape) != 3 or input_shape[1] is None:
            raise ValueError(
                "The input of CIN must have shape (batch, fields, dim). Received: "
                f"shape={tuple(input_shape)}"
            )
        fields = below = input_shape[1]
        self.kernels = []
        for k, size in enumerate(self.layer_sizes):
            config = self.kernel_initializer.get_config()
            kernel = self.add_weight(
                name=f"kernel_{k}",
                shape=(below * fields, size),
                initializer=type(self.kernel_initializer).from_config(config),
                regularizer=self.kernel_regularizer,
            )
            self.kernels.append(kernel)
            below = size - self._kept(k)
        self.built = True

    def call(self, inputs):
        """Returns the sums of the maps."""
        x0 = ops.transpose(inputs, (0, 2, 1))  # (B, D, F)
        fields = x0.shape[-1]
        x = x0
        outputs = []
        for k, kernel in enumerate(self.kernels):
            pairs = ops.expand_dims(x, -1) * ops.expand_dims(x0, -2)  # (B, D, H, F)
            shape = (-1, x0.shape[1], x.shape[-1] * fields)
            x = ops.matmul(ops.reshape(pairs, shape), kernel)  # (B, D, H)
            x = self.activation(x)
            kept = self._kept(k)
            if kept == 0:
                outputs.append(ops.sum(x, axis=1))  # (B, H)
            else:
                outputs.append(ops.sum(x[..., -kept:], axis=1))
                x = x[..., :-kept]
        return outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape):
        """`(B, M)`."""
        maps = [self._kept(k) or size for k, size in enumerate(self.layer_sizes)]
        return (input_shape[0], sum(maps))

    def get_config(self):
        """Constructor arguments."""
        config = {
            "layer_sizes": self.layer_sizes,
            "split_half": self.split_half,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
        return {**super().get_config(), **config}

    def _kept(self, k):
        """Maps of a layer that go to the output alone; 0 if all go to both."""
        last = k == len(self.layer_sizes) - 1
        return 0 if last or not self.split_half else self.layer_sizes[k] // 2
