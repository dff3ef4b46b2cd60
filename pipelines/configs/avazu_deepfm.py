"""DeepFM on the Avazu log; `pipelines/avazu.py` says how to prepare it.

    python -m pipelines.train --config=pipelines/configs/avazu_deepfm.py \
        --workdir=runs/avazu_deepfm

Not run here: it waits for somebody who has the data (40.4 million rows).
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="avazu/prepared",
        model="deepfm",
        model_arguments={
            "embedding_dim": 16,
            "hidden_units": (400, 400, 400),
            "dropout": 0.2,
            "batch_norm": True,
        },
        optimizer="lazy_adam",
        learning_rate=1e-3,
        batch_size=8192,
        epochs=2,
        patience=1,
    )
