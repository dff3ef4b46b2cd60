"""Each group trains as it would alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recs.optimizers import CompositeOptimizer, RowwiseAdagrad, SparseFTRL


def network():
    keras.utils.set_random_seed(1)
    x = keras.Input((3,))
    wide = keras.layers.Dense(1, name="wide")(x)
    deep = keras.layers.Dense(4, activation="relu", name="deep_0")(x)
    deep = keras.layers.Dense(1, name="deep_1")(deep)
    return keras.Model(x, keras.layers.Add()([wide, deep]))


def composite(**arguments):
    return CompositeOptimizer(
        default=keras.optimizers.Adam(0.01),
        groups={"wide": keras.optimizers.SGD(0.5)},
        **arguments,
    )


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3)).astype("float32")
    return x, (x @ [[1.0], [-2.0], [0.5]]).astype("float32")


def gradients(model, seed):
    rng = np.random.default_rng(seed)
    return [
        tf.constant(rng.normal(size=v.shape).astype("float32"))
        for v in model.trainable_variables
    ]


def test_each_group_has_its_optimizer():
    model, twin = network(), network()
    ours, sgd, adam = (
        composite(),
        keras.optimizers.SGD(0.5),
        keras.optimizers.Adam(0.01),
    )
    wide = twin.get_layer("wide").trainable_variables
    deep = [v for v in twin.trainable_variables if not v.path.startswith("wide")]
    index = {v.path: i for i, v in enumerate(twin.trainable_variables)}
    for seed in range(4):
        grads = gradients(model, seed)
        ours.apply(grads, model.trainable_variables)
        sgd.apply([grads[index[v.path]] for v in wide], wide)
        adam.apply([grads[index[v.path]] for v in deep], deep)
    assert int(ours.iterations) == 4
    for a, b in zip(model.get_weights(), twin.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_wide_and_deep_with_its_own_optimizers(click_schema):
    """FTRL with L1 on the wide part, Adagrad on the deep, as in the paper."""
    from keras_recs.models import wide_and_deep

    model = wide_and_deep(click_schema, embedding_dim=4, hidden_units=(4,))
    optimizer = CompositeOptimizer(
        default=RowwiseAdagrad(0.05), groups={"wide": SparseFTRL(0.1, l1=100.0)}
    )
    optimizer.build(model.trainable_variables)
    grads = [
        tf.ones(v.shape)
        if not getattr(v, "is_table", False)
        else tf.IndexedSlices(tf.ones((1, v.shape[1])), [2], v.shape)
        for v in model.trainable_variables
    ]
    before = [v.numpy() for v in model.trainable_variables]
    optimizer.apply(grads, model.trainable_variables)
    for variable, old in zip(model.trainable_variables, before):
        if variable.path.startswith("wide/"):
            assert (variable.numpy() == 0).all(), "nothing exceeds the L1"
        else:
            assert (variable.numpy() != old).any()


def test_fit_save_and_go_on(tmp_path):
    x, y = data()
    whole = network()
    whole.compile(composite(), "mse")
    whole.fit(x, y, epochs=4, shuffle=False, verbose=0)
    model = network()
    model.compile(composite(), "mse")
    model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert isinstance(again.optimizer, CompositeOptimizer)
    assert int(again.optimizer.iterations) == 4
    again.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(again.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_callbacks_see_the_learning_rate_of_the_default():
    x, y = data()
    model = network()
    model.compile(composite(), "mse")
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = model.fit(x, y, epochs=2, callbacks=[halve], verbose=0)
    np.testing.assert_allclose(history.history["learning_rate"], [0.005, 0.0025])
    assert float(model.optimizer.groups["wide"].learning_rate) == 0.5


def test_loss_scaling_around_it():
    x, y = data()
    plain, scaled = network(), network()
    plain.compile(composite(), "mse")
    scaled.compile(
        keras.optimizers.LossScaleOptimizer(composite(), initial_scale=4.0), "mse"
    )
    for model in (plain, scaled):
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(plain.get_weights(), scaled.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_config_round_trip():
    optimizer = composite(name="both", loss_scale_factor=2.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()


def test_messages():
    sgd = keras.optimizers.SGD()
    with pytest.raises(ValueError, match="optimizer object of its own"):
        CompositeOptimizer(sgd, {"wide": sgd})
    with pytest.raises(TypeError, match=r"groups\['wide'\].*LossScaleOptimizer"):
        CompositeOptimizer("sgd", {"wide": keras.optimizers.LossScaleOptimizer(sgd)})
    with pytest.raises(ValueError, match=r"Received: \['clipnorm'\]"):
        CompositeOptimizer("sgd", {"wide": "adam"}, clipnorm=1.0)
    for groups in (sgd, ["wide"]):
        with pytest.raises(TypeError, match="`default`, then `groups`, a dict"):
            CompositeOptimizer({"wide": "adam"}, groups)
    variables = network().trainable_variables
    with pytest.raises(ValueError, match=r"Group 'wid' has no trainable.*'wide'"):
        CompositeOptimizer("sgd", {"wid": "adam"}).build(variables)
    nested = keras.Variable(np.ones(2), name="v")
    nested._path = "wide/deep/v"
    with pytest.raises(ValueError, match=r"several groups.*'wide', 'deep'"):
        CompositeOptimizer("sgd", {"wide": "adam", "deep": "adam"}).build([nested])
