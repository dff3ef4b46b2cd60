"""The loss of each label."""

import keras

from keras_recs import Label, NumericFeature, Schema
from keras_recs.losses import (
    FunnelCrossentropy,
    LabelledLoss,
    WeightedLogisticLoss,
    losses_of,
)
from keras_recs.schema import TASKS


def test_every_task_has_a_loss():
    labels = [Label(f"y_{task}", task=task) for task in TASKS]
    losses = losses_of(Schema([NumericFeature("x")], labels))
    assert list(losses) == [label.name for label in labels]
    assert losses["y_binary"] == "binary_crossentropy"
    assert losses["y_regression"] == "mean_squared_error"
    assert isinstance(losses["y_watch_time"], WeightedLogisticLoss)
    assert all(callable(keras.losses.get(loss)) for loss in losses.values())


def test_steps_of_a_funnel():
    labels = [
        Label("click"),
        Label("cart", given="click"),
        Label("order", given="cart", optional=True),
    ]
    click, cart, order = losses_of(Schema([NumericFeature("x")], labels)).values()
    assert click == "binary_crossentropy"
    assert isinstance(cart, FunnelCrossentropy)
    assert isinstance(order, LabelledLoss)
    assert isinstance(order.loss, FunnelCrossentropy)
