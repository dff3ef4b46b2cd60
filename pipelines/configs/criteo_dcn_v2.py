"""DCN-V2 on the Criteo Kaggle log; `pipelines/criteo.py` says how to prepare it.

    python -m pipelines.train --config=pipelines/configs/criteo_dcn_v2.py \
        --workdir=runs/criteo_dcn_v2

Not run here: it waits for somebody who has the data (45.8 million rows).
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="criteo/prepared",
        model="dcn_v2",
        model_arguments={
            "embedding_dim": 16,
            "num_cross_layers": 3,
            "hidden_units": (1024, 1024, 1024),
            "dropout": 0.2,
        },
        optimizer="lazy_adam",
        learning_rate=1e-3,
        batch_size=8192,
        epochs=3,
        patience=1,
    )
