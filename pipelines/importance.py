"""Feature importance of a run: a file, a table, plots."""

import json
import os
from pathlib import Path


def measure_importance(
    workdir: Path,
    files: list[str],
    name: str,
    batch_size: int,
    repeats: int,
    max_examples: int,
) -> dict:
    """Adds a data set to `importance.json`, draws the plots, returns the result."""
    import keras

    import keras_recs
    import keras_recs.layers  # registers what a saved model holds
    from keras_recs import evaluation

    schema = keras_recs.Schema.load(workdir)
    model = keras.models.load_model(workdir / "model.keras")
    dataset = keras_recs.data.tfrecord_dataset(
        files,
        schema,
        batch_size,
        shuffle=True,  # where not all examples are held: some of several files
        with_group=schema.group_key is not None,
    )
    results = evaluation.permutation_importance(
        model, dataset, schema, repeats=repeats, max_examples=max_examples
    )
    path = workdir / "importance.json"
    stored = json.loads(path.read_text()) if path.exists() else {}
    stored[name] = _without_nan(results)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(stored, indent=2) + "\n")
    os.replace(temporary, path)
    for label, result in results.items():
        evaluation.plot_importance(
            result,
            workdir / "plots" / f"{name}_{label}_importance.png",
            f"{model.name}: {label} on {name}",
        )
    return results


def importance_table(results: dict) -> str:
    """Features by metrics, the most important first, a table a label."""
    lines = []
    for label, result in results.items():
        metrics = list(result["baseline"])
        width = max(24, *(len(name) for name in result["importance"]))
        lines.append(
            f"importance for {label}: change when a feature is shuffled, mean ± std of "
            f"{result['repeats']}, {result['examples']} examples"
        )
        lines.append(
            "  " + "feature".ljust(width) + "".join(m.rjust(22) for m in metrics)
        )
        baseline = [f"{result['baseline'][m]:.5f}".rjust(22) for m in metrics]
        lines.append("  " + "(as they are)".ljust(width) + "".join(baseline))
        found = result["importance"]
        for name in sorted(found, key=lambda n: _rank(found[n][metrics[0]]["mean"])):
            cells = [
                f"{found[name][m]['mean']:+.5f} ± {found[name][m]['std']:.5f}".rjust(22)
                for m in metrics
            ]
            lines.append("  " + name.ljust(width) + "".join(cells))
    return "\n".join(lines)


def _rank(mean):
    """The largest first, what could not be measured last."""
    return float("inf") if mean != mean else -mean


def _without_nan(value):
    """JSON has no NaN, which an AUC of one class is."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return None if value != value else value
