"""keras_recs: its builders over a schema, `RowwiseAdagrad`, in `model.fit`."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import peer_keras
from peer_run import (
    CROSS_LAYERS,
    INITIAL_ACCUMULATOR,
    LEARNING_RATE,
    NUM_NUMBERS,
    Clock,
    read_spec,
    versions_of,
)

import keras_recs

FIRST_ROW = 2  # rows 0 and 1 of every table are padding and out-of-vocabulary


def make_schema(spec):
    """26 features of their own tables, or of one that all share; 13 numbers."""
    ids = []
    for i in range(spec.features):
        options = {"vocabulary_size": spec.rows}
        if spec.tables == 1 and i:
            options = {"table": "C0"}
        ids.append(keras_recs.CategoricalFeature(f"C{i}", **options))
    numbers = [keras_recs.NumericFeature(f"I{i}") for i in range(NUM_NUMBERS)]
    return keras_recs.Schema([*ids, *numbers], [keras_recs.Label("click")])


def build(spec, schema):
    """Builds and compiles the model of a spec."""
    if spec.model == "dlrm":
        model = keras_recs.models.dlrm(
            schema, spec.dim, bottom_units=spec.mlp, top_units=spec.mlp
        )
    elif spec.model == "deepfm":
        model = keras_recs.models.deepfm(schema, spec.dim, hidden_units=spec.mlp)
    else:
        model = keras_recs.models.dcn_v2(
            schema, spec.dim, num_cross_layers=CROSS_LAYERS, hidden_units=spec.mlp
        )
    model.compile(
        keras_recs.optimizers.RowwiseAdagrad(
            LEARNING_RATE, initial_accumulator_value=INITIAL_ACCUMULATOR
        ),
        "binary_crossentropy",
        jit_compile=False,
    )
    return model


def main() -> None:
    """Runs one cell."""
    import keras

    offered = [m for m in ("dlrm", "deepfm", "dcn_v2") if hasattr(keras_recs.models, m)]
    spec = read_spec(
        models=tuple(offered), inputs=("memory", "tfrecord"), shared_table=True
    )
    peer_keras.start(spec)
    schema = make_schema(spec)
    if spec.input == "tfrecord":
        files = f"{spec.data}/*"
        records = keras_recs.data.tfrecord_dataset(
            files, schema, spec.batch, seed=spec.seed, drop_remainder=True
        )
        dataset = records.repeat()
    else:
        dataset = peer_keras.memory_dataset(spec, "click", FIRST_ROW)
    clock = Clock(spec)
    model = build(spec, schema)
    peer_keras.train(model, dataset, clock, keras.callbacks.Callback)
    clock.report(
        parameters=model.count_params(),
        versions=versions_of("keras-recs", "keras", "tensorflow", "numpy"),
        optimizer="keras_recs.optimizers.RowwiseAdagrad",
    )


if __name__ == "__main__":
    main()
