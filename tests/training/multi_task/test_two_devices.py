"""Two devices weigh as one does, but under PCGrad, which projects on each its own."""

import pytest

from tests.preloaded import run_preloaded

PROGRAM = """
import keras
import numpy as np
import tensorflow as tf

import keras_recs
from keras_recs import CategoricalFeature, Label, NumericFeature, Schema, training

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
schema = Schema(
    [CategoricalFeature("item", vocabulary_size=7), NumericFeature("price", transform="log1p")],
    [Label("click"), Label("rating", task="regression")],
)
rng = np.random.default_rng(0)
x = {
    "item": rng.integers(2, 9, 96).astype("int32"),
    "price": rng.normal(size=96).astype("float32"),
}
y = {
    "click": rng.integers(0, 2, (96, 1)).astype("float32"),
    "rating": rng.normal(size=(96, 1)).astype("float32"),
}
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
WEIGHTINGS = {
    "uncertainty": training.UncertaintyWeights,
    "average": training.DynamicWeightAverage,
    "grad_norm_of_a_table": lambda: training.GradNorm("embedding"),
}
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def train(strategy, weighting):
    keras.utils.set_random_seed(1)
    with strategy.scope():
        base = keras_recs.models.mmoe(schema, 4, 2, (6, 4), (3,))
        model = training.weigh_tasks(base, schema, WEIGHTINGS[weighting]())
        losses = keras_recs.losses.losses_of(schema)
        model.compile(
            keras.optimizers.SGD(0.1), losses, run_eagerly=strategy is not mirrored
        )
    history = model.fit(data, epochs=3, verbose=0).history
    return history, model.get_weights()


for name in WEIGHTINGS:
    one, one_weights = train(tf.distribute.get_strategy(), name)
    two, two_weights = train(mirrored, name)
    for a, b in zip(one_weights, two_weights):
        np.testing.assert_allclose(a, b, atol=2e-5, err_msg=name)
    for key in ("click_weight", "rating_weight"):
        np.testing.assert_allclose(one[key], two[key], rtol=1e-4, err_msg=name)
    print(name, "equal")
"""


@pytest.mark.distributed
def test_two_devices_weigh_as_one():
    printed = run_preloaded("-c", PROGRAM).stdout
    assert printed.count("equal") == 3
