"""SASRec on MovieLens 1M; `pipelines/histories.py` and `prepare.py` make its data.

    python -m pipelines.histories --input=sequences/ml-1m.txt.gz --format=csv \
        --delimiter=' ' --columns=user,item --user=user --item=item \
        --max_length=200 --output=ml_1m/histories
    python -m pipelines.prepare --input=ml_1m/histories/train.jsonl \
        --valid_input=ml_1m/histories/valid.jsonl \
        --test_input=ml_1m/histories/test.jsonl \
        --schema=ml_1m/histories/schema.json --output=ml_1m/prepared
    python -m pipelines.train --config=pipelines/configs/ml_1m_sasrec.py \
        --workdir=runs/ml_1m_sasrec

A look at what the programs do, no figure of the model: two epochs with --max_length=50
took 97 s of CPU on two shared cores; test HR@10 .0465, NDCG@10 .0227 (full catalogue,
seen items left out, one seed). benchmarks/sequential.md has runs to the end.
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="ml_1m/prepared",
        model="sasrec",
        model_arguments={"embedding_dim": 64, "num_negatives": None, "seed": 0},
        batch_size=128,
        epochs=1000,
        patience=60,
    )
