"""A synthetic funnel with selection bias, whose conversion rate is known everywhere.

Users and items have hidden vectors. The click rate depends on one part of their match,
the conversion rate on another and on the first, so that clicked impressions are those
that convert more easily. What every impression would do after a click is drawn, so the
conversion rate can be measured where nobody clicked. A model that is trained on clicked
impressions alone has the tower and the embeddings of ESMM's conversion.
"""

from pathlib import Path

import keras
import numpy as np

import keras_recs

USERS, ITEMS, SHOPS = 5000, 3000, 50
SIZES = {"train": 600_000, "valid": 100_000, "test": 200_000}
BATCH, EPOCHS, PATIENCE, DIM, HIDDEN = 2048, 10, 2, 16, (64, 32)
RATES = (1e-3, 3e-3)
TUNING_SEEDS = (1000, 1001)
MODELS = ("cvr_on_clicks", "esmm")
CVR = "conversion_given_click"


def settings(found: list[dict], seeds: int) -> list[dict]:
    """Runs that choose the rate, then those of the seeds at the best one."""
    tuning = [
        {"model": model, "rate": rate, "seed": seed}
        for seed in TUNING_SEEDS
        for model in MODELS
        for rate in RATES
    ]
    if not all(setting in [line["setting"] for line in found] for setting in tuning):
        return tuning
    rates = {}
    for model in MODELS:
        values: dict = {}
        for line in found:
            s = line["setting"]
            if s["model"] == model and s["seed"] in TUNING_SEEDS:
                values.setdefault(s["rate"], []).append(line["valid_loss"])
        rates[model] = min(values, key=lambda rate: np.mean(values[rate]))
    return [
        {"model": model, "rate": rates[model], "seed": seed}
        for seed in range(seeds)
        for model in MODELS
    ]


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def data_of(seed: int) -> tuple[dict, dict]:
    """Inputs and what is true, by split."""
    rng = np.random.default_rng(seed)
    user, item = rng.normal(size=(USERS, 4)), rng.normal(size=(ITEMS, 4))
    shop_of = rng.integers(0, SHOPS, ITEMS)
    shop = rng.normal(size=SHOPS)
    count = sum(SIZES.values())
    # Popular items are shown more often.
    shares = 1 / np.arange(1, ITEMS + 1) ** 0.8
    u = rng.integers(0, USERS, count)
    i = rng.choice(ITEMS, count, p=shares / shares.sum())
    liking = (user[u, :2] * item[i, :2]).sum(1) / np.sqrt(2)
    need = (user[u, 2:] * item[i, 2:]).sum(1) / np.sqrt(2)
    click_rate = _sigmoid(-3.2 + 1.2 * liking + 0.5 * shop[shop_of[i]])
    rate = _sigmoid(-2.6 + 0.8 * liking + 1.2 * need + 0.5 * shop[shop_of[i]])
    click = rng.uniform(size=count) < click_rate
    would = rng.uniform(size=count) < rate  # what it would do after a click
    columns = {"user": u + 2, "item": i + 2, "shop": shop_of[i] + 2}
    truth = {"click": click, "would": would, "conversion": click & would, "rate": rate}
    inputs: dict = {}
    labels: dict = {}
    start = 0
    for split, size in SIZES.items():
        part = slice(start, start + size)
        inputs[split] = {k: v[part].astype("int32") for k, v in columns.items()}
        labels[split] = {k: v[part].astype("float32") for k, v in truth.items()}
        start += size
    return inputs, labels


