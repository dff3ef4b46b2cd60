r"""Measures a trained model exactly and draws its curves.

Examples:
  python -m pipelines.evaluate --workdir=runs/deepfm --data='prepared/test-*'
  python -m pipelines.evaluate --workdir=runs/deepfm --data='prepared/valid-*' \
      --name=valid
  python -m pipelines.evaluate --workdir=runs/deepfm --data='prepared/test-*' \
      --importance --importance_repeats=5
  python -m pipelines.evaluate --workdir=runs/mmoe --data='prepared/test-*' \
      --twins=runs/click,runs/like
  python -m pipelines.evaluate --workdir=runs/sasrec --data='prepared/test-*'

It writes <workdir>/metrics.json (one entry a data set) and <workdir>/plots/*.png; with
--importance also <workdir>/importance.json: how much worse each label gets when the
values of a feature are shuffled among the examples.

Of a run of several labels it prints the share that each gate gives to each expert, and
draws it in <workdir>/plots/<name>_see_saw.png beside the cosines of gradients of a run
with --set task_cosines=True. --twins compares such a run with runs of one label each: a
label that is worse than alone is named first. They are runs of pipelines.train … --set
"labels=['click']", with --set task_cosines=False where the configuration has it, for
one label has no cosine. A label that is in several of them counts in the first. Gains
and shares are in <workdir>/see_saw.json.

Of a model of sequences the last event of each history is ranked among all items: hit
rate, NDCG, MRR and recall at 5, 10 and 20, with an interval over users; coverage, Gini
index and novelty of the lists of 20. Of a pre-training the curve alone is drawn.
"""

import json
import os
from pathlib import Path

from absl import flags

from pipelines.evaluate_catalogue import evaluate_catalogue
from pipelines.excludes_seen import excludes_seen
from pipelines.importance import importance_table, measure_importance
from pipelines.run_program import run_program

WORKDIR = flags.DEFINE_string("workdir", None, "Run directory of pipelines.train.")
DATA = flags.DEFINE_multi_string("data", None, "TFRecord files or a pattern.")
TWINS = flags.DEFINE_list("twins", [], "Runs of one label each to compare with.")
NAME = flags.DEFINE_string("name", "test", "What metrics.json calls the data set.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 8192, "Examples a step.", 1)
IMPORTANCE = flags.DEFINE_bool(
    "importance", False, "Measure each feature's importance."
)
REPEATS = flags.DEFINE_integer("importance_repeats", 3, "Shuffles of a feature.", 1)
EXAMPLES = flags.DEFINE_integer(
    "importance_examples", 100_000, "Examples to shuffle; they are held in memory.", 1
)
EXCLUDE_SEEN = flags.DEFINE_bool(
    "exclude_seen",
    None,
    "Of sequences: items of a history are no candidates. Default: as the run was "
    "validated.",
)
flags.mark_flags_as_required(["workdir", "data"])


def evaluate_tasks(
    workdir: Path, results: dict, twins: list[str], files: list[str], name: str
) -> tuple[list, dict]:
    """What each label gains beside single-task runs, and what gates give to experts."""
    import keras

    import keras_recs
    from keras_recs.evaluation.evaluate import measure

    schema = keras_recs.Schema.load(workdir)
    alone: dict[str, dict] = {}
    for twin in map(Path, twins):
        own = keras_recs.Schema.load(twin)
        dataset = keras_recs.data.tfrecord_dataset(
            files, own, BATCH_SIZE.value, shuffle=False
        )
        model = keras.models.load_model(twin / "model.keras")
        found = keras_recs.evaluation.Predictions.collect(model, dataset)
        alone = {**measure(found, own), **alone}
    changes = keras_recs.evaluation.see_saw(results, alone, schema) if twins else []
    model = keras.models.load_model(workdir / "model.keras")
    dataset = keras_recs.data.tfrecord_dataset(
        files, schema, BATCH_SIZE.value, shuffle=False
    )
    gates = keras_recs.evaluation.gate_utilization(model, dataset, schema.label_names)
    keras_recs.evaluation.plot_see_saw(
        changes,
        workdir / "plots" / f"{name}_see_saw.png",
        workdir / "history.csv",
        gates,
        f"{model.name} on {name}",
    )
    if not changes and not gates:
        return changes, gates
    # JSON has no NaN, which the AUC of one class is.
    tasks = [
        {key: None if item != item else item for key, item in vars(change).items()}
        for change in changes
    ]
    value = {"tasks": tasks, "gates": gates}
    path = workdir / "see_saw.json"
    stored = json.loads(path.read_text()) if path.exists() else {}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps({**stored, name: value}, indent=2) + "\n")
    os.replace(temporary, path)
    return changes, gates


