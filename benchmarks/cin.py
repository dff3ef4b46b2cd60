r"""A training step of `CIN` beside the plain ways to compute the same maps.

`outer` multiplies all maps below with all fields, `(B, D, H·F)`, and the kernel then;
in `fields` and `maps` the kernel first meets the fields or the maps below. All take the
same weights and must give gradients of the same norms. They take turns in one process;
the peak of each is that of a process of its own.

  python -m benchmarks.cin --batch=2048 --fields=26 --dim=16 --layer_sizes=128,128
  python -m benchmarks.cin --batch=4096 --fields=10 --dim=10 --layer_sizes=64
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.hardware import hardware

FORMS = ("layer", "outer", "maps", "fields")
BATCH = flags.DEFINE_integer("batch", 2048, "Examples a step.")
FIELDS = flags.DEFINE_integer("fields", 26, "Fields.")
DIM = flags.DEFINE_integer("dim", 16, "Length of an embedding.")
SIZES = flags.DEFINE_list("layer_sizes", ["128", "128"], "Maps of each layer.")
CHOSEN = flags.DEFINE_multi_enum("form", ["layer", "outer"], FORMS, "What runs.")
STEPS = flags.DEFINE_integer("steps", 7, "Steps of each, in turn.")
SPLIT = flags.DEFINE_bool("split_half", False, "Of `layer` alone.")
PEAKS = flags.DEFINE_bool("peaks", True, "Measure memory in processes of their own.")


def plain(inputs, kernels, form):
    """The sums of the maps of `(B, F, D)`, one large product a layer."""
    import tensorflow as tf

    x = x0 = tf.transpose(inputs, (0, 2, 1))
    dim, fields = x0.shape[1:]
    outputs = []
    for kernel in kernels:
        below, size = x.shape[-1], kernel.shape[-1]
        flat, flat0 = tf.reshape(x, (-1, below)), tf.reshape(x0, (-1, fields))
        if form == "outer":
            pairs = flat[:, :, None] * flat0[:, None, :]
            x = tf.reshape(pairs, (-1, below * fields)) @ kernel
        elif form == "maps":
            first = flat @ tf.reshape(kernel, (below, fields * size))
            x = flat0[:, None] @ tf.reshape(first, (-1, fields, size))
        else:
            turned = tf.transpose(tf.reshape(kernel, (below, fields, size)), (1, 0, 2))
            first = flat0 @ tf.reshape(turned, (fields, below * size))
            x = flat[:, None] @ tf.reshape(first, (-1, below, size))
        x = tf.reshape(x, (-1, dim, size))
        outputs.append(tf.reduce_sum(x, axis=1))
    return tf.concat(outputs, axis=-1)


def make_step(form):
    """A function that computes the gradients of one batch and returns their norms."""
    import tensorflow as tf

    import keras_recs

    rng = np.random.default_rng(0)
    shape = (BATCH.value, FIELDS.value, DIM.value)
    inputs = tf.constant(rng.normal(scale=0.3, size=shape), "float32")
    layer = keras_recs.layers.CIN([int(size) for size in SIZES.value], SPLIT.value)
    layer.build(shape)
    layer.set_weights(
        [rng.normal(scale=w.shape[0] ** -0.5, size=w.shape) for w in layer.weights]
    )
    kernels = [kernel.value for kernel in layer.kernels]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            if form == "layer":
                outputs = layer(inputs)
            else:
                outputs = plain(inputs, kernels, form)
            loss = tf.reduce_sum(tf.square(outputs))
        return [tf.norm(g) for g in tape.gradient(loss, [inputs, *kernels])]

    return lambda: [float(norm) for norm in step()]


def peak_memory():
    """Megabytes; `ru_maxrss` would begin with the peak of the parent process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) // 1024


def peak_of(form):
    """Megabytes that two steps add to a process that has imported TensorFlow."""
    flag = [flag for flag in sys.argv[1:] if not flag.startswith("--form")]
    command = [sys.executable, "-m", "benchmarks.cin", *flag, f"--form={form}"]
    done = subprocess.run(
        [*command, "--nopeaks", "--steps=1"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return json.loads(done.stdout)["peak_mb"]


def main(_) -> None:
    """Runs the benchmark."""
    import keras_recs  # noqa: F401  its memory is not the step's

    if SPLIT.value and set(CHOSEN.value) != {"layer"}:
        raise app.UsageError("`split_half` needs `--form=layer` alone.")
    machine = hardware()
    before = peak_memory()
    steps = {form: make_step(form) for form in CHOSEN.value}
    norms = {form: step() for form, step in steps.items()}
    for form, values in norms.items():
        expected = norms[CHOSEN.value[0]]
        np.testing.assert_allclose(values, expected, rtol=1e-3, err_msg=form)
    times: dict[str, list[float]] = {form: [] for form in steps}
    for _ in range(STEPS.value):
        for form, step in steps.items():
            start = time.perf_counter()
            step()
            times[form].append(1e3 * (time.perf_counter() - start))
    results = {
        "milliseconds": {f: round(statistics.median(t), 1) for f, t in times.items()},
        "fastest": {form: round(min(t), 1) for form, t in times.items()},
        "hardware": machine,
    }
    if PEAKS.value:
        results["peak_mb"] = {form: peak_of(form) for form in steps}
    else:
        results["peak_mb"] = peak_memory() - before
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    app.run(main)
