"""A weighting for a model that is there."""

from keras_recs.training.multi_task.multi_task_model import MultiTaskModel


def weigh_tasks(model, schema, weighting):
    """Makes a model train its labels under a weighting.

    Args:
        model: functional `keras.Model` with an output a label, as the builders of
            `keras_recs.models` make it; not compiled. Its layers are shared.
        schema: `keras_recs.Schema`.
        weighting: `GivenWeights`, `UncertaintyWeights`, `DynamicWeightAverage`,
            `GradNorm` or `PCGrad`.

    Returns:
        `MultiTaskModel`, to be compiled with `keras_recs.losses.losses_of(schema)`.

    Raises:
        ValueError: for labels that are no outputs of the model.
        TypeError: for what is no weighting.

    Example:
    >>> labels = [keras_recs.Label("click"), keras_recs.Label("like")]
    >>> schema = keras_recs.Schema([keras_recs.NumericFeature("x")], labels)
    >>> model = keras_recs.training.weigh_tasks(
    ...     keras_recs.models.mmoe(schema),
    ...     schema,
    ...     keras_recs.training.UncertaintyWeights(),
    ... )
    >>> model.compile("adam", keras_recs.losses.losses_of(schema))
    """
    return MultiTaskModel(
        model.input, model.output, schema.tasks, weighting, name=model.name
    )
