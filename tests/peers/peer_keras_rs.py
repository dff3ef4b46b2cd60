"""The problems by KerasRS's layers."""

import keras_rs
import numpy as np
import peer_main


def cross_matrix(x, kernels, biases):
    """`(B, N)`."""
    below = x
    for kernel, bias in zip(kernels, biases):
        layer = keras_rs.layers.FeatureCross()
        layer(x, below)  # `build` alone makes no weights
        layer.set_weights([kernel, bias])
        below = layer(x, below)
    return below


def cross_low_rank(x, down, up, biases):
    """`(B, N)`."""
    below = x
    for first, second, bias in zip(down, up, biases):
        layer = keras_rs.layers.FeatureCross(projection_dim=down.shape[-1])
        layer(x, below)  # `build` alone makes no weights
        layer.set_weights([first, second, bias])
        below = layer(x, below)
    return below


def dot(dense, fields):
    """`(B, D + pairs)`."""
    columns = [dense, *fields.transpose(1, 0, 2)]
    pairs = keras_rs.layers.DotInteraction()(columns)
    return np.concatenate([dense, pairs], 1)


def weights_after_build(x):
    """How many weights there are before the first call."""
    layer = keras_rs.layers.FeatureCross()
    layer.build(x.shape)
    return len(layer.weights)


if __name__ == "__main__":
    peer_main.answer([cross_matrix, cross_low_rank, dot, weights_after_build])
