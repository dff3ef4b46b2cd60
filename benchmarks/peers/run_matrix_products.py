"""No library: what the matrix products of a model take at the least on this machine.

The rate is that of the fastest of some products of two large matrices by TensorFlow,
measured in the same rounds as the libraries. A real step multiplies smaller matrices,
looks rows up and updates them besides: it is slower.
"""

import json
import time

import peer_keras
from models_matrix_products import flops_per_example
from peer_run import peak_megabytes, read_spec, versions_of

SIDE, TIMES = 2048, 10
WHY_NOT = dict.fromkeys(("logistic_regression", "fm"), "it has no matrix products")
MODELS = (
    "wide_and_deep",
    "deepfm",
    "xdeepfm",
    "dcn",
    "dcn_v2",
    "dlrm",
    "autoint",
    "masknet",
    "finalmlp",
    "din",
    "dien",
    "mmoe",
    "ple",
)


def measure_rate() -> float:
    """Floating-point operations a second of one large matrix product."""
    import tensorflow as tf

    x = tf.random.normal((SIDE, SIDE))
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        tf.matmul(x, x).numpy()
        times.append(time.perf_counter() - start)
    return 2 * SIDE**3 / min(times)


def main() -> None:
    """Runs one cell."""
    spec = read_spec(models=MODELS, why_not=WHY_NOT)
    peer_keras.start(spec)
    rate = measure_rate()
    flops = flops_per_example(spec)
    result = {
        "examples_per_s": round(rate / flops, 1),
        "step_ms_median": round(1e3 * spec.batch * flops / rate, 3),
        "mflop_per_example": round(flops / 1e6, 3),
        "gflop_per_s": round(rate / 1e9, 1),
        "peak_rss_mb": round(peak_megabytes(), 1),
        "versions": versions_of("tensorflow", "numpy"),
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
