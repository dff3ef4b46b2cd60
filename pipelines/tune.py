r"""Searches the hyperparameters of a configuration's model with Keras Tuner.

Examples:
  python -m pipelines.tune --config=pipelines/configs/synthetic_deepfm.py \
      --workdir=tuning/deepfm --tuner=bayesian --max_trials=20 --max_epochs=10 \
      --set 'model_arguments={}'
  python -m pipelines.tune … --tuner=hyperband --max_epochs=9 --set model=dcn_v2
  python -m pipelines.tune … --objective=val_click_log_loss \
      --set 'space.dropout=[0.0,0.2]' --set space.embedding_dim=16 \
      --set 'space.learning_rate={"low":1e-4,"high":1e-2}'

What the model's builder takes is searched in default ranges, but for what the
configuration sets in `model_arguments`, which is held. `space` gives other ranges: a
list, {"low": …, "high": …}, or a single value that is held. It leaves trials.csv,
trials.md, plots/importance.png and best/, a run directory for pipelines.evaluate and
pipelines.export whose config.json holds the best arguments.

Run again after an interruption, it goes on, also with more --max_trials. In parallel:
the same command as a chief and several tuners that share the folder, with
KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT, and KERASTUNER_TUNER_ID=chief, tuner0, ….
"""

import dataclasses
from pathlib import Path

from absl import flags

from pipelines.config import load_config
from pipelines.run_program import run_program
from pipelines.run_search import run_search

CONFIG = flags.DEFINE_string("config", None, "Python file with get_config().")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the search.")
SET = flags.DEFINE_multi_string("set", [], "Override: key=value; may be repeated.")
TUNER = flags.DEFINE_enum(
    "tuner", "bayesian", ["bayesian", "hyperband", "random"], "How trials are chosen."
)
OBJECTIVE = flags.DEFINE_string("objective", None, "Metric. Default: config's monitor.")
MAX_TRIALS = flags.DEFINE_integer("max_trials", 20, "Trials at most.", 1)
MAX_EPOCHS = flags.DEFINE_integer("max_epochs", None, "Default: config's epochs.", 1)
EXECUTIONS = flags.DEFINE_integer("executions", 1, "Times a trial is trained.", 1)
SEED = flags.DEFINE_integer("seed", None, "Of the draws. Default: config's seed.", 0)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a search that is there.")
flags.mark_flags_as_required(["config", "workdir"])


def main(_) -> None:
    """Runs the program."""
    config = load_config(CONFIG.value).replaced(SET.value)
    config = dataclasses.replace(
        config,
        epochs=MAX_EPOCHS.value or config.epochs,
        monitor=OBJECTIVE.value or config.monitor,
    )
    seed = config.seed if SEED.value is None else SEED.value
    options = {"executions": EXECUTIONS.value, "seed": seed}
    workdir = Path(WORKDIR.value)
    best = run_search(
        config, workdir, TUNER.value, MAX_TRIALS.value, OVERWRITE.value, **options
    )
    if best is not None:
        print(f"best: trial {best['trial']}, {best['score']:.5f}: {best['values']}")
        print(f"run: {workdir / 'best'}")


if __name__ == "__main__":
    run_program(main)
