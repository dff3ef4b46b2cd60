"""Wide & Deep as in its paper: FTRL with L1 on the wide part, AdaGrad on the deep one.

    python -m pipelines.train --config=pipelines/configs/synthetic_wide_and_deep.py \
        --workdir=runs/synthetic_wide_and_deep

The data are those of the quickstart (`make quickstart`). On two cores of an AMD EPYC:
test AUC .818 (one seed).
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="quickstart/synthetic/prepared",
        model="wide_and_deep",
        model_arguments={
            "embedding_dim": 8,
            "hidden_units": (64, 32),
            "dropout": 0.3,
        },
        optimizer="sparse_adagrad",
        learning_rate=0.2,
        optimizer_groups={
            "wide": {"optimizer": "sparse_ftrl", "learning_rate": 0.1, "l1": 1e-5}
        },
        batch_size=512,
        epochs=12,
    )
