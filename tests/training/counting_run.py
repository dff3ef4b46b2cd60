"""A run whose weights count how often each example was seen, to be killed.

python -m tests.training.counting_run WORKDIR EPOCHS CHECKPOINT_STEPS [PAUSE]
"""

import sys
import time

import numpy as np

ROWS, BATCH = 96, 4


def counting_model(schema):
    """Its weight of an item falls by 1 each time that it is in a batch."""
    import keras

    from keras_recs.models import logistic_regression

    model = logistic_regression(schema)
    loss = keras.losses.Loss(reduction="sum")
    loss.call = lambda y_true, y_pred: y_pred[:, 0]
    model.compile(keras.optimizers.SGD(1.0), loss)
    return model


def data():
    """Each item once, in an order that differs between epochs."""
    import keras

    from keras_recs import CategoricalFeature, Label, Schema
    from keras_recs.data import array_dataset

    keras.utils.set_random_seed(0)
    schema = Schema(
        features=[CategoricalFeature("item", vocabulary_size=ROWS)],
        labels=[Label("y", task="regression")],
    )
    columns = {"item": np.arange(ROWS), "y": np.zeros(ROWS)}
    return schema, array_dataset(columns, schema, BATCH, seed=5)


def counts_of(model):
    """How often each item was seen."""
    linear = model.get_layer("linear").weight_of_value
    return -linear.read_rows("item", np.arange(2, 2 + ROWS))[:, 0]


def main():
    import keras

    from keras_recs.training import fit

    workdir, epochs, checkpoint_steps = sys.argv[1], *map(int, sys.argv[2:4])
    pause = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0

    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(pause)
            print("step", flush=True)

    schema, train = data()
    fit(
        counting_model(schema),
        train,
        schema,
        workdir,
        epochs=epochs,
        callbacks=[Slow()],
        checkpoint_steps=checkpoint_steps,
        verbose=0,
    )


if __name__ == "__main__":
    main()
