"""keras_recs: its builders over a schema, `RowwiseAdagrad`, in `model.fit`."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import peer_keras
from peer_run import (
    ATTENTION_UNITS,
    CIN_UNITS,
    CROSS_LAYERS,
    EXPERT_UNITS,
    EXPERTS,
    FIELD_ATTENTION_HEADS,
    FIELD_ATTENTION_LAYERS,
    INITIAL_ACCUMULATOR,
    LEARNING_RATE,
    LEVEL_UNITS,
    LEVELS,
    MASK_BLOCKS,
    MASK_RATIO,
    MASK_UNITS,
    OWN_EXPERTS,
    SHARED_EXPERTS,
    TASKS,
    TOWER_UNITS,
    Clock,
    read_spec,
    versions_of,
)

import keras_recs

FIRST_ROW = 2  # rows 0 and 1 of every table are padding and out-of-vocabulary


def builder_arguments(spec):
    """Arguments of each builder, by its name."""
    tower = {"embedding_dim": spec.dim, "hidden_units": spec.mlp}
    cross = {**tower, "num_cross_layers": CROSS_LAYERS}
    return {
        "logistic_regression": {},
        "fm": {"embedding_dim": spec.dim},
        "wide_and_deep": tower,
        "deepfm": tower,
        "xdeepfm": {**tower, "cin_layer_sizes": CIN_UNITS},
        "dcn": cross,
        "dcn_v2": cross,
        "dlrm": {
            "embedding_dim": spec.dim,
            "bottom_units": spec.mlp,
            "top_units": spec.mlp,
        },
        "autoint": {
            **tower,
            "num_attention_layers": FIELD_ATTENTION_LAYERS,
            "num_heads": FIELD_ATTENTION_HEADS,
            "projection_dim": spec.dim // FIELD_ATTENTION_HEADS,
        },
        "masknet": {
            **tower,
            "num_blocks": MASK_BLOCKS,
            "block_units": MASK_UNITS,
            "reduction_ratio": MASK_RATIO,
        },
        "finalmlp": {**tower, "second_hidden_units": spec.mlp},
        "din": {**tower, "attention_units": ATTENTION_UNITS, "activation": "dice"},
        "dien": {**tower, "activation": "dice"},
        "mmoe": {
            "embedding_dim": spec.dim,
            "num_experts": EXPERTS,
            "hidden_units": EXPERT_UNITS,
            "tower_units": TOWER_UNITS,
        },
        "ple": {
            "embedding_dim": spec.dim,
            "num_layers": LEVELS,
            "num_experts": (OWN_EXPERTS, SHARED_EXPERTS),
            "hidden_units": LEVEL_UNITS,
            "tower_units": TOWER_UNITS,
        },
    }


def make_schema(spec):
    """Features of their own tables, or of one that all share; numbers; a history."""
    features = []
    for i in range(spec.features):
        options = {"vocabulary_size": spec.rows}
        if spec.tables == 1 and i:
            options = {"table": "C0"}
        features.append(keras_recs.CategoricalFeature(f"C{i}", **options))
    features += [keras_recs.NumericFeature(f"I{i}") for i in range(spec.numbers)]
    if spec.history:
        features.append(
            keras_recs.SequenceFeature("history", table="C0", max_length=spec.history)
        )
    labels = [keras_recs.Label(name) for name in TASKS[: spec.tasks]]
    return keras_recs.Schema(features, labels)


def build(spec, schema):
    """Builds and compiles the model of a spec."""
    builder = getattr(keras_recs.models, spec.model)
    model = builder(schema, **builder_arguments(spec)[spec.model])
    model.compile(
        keras_recs.optimizers.RowwiseAdagrad(
            LEARNING_RATE, initial_accumulator_value=INITIAL_ACCUMULATOR
        ),
        dict.fromkeys(schema.label_names, "binary_crossentropy")
        if spec.tasks > 1
        else "binary_crossentropy",
        jit_compile=False,
    )
    return model


def main() -> None:
    """Runs one cell."""
    import keras

    spec = read_spec(
        models=keras_recs.models.__all__,
        inputs=("memory", "tfrecord"),
        shared_table=True,
    )
    peer_keras.start(spec)
    schema = make_schema(spec)
    if spec.input == "tfrecord":
        files = f"{spec.data}/*.tfrecord"
        records = keras_recs.data.tfrecord_dataset(
            files, schema, spec.batch, seed=spec.seed, drop_remainder=True
        )
        dataset = records.repeat()
    else:
        dataset = peer_keras.memory_dataset(
            spec, "click", FIRST_ROW, {"history": "history"} if spec.history else None
        )
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
