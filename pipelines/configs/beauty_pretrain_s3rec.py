"""The pre-training of S3-Rec on Amazon Beauty with attributes, for `beauty_s3rec.py`.

Its file of sequences has a user and all items a line, and that of attributes is one
object; both become rows:

    mkdir -p beauty_s3rec
    zcat sequences.txt.gz | awk '{for (i = 2; i <= NF; i++) print $1, $i}' \
        > beauty_s3rec/events.txt
    python -c 'import gzip, json; [print(json.dumps({"item": item, "attributes": own}))
    for item, own in json.load(gzip.open("item2attributes.json.gz")).items()]' \
        > beauty_s3rec/attributes.jsonl
    python -m pipelines.histories --input=beauty_s3rec/events.txt --format=csv \
        --delimiter=' ' --columns=user,item --user=user --item=item \
        --max_length=50 --output=beauty_s3rec/histories
    python -m pipelines.prepare --input=beauty_s3rec/histories/train.jsonl \
        --valid_input=beauty_s3rec/histories/valid.jsonl \
        --test_input=beauty_s3rec/histories/test.jsonl \
        --schema=beauty_s3rec/histories/schema.json --output=beauty_s3rec/prepared
    python -m pipelines.train --config=pipelines/configs/beauty_pretrain_s3rec.py \
        --workdir=runs/beauty_pretrain_s3rec

Attributes of items of one's own are a CSV, JSON-lines or Parquet file with a row an
item: `attributes={"files": "items.csv", "columns": ["brand", "category"]}`. Settings
are those of `s3rec-beauty s3rec ce` in benchmarks/sequential/settings.py.
"""

from pipelines.config import Config


def get_config():
    """The configuration."""
    return Config(
        data="beauty_s3rec/prepared",
        model="s3rec",
        model_arguments={
            "stage": "pretrain",
            "embedding_dim": 64,
            "objective": {"form": "authors"},
            "seed": 0,
        },
        attributes={
            "files": "beauty_s3rec/attributes.jsonl",
            "columns": ["attributes"],
        },
        batch_size=256,
        epochs=50,
    )
