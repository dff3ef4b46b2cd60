"""The loss of each label."""

from keras_recs.losses.weighted_logistic_loss import WeightedLogisticLoss


def losses_of(schema):
    """The loss that goes with the task of each label, for `model.compile`.

    `compile(loss="binary_crossentropy")` would train a regression label with that, too.
    Binary labels have the binary cross-entropy, regression labels the mean squared
    error, watch times `WeightedLogisticLoss`.

    Args:
        schema: `keras_recs.Schema`.

    Returns:
        dict of label name to a Keras loss or its name.

    Example:
    >>> labels = [keras_recs.Label("click"), keras_recs.Label("y", task="regression")]
    >>> schema = keras_recs.Schema([keras_recs.NumericFeature("x")], labels)
    >>> keras_recs.losses.losses_of(schema)
    {'click': 'binary_crossentropy', 'y': 'mean_squared_error'}
    """
    losses = {
        "binary": "binary_crossentropy",
        "regression": "mean_squared_error",
        "watch_time": WeightedLogisticLoss(),
    }
    return {label: losses[task] for label, task in schema.tasks.items()}
