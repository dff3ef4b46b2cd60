"""A cross layer of DCN-V2."""

import keras
from keras import ops

from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.layers.interaction.checked_pair import checked_pair
from keras_recs.register import register


@register
class CrossLayer(keras.layers.Layer):
    """Multiplies the features with a linear map of the layer below.

    l cross layers on top of each other give all products of up to l + 1 features.

    Args:
        projection_dim: int. Rank of the matrix W = U·Vᵀ; U and V take 2·N·rank
            weights where W takes N². Defaults to `None`: a full matrix.
        num_experts: int. A mixture of that many low-rank matrices, weighed for each
            example by softmax gates; needs `projection_dim`. Defaults to `None`: one
            matrix and no gates.
        activation: Keras activation g within the experts. Defaults to `"tanh"`.
        kernel_initializer: Keras initializer of the matrices. Defaults to
            `"glorot_uniform"`.
        kernel_regularizer: Keras regularizer of the matrices. Defaults to `None`.

    Call arguments:
        inputs: pair of the features x₀ and the output x of the layer below (for the
            first layer x₀ again), both `(B, N)`.

    Output shape: `(B, N)`.

    Raises:
        ValueError: for inputs that are not a pair of one shape, for a rank or a number
            of experts that is not a positive integer, and for experts without a rank.

    Example:
    >>> x = np.ones((2, 6))
    >>> tuple(keras_recs.layers.CrossLayer(projection_dim=2)([x, x]).shape)
    (2, 6)

    Reference: [Wang et al., 2021](https://arxiv.org/abs/2008.13535):
    x_{l+1} = x₀ ⊙ (W x_l + b) + x_l, and as a mixture
    x_{l+1} = Σ_i G_i(x_l) x₀ ⊙ (U_i g(C_i g(V_iᵀ x_l)) + b) + x_l
    """

    def __init__(
        self,
        projection_dim=None,
        num_experts=None,
        activation="tanh",
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (
            ("projection_dim", projection_dim),
            ("num_experts", num_experts),
        ):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(
                    f"`{name}` must be a positive integer or None. Received: "
                    f"{name}={value!r}"
                )
        self.projection_dim = projection_dim
        self.num_experts = num_experts
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        """Creates the matrices and the bias."""
        features = checked_pair(input_shape, "CrossLayer")
        if self.num_experts is not None and self.projection_dim is None:
            raise ValueError(
                "`num_experts` needs the rank of the experts, `projection_dim`. "
                f"Received: num_experts={self.num_experts}, projection_dim=None"
            )
        self.down = self.core = self.gate = None
        width = features
        if self.projection_dim is not None:
            width = self.projection_dim * (self.num_experts or 1)
            self.down = self._dense("down", width, 1, use_bias=False)
            self.down.build((None, features))
        if self.num_experts is not None:
            rank = self.projection_dim
            self.core = self.add_weight(
                name="core",
                shape=(self.num_experts, rank, rank),
                initializer=self._initial_core,
                regularizer=self.kernel_regularizer,
            )
            if self.num_experts > 1:  # the gate of a lone expert is 1
                self.gate = self._dense("gate", self.num_experts, 2)
                self.gate.build((None, features))
        self.dense = self._dense("dense", features, 0)
        self.dense.build((None, width))
        self.built = True

    def call(self, inputs):
        """Returns x₀ ⊙ (W x + b) + x."""
        x0, x = inputs
        below = x if self.down is None else self.down(x)  # (B, E·rank)
        if self.num_experts is not None:
            below = self._mix(x, below)
        return x0 * self.dense(below) + x  # (B, N)

    def compute_output_shape(self, input_shape):
        """As each input."""
        return tuple(input_shape[1])

    def get_config(self):
        """Constructor arguments."""
        config = {
            "projection_dim": self.projection_dim,
            "num_experts": self.num_experts,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
        return {**super().get_config(), **config}

    def _mix(self, x, below):
        """The experts' small vectors, each times its gate; `dense` adds them up."""
        shape = (-1, self.num_experts, self.projection_dim)
        below = self.activation(ops.reshape(below, shape))  # (B, E, rank)
        below = ops.einsum("ber,ers->bes", below, self.core)  # (B, E, rank)
        below = self.activation(below)
        if self.gate is not None:
            # The gates sum to 1, so the shared bias counts once.
            gates = ops.softmax(self.gate(x), axis=-1)  # (B, E)
            below = below * ops.expand_dims(gates, -1)  # (B, E, rank)
        return ops.reshape(below, (-1, shape[1] * shape[2]))  # (B, E·rank)

    def _dense(self, name, units, number, use_bias=True):
        return keras.layers.Dense(
            units,
            use_bias=use_bias,
            kernel_initializer=renewed_initializer(self.kernel_initializer, number),
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name=name,
        )

    def _initial_core(self, shape, dtype=None):
        """A matrix an expert: Keras takes three axes for those of a convolution."""
        matrices = [
            renewed_initializer(self.kernel_initializer, 3 + i)(shape[1:], dtype=dtype)
            for i in range(shape[0])
        ]
        return ops.stack(matrices)  # (E, rank, rank)
