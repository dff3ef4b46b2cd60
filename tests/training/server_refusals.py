"""What a chief says that cannot train. python -m tests.training.server_refusals FOLDER"""

import sys
from pathlib import Path

import numpy as np


def main():
    folder = Path(sys.argv[1])
    from keras_recs.training import make_strategy

    strategy = make_strategy("parameter_server", timeout_seconds=60)
    import keras
    import pytest

    from keras_recs import CategoricalFeature, Label, Schema, preprocessing
    from keras_recs.data import (
        DownSampleNegatives,
        array_dataset,
        tfrecord_dataset,
        write_tfrecords,
    )
    from keras_recs.models import logistic_regression
    from keras_recs.training import fit

    log = folder / "log.csv"
    log.write_text("item,click\n1,0\n2,1\n3,0\n4,1\n")

    def schema_of(**options):
        schema = Schema(
            features=[CategoricalFeature("item", **options)], labels=[Label("click")]
        )
        return preprocessing.fit(schema, log, folder / "vocabularies")

    plain = schema_of(vocabulary_size=9)
    write_tfrecords(log, plain, folder / "train", num_shards=1)

    def refused(message, schema=plain, train=None, steps=1, policy=None, **options):
        keras.config.set_dtype_policy(policy or "float32")
        with strategy.scope():
            model = logistic_regression(schema)
            model.compile("sgd", "binary_crossentropy", steps_per_execution=steps)
        if train is None:
            train = tfrecord_dataset(str(folder / "train-*"), schema, 2)
        with pytest.raises(ValueError, match=message):
            fit(model, train, schema, folder / "run", verbose=0, **options)
        print("refused as it should be", flush=True)

    columns = {"item": np.arange(4), "click": np.arange(4) % 2}
    refused(
        "must be what `keras_recs.data.tfrecord_dataset` returns",
        train=array_dataset(columns, plain, 2),
    )
    refused("`steps_per_execution=1`. Received: steps_per_execution=2", steps=2)
    refused("`round_steps` must be a positive integer", round_steps=0)
    refused("Use the dtype policy 'mixed_bfloat16'", policy="mixed_float16")
    sampled = tfrecord_dataset(
        str(folder / "train-*"),
        plain,
        2,
        down_sampling=DownSampleNegatives(rate=0.5, label="click"),
    )
    refused("Leave out `down_sampling`", train=sampled)


if __name__ == "__main__":
    main()
