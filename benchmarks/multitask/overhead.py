r"""What a weighting adds to a step of MMoE.

  python -m benchmarks.multitask.overhead

26 categorical features with tables of 40,000 rows of 16, eight experts of 256-128, two
labels, batches of 2,048, `RowwiseAdagrad`. The plain model and one under each weighting
take turns, `--rounds` of them with `--steps` steps each; the ratio is that of the
medians of a step, and the range that of the rounds.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.hardware import hardware

ROWS, FEATURES, BATCH, BATCHES = 40_000, 26, 2048, 8
STEPS = flags.DEFINE_integer("steps", 20, "Steps of each in a round.", 1)
ROUNDS = flags.DEFINE_integer("rounds", 7, "Turns of each.", 1)
OUTPUT = flags.DEFINE_string(
    "output", "benchmarks/results/multitask_overhead.json", "JSON file."
)


def make_models():
    """The plain model and those under weightings, compiled, by name."""
    import keras

    import keras_recs
    from keras_recs import training

    schema = keras_recs.Schema(
        [
            keras_recs.CategoricalFeature(f"C{i}", vocabulary_size=ROWS)
            for i in range(FEATURES)
        ],
        [keras_recs.Label("click"), keras_recs.Label("like")],
    )
    weightings = {
        "plain": None,
        "GivenWeights": training.GivenWeights({"click": 1.0, "like": 0.5}),
        "UncertaintyWeights": training.UncertaintyWeights(),
        "DynamicWeightAverage": training.DynamicWeightAverage(),
        "GradNorm": training.GradNorm("experts"),
        "PCGrad": training.PCGrad(),
    }
    models = {}
    for name, weighting in weightings.items():
        keras.utils.set_random_seed(0)
        model = keras_recs.models.mmoe(schema)
        if weighting is not None:
            model = training.weigh_tasks(model, schema, weighting)
        model.compile(
            keras_recs.optimizers.RowwiseAdagrad(0.01),
            keras_recs.losses.losses_of(schema),
            jit_compile=False,
        )
        models[name] = model
    return models


def make_dataset():
    """Seeded batches, again and again."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shape = (BATCHES * BATCH,)
    x = {f"C{i}": rng.integers(2, ROWS, shape).astype("int32") for i in range(FEATURES)}
    y = {
        name: rng.integers(0, 2, (*shape, 1)).astype("float32")
        for name in ("click", "like")
    }
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
    return dataset.cache().repeat().prefetch(2)


def main(_) -> None:
    """Times them in turn."""
    models, dataset = make_models(), make_dataset()
    batches = iter(dataset)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for model in models.values():  # traced, and caches filled
        model.make_train_function()
        for _ in range(3):
            model.train_function(batches)
    for _ in range(ROUNDS.value):
        for name, model in models.items():
            start = time.perf_counter()
            for _ in range(STEPS.value):
                logs = model.train_function(batches)
            float(logs["loss"])
            seconds[name].append((time.perf_counter() - start) / STEPS.value)
    plain = np.array(seconds["plain"])
    result = {
        name: {
            "ms_a_step": round(1e3 * float(np.median(times)), 2),
            "ratio": round(float(np.median(times) / np.median(plain)), 3),
            "ratios_of_rounds": [round(float(r), 3) for r in np.array(times) / plain],
        }
        for name, times in seconds.items()
    }
    command = " ".join(["python -m benchmarks.multitask.overhead", *sys.argv[1:]])
    value = {**hardware(), "command": command, "steps": result}
    print(json.dumps(value, indent=1))
    Path(OUTPUT.value).write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
