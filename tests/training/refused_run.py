"""What a run on parameter servers refuses; a process of it.

python -m tests.training.refused_run FOLDER
"""

import contextlib
import sys
from pathlib import Path

from tests.training.server_run import BATCH, make_model


@contextlib.contextmanager
def expected(kind, words):
    try:
        yield
    except kind as error:
        assert words in str(error), error
        print("as expected:", error, flush=True)
    else:
        raise AssertionError(f"no {kind}: {words}")


def main(folder):
    from keras_recs.training import make_strategy

    strategy = make_strategy("parameter_server", timeout_seconds=60)
    import keras

    from keras_recs import Schema
    from keras_recs.data import tfrecord_dataset
    from keras_recs.training import fit

    schema = Schema.load(folder / "prepared")
    files = str(folder / "train-*")
    train = tfrecord_dataset(files, schema, BATCH, shuffle=False)
    workdir = folder / "run"

    def train_it(model, data=train, **options):
        return fit(model, data, schema, workdir, verbose=0, **options)

    outside = make_model("deepfm", schema)
    with strategy.scope():
        mixed = keras.Model(outside.input, outside.output)
        mixed.compile("sgd", "binary_crossentropy")
    with expected(ValueError, "are on no server"):
        train_it(mixed)
    with strategy.scope():
        model = make_model("deepfm", schema)
    train_it(model)
    assert (workdir / "model.keras").exists()
    for name, value in (("round_steps", 0), ("on_nonfinite", "drop")):
        with expected(ValueError, f"{name}={value!r}"):
            train_it(model, **{name: value})
    with expected(
        ValueError, "must be what `keras_recs.data.tfrecord_dataset` returns"
    ):
        train_it(model, train.take(8))
    assert (workdir / "model.keras").exists(), "a finished run stays"

    class Fail(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if list((workdir / "checkpoints").glob("state-????????")):
                raise ConnectionError("of a callback")

    # What workers have in hand ends with the call, and does not mix with the next one.
    before = int(model.optimizer.iterations)
    with expected(ConnectionError, "of a callback"):
        train_it(model, callbacks=[Fail()], checkpoint_steps=10)
    other = tfrecord_dataset(files, schema, BATCH, shuffle=True)
    with expected(ValueError, "with another data set"):
        train_it(model, other)
    train_it(model)
    steps = sum(chunk.num_steps for chunk in train.record_source.chunks(1))
    assert int(model.optimizer.iterations) == before + steps, (before, steps)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
