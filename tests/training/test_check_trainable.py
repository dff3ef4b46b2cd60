"""What workers beside parameter servers cannot train is said before they start."""

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.data import array_dataset
from keras_recs.models import logistic_regression
from keras_recs.training import GradNorm, PCGrad, UncertaintyWeights, weigh_tasks
from keras_recs.training.parameter_server.check_trainable import check_trainable
from keras_recs.training.parameter_server.source_of import source_of

PLAIN = Schema(
    features=[CategoricalFeature("item", vocabulary_size=9)], labels=[Label("click")]
)


def compiled(schema=PLAIN, **options):
    model = logistic_regression(schema)
    model.compile("sgd", "binary_crossentropy", **options)
    return model


def test_what_can_be_trained_passes():
    check_trainable(compiled(), None)
    check_trainable(compiled(), 3)


@pytest.mark.parametrize("steps", [0, 2.0, -1])
def test_rounds(steps):
    with pytest.raises(ValueError, match="`round_steps` must be a positive integer"):
        check_trainable(compiled(), steps)


def test_steps_an_execution():
    model = compiled(steps_per_execution=2)
    with pytest.raises(ValueError, match="Received: steps_per_execution=2"):
        check_trainable(model, None)


@pytest.mark.parametrize(
    "option", [{"gradient_accumulation_steps": 2}, {"use_ema": True}]
)
def test_optimizers(option):
    model = compiled()
    model.optimizer = keras.optimizers.SGD(0.1, **option)
    name, value = next(iter(option.items()))
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        check_trainable(model, None)


def test_a_scaled_loss():
    model = compiled()
    model.optimizer = keras.optimizers.LossScaleOptimizer(model.optimizer)
    with pytest.raises(ValueError, match="Use the dtype policy 'mixed_bfloat16'"):
        check_trainable(model, None)


@pytest.mark.parametrize("weighting", [GradNorm("linear"), PCGrad()])
def test_weightings_that_follow_each_step(weighting):
    plain = logistic_regression(PLAIN)
    model = weigh_tasks(plain, PLAIN, weighting)
    model.compile("sgd", "binary_crossentropy")
    with pytest.raises(ValueError, match="Take GivenWeights or UncertaintyWeights"):
        check_trainable(model, None)
    model = weigh_tasks(plain, PLAIN, UncertaintyWeights())
    model.compile("sgd", "binary_crossentropy")
    check_trainable(model, None)


def test_data_in_memory():
    columns = {"item": np.arange(4), "click": np.arange(4) % 2}
    data = array_dataset(columns, PLAIN, 2)
    with pytest.raises(
        ValueError, match=r"must be what `keras_recs\.data\.tfrecord_data"
    ):
        source_of(data)
