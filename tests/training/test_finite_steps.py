"""NaN and infinity are caught before they are applied, and what they come from."""

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs.data import array_dataset
from keras_recs.losses import losses_of
from keras_recs.models import deepfm
from keras_recs.optimizers import RowwiseAdagrad
from keras_recs.training import NonFiniteStep, fit
from tests.preloaded import run_preloaded

SCHEMA = Schema(
    features=[CategoricalFeature("item", vocabulary_size=20), NumericFeature("x")],
    labels=[Label("y", task="regression", sample_weight="w")],
)
BATCH, STEPS, BAD = 8, 5, 2  # step 2 is the damaged one


def dataset(damage=None, without=None):
    """Batches, of which one has a strange value in row 3, or is left out."""
    rng = np.random.default_rng(0)
    size = BATCH * STEPS
    columns = {"item": rng.integers(0, 20, size), "x": rng.normal(size=size)}
    columns |= {"y": rng.normal(size=size), "w": np.ones(size)}
    batches = array_dataset(columns, SCHEMA, BATCH, shuffle=False)
    if without is not None:
        kept = batches.take(without).concatenate(batches.skip(without + 1))
        return kept.apply(assert_length(STEPS - 1))
    if damage is None:
        return batches

    def damaged(number, batch):
        import tensorflow as tf

        x, y, w = batch
        part, name, value = {"x": (x, "x"), "y": (y, "y"), "w": (w, "y")}[damage[0]] + (
            damage[1],
        )
        old = part[name]
        row = tf.reshape(tf.range(BATCH) == 3, [-1] + [1] * (old.shape.rank - 1))
        part = {**part, name: tf.where((number == BAD) & row, value, old)}
        parts = {"x": (part, y, w), "y": (x, part, w), "w": (x, y, part)}
        return parts[damage[0]]

    return batches.enumerate().map(damaged).apply(assert_length(STEPS))


def assert_length(length):
    import tensorflow as tf

    return tf.data.experimental.assert_cardinality(length)


def compiled(optimizer=None):
    keras.utils.set_random_seed(0)
    model = deepfm(SCHEMA, 4, (8,), batch_norm=True)
    model.compile(optimizer or RowwiseAdagrad(0.1), losses_of(SCHEMA))
    return model


def trained(tmp_path, data, model=None, **options):
    model = model or compiled()
    options = {"epochs": 1, "verbose": 0, **options}
    history = fit(model, data, SCHEMA, tmp_path / "run", **options)
    return model, history


@pytest.fixture(scope="module")
def before():
    """A model of Keras alone, trained up to the damaged step."""
    model = compiled()
    model.fit(dataset().take(BAD), verbose=0, shuffle=False)
    return model


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (("x", np.inf), "feature 'x' is inf in row 3 of the batch"),
        (("x", 1e30), "feature 'x' is 1e+30 in row 3"),
        (("y", np.nan), "label 'y' is nan in row 3"),
        (("w", -np.inf), "weight of label 'y' is -inf in row 3"),
    ],
    ids=str,
)
def test_it_stops_before_the_update_and_names_the_reason(
    damage, named, before, tmp_path
):
    model = compiled()
    with pytest.raises(NonFiniteStep) as caught:
        trained(tmp_path, dataset(damage), model, checkpoint_steps=1)
    message = str(caught.value)
    assert message.startswith("Epoch 0, step 2: the gradients of ")
    assert named in message
    assert "on_nonfinite='skip'" in message
    assert not (tmp_path / "run" / "model.keras").exists()
    for mine, other in (
        (model.variables, before.variables),
        (model.optimizer.variables, before.optimizer.variables),
    ):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6, err_msg=b.path)
    assert int(model.optimizer.iterations) == BAD


