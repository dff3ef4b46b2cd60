"""GRU4Rec on MovieLens 1M, on the data of `ml_1m_sasrec.py`.

    python -m pipelines.train --config=pipelines/configs/ml_1m_gru4rec.py \
        --workdir=runs/ml_1m_gru4rec

Each user is a session. Training reads all of it, 64 sessions side by side and 32 events
of each a step; validation and test read the last `--max_length` events of the data. The
settings are those of `ml-1m gru4rec ce` in benchmarks/sequential/settings.py, with
Adam's own moments.
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="ml_1m/prepared",
        model="gru4rec",
        model_arguments={
            "hidden_units": [128],
            "embedding_dropout": 0.2,
            "dropout": 0.2,
            "num_negatives": None,
            "initializer": "uniform",
            "seed": 0,
        },
        session={"num_steps": 32},
        batch_size=64,
        epochs=400,
        patience=30,
    )
