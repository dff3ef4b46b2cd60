"""Whether a model and a schema belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_recs.schema import MultiValuedFeature, Schema, SequenceFeature

if TYPE_CHECKING:
    import keras


def check_model(model: keras.Model, schema: Schema) -> None:
    """Compares inputs and outputs of a model with the features and labels of a schema.

    Raises:
        ValueError: for a model whose inputs are not the schema's features, whose
            outputs lack a label, or whose tables are of another vocabulary; each is
            named.
    """
    from keras_recs.models.check_tables import check_tables

    inputs = getattr(model, "input", None)
    outputs = getattr(model, "output", None)
    if not (isinstance(inputs, dict) and isinstance(outputs, dict)):
        raise ValueError(
            f"Model '{model.name}' must be a functional keras.Model with a dict of "
            "inputs by feature and a dict of outputs by label, as the builders of "
            f"keras_recs.models return it. Received: {type(model).__name__} with "
            f"inputs of type {type(inputs).__name__} and outputs of type "
            f"{type(outputs).__name__}"
        )
    names = {*schema.feature_names, *schema.value_weights.values()}
    absent = sorted(names - inputs.keys())
    unknown = sorted(inputs.keys() - names)
    if absent or unknown:
        raise ValueError(
            f"The inputs of model '{model.name}' must be the features of the schema "
            "and the weights of their values. The model lacks "
            f"{absent}; the schema lacks {unknown}. Export with the schema that the "
            "model was built from."
        )
    numbers = {feature.name for feature in schema.numeric_features}
    for feature in schema.features:
        is_number = feature.name in numbers
        _check_input(feature, inputs[feature.name], is_number)
        if feature.name in schema.value_weights:
            weights = inputs[schema.value_weights[feature.name]]
            _check_input(feature, weights, True)
    for name, tensor in outputs.items():
        if len(tensor.shape) == 0 or tensor.shape[0] is not None:
            raise ValueError(
                f"Output '{name}' of model '{model.name}' must have the batch as its "
                f"first dimension. Received: shape {tuple(tensor.shape)}"
            )
    check_tables(model, schema)
    for label in schema.label_names:
        if label not in outputs:
            raise ValueError(
                f"Model '{model.name}' has no output for label '{label}'. It has: "
                f"{sorted(outputs)}. Name the outputs by `schema.label_names`."
            )
        if tuple(outputs[label].shape) != (None, 1):
            raise ValueError(
                f"Output '{label}' of model '{model.name}' must have the shape "
                f"(None, 1). Received: {tuple(outputs[label].shape)}"
            )


def _check_input(feature: Any, tensor: Any, is_number: bool) -> None:
    is_list = isinstance(feature, (MultiValuedFeature, SequenceFeature))
    expected: tuple[Any, ...] = (None, feature.max_length) if is_list else (None,)
    shape = tuple(tensor.shape)
    fits = len(shape) == len(expected) and all(
        have is None or have == want for have, want in zip(shape, expected, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Feature '{feature.name}': the model's input must have the shape "
            f"{expected}. Received: {shape}. Build the model from the same schema."
        )
    kind = "float" if is_number else "int"
    if not str(tensor.dtype).startswith((kind, f"u{kind}", f"b{kind}")):
        raise ValueError(
            f"Feature '{feature.name}': the model's input must be of type "
            f"{'float32' if is_number else 'int32'}. Received: {tensor.dtype}. Build "
            "the model from the same schema."
        )