def test_with_the_data_mended_it_goes_on_where_it_stopped(tmp_path):
    with pytest.raises(NonFiniteStep):
        trained(tmp_path, dataset(("x", np.inf)), checkpoint_steps=1)
    seen = []
    begun = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(batch)
    )
    mended, _ = trained(tmp_path, dataset(), callbacks=[begun])
    assert seen == list(range(BAD, STEPS))
    whole = compiled()
    whole.fit(dataset(), verbose=0, shuffle=False)
    for a, b in zip(mended.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_model_that_diverges(tmp_path):
    model = compiled(keras.optimizers.SGD(1e30))
    with pytest.raises(NonFiniteStep, match=r"Epoch 0, step [1-4]:.*itself diverged"):
        trained(tmp_path, dataset(), model)
    for weight in model.get_weights():
        assert np.isfinite(weight).all()


def test_it_goes_on_without_the_batch(tmp_path, caplog):
    data = dataset(("x", np.nan))
    model, history = trained(tmp_path, data, on_nonfinite="skip", epochs=2)
    assert history.history["skipped_steps"] == [1.0, 2.0]
    assert np.isfinite(history.history["loss"]).all()
    assert "Epoch 0, step 2: the gradients of" in caplog.text
    assert "feature 'x' is nan in row 3 of the batch. The batch is left out" in (
        caplog.text
    )
    assert int(model.optimizer.iterations) == 2 * (STEPS - 1)
    other = compiled()
    other.fit(dataset(without=BAD), epochs=2, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_single_batches_are_left_out(tmp_path):
    """Not where several steps are one call; and where all are, nothing was trained."""
    model = compiled()
    model.steps_per_execution = 2
    with pytest.raises(ValueError, match=r"leaves out single batches.*_execution=2"):
        trained(tmp_path, dataset(), model, on_nonfinite="skip")
    data = dataset().map(lambda x, y, w: ({**x, "x": x["x"] * np.nan}, y, w))
    data = data.apply(assert_length(STEPS))
    with pytest.raises(ValueError, match="No step was trained: all were left out"):
        trained(tmp_path, data, on_nonfinite="skip")
    assert not (tmp_path / "run" / "model.keras").exists()


def test_it_can_be_left_out(tmp_path):
    data = dataset(("x", np.nan))
    with pytest.raises(ValueError, match="Training diverged: the loss of"):
        trained(tmp_path, data, on_nonfinite="ignore")
    with pytest.raises(ValueError, match=r"`on_nonfinite` .*on_nonfinite='drop'"):
        trained(tmp_path, data, on_nonfinite="drop")


def test_it_changes_nothing_else(tmp_path):
    checked, _ = trained(tmp_path / "a", dataset())
    unchecked, _ = trained(tmp_path / "b", dataset(), on_nonfinite="ignore")
    for a, b in zip(checked.get_weights(), unchecked.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "apply" not in vars(checked.optimizer)
    assert "train_step" not in vars(checked)


def test_losses_of_layers_count(tmp_path):
    """The scope in which a step is traced has them too."""

    def regularized():
        keras.utils.set_random_seed(0)
        inner = deepfm(SCHEMA, 4, (8,))
        penalized = keras.layers.Dense(
            1, name="y", kernel_regularizer="l2", activity_regularizer="l1"
        )
        outputs = {"y": penalized(inner.output["y"])}
        model = keras.Model(inner.input, outputs)
        model.compile(keras.optimizers.SGD(0.1), losses_of(SCHEMA))
        return model

    checked, history = trained(tmp_path, dataset(), regularized())
    other = regularized()
    expected = other.fit(dataset(), verbose=0, shuffle=False).history
    np.testing.assert_allclose(history.history["loss"], expected["loss"], rtol=1e-6)
    for a, b in zip(checked.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_step_of_ones_own(tmp_path):
    class Own(keras.Model):
        def train_step(self, data):
            import tensorflow as tf

            x, y, _ = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self(x, training=True)["y"] - y["y"]) ** 2)
            weights = self.trainable_weights
            self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
            return {"loss": loss}

    inner = compiled()
    model = Own(inner.input, inner.output)
    model.compile(RowwiseAdagrad(0.1), losses_of(SCHEMA))
    with pytest.raises(NonFiniteStep, match="feature 'x' is inf in row 3"):
        trained(tmp_path, dataset(("x", np.inf)), model)


def test_a_loss_scale_finds_them_itself(tmp_path):
    scaled = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=4.0
    )
    model = compiled(scaled)
    with pytest.raises(ValueError, match="the loss of"):
        trained(tmp_path, dataset(("x", np.inf)), model)
    assert np.isfinite(model.get_weights()[0]).all()


REPLICAS = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_recs.training import NonFiniteStep, make_strategy
from keras_recs.copies_of import copies_of
from tests.training.test_finite_steps import BAD, compiled, dataset, trained

with make_strategy("mirrored").scope():
    model = compiled()
try:
    trained(Path(sys.argv[1]), dataset(("x", np.inf)), model)
except NonFiniteStep as error:
    assert "feature 'x' is inf in row 3" in str(error), error
else:
    sys.exit("not found")
# Both replicas leave the batch out, and nothing of it stays in either.
models = []
for policy, data in (("skip", dataset(("x", np.inf))), ("stop", dataset(without=BAD))):
    with make_strategy("mirrored").scope():
        models.append(compiled())
    trained(Path(sys.argv[1]) / policy, data, models[-1], on_nonfinite=policy)
    for weight in models[-1].get_weights():
        assert np.isfinite(weight).all()
for a, b in zip(*(m.variables for m in models), strict=True):
    for mine, other in zip(copies_of(a), copies_of(b), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6, err_msg=a.path)
"""


@pytest.mark.distributed
def test_one_replica_is_enough(tmp_path):
    run_preloaded("-c", REPLICAS, tmp_path)
