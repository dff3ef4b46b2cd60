"""DeepCTR on legacy Keras: its DeepFM and DCN, and a DLRM of its embeddings and DNNs.

Every table of it carries an L2 regularizer, also where its weight is 0, as here; the
gradient of a table is therefore dense. It has no DLRM: its `InnerProductLayer`
concatenates both sides of all 351 pairs, so one matrix product stands in for it. Its
DeepFM gives the numbers to the linear term and the MLP, not to the factorization
machine; its DCN has a linear term, here over the numbers alone.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import peer_keras
import tensorflow as tf
from deepctr.feature_column import (
    DenseFeat,
    SparseFeat,
    build_input_features,
    input_from_feature_columns,
)
from deepctr.layers.core import DNN
from deepctr.layers.utils import combined_dnn_input, concat_func
from deepctr.models import DCN, DeepFM
from peer_run import (
    CROSS_LAYERS,
    INITIAL_ACCUMULATOR,
    LEARNING_RATE,
    NUM_NUMBERS,
    Clock,
    read_spec,
    versions_of,
)

NO_L2 = {"l2_reg_embedding": 0, "l2_reg_linear": 0}


class DotPairs(tf.keras.layers.Layer):
    """Dot products of all pairs of fields."""

    def call(self, x):
        """`(B, F, D)` to `(B, F(F − 1)/2)`."""
        fields = x.shape[1]
        places = [i * fields + j for i in range(fields) for j in range(i)]
        products = tf.matmul(x, x, transpose_b=True)  # (B, F, F)
        return tf.gather(tf.reshape(products, (-1, fields**2)), places, axis=1)


def dlrm(columns, spec):
    """Bottom MLP, dot products, top MLP."""
    layers = tf.keras.layers
    features = build_input_features(columns)
    embedded, numbers = input_from_feature_columns(features, columns, 0, spec.seed)
    dense = combined_dnn_input([], numbers)  # (B, 13)
    dense = DNN((*spec.mlp, spec.dim))(dense)  # (B, D)
    row = layers.Reshape((1, spec.dim))(dense)
    pairs = DotPairs()(concat_func([row, *embedded], axis=1))
    top = DNN(spec.mlp)(layers.Concatenate()([dense, pairs]))
    output = layers.Dense(1, activation="sigmoid")(top)
    return tf.keras.Model(list(features.values()), output)


def build(spec):
    """Builds and compiles the model of a spec."""
    uniform = tf.keras.initializers.RandomUniform(seed=spec.seed)
    ids = [
        SparseFeat(f"C{i}", spec.rows, spec.dim, embeddings_initializer=uniform)
        for i in range(spec.features)
    ]
    columns = [*ids, *(DenseFeat(f"I{i}", 1) for i in range(NUM_NUMBERS))]
    if spec.model == "dlrm":
        model = dlrm(columns, spec)
    elif spec.model == "deepfm":
        model = DeepFM(columns, columns, dnn_hidden_units=spec.mlp, **NO_L2)
    else:
        model = DCN(
            columns[spec.features :],  # it does not work without a linear term
            columns,
            cross_num=CROSS_LAYERS,
            cross_parameterization="matrix",
            dnn_hidden_units=spec.mlp,
            l2_reg_cross=0,
            **NO_L2,
        )
    model.compile(
        tf.keras.optimizers.Adagrad(
            LEARNING_RATE, initial_accumulator_value=INITIAL_ACCUMULATOR
        ),
        "binary_crossentropy",
    )
    return model


def main() -> None:
    """Runs one cell."""
    spec = read_spec(inputs=("memory", "tfrecord"))
    peer_keras.start(spec)
    dataset = peer_keras.make_dataset(spec)
    clock = Clock(spec)
    model = build(spec)
    peer_keras.train(model, dataset, clock, tf.keras.callbacks.Callback)
    clock.report(
        parameters=model.count_params(),
        versions=versions_of("deepctr", "tf-keras", "tensorflow", "numpy"),
        optimizer="tf_keras Adagrad, dense gradients of the tables",
    )


if __name__ == "__main__":
    main()
