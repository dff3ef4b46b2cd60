"""The block of MaskNet."""

import keras
from keras import ops

from keras_recs.register import register

EPSILON = 1e-5  # Keras's 1e-3 is more than the variance of small embeddings


@register
class MaskBlock(keras.layers.Layer):
    """Multiplies features with a mask made of the example, in front of a dense layer.

    The mask comes from all embeddings of the example through two dense layers. It is
    laid over the embeddings themselves, each normalized, or over the output of another
    block. At the start of training it is around 1.

    Args:
        units: int. Width of the output.
        reduction_ratio: float. Width of the mask's inner layer, times that of the mask.
            Defaults to `2.0`.
        layer_norm: bool. Normalize in front of the activation. Defaults to `True`.
        activation: Keras activation of the output. Defaults to `"relu"`.
        dropout: float. Rate after the activation. Defaults to `0.0`.
        kernel_regularizer: Keras regularizer of all matrices. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Call arguments:
        inputs: embeddings `(B, F, D)`.
        hidden: output of another block `(B, H)`. Defaults to `None`: the mask is laid
            over the embeddings.

    Output shape: `(B, units)`.

    Raises:
        ValueError: for `units` that are not a positive integer, a ratio that is not
            positive, or embeddings that are not of rank 3.

    Example:
    >>> fields = np.ones((2, 3, 4))
    >>> below = keras_recs.layers.MaskBlock(6)(fields)
    >>> tuple(keras_recs.layers.MaskBlock(5)(fields, hidden=below).shape)
    (2, 5)

    Reference: [Wang et al., 2021](https://arxiv.org/abs/2102.07619):
    V_mask = W₂ ReLU(W₁ V_emb + b₁) + b₂, and ReLU(LN(W (V_mask ⊙ LN_EMB(V_emb)))) or
    ReLU(LN(W (V_mask ⊙ V_hidden)))
    """

    def __init__(
        self,
        units,
        reduction_ratio=2.0,
        layer_norm=True,
        activation="relu",
        dropout=0.0,
        kernel_regularizer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(
                f"`units` must be a positive integer. Received: units={units!r}"
            )
        if reduction_ratio <= 0:
            raise ValueError(
                "`reduction_ratio` must be positive. Received: "
                f"reduction_ratio={reduction_ratio!r}"
            )
        self.units = units
        self.reduction_ratio = reduction_ratio
        self.layer_norm = layer_norm
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.seed = seed

    def build(self, inputs_shape, hidden_shape=None):
        """Creates the mask's layers and the dense layer."""
        if len(inputs_shape) != 3 or None in inputs_shape[1:]:
            raise ValueError(
                "The embeddings that MaskBlock reads must have shape (batch, fields, "
                f"dim). Received: shape={tuple(inputs_shape)}"
            )
        fields, dim = inputs_shape[1:]
        masked = fields * dim if hidden_shape is None else hidden_shape[-1]
        self.field_norm = self.norm = self.drop = None
        if hidden_shape is None:
            self.field_norm = self._norm("field_norm", (None, fields, dim))
            # As the paper has it, each field is scaled and shifted for itself.
            shape = (fields, dim)
            self.gain = self.add_weight(name="gain", shape=shape, initializer="ones")
            self.offset = self.add_weight(
                name="offset", shape=shape, initializer="zeros"
            )
        inner = max(1, int(self.reduction_ratio * masked))
        self.aggregation = self._dense("aggregation", inner, "relu")
        self.aggregation.build((None, fields * dim))
        # A mask around 1 at the start: one around 0 leaves `norm` small numbers to
        # divide by, and gradients ten times larger.
        self.projection = self._dense("projection", masked, bias_initializer="ones")
        self.projection.build((None, inner))
        self.dense = self._dense("dense", self.units, use_bias=False)
        self.dense.build((None, masked))
        if self.layer_norm:
            self.norm = self._norm("norm", (None, self.units), affine=True)
        if self.dropout:
            self.drop = keras.layers.Dropout(
                self.dropout, seed=self.seed, dtype=self.dtype_policy, name="drop"
            )
            self.drop.build((None, self.units))
        self.built = True

    def call(self, inputs, hidden=None, training=None):
        """Returns the dense layer of what is masked."""
        width = inputs.shape[1] * inputs.shape[2]
        flat = ops.reshape(inputs, (-1, width))  # (B, F·D)
        mask = self.projection(self.aggregation(flat))  # (B, F·D) or (B, H)
        if hidden is None:
            fields = self.field_norm(inputs) * self.gain + self.offset  # (B, F, D)
            hidden = ops.reshape(fields, (-1, width))  # (B, F·D)
        x = self.dense(mask * hidden)  # (B, units)
        if self.norm is not None:
            x = self.norm(x)
        x = self.activation(x)
        return x if self.drop is None else self.drop(x, training=training)

    def compute_output_shape(self, inputs_shape, hidden_shape=None):
        """`(B, units)`."""
        return (inputs_shape[0], self.units)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "units": self.units,
            "reduction_ratio": self.reduction_ratio,
            "layer_norm": self.layer_norm,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    def _dense(self, name, units, activation=None, **options):
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name=name,
            **options,
        )

    def _norm(self, name, shape, affine=False):
        norm = keras.layers.LayerNormalization(
            epsilon=EPSILON,
            center=affine,
            scale=affine,
            dtype=self.dtype_policy,
            name=name,
        )
        norm.build(shape)
        return norm
