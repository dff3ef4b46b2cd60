"""Batch normalization where a replica has no example."""

import keras
import numpy as np
import pytest

from keras_recs.layers import BatchNorm

X = np.random.default_rng(0).normal(2.0, 3.0, size=(6, 4)).astype("float32")


@pytest.mark.parametrize("masked", [False, True])
def test_with_examples_it_is_that_of_keras(masked):
    mask = np.array([True, False, True, True, False, True]) if masked else None
    ours, theirs = (
        BatchNorm(momentum=0.9),
        keras.layers.BatchNormalization(momentum=0.9),
    )
    for training in (True, True, False):
        np.testing.assert_array_equal(
            ours(X, training=training, mask=mask),
            theirs(X, training=training, mask=mask),
        )


def test_an_empty_batch_leaves_everything_as_it_was():
    import tensorflow as tf

    layer = BatchNorm(momentum=0.9)
    layer(X, training=True)
    before = [np.asarray(weight) for weight in layer.weights]

    @tf.function(input_signature=[tf.TensorSpec([None, 4])])
    def gradients(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, training=True) ** 2)
        return tape.gradient(loss, [w.value for w in layer.trainable_weights])

    for gradient in gradients(tf.zeros([0, 4])):
        np.testing.assert_array_equal(gradient, np.zeros(4))
    for weight, old in zip(layer.weights, before):
        np.testing.assert_allclose(weight, old, rtol=1e-6)  # .9 m + .1 m


def test_positions_of_padding_alone_leave_the_averages_as_they_were():
    layer = BatchNorm(momentum=0.9)
    layer(X, training=True)
    before = np.asarray(layer.moving_mean)
    layer(X, training=True, mask=np.zeros(6, bool))
    np.testing.assert_allclose(layer.moving_mean, before, rtol=1e-6)


def test_it_is_saved_by_its_name():
    config = keras.saving.serialize_keras_object(BatchNorm(momentum=0.9, epsilon=1e-5))
    assert config["registered_name"] == "keras_recs>BatchNorm"
    layer = keras.saving.deserialize_keras_object(config)
    assert (type(layer), layer.momentum, layer.epsilon) == (BatchNorm, 0.9, 1e-5)
