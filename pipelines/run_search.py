"""A search over the model of a configuration."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

from pipelines.config import Config
from pipelines.from_config import (
    builder_of,
    read_schema,
    training_data,
    validation_data,
)


def make_hypermodel(config: Config, schema):
    """The model of a configuration with ranges for what it leaves open."""
    from keras_recs import tuning
    from keras_recs.training.make_optimizer import make_optimizer

    builder, arguments = builder_of(config)
    return tuning.build_hypermodel(
        schema,
        builder,
        space=config.space,
        arguments={k: v for k, v in arguments.items() if k not in config.space},
        optimizer=lambda rate: make_optimizer(
            config.optimizer, rate, config.optimizer_groups
        ),
        objective=config.monitor,
        patience=config.patience,
        seed=config.seed,
        steps_per_execution=config.steps_per_execution,
    )


def has_chief() -> bool:
    """Whether this process is a tuner to which a chief hands out trials."""
    is_alone = "KERASTUNER_ORACLE_IP" not in os.environ
    return not (is_alone or "chief" in os.environ.get("KERASTUNER_TUNER_ID", ""))


def check_search(workdir: Path, identity: dict) -> None:
    """Raises a `ValueError` if the folder holds another search."""
    stored = workdir / "search.json"
    if not stored.exists():
        return
    known = json.loads(stored.read_text(encoding="utf-8"))
    changed = [name for name, value in identity.items() if known.get(name) != value]
    if changed:
        raise ValueError(
            f"'{workdir}' holds a search with another {' and '.join(changed)} (see its "
            "search.json; the schema is another one where the data were prepared "
            "again). Give another --workdir, or --overwrite to start anew."
        )


def begin_search(workdir: Path, identity: dict, overwrite: bool) -> None:
    """Makes the folder ready, for a new search or for one that goes on.

    A tuner leaves that to its chief.

    Raises:
        ValueError: if it holds another search.
    """
    if has_chief():
        return
    if overwrite:
        for name in ("trials", "best", "plots"):
            shutil.rmtree(workdir / name, ignore_errors=True)
        for name in ("trials.csv", "trials.md"):
            (workdir / name).unlink(missing_ok=True)
    else:
        check_search(workdir, identity)
    workdir.mkdir(parents=True, exist_ok=True)
    temporary = workdir / f".search.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, workdir / "search.json")


def describe(hypermodel, config: Config) -> str:
    """What a search varies and what it does not, as two lines."""
    ranges = {"batch_size": config.batch_size, **hypermodel.ranges}
    searched = {k: v for k, v in ranges.items() if isinstance(v, (list, dict))}
    held = {**hypermodel.held, **{k: ranges[k] for k in ranges if k not in searched}}
    return "\n".join(
        f"{title}: {', '.join(f'{name}={value}' for name, value in values.items())}"
        for title, values in (("searched", searched), ("held", held))
    )


def run_search(
    config: Config,
    workdir: Path,
    tuner_name: str,
    max_trials: int,
    overwrite: bool,
    **options,
):
    """Searches; returns the best trial, or `None` in a tuner that has a chief."""
    import keras

    from keras_recs import tuning

    if config.task_weighting or config.task_cosines:
        raise ValueError(
            "Config: a search weighs no tasks and compares no gradients. Leave "
            "`task_weighting` and `task_cosines` out, and train its best with them."
        )
    schema = read_schema(config)
    keras.config.set_dtype_policy(config.dtype_policy)
    hypermodel = make_hypermodel(config, schema)
    identity = {
        "tuner": tuner_name,
        **options,
        "schema": schema.fingerprint(),
        "config": json.loads(config.to_json()),
    }
    begin_search(workdir, identity, overwrite)
    tuner = tuning.make_tuner(
        tuner_name,
        hypermodel,
        workdir,
        max_trials=max_trials,
        max_epochs=config.epochs,
        **options,
    )
    if has_chief():
        tuner.oracle.get_space()  # waits for the chief, which has begun the search
        check_search(workdir, identity)
    trials, epochs = tuning.budget(
        tuner_name, max_trials, config.epochs, options.get("executions", 1)
    )
    print(f"search: at most {trials} trials and {epochs} epochs in all.")
    print(describe(hypermodel, config), flush=True)
    results: list = []
    try:
        results = tuning.search(
            tuner,
            lambda size: training_data(config, schema, size),
            validation_data(config, schema),
            epochs=config.epochs,
        )
    finally:  # with the trials of a search that failed or was interrupted
        results = results or tuning.read_trials(tuner.project_dir)
        if results and not has_chief():
            direction = hypermodel.objective.direction
            tuning.write_trials(results, workdir, direction, config.model)
    if has_chief():
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
