r"""Training of embedding-heavy models beside other libraries.

DLRM, DeepFM and DCN-V2 of one architecture on the Criteo form (26 categorical features
and 13 numbers), on the same seeded batches. Each library runs in a process and an
environment of its own; they take turns, `--repeats` rounds of them. A run that is in
the output already, with the same spec, versions and program, is not repeated.

  python benchmarks/peers/build_venvs.py
  python -m benchmarks.embeddings
"""

import itertools

from absl import app

from benchmarks.peers import measure
from benchmarks.peers.report import Form

FORM = Form(
    title="Embedding-heavy models beside other libraries",
    peers=(
        "keras_recs",
        "torchrec",
        "stock_keras",
        "keras_rs",
        "deepctr",
        "torch_rechub",
        "fuxictr",
    ),
    models=("dlrm", "deepfm", "dcn_v2"),
)
LARGE = 100_000_000  # rows from which one table serves all features
LARGE_PEERS = ("keras_recs", "torchrec")
DEFAULT_CELLS = (
    ("dlrm", 1_000),
    ("dlrm", 40_000),
    ("dlrm", 1_000_000),
    ("deepfm", 40_000),
    ("dcn_v2", 40_000),
    ("dlrm", LARGE),
)

measure.set_files("embeddings")


def make_specs() -> list[dict]:
    """The cells, in the order in which they are measured."""
    pairs = DEFAULT_CELLS
    models = measure.MODELS.value
    if models or measure.ROWS.value:
        rows = [int(value) for value in measure.ROWS.value] or [40_000]
        pairs = tuple(itertools.product(models or ["dlrm"], rows))
    return [
        measure.make_spec(model, rows, source, tables=1 if rows >= LARGE else 26)
        for source in measure.INPUT.value
        for model, rows in pairs
    ]


def main(_) -> None:
    """Runs the benchmark."""
    measure.check("models", measure.MODELS.value, FORM.models)
    measure.run(
        FORM,
        make_specs(),
        lambda spec: FORM.peers if spec["tables"] > 1 else LARGE_PEERS,
    )


if __name__ == "__main__":
    app.run(main)
