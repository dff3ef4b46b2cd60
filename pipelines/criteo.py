r"""The schema of the Criteo Kaggle click log (Display Advertising Challenge).

  python -m pipelines.criteo --schema=criteo/schema.json
  python -m pipelines.prepare --input=train.txt --format=tsv \
      --columns=$(python -m pipelines.criteo --print_columns) \
      --schema=criteo/schema.json --output=criteo/prepared \
      --split=random --fractions=0.8,0.1,0.1 --compression=GZIP --num_shards=64
  python -m pipelines.train --config=pipelines/configs/criteo_dcn_v2.py \
      --workdir=runs/criteo_dcn_v2

The log has no header and no times: a label, 13 integers I1 … I13 (the last seven days'
counts, some −1 or missing) and 26 hashed categories C1 … C26. The split is random, as
in the published comparisons. Integers go through sign(x)·log(1+|x|) and are
standardized; a category seen fewer than ten times is out of vocabulary.
"""

from pathlib import Path

from absl import app, flags

from keras_recs.schema import CategoricalFeature, Label, NumericFeature, Schema

SCHEMA = flags.DEFINE_string("schema", None, "Where the schema is written.")
PRINT_COLUMNS = flags.DEFINE_bool("print_columns", False, "Print the column names.")
INTEGERS = tuple(f"I{number}" for number in range(1, 14))
CATEGORIES = tuple(f"C{number}" for number in range(1, 27))
COLUMNS = ("label", *INTEGERS, *CATEGORIES)


def criteo_schema(min_count: int = 10) -> Schema:
    """The unfitted schema.

    Args:
        min_count: int. Rarer categories are out of vocabulary. Defaults to `10`.
    """
    return Schema(
        features=(
            *(NumericFeature(name, transform=("log1p", "zscore")) for name in INTEGERS),
            *(CategoricalFeature(name, min_count=min_count) for name in CATEGORIES),
        ),
        labels=(Label("label"),),
    )


def main(_) -> None:
    """Runs the program."""
    if PRINT_COLUMNS.value:
        print(",".join(COLUMNS))
        return
    if not SCHEMA.value:
        raise app.UsageError("--schema=<file> or --print_columns is needed.")
    Path(SCHEMA.value).parent.mkdir(parents=True, exist_ok=True)
    criteo_schema().save(SCHEMA.value)
    print(f"schema: {SCHEMA.value}")


if __name__ == "__main__":
    app.run(main)
