"""The runs that `benchmarks.recovery.kills` kills.

python -m benchmarks.recovery.killed_run KIND FOLDER

`deepfm` trains with dropout, a learning rate that falls and exact metrics an epoch.
`counting` has a weight for each example, which falls by 1 when the example is trained.
"""

import json
import sys
from pathlib import Path

import numpy as np

ROWS = 20_000
EPOCHS = {"deepfm": 100, "counting": 150}
BATCH = 100
CHECKPOINT_STEPS = 7


def columns(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Clicks that depend on user and item."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 500, rows), rng.integers(0, 200, rows)
    taste = np.random.default_rng(99).normal(size=(500, 200))[user, item]
    click = rng.binomial(1, 1 / (1 + np.exp(-taste)))
    return {"user": user, "item": item, "x": rng.normal(size=rows), "click": click}


def deepfm_run():
    """Schema, model, training and validation data."""
    import keras

    import keras_recs

    schema = keras_recs.Schema(
        features=[
            keras_recs.CategoricalFeature("user", vocabulary_size=500),
            keras_recs.CategoricalFeature("item", vocabulary_size=200),
            keras_recs.NumericFeature("x"),
        ],
        labels=[keras_recs.Label("click")],
    )
    keras.utils.set_random_seed(0)
    model = keras_recs.models.deepfm(schema, 8, (32, 16), dropout=0.2, seed=1)
    model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy")
    train = keras_recs.data.array_dataset(columns(ROWS, 0), schema, BATCH, seed=2)
    valid = keras_recs.data.array_dataset(columns(2000, 1), schema, 2000, shuffle=False)
    return schema, model, train, valid


def counting_run():
    """Schema, model and training data; a weight a row."""
    import keras

    import keras_recs

    schema = keras_recs.Schema(
        features=[keras_recs.CategoricalFeature("row", vocabulary_size=ROWS)],
        labels=[keras_recs.Label("y", task="regression")],
    )
    keras.utils.set_random_seed(0)
    model = keras_recs.models.logistic_regression(schema)
    loss = keras.losses.Loss(reduction="sum")
    loss.call = lambda y_true, y_pred: y_pred[:, 0]
    model.compile(keras.optimizers.SGD(1.0), loss)
    data = {"row": np.arange(ROWS), "y": np.zeros(ROWS)}
    train = keras_recs.data.array_dataset(data, schema, BATCH, seed=2)
    return schema, model, train, None


def main() -> None:
    """Runs it; whoever kills it starts it again."""
    import keras

    from keras_recs.training import fit

    kind, folder = sys.argv[1], Path(sys.argv[2])
    made = deepfm_run() if kind == "deepfm" else counting_run()
    schema, model, train, valid = made

    class Tell(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            print("step", flush=True)

    callbacks = [Tell()]
    if valid is not None:
        callbacks.append(keras.callbacks.ReduceLROnPlateau("loss", patience=1))
    history = fit(
        model,
        train,
        schema,
        folder / "run",
        validation=valid,
        epochs=EPOCHS[kind],
        patience=EPOCHS[kind],
        callbacks=callbacks,
        checkpoint_steps=CHECKPOINT_STEPS,
        verbose=0,
    )
    np.savez(folder / "weights.npz", *model.get_weights())
    if kind == "counting":
        linear = model.get_layer("linear").weight_of_value
        counts = -linear.read_rows("row", np.arange(2, 2 + ROWS))[:, 0]
        np.save(folder / "counts.npy", counts)
    (folder / "history.json").write_text(json.dumps(history.history))


if __name__ == "__main__":
    main()
