"""Attention to both sides."""

from keras import ops

from keras_recs.layers.checked_sizes import checked_sizes
from keras_recs.layers.sequence.masked_attention import MaskedAttention
from keras_recs.register import register


@register
class LocalAttention(MaskedAttention):
    """Attention to both sides, to all places or to those of a window.

    Args:
        window: int. How many places to each side are seen, or `None`: all. Defaults to
            `None`.
        num_heads: int. It divides D. Defaults to `1`.
        dropout: float. Rate of the weights. Defaults to `0.0`.
        use_output_projection: bool. One more dense layer over the heads' outputs.
            Defaults to `True`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Call arguments:
        inputs: list of what asks `(B, T, D)`, what is asked `(B, T, D)` and a bool mask
            `(B, T)`, true where something is there.

    Output shape: `(B, T, D)`. Padding is not seen; what sees nothing gives zeros, or
        the bias of the output projection.

    Raises:
        ValueError: for inputs of other shapes, for heads that do not divide D and for a
            window that is not positive.

    Example:
    >>> layer = keras_recs.layers.LocalAttention(window=2, num_heads=2)
    >>> x, mask = np.ones((2, 5, 4)), np.ones((2, 5), bool)
    >>> tuple(layer([x, x, mask]).shape)
    (2, 5, 4)

    Reference: [Sun et al., 2019](https://arxiv.org/abs/1904.06690) without a window;
    [Beltagy et al., 2020](https://arxiv.org/abs/2004.05150) with one
    """

    def __init__(
        self,
        window=None,
        num_heads=1,
        dropout=0.0,
        use_output_projection=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(num_heads, dropout, use_output_projection, seed, **kwargs)
        if window is not None:
            (window,) = checked_sizes("window", (window,))
        self.window = window

    def places_seen(self, length):
        """All places, or a band of them."""
        places = ops.arange(length)
        distance = ops.abs(places[:, None] - places[None, :])  # (T, T)
        return distance <= (length if self.window is None else self.window)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "window": self.window}
