"""DLRM on the Criteo Kaggle log; `pipelines/criteo.py` says how to prepare it.

    python -m pipelines.train --config=pipelines/configs/criteo_dlrm.py \
        --workdir=runs/criteo_dlrm

Not run here: it waits for somebody who has the data (45.8 million rows).
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="criteo/prepared",
        model="dlrm",
        model_arguments={
            "embedding_dim": 16,
            "bottom_units": (512, 256, 64),
            "top_units": (512, 256),
        },
        optimizer="rowwise_adagrad",
        learning_rate=0.02,
        batch_size=8192,
        epochs=3,
        patience=1,
    )
