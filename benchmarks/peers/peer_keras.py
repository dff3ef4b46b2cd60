"""What the programs on TensorFlow share; it is imported only when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peer_run import TASKS, Clock, Spec, load_batches, load_histories


def start(spec: Spec) -> None:
    """Threads and seed."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(spec.threads)
    tf.config.threading.set_inter_op_parallelism_threads(spec.threads)
    tf.random.set_seed(spec.seed)


def memory_dataset(
    spec: Spec,
    label_name: str | None = None,
    first_row: int = 0,
    histories: Mapping[str, str] | None = None,
):
    """The batches of the `.npz`, without an end.

    Args:
        spec: the cell.
        label_name: where the label is in a dict. Defaults to `None`: it is not. Those
            of several tasks always are.
        first_row: int. Row of the table that id 0 has. Defaults to `0`.
        histories: dict of an array of `load_histories` to the name of its input.
            Defaults to `None`: no such inputs.

    Returns:
        `tf.data.Dataset` of `({"C0": (B,) int32, …, "I0": (B,) float32, …}, (B, 1))`.
        0 in a history remains 0.
    """
    import tensorflow as tf

    ids, numbers, labels = load_batches(spec)
    ids = (ids + first_row).astype("int32")
    inputs = {f"C{i}": ids[:, :, i] for i in range(spec.features)}
    inputs |= {f"I{i}": numbers[:, :, i] for i in range(spec.numbers)}
    arrays = load_histories(spec)
    for source, name in (histories or {}).items():
        array = arrays[source]
        if source != "lengths":
            array = array + first_row * (array > 0)
        inputs[name] = array.astype("int32")
    labels = labels[..., None]
    if spec.tasks > 1:
        labels = {name: labels[:, :, i] for i, name in enumerate(TASKS)}
    elif label_name:
        labels = {label_name: labels}
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels))
    return dataset.repeat().prefetch(2)


def tfrecord_dataset(spec: Spec):
    """The same batches from TFRecord files, parsed a batch at a time."""
    import tensorflow as tf

    columns = {f"C{i}": tf.int64 for i in range(spec.features)}
    columns |= {f"I{i}": tf.float32 for i in range(spec.numbers)}
    features = {
        name: tf.io.FixedLenFeature((), dtype)
        for name, dtype in (columns | {"click": tf.float32}).items()
    }

    def parse(records):
        inputs = tf.io.parse_example(records, features)
        label = inputs.pop("click")[:, None]  # (B, 1)
        for i in range(spec.features):
            inputs[f"C{i}"] = tf.cast(inputs[f"C{i}"], tf.int32)
        return inputs, label

    files = tf.data.Dataset.list_files(f"{spec.data}/*.tfrecord", seed=spec.seed)
    return (
        files.interleave(
            tf.data.TFRecordDataset,
            cycle_length=4,
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .repeat()
        .batch(spec.batch, drop_remainder=True)
        .shuffle(16, seed=spec.seed)  # whole batches: record by record is slower
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(4)
    )


def make_dataset(spec: Spec, histories: Mapping[str, str] | None = None):
    """The input that the spec asks for."""
    if spec.input == "tfrecord":
        return tfrecord_dataset(spec)
    return memory_dataset(spec, histories=histories)


def train(
    model: Any,
    dataset: Any,
    clock: Clock,
    callback_class: type,
    reports_mean: bool = True,
) -> None:
    """`model.fit` until the clock says stop.

    Args:
        model: compiled, with the loss as its only metric.
        dataset: batches without an end.
        clock: times the steps.
        callback_class: `keras.callbacks.Callback` of the model's Keras.
        reports_mean: bool. Whether callbacks see the mean loss since the first batch,
            as they do outside of a graph, and not that of the batch. Defaults to
            `True`.
    """
    base: Any = callback_class

    class Ticks(base):
        """Tells the clock of every batch."""

        mean = 0.0

        def on_train_begin(self, logs=None):
            clock.built()

        def on_train_batch_end(self, batch, logs=None):
            loss = float(logs["loss"])
            if reports_mean:
                before, self.mean = self.mean, loss
                loss = self.mean * (batch + 1) - before * batch
            if clock.tick(loss):
                self.model.stop_training = True

    model.fit(dataset, epochs=1, steps_per_epoch=10**6, verbose=0, callbacks=[Ticks()])
