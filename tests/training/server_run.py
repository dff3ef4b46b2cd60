"""A process of a run on parameter servers, as TF_CONFIG says.

python -m tests.training.server_run FOLDER [KEY=VALUE …]

The folder has `train-*.tfrecord` and a fitted schema in `prepared/`. `model=counting` has a weight for each
row of the data, which falls by 1 when the row is trained.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

EPOCHS, BATCH = 2, 16


def schema_of(kind, rows):
    from keras_recs import CategoricalFeature, Label, NumericFeature, Schema

    if kind == "counting":
        return Schema(
            features=[CategoricalFeature("row", vocabulary_size=rows)],
            labels=[Label("y", task="regression")],
        )
    return Schema(
        features=[
            CategoricalFeature("item", vocabulary_size=20),
            CategoricalFeature("word"),
            NumericFeature("x"),
        ],
        labels=[Label("click")],
    )


def columns_of(kind, rows):
    if kind == "counting":
        return {"row": np.arange(rows), "y": np.zeros(rows)}
    rng = np.random.default_rng(0)
    item = rng.integers(0, 20, rows)
    return {
        "item": item,
        "word": rng.choice(["a", "b", "c", "d"], rows),
        "x": rng.normal(size=rows),
        "click": rng.binomial(1, np.where(item < 10, 0.8, 0.2)),
    }


def make_model(kind, schema, optimizer="adam", num_shards=1, **options):
    """A compiled model."""
    import keras

    from keras_recs import models, optimizers

    keras.utils.set_random_seed(1)
    if kind == "counting":
        model = models.logistic_regression(schema)
        loss = keras.losses.Loss(reduction="sum")
        loss.call = lambda y_true, y_pred: y_pred[:, 0]
        model.compile(keras.optimizers.SGD(1.0), loss)
        return model
    made = {
        "adam": lambda: optimizers.LazyAdam(
            keras.optimizers.schedules.ExponentialDecay(0.02, 4, 0.9)
        ),
        "rowwise": lambda: optimizers.RowwiseAdagrad(0.1),
        "sgd": lambda: keras.optimizers.SGD(0.5),
    }
    embedding = {"num_shards": int(num_shards)}
    own = kind == "own_step"
    model = models.deepfm(schema, 4, (8,), batch_norm=own, embedding_options=embedding)
    if own:
        model = own_step(model)
    metrics = {"click": [keras.metrics.AUC(num_thresholds=9, name="auc")]}
    model.compile(made[optimizer](), "binary_crossentropy", metrics=metrics)
    return model


def own_step(inner):
    """A subclass of `keras.Model` with a loss and a step of its own."""
    import keras

    class Own(keras.Model):
        def compute_loss(self, *args, **kwargs):
            return 2.0 * super().compute_loss(*args, **kwargs)

        def train_step(self, data):
            x, y = data
            return super().train_step((x, y))

    return Own(inner.input, inner.output)


def main(folder, options):
    from keras_recs.training import make_strategy

    strategy = make_strategy(
        "parameter_server", timeout_seconds=60, placement=options.get("placement")
    )
    import keras

    from keras_recs import Schema
    from keras_recs.data import tfrecord_dataset
    from keras_recs.training import fit, server_report

    kind, rows = options.get("model", "deepfm"), int(options.get("rows", 128))
    schema = Schema.load(folder / "prepared")
    train = tfrecord_dataset(
        str(folder / "train-*"), schema, BATCH, shuffle=options.get("shuffle") == "yes"
    )
    valid = None
    if list(folder.glob("valid-*")):
        valid = tfrecord_dataset(str(folder / "valid-*"), schema, 64, shuffle=False)
    with strategy.scope():
        model = make_model(
            kind,
            schema,
            options.get("optimizer", "adam"),
            options.get("num_shards", 1),
        )

    ask_at = tuple(int(n) for n in options.get("ask_at", "1000,0").split(","))

    class Tell(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            print(f"batch {batch}", flush=True)
            if (self.epoch, batch) >= ask_at:
                os.kill(os.getpid(), signal.SIGTERM)

        def on_epoch_end(self, epoch, logs=None):
            print(f"epoch {epoch}", flush=True)

    rounds = options.get("round_steps")
    history = fit(
        model,
        train,
        schema,
        folder / "run",
        validation=valid,
        epochs=int(options.get("epochs", EPOCHS)),
        callbacks=[Tell()],
        checkpoint_steps=int(options["steps"]) if "steps" in options else None,
        checkpoint_seconds=float(options.get("seconds", 60)),
        on_nonfinite=options.get("on_nonfinite", "stop"),
        round_steps=int(rounds) if rounds else None,
        verbose=2,
    )
    np.savez(folder / "weights.npz", *model.get_weights())
    if kind == "counting":
        linear = model.get_layer("linear").weight_of_value
        counts = -linear.read_rows("row", np.arange(2, 2 + rows))[:, 0]
        np.save(folder / "counts.npy", counts)
    placed = sorted({v._value.device for v in model.weights})
    if "placement" in options:
        server_report(model, train).save(folder / "servers.json")
    result = {
        "history": history.history,
        "iterations": int(model.optimizer.iterations.numpy()),
        "devices": placed,
        "servers": {v.path: v._value.device for v in model.trainable_variables},
    }
    (folder / "result.json").write_text(json.dumps(result))
    print("done", os.getpid(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(word.split("=", 1) for word in sys.argv[2:]))
