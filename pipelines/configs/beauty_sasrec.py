"""SASRec on Amazon Beauty; `pipelines/histories.py` and `prepare.py` make its data.

    python -m pipelines.histories --input=sequences/beauty.txt.gz --format=csv \
        --delimiter=' ' --columns=user,item --user=user --item=item \
        --max_length=50 --output=beauty/histories
    python -m pipelines.prepare --input=beauty/histories/train.jsonl \
        --valid_input=beauty/histories/valid.jsonl \
        --test_input=beauty/histories/test.jsonl \
        --schema=beauty/histories/schema.json --output=beauty/prepared
    python -m pipelines.train --config=pipelines/configs/beauty_sasrec.py \
        --workdir=runs/beauty_sasrec
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="beauty/prepared",
        model="sasrec",
        model_arguments={
            "embedding_dim": 64,
            "num_negatives": None,
            "dropout": 0.5,
            "seed": 0,
        },
        batch_size=128,
        epochs=200,
        patience=10,
    )
