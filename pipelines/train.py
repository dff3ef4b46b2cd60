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
  python -m pipelines.train --config=pipelines/configs/beauty_s3rec.py \
      --workdir=runs/s3rec --set start_from=runs/s3rec_pretrain
  python -m pipelines.launch_local --workers=2 -- python -m pipelines.train … \
      --strategy=multi_worker_mirrored
  python -m pipelines.launch_local --workers=2 --ps=2 -- python -m pipelines.train … \
      --strategy=parameter_server

It leaves <workdir>/model.keras, schema.json, vocabularies/, config.json, history.csv,
checkpoints/ and tensorboard/, and under parameter servers a servers.json: what each of
them had to do, as --placement takes it. Run again after an interruption, it goes on at
the very batch of the last checkpoint; SIGTERM makes one and ends with status 143. Run
again after the end, it does nothing. --overwrite starts anew, but not in a cluster: its
launcher repeats the command when a process dies. `batch_size` is that of all replicas
together; with parameter servers, of a worker.
"""

import os
import sys
from pathlib import Path

from absl import flags, logging

from pipelines.config import Config, load_config
from pipelines.from_config import (
    build_model,
    loss_of,
    read_schema,
    training_data,
    validation_data,
    weighed_model,
)
from pipelines.run_program import run_program

CONFIG = flags.DEFINE_string("config", None, "Python file with get_config().")
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory that is filled.")
SET = flags.DEFINE_multi_string("set", [], "Override: key=value; may be repeated.")
STRATEGY = flags.DEFINE_enum(
    "strategy",
    "none",
    ["none", "mirrored", "multi_worker_mirrored", "parameter_server"],
    "Which devices train; the processes of the last two are those of TF_CONFIG.",
)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a run that is there.")
CHECKPOINT_SECONDS = flags.DEFINE_float(
    "checkpoint_seconds", 60.0, "Time between two checkpoints.", 0.001
)
CHECKPOINT_STEPS = flags.DEFINE_integer(
    "checkpoint_steps", None, "Steps between two checkpoints, instead.", 1
)
ON_NONFINITE = flags.DEFINE_enum(
    "on_nonfinite",
    "stop",
    ["stop", "skip", "ignore"],
    "What a step does whose gradients hold NaN or infinity.",
)
ROUND_STEPS = flags.DEFINE_integer(
    "round_steps", None, "With parameter servers: steps that wait for each other.", 1
)
PLACEMENT = flags.DEFINE_string(
    "placement", None, "With parameter servers: a servers.json that spreads variables."
)
flags.mark_flags_as_required(["config", "workdir"])


def train(
    config: Config,
    workdir: Path,
    strategy_name: str,
    overwrite: bool = False,
    is_done: bool = False,
    placement: str | None = None,
    **fit_options,
):
    """Trains as configured.

    Args:
        config: what to train.
        workdir: the run directory.
        strategy_name: as `keras_recs.training.make_strategy` takes it.
        overwrite: whether a run that is there is replaced.
        is_done: whether this process found the run complete.
        placement: as `keras_recs.training.make_strategy` takes it.
        **fit_options: of `keras_recs.training.fit`.

    Returns:
        The Keras history, or `None` where one of the workers found the run complete.
    """
    import keras

    import keras_recs
    from keras_recs.training.make_optimizer import make_optimizer
    from keras_recs.training.run_identity import clear_run
    from keras_recs.training.workers import Workers

    strategy = keras_recs.training.make_strategy(strategy_name, placement=placement)
    workers = Workers(strategy)
    if any(workers.gather(is_done)):
        return None
    data = Path(config.data)
    schema = read_schema(config)
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    share = share_of_batch(config, strategy.num_replicas_in_sync, workers.num_workers)
    validation = None
    with strategy.scope():
        model = weighed_model(config, schema, build_model(config, schema))
        if config.start_from is not None:
            start_from(model, Path(config.start_from), schema)
        model.compile(
            make_optimizer(
                config.optimizer, config.learning_rate, config.optimizer_groups
            ),
            loss=loss_of(config, schema, model),
            steps_per_execution=config.steps_per_execution,
        )
    # A pre-training has no metric: what it is good for, the next training shows.
    is_measured = not isinstance(model, keras_recs.models.S3RecPretraining)
    if any(data.glob("valid-*")) and is_measured:
        validation = validation_data(config, schema)
        if not schema.labels:
            validation = keras_recs.training.CatalogueMetrics(
                validation, exclude_seen=config.exclude_seen
            )
    batches = training_data(
        config,
        schema,
        share,
        num_workers=workers.num_workers,
        worker_index=workers.index,
        model=model,
    )
    logging.info("%s with %d parameters.", config.model, model.count_params())
    counted = batches
    if workers.is_multi:
        counted = training_data(config, schema, model=model)
    keras_recs.training.set_row_counts(model, schema, counted)
    if workers.is_chief:
        if overwrite:  # not before all that can be wrong has been built
            clear_run(workdir)
        workdir.mkdir(parents=True, exist_ok=True)
        config.save(workdir / "config.json")
    if config.task_cosines:
        # A data set of its own: to read that of training would change its order.
        looked_at = training_data(config, schema)
        cosines = keras_recs.training.TaskCosines(looked_at, schema)
        fit_options["callbacks"] = [cosines]
    history = keras_recs.training.fit(
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
        **fit_options,
    )
    if strategy_name == "parameter_server":
        report = keras_recs.training.server_report(model, batches)
        report.save(workdir / "servers.json")
        logging.info("The parameter servers:\n%s", report)
    return history


def start_from(model, workdir: Path, schema) -> None:
    """Gives a model the weights of a finished run.

    Raises:
        ValueError: for a run that is not finished or read other data, and for a model
            that lacks layers of this one.
    """
    import keras

    import keras_recs

    path = workdir / "model.keras"
    if not path.exists():
        raise ValueError(
            f"Config: `start_from` must be the directory of a finished run. Received: "
            f"start_from='{workdir}', which has no model.keras. Train that one first."
        )
    if keras_recs.Schema.load(workdir).fingerprint() != schema.fingerprint():
        raise ValueError(
            "Config: `start_from` must be a run on the same prepared data. Received: "
            f"start_from='{workdir}', whose schema.json is another one: its rows are "
            "other items."
        )
    source = keras.models.load_model(path, compile=False)
    keras_recs.training.copy_weights(model, source)
    logging.info("%s begins with the weights of '%s'.", model.name, path)


def share_of_batch(config: Config, num_replicas: int, num_workers: int) -> int:
    """Examples that a worker takes of each step.

    Raises:
        ValueError: for a batch that the replicas do not divide, and for sessions side
            by side, whose states are carried, on several of them.
    """
    if config.session and num_replicas > 1:
        raise ValueError(
            "Config: `session` is for one device, on which states are carried from "
            f"batch to batch. Received: {num_replicas} replicas; leave --strategy out."
        )
    if config.batch_size % num_replicas:
        raise ValueError(
            "Config: `batch_size` is that of all replicas together and must be a "
            f"multiple of their number, {num_replicas}. Received: "
            f"batch_size={config.batch_size}"
        )
    return config.batch_size // num_workers


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

    prepared, trained = read_schema(config), Schema.load(workdir)
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
    if OVERWRITE.value and os.environ.get("TF_CONFIG"):
        raise ValueError(
            "--overwrite would remove all checkpoints whenever a launcher starts a "
            f"process of the cluster again. Remove '{workdir}' before, or give another "
            "--workdir."
        )
    is_done = not OVERWRITE.value and is_finished(config, workdir)
    if not is_done or STRATEGY.value == "multi_worker_mirrored":
        # Of several workers the chief's disk may be the one that has the run.
        history = train(
            config,
            workdir,
            STRATEGY.value,
            OVERWRITE.value,
            is_done,
            PLACEMENT.value,
            checkpoint_seconds=CHECKPOINT_SECONDS.value,
            checkpoint_steps=CHECKPOINT_STEPS.value,
            on_nonfinite=ON_NONFINITE.value,
            round_steps=ROUND_STEPS.value,
        )
        is_done = history is None
    if is_done:
        print(f"run: {workdir} is complete; --overwrite trains it again.")
        return
    print(f"run: {workdir}")


if __name__ == "__main__":
    run_program(main)
