"""Strategies, and that two devices train as one."""

import pytest

from keras_recs.training import make_strategy
from tests.preloaded import run_preloaded


def test_names():
    import tensorflow as tf

    assert make_strategy() is tf.distribute.get_strategy()
    with pytest.raises(
        ValueError,
        match=r"`name` must be one of \('none', 'mirrored',.*'parameter_server'\).*'tpu'",
    ):
        make_strategy("tpu")


MIRRORED = """
import sys
import keras
import numpy as np
import tensorflow as tf
import keras_recs
from tests import samples

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
schema = samples.click_schema(sys.argv[1])
columns = samples.click_columns(128)
trained = []
for name in ("none", "mirrored"):
    strategy = keras_recs.training.make_strategy(name)
    assert strategy.num_replicas_in_sync == (2 if name == "mirrored" else 1)
    train = keras_recs.data.array_dataset(columns, schema, 32, shuffle=False)
    valid = keras_recs.data.array_dataset(columns, schema, 64, shuffle=False, with_group=True)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras_recs.models.deepfm(schema, 4, (8,))
        model.compile(keras.optimizers.Adam(0.01), {"click": "binary_crossentropy", "rating": "mse"})
    history = keras_recs.training.fit(
        model, train, schema, f"{sys.argv[1]}/{name}", validation=valid, epochs=3, verbose=0
    )
    trained.append((history.history, model.get_weights()))
    loaded = keras.models.load_model(f"{sys.argv[1]}/{name}/model.keras")
    for a, b in zip(loaded.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(a, b)
(one, one_weights), (two, two_weights) = trained
for a, b in zip(one_weights, two_weights):
    np.testing.assert_allclose(a, b, atol=2e-5)
assert set(one) == set(two)
for name in one:
    np.testing.assert_allclose(one[name], two[name], rtol=1e-3, err_msg=name)

# What TensorFlow fails at is said before.
with strategy.scope():
    model = keras_recs.models.deepfm(schema, 4, (8,))
    losses = {"click": "binary_crossentropy", "rating": "mse"}
    model.compile("adam", losses, steps_per_execution=2)
try:
    keras_recs.training.fit(model, train, schema, sys.argv[1] + "/several")
except ValueError as error:
    assert "Received: steps_per_execution=2 on 2 replicas" in str(error), error
else:
    sys.exit("not refused")
"""


@pytest.mark.distributed
def test_two_devices_train_as_one(tmp_path):
    run_preloaded("-c", MIRRORED, tmp_path)
