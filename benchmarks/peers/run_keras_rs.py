"""KerasRS: its `DotInteraction` and `FeatureCross` over stock Keras embeddings.

Without a TPU its `DistributedEmbedding` places tables on the default device, where it
is stock Keras's lookup with the model's optimizer. The rest is the functional model of
stock_keras. It has no layer for DeepFM, which would be stock_keras again.
"""

import peer_keras
import peer_keras_models
from peer_run import Clock, read_spec, versions_of


def main() -> None:
    """Runs one cell."""
    import keras
    import keras_rs

    spec = read_spec(models=("dlrm", "dcn_v2"))
    peer_keras.start(spec)
    dataset = peer_keras.make_dataset(spec)
    clock = Clock(spec)
    model = peer_keras_models.build(
        spec, dot=keras_rs.layers.DotInteraction, cross=keras_rs.layers.FeatureCross
    )
    peer_keras.train(model, dataset, clock, keras.callbacks.Callback)
    clock.report(
        parameters=model.count_params(),
        versions=versions_of("keras-rs", "keras", "tensorflow", "numpy"),
        optimizer="keras.optimizers.Adagrad",
    )


if __name__ == "__main__":
    main()
