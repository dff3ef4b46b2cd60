r"""Training of MMoE and PLE beside other libraries.

One architecture a model, on the same seeded batches: 26 categorical features with
tables of 40,000 rows of 16, two labels; eight experts of 256-128, or two levels of two
experts of 128 a task and a shared one; towers of 64. Each library runs its own model in
a process and an environment of its own, in turns, `--repeats` rounds of them. A run
that is in the output already, with the same spec, versions and program, is not
repeated. `matrix_products` is no library; see benchmarks/ranking.py. A name with
`_onednn` is a library with TF_ENABLE_ONEDNN_OPTS=1, as TensorFlow sets it by itself on
newer processors.

  python benchmarks/peers/build_venvs.py --peers=deepctr,torch_rechub
  python -m benchmarks.multitask.throughput
"""

from absl import app

from benchmarks.peers import measure
from benchmarks.peers.report import Form

FORM = Form(
    title="Models of several tasks beside other libraries",
    peers=(
        "keras_recs",
        "keras_recs_onednn",
        "deepctr",
        "deepctr_onednn",
        "torch_rechub",
        "matrix_products",
        "matrix_products_onednn",
    ),
    models=("mmoe", "ple"),
    has_overview=True,
)

measure.set_files("multitask_throughput")


def make_specs() -> list[dict]:
    """The cells, in the order in which they are measured."""
    return [
        measure.make_spec(model, int(rows), "memory", numbers=0, tasks=2)
        for rows in measure.ROWS.value or ["40000"]
        for model in measure.MODELS.value or FORM.models
    ]


def main(_) -> None:
    """Runs the benchmark."""
    measure.check("models", measure.MODELS.value, FORM.models)
    measure.check("input", measure.INPUT.value, ["memory"])
    measure.run(FORM, make_specs(), lambda spec: FORM.peers)


if __name__ == "__main__":
    app.run(main)
