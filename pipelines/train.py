r"""Trains a model on prepared TFRecords and fills a run directory.

Examples:
  python -m pipelines.train --config=pipelines/configs/synthetic_deepfm.py \
      --workdir=runs/deepfm
  python -m pipelines.train --config=pipelines/configs/synthetic_deepfm.py \
      --workdir=runs/dlrm --set model=dlrm --set 'model_arguments={}' --set epochs=3
  python -m pipelines.train … --strategy=mirrored --set dtype_policy=mixed_bfloat16
  python -m pipelines.train … --set optimizer=rowwise_adagrad \
      --set embedding_options.num_shards=4

It leaves <workdir>/model.keras, schema.json, vocabularies/, config.json, history.csv,
checkpoints/ and tensorboard/. Run again after an interruption, it goes on; run again
after the end, it does nothing. --overwrite starts anew.
"""

import dataclasses
import inspect
import sys
from pathlib import Path

from absl import flags, logging

from pipelines.config import Config, load_config
from pipelines.run_program import run_program

CONFIG = flags.DEFINE_string("config", None, "Python file with get_config().")
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory that is filled.")
SET = flags.DEFINE_multi_string("set", [], "Override: key=value; may be repeated.")
STRATEGY = flags.DEFINE_enum(
    "strategy", "none", ["none", "mirrored"], "Which devices train."
)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a run that is there.")
flags.mark_flags_as_required(["config", "workdir"])


def build_model(config: Config, schema):
    """Builds the model that a configuration names.

    Raises:
        ValueError: for an unknown model or argument.
    """
    from keras_recs import models

    parts = ("EmbeddingOptions", "build_inputs", "table_rows")  # of builders
    builders = [name for name in models.__all__ if name not in parts]
    if config.model not in builders:
        raise ValueError(
            f"Config: `model` must be one of {builders}. Received: "
            f"model={config.model!r}"
        )
    builder = getattr(models, config.model)
    known = list(inspect.signature(builder).parameters)[1:]
    unknown = sorted(set(config.model_arguments) - set(known))
    if unknown:
        raise ValueError(
            f"Config: `model_arguments` has keys that {config.model} does not take: "
            f"{unknown}; it takes {known}"
        )
    arguments = dict(config.model_arguments)
    if config.embedding_options:
        try:
            options = models.EmbeddingOptions(**config.embedding_options)
        except TypeError as error:
            fields = dataclasses.fields(models.EmbeddingOptions)
            known = [field.name for field in fields]
            raise ValueError(
                f"Config: `embedding_options` takes {known}. Received: "
                f"embedding_options={config.embedding_options}"
            ) from error
        arguments["embedding_options"] = options
    return builder(schema, **arguments)


def make_optimizer(config: Config):
    """Makes the optimizer that a configuration names.

    Raises:
        ValueError: for a name that neither Keras nor keras_recs has.
    """
    import keras

    from keras_recs import optimizers

    ours = {name.lower(): name for name in optimizers.__all__}
    del ours["compositeoptimizer"]  # it takes optimizers, not a learning rate
    name = config.optimizer.lower().replace("_", "")
    if name in ours:
        return getattr(optimizers, ours[name])(config.learning_rate)
    try:
        optimizer = keras.optimizers.get(config.optimizer)
    except ValueError as error:
        raise ValueError(
            "Config: `optimizer` must be the name of a Keras optimizer such as 'adam', "
            f"or of {sorted(ours.values())}. Received: optimizer={config.optimizer!r}"
        ) from error
    optimizer.learning_rate = config.learning_rate
    return optimizer


def train(config: Config, workdir: Path, strategy_name: str, overwrite: bool = False):
    """Trains as configured; returns the Keras history."""
    import keras

    import keras_recs
    from keras_recs.training.run_identity import clear_run

    data = Path(config.data)
    schema = keras_recs.Schema.load(data)
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)

    batches = keras_recs.data.tfrecord_dataset(
        str(data / "train-*"), schema, config.batch_size, seed=config.seed
    )
    validation = None
    if any(data.glob("valid-*")):
        validation = keras_recs.data.tfrecord_dataset(
            str(data / "valid-*"),
            schema,
            4 * config.batch_size,
            shuffle=False,
            with_group=schema.group_key is not None,
        )
    strategy = keras_recs.training.make_strategy(strategy_name)
    with strategy.scope():
        model = build_model(config, schema)
        model.compile(
            make_optimizer(config),
            loss=keras_recs.losses.losses_of(schema),
            steps_per_execution=config.steps_per_execution,
        )
    logging.info("%s with %d parameters.", config.model, model.count_params())
    if overwrite:  # not before all that can be wrong has been built
        clear_run(workdir)
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
