"""GRU4Rec on sessions, such as those of Diginetica: a row a click, in order of time.

    python -m pipelines.histories --input=clicks.csv --user=session --item=item \
        --time=time --split=time --fractions=0.9,0.05,0.05 --max_length=70 \
        --output=sessions/histories
    python -m pipelines.prepare --input=sessions/histories/train.jsonl \
        --valid_input=sessions/histories/valid.jsonl \
        --test_input=sessions/histories/test.jsonl \
        --schema=sessions/histories/schema.json --output=sessions/prepared
    python -m pipelines.train --config=pipelines/configs/diginetica_gru4rec.py \
        --workdir=runs/diginetica_gru4rec

A file with a session a line, without times, becomes rows in that order, whose numbers
are their time:

    zcat train_sessions.txt.gz | awk 'BEGIN {print "session,item,time"} \
        {for (i = 1; i <= NF; i++) print NR "," $i "," ++n}' > clicks.csv

What was clicked may be clicked again, so items of a session are candidates. Only the
last click of a session is tested, not each but the first. The settings are those of
`diginetica gru4rec ce` in benchmarks/sequential/settings.py. For draws in the place of
the softmax over all items: --set model_arguments.num_negatives=2048 --set
"loss={'name': 'BPRMax'}" --set session.num_negatives=2048 --set session.alpha=0.5
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="sessions/prepared",
        model="gru4rec",
        model_arguments={
            "hidden_units": [256],
            "embedding_dropout": 0.5,
            "dropout": 0.5,
            "num_negatives": None,
            "initializer": "uniform",
            "seed": 0,
        },
        session={"num_steps": 4},
        exclude_seen=False,
        batch_size=128,
        epochs=60,
        patience=3,
    )
