"""One worker of a run, as TF_CONFIG says.

python -m tests.training.worker_run FOLDER [KEY=VALUE …]
"""

import json
import sys
from pathlib import Path

import numpy as np

EPOCHS, BATCH = 2, 16


def main():
    folder = Path(sys.argv[1])
    options = dict(word.split("=") for word in sys.argv[2:])
    devices = int(options.get("devices", 1))
    import tensorflow as tf

    if devices > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * devices
        )
    from keras_recs.training import make_strategy

    strategy = make_strategy("multi_worker_mirrored", timeout_seconds=60)
    import keras

    from keras_recs.data import array_dataset
    from keras_recs.models import deepfm
    from keras_recs.optimizers import RowwiseAdagrad
    from keras_recs.training import fit
    from keras_recs.training.workers import Workers
    from tests.training.test_recovery import SCHEMA, columns

    workers = Workers(strategy)
    index = workers.index
    sizes = [int(n) for n in options.get("sizes", "64,64").split(",")]
    whole = columns(sum(sizes))
    start = sum(sizes[:index])
    mine = {k: v[start : start + sizes[index]] for k, v in whole.items()}
    if options.get("damage") == str(index):
        mine["x"] = np.where(np.arange(sizes[index]) == 40, 1e30, mine["x"])

    class Die(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            step = int(self.model.optimizer.iterations.numpy())
            print(f"step {step}", flush=True)
            if f"{index},{step}" == options.get("stop"):
                self.model.stop_training = True
            if f"{index},{step}" == options.get("die"):
                import os
                import signal

                os.kill(os.getpid(), getattr(signal, options.get("by", "SIGKILL")))

    keras.utils.set_random_seed(1)
    train = array_dataset(mine, SCHEMA, BATCH * devices, shuffle=False)
    with strategy.scope():
        model = deepfm(SCHEMA, 4, (8,), batch_norm="batch_norm" in options)
        metrics = {"click": [keras.metrics.AUC(num_thresholds=9, name="auc")]}
        optimizer = RowwiseAdagrad(0.1)
        if options.get("optimizer") == "sgd":
            optimizer = keras.optimizers.SGD(0.5)
        model.compile(optimizer, "binary_crossentropy", metrics=metrics)
    history = fit(
        model,
        train,
        SCHEMA,
        folder / "run",
        validation=array_dataset(columns(40, 1), SCHEMA, 40, shuffle=False),
        epochs=EPOCHS,
        callbacks=[Die()],
        checkpoint_steps=2,
        verbose=0,
    )
    np.savez(folder / f"{index}.npz", *model.get_weights())
    (folder / f"{index}.json").write_text(json.dumps(history.history))


if __name__ == "__main__":
    main()
