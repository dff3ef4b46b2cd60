"""BERT4Rec on MovieLens 1M, on the data of `ml_1m_sasrec.py`.

    python -m pipelines.train --config=pipelines/configs/ml_1m_bert4rec.py \
        --workdir=runs/ml_1m_bert4rec
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="ml_1m/prepared",
        model="bert4rec",
        model_arguments={"embedding_dim": 64, "dropout": 0.2, "seed": 0},
        masking={"mask_rate": 0.2, "max_masked": 40},
        batch_size=256,
        epochs=16000,
        patience=1000,
    )
