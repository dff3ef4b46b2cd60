"""Census-Income: income above 50,000, and never married.

The published numbers train on the 199,523 rows of UCI's training file; here the 99,762
of its test file are split 60/20/20, so models compare with each other alone. Education,
marital status and the instance weight are no inputs. The dense weights of all models
are about as many; for the two single-task models that is the sum of both.
"""

import csv
import gzip
import itertools
from pathlib import Path

import keras
import numpy as np

import keras_recs

NUMBERS = (0, 5, 16, 17, 18, 30, 39)
LEFT_OUT = (4, 7, 24)
INCOME, MARITAL = 41, 7
TASKS = ("income", "never_married")
SPLITS = ("train", "valid", "test")
OOV_ROW, FIRST_ROW = 1, 2
BATCH, EPOCHS, PATIENCE, DIM = 512, 60, 5, 8
RATES, DROPOUTS = (1e-3, 3e-4), (0.0, 0.3)
TUNING_SEEDS = (1000, 1001)
# About 63 thousand dense weights each; of a single task half as many.
MODELS = {
    "single": ("shared_bottom", {"hidden_units": (110,), "tower_units": (32,)}),
    "shared_bottom": ("shared_bottom", {"hidden_units": (198,), "tower_units": (32,)}),
    "mmoe": (
        "mmoe",
        {"num_experts": 7, "hidden_units": (32,), "tower_units": (32,)},
    ),
    "ple": (
        "ple",
        {
            "num_layers": 1,
            "num_experts": (2, 3),
            "hidden_units": (32,),
            "tower_units": (32,),
        },
    ),
    "ple_own": (
        "ple",
        {
            "num_layers": 1,
            "num_experts": (3, 1),
            "hidden_units": (32,),
            "tower_units": (32,),
        },
    ),
}
_CACHE: dict = {}


def settings(found: list[dict], seeds: int) -> list[dict]:
    """Runs that choose rate and dropout, then those of the seeds at the best ones."""
    kinds = [("single", task) for task in TASKS]
    kinds += [(name, "both") for name in MODELS if name != "single"]
    tuning = [
        {"model": m, "tasks": t, "rate": rate, "dropout": dropout, "seed": seed}
        for seed in TUNING_SEEDS
        for rate, dropout in itertools.product(RATES, DROPOUTS)
        for m, t in kinds
    ]
    if not all(setting in [line["setting"] for line in found] for setting in tuning):
        return tuning
    chosen = {kind: _best(found, *kind) for kind in kinds}
    return [
        {"model": m, "tasks": t, **chosen[m, t], "seed": seed}
        for seed in range(seeds)
        for m, t in kinds
    ]


def _best(found: list[dict], model: str, tasks: str) -> dict:
    values: dict = {}
    for line in found:
        s = line["setting"]
        if (s["model"], s["tasks"]) == (model, tasks) and s["seed"] in TUNING_SEEDS:
            mean = np.mean(list(line["valid_auc"].values()))
            values.setdefault((s["rate"], s["dropout"]), []).append(mean)
    rate, dropout = max(values, key=lambda key: np.mean(values[key]))
    return {"rate": rate, "dropout": dropout}


def _read(folder: Path) -> tuple[keras_recs.Schema, dict, dict]:
    """Schema without labels, inputs and labels by split."""
    with gzip.open(folder / "census-income.gz", "rt", newline="") as file:
        rows = [[value.strip() for value in row] for row in csv.reader(file) if row]
    columns = list(zip(*rows, strict=True))
    order = np.random.default_rng(0).permutation(len(rows))
    cuts = [int(len(order) * share) for share in (0.6, 0.8)]
    parts = dict(zip(SPLITS, np.split(order, cuts), strict=True))
    features: list = []
    inputs: dict = {split: {} for split in SPLITS}
    for number, column in enumerate(columns[:INCOME]):
        if number in LEFT_OUT:
            continue
        name = f"c{number}"
        if number in NUMBERS:
            values = np.log1p(np.array(column, "float64"))
            train = values[parts["train"]]
            values = (values - train.mean()) / train.std()
            features.append(keras_recs.NumericFeature(name))
            for split, part in parts.items():
                inputs[split][name] = values[part].astype("float32")
            continue
        values = np.array(column)
        known = np.unique(values[parts["train"]])
        features.append(keras_recs.CategoricalFeature(name, vocabulary_size=len(known)))
        place = np.searchsorted(known, values).clip(max=len(known) - 1)
        row = np.where(known[place] == values, place + FIRST_ROW, OOV_ROW)
        for split, part in parts.items():
            inputs[split][name] = row[part].astype("int32")
    truth = {
        "income": np.array([v.startswith("50000") for v in columns[INCOME]]),
        "never_married": np.array([v == "Never married" for v in columns[MARITAL]]),
    }
    labels = {
        split: {k: v[part].astype("float32")[:, None] for k, v in truth.items()}
        for split, part in parts.items()
    }
    return keras_recs.Schema(features=features), inputs, labels


