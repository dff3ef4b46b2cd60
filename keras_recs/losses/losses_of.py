"""The loss of each label."""

import keras

from keras_recs.losses.funnel_crossentropy import FunnelCrossentropy
from keras_recs.losses.labelled_loss import LabelledLoss
from keras_recs.losses.weighted_logistic_loss import WeightedLogisticLoss


def losses_of(schema):
    """The loss that goes with the task of each label, for `model.compile`.

    `compile(loss="binary_crossentropy")` would train a regression label with that, too.
    Binary labels have the binary cross-entropy, those with a `given` in the form of
    `FunnelCrossentropy`, regression labels the mean squared error, watch times
    `WeightedLogisticLoss`. The loss of an optional label is the mean
    over the examples of a batch that have it, 0 where none has; on several replicas
    that of each one's part of the batch.

    Args:
        schema: `keras_recs.Schema`.

    Returns:
        dict of label name to a Keras loss, or its name where nothing is missing.

    Example:
    >>> labels = [keras_recs.Label("click"), keras_recs.Label("y", task="regression")]
    >>> schema = keras_recs.Schema([keras_recs.NumericFeature("x")], labels)
    >>> keras_recs.losses.losses_of(schema)
    {'click': 'binary_crossentropy', 'y': 'mean_squared_error'}
    """
    names = {"binary": "binary_crossentropy", "regression": "mean_squared_error"}
    classes = {
        "binary": keras.losses.BinaryCrossentropy,
        "regression": keras.losses.MeanSquaredError,
        "watch_time": WeightedLogisticLoss,
    }
    losses = {}
    for label in schema.labels:
        if label.given is not None:
            loss = FunnelCrossentropy()
            loss = LabelledLoss(loss) if label.optional else loss
        elif label.optional:
            loss = LabelledLoss(classes[label.task]())
        else:
            loss = names.get(label.task) or WeightedLogisticLoss()
        losses[label.name] = loss
    return losses
