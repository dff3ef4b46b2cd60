"""The compressed interaction network of xDeepFM."""

import keras
from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
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
        ValueError: for sizes that are not positive integers, an odd one that is to be
            split, or an input that is not of rank 3.

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
        self.layer_sizes = checked_sizes("layer_sizes", layer_sizes)
        self.split_half = split_half
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
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
            kernel = self.add_weight(
                name=f"kernel_{k}",
                shape=(below * fields, size),
                initializer=renewed_initializer(self.kernel_initializer, k),
                regularizer=self.kernel_regularizer,
            )
            self.kernels.append(kernel)
            below = self._handed_on(k)
        self.built = True

    def call(self, inputs):
        """Returns the sums of the maps."""
        x = x0 = ops.transpose(inputs, (0, 2, 1))  # (B, D, F)
        linear = self.activation is keras.activations.linear
        outputs = []
        for k, (kernel, size) in enumerate(zip(self.kernels, self.layer_sizes)):
            below, on = x, self._handed_on(k)
            if on < size and linear:
                # Maps that no layer reads are needed as sums alone.
                outputs.append(self._sums(below, x0, kernel[:, on:]))  # (B, H - on)
                if on > 0:
                    x = self._maps(below, x0, kernel[:, :on])  # (B, D, on)
            else:
                x = self.activation(self._maps(below, x0, kernel))  # (B, D, H)
                kept = x[..., on:] if on < size else x  # (B, D, H - on) or all
                outputs.append(ops.sum(kept, axis=1))  # (B, H - on) or (B, H)
                x = x[..., :on]  # (B, D, on)
        return ops.concatenate(outputs, axis=-1)  # (B, M)

    def compute_output_shape(self, input_shape):
        """`(B, M)`."""
        maps = 0
        for k, size in enumerate(self.layer_sizes):
            on = self._handed_on(k)
            maps += size - on if on < size else size
        return (input_shape[0], maps)

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

    def _handed_on(self, k):
        """The first maps of a layer, those that the next one reads."""
        size = self.layer_sizes[k]
        if k == len(self.layer_sizes) - 1:
            return 0
        return size // 2 if self.split_half else size

    def _maps(self, x, x0, kernel):
        """Σ_ij W_ij (X_i ∘ X⁰_j)."""
        below, fields, size = x.shape[-1], x0.shape[-1], kernel.shape[-1]
        dim = ops.shape(x0)[1]
        if size < below:
            # (B, D, F, H') then is the smaller tensor of the two.
            kernel = ops.reshape(kernel, (below, fields * size))
            maps = ops.matmul(ops.reshape(x, (-1, below)), kernel)  # (B·D, F·H')
            maps = ops.reshape(maps, (-1, fields, size))  # (B·D, F, H')
            x0 = ops.reshape(x0, (-1, 1, fields))  # (B·D, 1, F)
            maps = ops.matmul(x0, maps)  # (B·D, 1, H')
        else:
            pairs = ops.expand_dims(x, -1) * ops.expand_dims(x0, -2)  # (B, D, H, F)
            pairs = ops.reshape(pairs, (-1, below * fields))  # (B·D, H·F)
            maps = ops.matmul(pairs, kernel)  # (B·D, H')
        return ops.reshape(maps, (-1, dim, size))  # (B, D, H')

    def _sums(self, x, x0, kernel):
        """Σ_d Σ_ij W_ij X_id X⁰_jd, over d first: the kernel meets D times less."""
        pairs = ops.matmul(ops.transpose(x, (0, 2, 1)), x0)  # (B, H, F)
        return ops.matmul(ops.reshape(pairs, (-1, kernel.shape[0])), kernel)  # (B, H')
