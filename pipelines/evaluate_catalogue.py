"""A model of sequences over its whole catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.stored_config import stored_config

KS = (5, 10, 20)


def evaluate_catalogue(
    model, schema, workdir: Path, files: list[str], batch_size: int, exclude_seen: bool
) -> tuple[dict[str, dict[str, float]], Any]:
    """Ranks what came next, and looks at the lists of 20 that users would see.

    Args:
        model: `NextItemModel`.
        schema: its schema.
        workdir: run directory; the training data that its `config.json` names say how
            popular items are.
        files: TFRecord files of histories, the last event of which is the target.
        batch_size: int.
        exclude_seen: bool. Whether items of a history are no candidates.

    Returns:
        Metrics by the name of the feature, and the ranks.

    Raises:
        ValueError: for data without a target.
    """
    import numpy as np

    from keras_recs import evaluation
    from keras_recs.data import sequence_dataset

    name, query_model = model.items_input, model.query_model()
    dataset = sequence_dataset(
        files,
        schema,
        batch_size,
        items=name,
        features=[other for other in query_model.input if other != name],
        with_seen=True,
        shuffle=False,
    )
    ranks = evaluation.next_item_ranks(model, dataset, exclude_seen, query_model)
    if not len(ranks):
        raise ValueError(f"--data holds no history of two events. Received: {files}")
    vectors, biases = model.item_vectors()
    values = evaluation.ranking_values(ranks, KS)
    found = {metric: float(each.mean()) for metric, each in values.items()}
    for k in KS:
        found[f"recall@{k}"] = found[f"hit_rate@{k}"]  # one relevant item
    for metric in ("hit_rate@10", "ndcg@10"):
        low, high = evaluation.bootstrap_interval(values[metric])
        found |= {f"{metric}_low": low, f"{metric}_high": high}
    lists, unknown = [], 0
    k = min(KS[-1], len(vectors))
    for queries, targets, seen in evaluation.next_item_queries(
        model, dataset, exclude_seen, query_model
    ):
        ids, _ = evaluation.catalogue_top_k(queries, vectors, k, biases, seen)
        lists.append(ids)
        unknown += int((targets < 0).sum())
    shown = np.concatenate(lists)
    found[f"coverage@{k}"] = evaluation.catalogue_coverage(shown, len(vectors))
    found[f"exposure_gini@{k}"] = evaluation.exposure_gini(shown, len(vectors))
    counts = item_counts(model, schema, workdir, name, batch_size)
    if counts is not None:
        found[f"novelty@{k}"] = evaluation.novelty(shown, counts + 1)
    found |= {
        "items": len(vectors),
        "unknown_targets": unknown,
        "exclude_seen": int(exclude_seen),
        "examples": len(ranks),
    }
    return {name: found}, ranks


def item_counts(model, schema, workdir: Path, name: str, batch_size: int):
    """How often training reads each item, or `None` where its data are gone."""
    from keras_recs.data import row_counts, tfrecord_dataset

    config = stored_config(workdir)
    data = Path(config.get("data", ""))
    if not config or not any(data.glob("train-*")):
        return None
    train = tfrecord_dataset(str(data / "train-*"), schema, batch_size, shuffle=False)
    counts = row_counts(train, schema)[schema[name].table_name]
    return counts[model.first_row :]