def run(setting: dict, data_dir: Path) -> dict:
    """Trains one model and measures its conversion rate on all impressions."""
    inputs, labels = data_of(setting["seed"])
    is_esmm = setting["model"] == "esmm"
    names = [keras_recs.Label("click"), keras_recs.Label("conversion", given="click")]
    schema = keras_recs.Schema(
        features=[
            keras_recs.CategoricalFeature("user", vocabulary_size=USERS),
            keras_recs.CategoricalFeature("item", vocabulary_size=ITEMS),
            keras_recs.CategoricalFeature("shop", vocabulary_size=SHOPS),
        ],
        labels=names if is_esmm else [keras_recs.Label(CVR)],
    )
    arguments = {"embedding_dim": DIM, "hidden_units": HIDDEN}
    if is_esmm:
        model = keras_recs.models.esmm(schema, **arguments)
    else:
        model = keras_recs.models.shared_bottom(schema, tower_units=(), **arguments)
    model.compile(
        keras.optimizers.Adam(setting["rate"]),
        loss=keras_recs.losses.losses_of(schema),
    )

    def data(split):
        if is_esmm:
            y = {k: labels[split][k][:, None] for k in ("click", "conversion")}
            return inputs[split], y
        clicked = labels[split]["click"] == 1
        x = {k: v[clicked] for k, v in inputs[split].items()}
        return x, {CVR: labels[split]["conversion"][clicked][:, None]}

    x, y = data("train")
    history = model.fit(
        x,
        y,
        batch_size=BATCH if is_esmm else BATCH // 8,
        epochs=EPOCHS,
        validation_data=data("valid"),
        callbacks=[
            keras.callbacks.EarlyStopping(
                "val_loss", patience=PATIENCE, restore_best_weights=True
            )
        ],
        verbose=0,
    )
    scores = model.predict(inputs["test"], batch_size=50_000, verbose=0)
    p = np.asarray(scores[CVR])[:, 0]
    truth = labels["test"]
    clicked = truth["click"] == 1
    metrics = keras_recs.metrics
    result = {
        "valid_loss": round(min(history.history["val_loss"]), 6),
        "epochs": len(history.epoch),
        "auc_everywhere": metrics.auc(truth["would"], p),
        "auc_clicked": metrics.auc(truth["would"][clicked], p[clicked]),
        "calibration_everywhere": float(p.mean() / truth["rate"].mean()),
        "calibration_clicked": float(p[clicked].mean() / truth["rate"][clicked].mean()),
        "log_loss_everywhere": metrics.log_loss(truth["would"], p),
        "rate_error": float(np.abs(p - truth["rate"]).mean()),
        "clicks": float(truth["click"].mean()),
        "rate_everywhere": float(truth["rate"].mean()),
        "rate_clicked": float(truth["rate"][clicked].mean()),
    }
    if is_esmm:
        own = np.asarray(scores["conversion"])[:, 0]
        result["ctcvr_auc"] = metrics.auc(truth["conversion"], own)
    return {k: round(float(v), 6) for k, v in result.items()}


def report(found: list[dict]) -> str:
    """Mean and deviation of each measure, and how many seeds ESMM won."""
    runs = {
        (line["setting"]["model"], line["setting"]["seed"]): line
        for line in found
        if line["setting"]["seed"] not in TUNING_SEEDS
    }
    seeds = sorted({seed for _, seed in runs})
    rows = ["| | trained on clicks | ESMM | ESMM better |", "|---|---:|---:|---|"]
    for key in (
        "auc_everywhere",
        "auc_clicked",
        "log_loss_everywhere",
        "calibration_everywhere",
        "calibration_clicked",
        "rate_error",
    ):
        values = {m: np.array([runs[m, s][key] for s in seeds]) for m in MODELS}
        cells = [f"{v.mean():.4f} ± {v.std(ddof=1):.4f}" for v in values.values()]
        one, other = values["cvr_on_clicks"], values["esmm"]
        if key.startswith("calibration"):
            one, other = -np.abs(np.log(one)), -np.abs(np.log(other))
        elif not key.startswith("auc"):
            one, other = -one, -other
        won = int((other > one).sum())
        rows.append(
            f"| {key.replace('_', ' ')} | {' | '.join(cells)} | {won} of {len(seeds)} |"
        )
    return "\n".join(rows)
