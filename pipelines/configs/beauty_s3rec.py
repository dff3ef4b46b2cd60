"""S3-Rec on Amazon Beauty: after the pre-training of `beauty_pretrain_s3rec.py`.

    python -m pipelines.train --config=pipelines/configs/beauty_s3rec.py \
        --workdir=runs/beauty_s3rec

It learns what comes next, from the weights in `start_from`. The settings are those of
`s3rec-beauty s3rec ce` in benchmarks/sequential/settings.py; as the authors, with one
unseen negative in the place of the softmax over all items: --set
model_arguments.num_negatives=1 --set unseen_negatives=True
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="beauty_s3rec/prepared",
        model="s3rec",
        model_arguments={
            "embedding_dim": 64,
            "dropout": 0.5,
            "num_negatives": None,
            "seed": 0,
        },
        start_from="runs/beauty_pretrain_s3rec",
        batch_size=128,
        epochs=200,
        patience=10,
    )
