"""Attention to what came before."""

from keras import ops

from keras_recs.layers.sequence.masked_attention import MaskedAttention
from keras_recs.register import register


@register
class CausalSelfAttention(MaskedAttention):
    """Attention in which each place sees itself and those before it.

    Args:
        num_heads: int. It divides D. Defaults to `1`.
        dropout: float. Rate of the weights. Defaults to `0.0`.
        use_output_projection: bool. One more dense layer over the heads' outputs, which
            SASRec does not have. Defaults to `False`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Call arguments:
        inputs: list of what asks `(B, T, D)`, what is asked `(B, T, D)` and a bool mask
            `(B, T)`, true where something is there. SASRec asks with normalized states
            what is asked without.

    Output shape: `(B, T, D)`. Padding is not seen; what sees nothing gives zeros, or
        the bias of the output projection.

    Raises:
        ValueError: for inputs of other shapes, and for heads that do not divide D.

    Example:
    >>> layer = keras_recs.layers.CausalSelfAttention(num_heads=2)
    >>> x, mask = np.ones((2, 3, 4)), np.ones((2, 3), bool)
    >>> tuple(layer([x, x, mask]).shape)
    (2, 3, 4)

    Reference: [Kang and McAuley, 2018](https://arxiv.org/abs/1808.09781):
    softmax(QKᵀ/√(D/heads)) V, where Q_i and K_j of j > i have no link
    """

    def __init__(
        self,
        num_heads=1,
        dropout=0.0,
        use_output_projection=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(num_heads, dropout, use_output_projection, seed, **kwargs)

    def places_seen(self, length):
        """The lower triangle."""
        places = ops.arange(length)
        return places[:, None] >= places[None, :]  # (T, T)
