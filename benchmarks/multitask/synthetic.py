"""The regression of the MMoE paper: two tasks of a given correlation.

x ~ N(0, I) of 100 numbers; w₁ = u₁, w₂ = p·u₁ + √(1 − p²)·u₂ for orthogonal unit
vectors, so that the weights have the cosine p;
y_k = w_k·x + Σ_i sin(α_i w_k·x + β_i) + ε with ten α_i, β_i ~ N(0, 1) that the tasks
share, and ε ~ N(0, .01). All three models have about as many weights.
"""

import itertools
from pathlib import Path

import keras
import numpy as np

import keras_recs

SIZES = {"train": 100_000, "valid": 20_000, "test": 20_000}
DIM, TERMS = 100, 10
BATCH, EPOCHS = 512, 20
CORRELATIONS = (1.0, 0.9, 0.5)
RATES = (1e-3, 3e-3, 1e-2)
TUNING_SEEDS = (1000, 1001, 1002)
# 117 H + 34 weights against 14,818 of MMoE.
MODELS = {
    "shared_bottom": ("shared_bottom", {"hidden_units": (126,)}),
    "omoe": ("mmoe", {"num_experts": 8, "hidden_units": (16,), "shared_gate": True}),
    "mmoe": ("mmoe", {"num_experts": 8, "hidden_units": (16,)}),
}


def settings(found: list[dict], seeds: int) -> list[dict]:
    """Runs that choose the learning rate, then those of the seeds at the best one."""
    cells = list(itertools.product(CORRELATIONS, MODELS))
    tuning = [
        {"correlation": p, "model": name, "rate": rate, "seed": seed}
        for seed in TUNING_SEEDS
        for p, name in cells
        for rate in RATES
    ]
    if not all(setting in [line["setting"] for line in found] for setting in tuning):
        return tuning
    return [
        {"correlation": p, "model": name, "rate": best_rate(found, p, name), "seed": s}
        for s in range(seeds)
        for p, name in cells
    ]


def best_rate(found: list[dict], correlation: float, model: str) -> float:
    """The rate with the least validation error over the tuning seeds."""
    errors = {
        rate: np.mean(
            [
                line["valid_mse"]
                for line in found
                for s in (line["setting"],)
                if (s["correlation"], s["model"], s["rate"])
                == (correlation, model, rate)
                and s["seed"] in TUNING_SEEDS
            ]
        )
        for rate in RATES
    }
    return min(errors, key=errors.get)


def data_of(correlation: float, seed: int) -> tuple[dict, dict]:
    """Inputs `(N, 100)` and labels `(N, 2)` by split; labels have variance 1."""
    rng = np.random.default_rng(seed)
    u, _ = np.linalg.qr(rng.normal(size=(DIM, 2)))
    other = correlation * u[:, 0] + np.sqrt(1 - correlation**2) * u[:, 1]
    alpha, beta = rng.normal(size=(2, TERMS))
    x = rng.normal(size=(sum(SIZES.values()), DIM))
    labels = []
    for w in (u[:, 0], other):
        z = x @ w
        y = z + np.sin(z[:, None] * alpha + beta).sum(1)
        y += 0.1 * rng.normal(size=len(y))
        labels.append((y - y.mean()) / y.std())
    cuts = np.cumsum(list(SIZES.values()))[:-1]
    y = np.stack(labels, 1).astype("float32")
    return (
        dict(zip(SIZES, np.split(x.astype("float32"), cuts), strict=True)),
        dict(zip(SIZES, np.split(y, cuts), strict=True)),
    )


def run(setting: dict, data_dir: Path) -> dict:
    """Trains one model; mean squared errors of the epoch with the best validation."""
    x, y = data_of(setting["correlation"], setting["seed"])
    names = [f"x{i}" for i in range(DIM)]
    schema = keras_recs.Schema(
        features=[keras_recs.NumericFeature(name) for name in names],
        labels=[keras_recs.Label(k, task="regression") for k in ("first", "second")],
    )
    builder, arguments = MODELS[setting["model"]]
    own = getattr(keras_recs.models, builder)(schema, tower_units=(8,), **arguments)
    # One input of 100 numbers: a hundred arrays a batch would take most of the time.
    whole = keras.Input((DIM,), name="x")
    model = keras.Model(whole, own({n: whole[:, i] for i, n in enumerate(names)}))
    model.compile(
        keras.optimizers.Adam(setting["rate"]),
        loss=keras_recs.losses.losses_of(schema),
    )

    def targets(split):
        return {"first": y[split][:, :1], "second": y[split][:, 1:]}

    best: dict = {"valid_mse": np.inf}

    class Measure(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            valid = errors("valid")
            if np.mean(valid) < best["valid_mse"]:
                test = errors("test")
                best.update(
                    valid_mse=round(float(np.mean(valid)), 6),
                    test_mse=[round(float(e), 6) for e in test],
                    epoch=epoch,
                )

    def errors(split):
        found = model.predict(x[split], batch_size=20_000, verbose=0)
        return [
            float(np.mean((np.asarray(found[k])[:, 0] - y[split][:, i]) ** 2))
            for i, k in enumerate(("first", "second"))
        ]

    model.fit(
        x["train"],
        targets("train"),
        batch_size=BATCH,
        epochs=EPOCHS,
        callbacks=[Measure()],
        verbose=0,
    )
    return {**best, "parameters": model.count_params()}


def report(found: list[dict]) -> str:
    """Mean and deviation of the test error, and each model against MMoE by seed."""
    runs = {
        (s["correlation"], s["model"], s["seed"]): np.mean(line["test_mse"])
        for line in found
        for s in (line["setting"],)
        if s["seed"] not in TUNING_SEEDS
    }
    rows = ["| correlation | Shared-Bottom | OMoE | MMoE | MMoE better: OMoE, SB |"]
    rows.append("|---:|---:|---:|---:|---|")
    for p in CORRELATIONS:
        seeds = sorted({key[2] for key in runs if key[0] == p})
        errors = {m: np.array([runs[p, m, s] for s in seeds]) for m in MODELS}
        cells = [f"{e.mean():.4f} ± {e.std(ddof=1):.4f}" for e in errors.values()]
        wins = [
            int((errors["mmoe"] < errors[m]).sum()) for m in ("omoe", "shared_bottom")
        ]
        rows.append(
            f"| {p} | {' | '.join(cells)} | {wins[0]}, {wins[1]} of {len(seeds)} |"
        )
    return "\n".join(rows)
