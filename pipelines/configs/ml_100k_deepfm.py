"""DeepFM on MovieLens 100K: is a rating 4 or more? Split by time.

    python -m pipelines.train --config=pipelines/configs/ml_100k_deepfm.py \
        --workdir=runs/ml_100k_deepfm

On two cores of an AMD EPYC: test AUC .700 (one seed); most users of the test are new.
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="quickstart/ml-100k/prepared",
        model="deepfm",
        model_arguments={
            "embedding_dim": 16,
            "hidden_units": (64, 32),
            "dropout": 0.5,
        },
        batch_size=512,
        epochs=10,
    )