def run(setting: dict, data_dir: Path) -> dict:
    """Trains one model; AUC of each task at the epoch with the best mean validation."""
    import dataclasses

    if not _CACHE:
        _CACHE["data"] = _read(data_dir / "census")
    schema, inputs, labels = _CACHE["data"]
    tasks = TASKS if setting["tasks"] == "both" else (setting["tasks"],)
    schema = dataclasses.replace(schema, labels=[keras_recs.Label(t) for t in tasks])
    builder, arguments = MODELS[setting["model"]]
    model = getattr(keras_recs.models, builder)(
        schema,
        embedding_dim=DIM,
        dropout=setting["dropout"],
        seed=setting["seed"],
        **arguments,
    )
    model.compile(
        keras.optimizers.Adam(setting["rate"]),
        loss=keras_recs.losses.losses_of(schema),
    )

    def aucs(split):
        scores = model.predict(inputs[split], batch_size=20_000, verbose=0)
        return {
            t: round(
                keras_recs.metrics.auc(
                    labels[split][t][:, 0], np.asarray(scores[t])[:, 0]
                ),
                6,
            )
            for t in tasks
        }

    best: dict = {"epoch": -1}

    class Measure(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            valid = aucs("valid")
            old = best.get("valid_auc", dict.fromkeys(tasks, 0.0))
            if np.mean(list(valid.values())) > np.mean(list(old.values())):
                best.update(valid_auc=valid, test_auc=aucs("test"), epoch=epoch)
            elif epoch - best["epoch"] >= PATIENCE:
                self.model.stop_training = True

    model.fit(
        inputs["train"],
        {t: labels["train"][t] for t in tasks},
        batch_size=BATCH,
        epochs=EPOCHS,
        callbacks=[Measure()],
        verbose=0,
    )
    tables = sum(
        int(np.prod(w.shape)) for w in model.weights if w.path.endswith("embeddings")
    )
    return {**best, "dense_parameters": model.count_params() - tables}


def report(found: list[dict]) -> str:
    """Mean and deviation of both AUCs, and the differences to the single task."""
    values: dict = {}
    sizes: dict = {}
    for line in found:
        s = line["setting"]
        if s["seed"] in TUNING_SEEDS:
            continue
        sizes.setdefault(s["model"], {})[s["tasks"]] = line["dense_parameters"]
        for task, auc in line["test_auc"].items():
            values.setdefault((s["model"], task), {})[s["seed"]] = auc
    rows = ["| model | dense weights | income | never married | against single-task |"]
    rows.append("|---|---:|---:|---:|---|")
    for model in MODELS:
        cells, differences = [], []
        for task in TASKS:
            own, single = values[model, task], values["single", task]
            auc = np.array([own[s] for s in sorted(own)])
            cells.append(f"{auc.mean():.4f} ± {auc.std(ddof=1):.4f}")
            gap = auc - np.array([single[s] for s in sorted(own)])
            differences.append(f"{gap.mean():+.4f}")
        rows.append(
            f"| {model} | {sum(sizes[model].values()):,} | {' | '.join(cells)} | "
            f"{', '.join(differences)} |"
        )
    return "\n".join(rows)
