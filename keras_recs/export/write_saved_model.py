"""The SavedModel itself: signature functions over preprocessing and model."""

from __future__ import annotations

import contextlib
import keyword
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_recs.data.parse_examples import parse_examples
from keras_recs.export.next_item_functions import next_item_functions
from keras_recs.export.recommending import Recommending
from keras_recs.export.signature_plan import PlannedSignature, signature_plan
from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables
from keras_recs.schema import Schema

if TYPE_CHECKING:
    import keras

CLASSES = ("0", "1")


def write_saved_model(
    model: keras.Model,
    schema: Schema,
    preprocessor: Any,
    folder: Path,
    recommending: Recommending | None = None,
) -> dict[str, dict[str, str]]:
    """Writes the SavedModel of a model with its preprocessing.

    A table that lies partly in files is an ordinary one there: it is copied into memory
    once.

    Args:
        model: functional `keras.Model` that fits the schema.
        schema: fitted `keras_recs.Schema`.
        preprocessor: `SchemaPreprocessor` of the schema.
        folder: an existing folder.
        recommending: of a `NextItemModel`: what it recommends. Defaults to `None`.

    Returns:
        dict of `"inputs"` and `"outputs"` to the names that `tf.saved_model.load` gives
        them otherwise than the signatures do: dict of stand-in to name.
    """
    with contextlib.ExitStack() as stack:
        tables = [
            stack.enter_context(table.in_memory())
            for table in find_two_level_tables(model)
        ]
        return _write(model, tables, schema, preprocessor, folder, recommending)


def _write(
    model: keras.Model,
    tables: list,
    schema: Schema,
    preprocessor: Any,
    folder: Path,
    recommending: Recommending | None,
) -> dict[str, dict[str, str]]:
    plan = signature_plan(schema, recommending)
    answers: dict[Any, Callable] = {}
    lookups = None
    if recommending is None:
        answers[None] = _predict_function(model, preprocessor)
        outputs = list(model.output)
    else:
        own, lookups = next_item_functions(model, schema, preprocessor, recommending)
        answers.update(own)
        outputs = ["items", "scores", "embedding"]
    of_examples = {
        answer: _predict_examples_function(predict, schema)
        for answer, predict in answers.items()
    }
    features = _raw_specs(schema)
    arguments = _argument_names(features)
    results = _argument_names(outputs)
    signatures = {}
    for planned in plan:
        if planned.examples_input is None:
            function = _features_function(answers[planned.answer], arguments, results)
            specs = {
                arguments[name]: tf.TensorSpec(spec.shape, spec.dtype, arguments[name])
                for name, spec in features.items()
            }
        else:
            function = _examples_function(of_examples[planned.answer], planned, results)
            name = planned.examples_input
            specs = {name: tf.TensorSpec([None], tf.string, name)}
        traced = tf.function(function, autograph=False)
        signatures[planned.key] = traced.get_concrete_function(**specs)

    module = tf.Module()
    # The variables, not the model: its optimizer's are no part of an export.
    module.model_variables = [
        variable.value
        for variable in model.variables
        if not hasattr(variable, "pager")  # that of the rows in memory
    ]
    module.tables = tables
    module.preprocessor = preprocessor  # brings the vocabulary files along
    module.lookups = lookups
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures, options)
    _finish_signatures(folder, plan, arguments, results)
    return {
        side: {stand_in: name for name, stand_in in names.items() if stand_in != name}
        for side, names in (("inputs", arguments), ("outputs", results))
    }


def _predict_function(model: keras.Model, preprocessor: Any) -> Callable:
    """The model on raw features; traced once however many signatures call it."""
    inputs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, f"input_{number}")
        for number, (name, tensor) in enumerate(model.input.items())
    }

    @tf.function(input_signature=[inputs], autograph=False)
    def call_model(inputs):
        outputs = model(inputs, training=False)
        return {name: as_float32(value) for name, value in outputs.items()}

    def predict(raw):
        rows = preprocessor(raw)
        return call_model({n: tf.cast(rows[n], s.dtype) for n, s in inputs.items()})

    return predict


def _predict_examples_function(predict: Callable, schema: Schema) -> Callable:
    """The model on serialized examples; traced once, as `_predict_function` is."""
    serialized = tf.TensorSpec([None], tf.string, "serialized")

    @tf.function(input_signature=[serialized], autograph=False)
    def predict_examples(serialized):
        return predict(parse_examples(serialized, schema))

    return predict_examples


def as_float32(tensor):
    """Numbers as TF Serving can return them in JSON; other tensors as they are."""
    return tf.cast(tensor, tf.float32) if tensor.dtype.is_floating else tensor


def _features_function(predict, arguments, results):
    def call(**inputs):
        outputs = predict({name: inputs[key] for name, key in arguments.items()})
        return {results[name]: value for name, value in outputs.items()}

    return call


def _examples_function(predict_examples, planned: PlannedSignature, results):
    def call(**inputs):
        outputs = predict_examples(inputs[planned.examples_input])
        if planned.label is None:
            return {results[name]: value for name, value in outputs.items()}
        value = outputs[planned.label]  # (B, 1)
        if planned.method == "regress":
            return {"outputs": value}
        scores = tf.concat([1.0 - value, value], axis=1)  # (B, 2)
        classes = tf.broadcast_to(tf.constant(CLASSES), tf.shape(scores))
        return {"classes": classes, "scores": scores}

    return call


def _raw_specs(schema: Schema) -> dict[str, tf.TensorSpec]:
    return {
        name: tf.TensorSpec([None, None] if column.is_list else [None], column.dtype)
        for name, column in schema.request_columns.items()
    }


def _argument_names(names: Iterable[str]) -> dict[str, str]:
    """Names that a traced function keeps, by the names that are wanted.

    Tracing changes or refuses names such as "user-id", "Movie Title" or "class", and
    takes "Age" and "age" for one. They are traced under a stand-in, which
    `_finish_signatures` then takes back.
    """
    names = list(names)
    lowered = [name.lower() for name in names]
    result: dict[str, str] = {}
    for number, name in enumerate(names):
        usable = re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) and name != "self"
        unique = lowered.count(name.lower()) == 1
        if not usable or not unique or keyword.iskeyword(name):
            stand_in = f"tensor_{number}"
            while stand_in in lowered:
                stand_in += "_"
            result[name] = stand_in
        else:
            result[name] = name
    return result


def _finish_signatures(folder, plan, arguments, results) -> None:
    """Gives the SignatureDefs their method names and the wanted tensor names."""
    path = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    signatures = proto.meta_graphs[0].signature_def
    for planned in plan:
        signature = signatures[planned.key]
        # `tf.saved_model.save` writes "predict" for all.
        signature.method_name = planned.method_name
        if planned.examples_input is None:
            _rename(signature.inputs, arguments)
        if planned.label is None and planned.answer is None:
            _rename(signature.outputs, results)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    # It has the checksums of saved_model.pb as it was before. Loaders do without it.
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def _rename(tensors, names) -> None:
    for wanted, traced in names.items():
        if wanted != traced:
            tensors[wanted].CopyFrom(tensors[traced])
            del tensors[traced]
