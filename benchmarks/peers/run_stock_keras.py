"""Stock Keras 3 on TensorFlow: `Embedding` layers, `Adagrad`, `model.fit`.

A functional model with one `keras.layers.Embedding` a table; `jit_compile=False`,
because XLA turns the sparse gradient of a table into one of its size. DeepFM: each
number times a vector of its own is one more field of the factorization machine and of
the MLP, as in keras_recs.
"""

import peer_keras
import peer_keras_models
from peer_run import Clock, read_spec, versions_of


def main() -> None:
    """Runs one cell."""
    import keras

    spec = read_spec(inputs=("memory", "tfrecord"))
    peer_keras.start(spec)
    dataset = peer_keras.make_dataset(spec)
    clock = Clock(spec)
    model = peer_keras_models.build(spec)
    peer_keras.train(model, dataset, clock, keras.callbacks.Callback)
    clock.report(
        parameters=model.count_params(),
        versions=versions_of("keras", "tensorflow", "numpy"),
        optimizer="keras.optimizers.Adagrad",
    )


if __name__ == "__main__":
    main()