def evaluate_run(workdir: Path, files: list[str], name: str, batch_size: int) -> dict:
    """Adds a data set to `metrics.json`, draws the plots, returns its metrics."""
    import keras

    import keras_recs
    import keras_recs.layers  # registers what a saved model holds
    from keras_recs.evaluation.evaluate import measure

    schema = keras_recs.Schema.load(workdir)
    model = keras.models.load_model(workdir / "model.keras")
    plots = workdir / "plots"
    predictions = None
    if isinstance(model, keras_recs.models.NextItemModel):
        results, ranks = evaluate_catalogue(
            model,
            schema,
            workdir,
            files,
            batch_size,
            excludes_seen(workdir, EXCLUDE_SEEN.value),
        )
        keras_recs.evaluation.plot_ranks(
            ranks, plots / f"{name}_ranks.png", f"{model.name} on {name}"
        )
    elif isinstance(model, keras_recs.models.S3RecPretraining):
        results = {}  # it ranks nothing: only its curve is drawn
    else:
        dataset = keras_recs.data.tfrecord_dataset(
            files,
            schema,
            batch_size,
            shuffle=False,
            with_group=schema.group_key is not None,
        )
        predictions = keras_recs.evaluation.Predictions.collect(model, dataset)
        results = measure(predictions, schema)

    path = workdir / "metrics.json"
    stored = json.loads(path.read_text()) if path.exists() else {}
    # JSON has no NaN, which an AUC of one class is.
    stored[name] = {
        label: {key: None if value != value else value for key, value in values.items()}
        for label, values in results.items()
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(stored, indent=2) + "\n")
    os.replace(temporary, path)

    for label in schema.labels:
        if label.task != "binary" or predictions is None:
            continue
        y, p = predictions.labels[label.name], predictions.scores[label.name]
        if label.optional:
            there = predictions.weights[label.name] > 0
            y, p = y[there], p[there]
            if not len(y):
                continue
        title = f"{model.name}: {label.name} on {name}"
        keras_recs.evaluation.plot_roc(
            y, p, plots / f"{name}_{label.name}_roc.png", title
        )
        keras_recs.evaluation.plot_reliability(
            y, p, plots / f"{name}_{label.name}_reliability.png", title
        )
    history = workdir / "history.csv"
    if history.exists():
        keras_recs.evaluation.plot_training_curves(
            history, plots / "training.png", model.name
        )
    return results


def main(_) -> None:
    """Runs the program."""
    workdir = Path(WORKDIR.value)
    results = evaluate_run(workdir, DATA.value, NAME.value, BATCH_SIZE.value)
    if len(results) > 1 or TWINS.value:
        changes, gates = evaluate_tasks(
            workdir, results, TWINS.value, DATA.value, NAME.value
        )
        for change in changes:
            print(change)
        for layer, entry in gates.items():
            if entry["collapsed"]:
                print(f"{layer}: no gate uses {', '.join(entry['collapsed'])}")
            for gate, shares in entry["gates"].items():
                parts = [f"{expert} {share:.2f}" for expert, share in shares.items()]
                print(f"{layer}, {gate}: {', '.join(parts)}")
    for label, values in results.items():
        print(f"{label}:")
        for metric, value in values.items():
            print(f"  {metric:<28}{value:.6g}")
    if IMPORTANCE.value:
        found = measure_importance(
            workdir,
            DATA.value,
            NAME.value,
            BATCH_SIZE.value,
            REPEATS.value,
            EXAMPLES.value,
        )
        print(importance_table(found))
        print(f"importance: {workdir / 'importance.json'}")
    print(f"metrics: {workdir / 'metrics.json'}")
    for plot in sorted((workdir / "plots").glob("*.png")):
        print(f"plot:    {plot}")


if __name__ == "__main__":
    run_program(main)
