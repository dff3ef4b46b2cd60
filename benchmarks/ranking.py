r"""Training of every ranking model beside other libraries.

One architecture a model, on the same seeded batches: 26 categorical features with
tables of 40,000 rows of 16, towers of 400-400; DLRM reads 13 numbers too, and the
models of histories 50 values of the first feature. Each library runs in a process and
an environment of its own, and its own model where it has one; they take turns,
`--repeats` rounds of them. A run that is in the output already, with the same spec,
versions and program, is not repeated.

`matrix_products` is no library: it says how many examples a second the machine could
train if the model were nothing but its matrix products, each as fast as one large one.

  python benchmarks/peers/build_venvs.py --peers=deepctr,torch_rechub,fuxictr
  python -m benchmarks.ranking
"""

from absl import app

from benchmarks.peers import measure
from benchmarks.peers.report import Form

FORM = Form(
    title="Ranking models beside other libraries",
    peers=("keras_recs", "deepctr", "torch_rechub", "fuxictr", "matrix_products"),
    models=(
        "logistic_regression",
        "fm",
        "wide_and_deep",
        "deepfm",
        "xdeepfm",
        "dcn",
        "dcn_v2",
        "dlrm",
        "autoint",
        "masknet",
        "finalmlp",
        "din",
        "dien",
    ),
    has_overview=True,
)
HISTORY = 50

measure.set_files("ranking")


def make_specs() -> list[dict]:
    """The cells, in the order in which they are measured."""
    return [
        measure.make_spec(
            model,
            int(rows),
            "memory",
            numbers=13 if model == "dlrm" else 0,
            history=HISTORY if model in ("din", "dien") else 0,
        )
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
