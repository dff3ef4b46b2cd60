"""A search over the model of a configuration."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

from pipelines.config import Config
from pipelines.from_config import builder_of, training_data, validation_data


def make_hypermodel(config: Config, schema):
    """The model of a configuration with ranges in the place of arguments."""
    from keras_recs import tuning
    from keras_recs.training.make_optimizer import make_optimizer

    builder, arguments = builder_of(config)
    ranges = tuning.search_space(builder, config.space)
    return tuning.build_hypermodel(
        schema,
        builder,
        space=config.space,
        arguments={k: v for k, v in arguments.items() if k not in ranges},
        optimizer=lambda rate: make_optimizer(
            config.optimizer, rate, config.optimizer_groups
        ),
        objective=config.monitor,
        patience=config.patience,
        seed=config.seed,
        steps_per_execution=config.steps_per_execution,
    )


def begin_search(workdir: Path, identity: dict, overwrite: bool) -> None:
    """Makes the folder ready, for a new search or for one that goes on.

    Raises:
        ValueError: if it holds another search.
    """
    text = json.dumps(identity, indent=2) + "\n"
    stored = workdir / "search.json"
    if overwrite:
        for name in ("trials", "best", "plots"):
            shutil.rmtree(workdir / name, ignore_errors=True)
        for name in ("trials.csv", "trials.md"):
            (workdir / name).unlink(missing_ok=True)
    elif stored.exists() and stored.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"'{workdir}' holds another search (see its search.json). Give another "
            "--workdir, or --overwrite to start anew."
        )
    workdir.mkdir(parents=True, exist_ok=True)
    temporary = stored.with_name(f".search.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, stored)


def run_search(
    config: Config, workdir: Path, tuner_name: str, max_trials: int, **options
):
    """Searches; returns the best trial, or `None` in a tuner that has a chief."""
    import keras

    import keras_recs
    from keras_recs import tuning

    schema = keras_recs.Schema.load(config.data)
    keras.config.set_dtype_policy(config.dtype_policy)
    hypermodel = make_hypermodel(config, schema)
    tuner = tuning.make_tuner(
        tuner_name,
        hypermodel,
        workdir,
        max_trials=max_trials,
        max_epochs=config.epochs,
        **options,
    )
    trials, epochs = tuning.budget(
        tuner_name, max_trials, config.epochs, options.get("executions", 1)
    )
    print(f"search: at most {trials} trials and {epochs} epochs in all.", flush=True)
    results: list = []
    try:
        results = tuning.search(
            tuner,
            lambda size: training_data(config, schema, size),
            validation_data(config, schema),
            epochs=config.epochs,
        )
    finally:  # with the trials of a search that failed or was interrupted
        is_chief = hasattr(tuner.oracle, "trials")
        results = results or tuning.read_trials(tuner.project_dir)
        if is_chief and results:
            direction = hypermodel.objective.direction
            tuning.write_trials(results, workdir, direction, config.model)
    if not is_chief:
        return None
    best = tuning.write_best(tuner, workdir / "best")
    dataclasses.replace(
        config,
        model_arguments={**config.model_arguments, **best["arguments"]},
        **best["training"],
        monitor=hypermodel.objective.name,
        space={},
    ).save(workdir / "best" / "config.json")
    return best
