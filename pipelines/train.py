r"""Trains a model on prepared TFRecords and fills a run directory.

Examples:
  python -m pipelines.train --config=pipelines/configs/synthetic_deepfm.py \
      --workdir=runs/deepfm
  python -m pipelines.train --config=pipelines/configs/synthetic_deepfm.py \
      --workdir=runs/dlrm --set model=dlrm --set 'model_arguments={}' --set epochs=3
  python -m pipelines.train … --strategy=mirrored --set dtype_policy=mixed_bfloat16
  python -m pipelines.train … --set optimizer=rowwise_adagrad \
      --set embedding_options.num_shards=4
  python -m pipelines.train … --set model_arguments.embeddings_regularizer=1e-5

It leaves <workdir>/model.keras, schema.json, vocabularies/, config.json, history.csv,
checkpoints/ and tensorboard/. Run again after an interruption, it goes on; run again
after the end, it does nothing. --overwrite starts anew.
"""

import sys
from pathlib import Path

from absl import flags, logging

from pipelines.config import Config, load_config
from pipelines.from_config import build_model, training_data, validation_data
from pipelines.run_program import run_program

CONFIG = flags.DEFINE_string("config", None, "Python file with get_config().")
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory that is filled.")
SET = flags.DEFINE_multi_string("set", [], "Override: key=value; may be repeated.")
STRATEGY = flags.DEFINE_enum(
    "strategy", "none", ["none", "mirrored"], "Which devices train."
)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a run that is there.")
flags.mark_flags_as_required(["config", "workdir"])


def train(config: Config, workdir: Path, strategy_name: str, overwrite: bool = False):
    """Trains as configured; returns the Keras history."""
    import keras

    import keras_recs
    from keras_recs.training.make_optimizer import make_optimizer
    from keras_recs.training.run_identity import clear_run

    data = Path(config.data)
    schema = keras_recs.Schema.load(data)
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)

    batches = training_data(config, schema)
    validation = None
    if any(data.glob("valid-*")):
        validation = validation_data(config, schema)
    strategy = keras_recs.training.make_strategy(strategy_name)
    with strategy.scope():
        model = build_model(config, schema)
        model.compile(
            make_optimizer(
                config.optimizer, config.learning_rate, config.optimizer_groups
            ),
            loss=keras_recs.losses.losses_of(schema),
            steps_per_execution=config.steps_per_execution,
        )
    logging.info("%s with %d parameters.", config.model, model.count_params())
    if overwrite:  # not before all that can be wrong has been built
        clear_run(workdir)
    keras_recs.training.set_row_counts(model, schema, batches)
    workdir.mkdir(parents=True, exist_ok=True)
    config.save(workdir / "config.json")
    return keras_recs.training.fit(
        model,
        batches,
        schema,
        workdir,
        validation=validation,
        epochs=config.epochs,
        monitor=config.monitor,
        patience=config.patience,
        # A bar on a screen, a line an epoch in a file.
        verbose="auto" if sys.stdout.isatty() else 2,
    )


def is_finished(config: Config, workdir: Path) -> bool:
    """Whether a run directory holds this very run, from start to end.

    Raises:
        ValueError: if it holds a run of another configuration.
    """
    stored = workdir / "config.json"
    if not stored.exists():
        return False
    if stored.read_text(encoding="utf-8") != config.to_json():
        raise ValueError(
            f"'{workdir}' holds a run of another configuration (see its config.json). "
            "Give another --workdir, or --overwrite to start anew."
        )
    if not (workdir / "model.keras").exists():
        return False
    from keras_recs import Schema

    prepared, trained = Schema.load(config.data), Schema.load(workdir)
    if prepared.fingerprint() != trained.fingerprint():
        raise ValueError(
            f"'{config.data}' was prepared again since '{workdir}' was trained. Give "
            "another --workdir, or --overwrite to start anew."
        )
    return True


def main(_) -> None:
    """Runs the program."""
    config = load_config(CONFIG.value).replaced(SET.value)
    workdir = Path(WORKDIR.value)
    if not OVERWRITE.value and is_finished(config, workdir):
        print(f"run: {workdir} is complete; --overwrite trains it again.")
        return
    train(config, workdir, STRATEGY.value, OVERWRITE.value)
    print(f"run: {workdir}")


if __name__ == "__main__":
    run_program(main)
