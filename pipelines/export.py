r"""Exports a trained model for TF Serving, checked and published at once.

Examples:
  python -m pipelines.export --workdir=runs/deepfm --export_dir=export/deepfm
  python -m pipelines.export --workdir=runs/deepfm --export_dir=export/deepfm \
      --data='prepared/valid-*' --version=7
  python -m pipelines.export --workdir=runs/sasrec --export_dir=export/sasrec \
      --top_k=20 --noexclude_seen

It reads <workdir>/model.keras, schema.json and metrics.json and writes
<export_dir>/<version>/. With --data the check and the warm-up requests use real rows.
"""

import json
from pathlib import Path
from typing import Any

from absl import flags, logging

from pipelines.excludes_seen import excludes_seen
from pipelines.run_program import run_program

WORKDIR = flags.DEFINE_string("workdir", None, "Run directory of pipelines.train.")
EXPORT_DIR = flags.DEFINE_string("export_dir", None, "Folder of the version folders.")
VERSION = flags.DEFINE_integer(
    "version", None, "Version number. Default: one more than the highest.", 1
)
DATA = flags.DEFINE_multi_string("data", None, "TFRecord files or a pattern.")
TOP_K = flags.DEFINE_integer("top_k", 10, "Items that a sequence model recommends.", 1)
EXCLUDE_SEEN = flags.DEFINE_bool(
    "exclude_seen",
    None,
    "Never recommend an item of the request's history. Default: as the run was "
    "validated.",
)
flags.mark_flags_as_required(["workdir", "export_dir"])

NUM_ROWS = 1_000


def export_run(
    workdir: Path,
    export_dir: Path,
    version: int | None,
    files: list[str] | None,
    **options: Any,
) -> Path:
    """Exports the model of a run directory; returns the version folder."""
    import keras

    import keras_recs

    schema = keras_recs.Schema.load(workdir)
    model = keras.models.load_model(workdir / "model.keras", compile=False)
    metrics = workdir / "metrics.json"
    return keras_recs.export.saved_model(
        model,
        schema,
        export_dir,
        version=version,
        examples=read_rows(files, schema) if files else None,
        metrics=json.loads(metrics.read_text()) if metrics.exists() else None,
        **options,
    )


def read_rows(files: list[str], schema) -> dict:
    """The first raw rows of TFRecord files, as columns."""
    import tensorflow as tf

    from keras_recs.data import parse_examples
    from keras_recs.data.tfrecord_files import TFRecordFile, list_files

    records: list[bytes] = []
    for path in list_files(files):
        compression = TFRecordFile(path, 0).compression
        dataset = tf.data.TFRecordDataset(path, compression)
        records += dataset.take(NUM_ROWS - len(records)).as_numpy_iterator()
        if len(records) == NUM_ROWS:
            break
    if not records:
        raise ValueError(f"--data holds no record. Received: {files}")
    columns = parse_examples(tf.constant(records), schema)
    return {
        name: column.to_list()
        if isinstance(column, tf.RaggedTensor)
        else column.numpy()
        for name, column in columns.items()
    }


def main(_) -> None:
    """Runs the program."""
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # saving tells much that is of no use
    path = export_run(
        Path(WORKDIR.value),
        Path(EXPORT_DIR.value),
        VERSION.value,
        DATA.value,
        top_k=TOP_K.value,
        exclude_seen=excludes_seen(Path(WORKDIR.value), EXCLUDE_SEEN.value),
    )
    manifest = json.loads((path / "manifest.json").read_text())
    parity = manifest["parity"]
    print(f"export:  {path} ({manifest['num_parameters']:,} parameters)")
    print(
        f"parity:  {parity['rows']:,} rows at once and some one by one, through "
        "TensorFlow's C++ loader; largest differences from the Keras model:"
    )
    for signature, outputs in parity["largest_differences"].items():
        differences = ", ".join(f"{k} {v:.1e}" for k, v in sorted(outputs.items()))
        print(f"  {signature:<24}{differences}")


if __name__ == "__main__":
    run_program(main)
