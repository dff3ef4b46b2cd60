"""DeepCTR on legacy Keras: its models, or models of its layers, in `model.fit`.

Every table of it carries an L2 regularizer, also where its weight is 0, as here; the
gradient of a table is therefore dense.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import peer_keras
import tensorflow as tf
from models_deepctr import HISTORIES, MODELS, make_columns, turn_back
from peer_run import INITIAL_ACCUMULATOR, LEARNING_RATE, Clock, read_spec, versions_of

IN_A_GRAPH = ("dien",)  # does not work in today's form of TensorFlow


def build(spec):
    """Builds and compiles the model of a spec."""
    model = MODELS[spec.model](spec, make_columns(spec))
    optimizers = tf.keras.optimizers
    if spec.model in IN_A_GRAPH:
        optimizers = optimizers.legacy
    optimizer = optimizers.Adagrad(
        LEARNING_RATE, initial_accumulator_value=INITIAL_ACCUMULATOR
    )
    model.compile(optimizer, "binary_crossentropy")
    return model


def main() -> None:
    """Runs one cell."""
    spec = read_spec(models=MODELS, inputs=("memory", "tfrecord"))
    if spec.model in IN_A_GRAPH:
        turn_back()
    peer_keras.start(spec)
    dataset = peer_keras.make_dataset(spec, histories=HISTORIES.get(spec.model))
    clock = Clock(spec)
    model = build(spec)
    callback = tf.keras.callbacks.Callback
    peer_keras.train(model, dataset, clock, callback, spec.model not in IN_A_GRAPH)
    clock.report(
        parameters=model.count_params(),
        versions=versions_of("deepctr", "tf-keras", "tensorflow", "numpy"),
        optimizer="tf_keras Adagrad, dense gradients of the tables",
    )


if __name__ == "__main__":
    main()
