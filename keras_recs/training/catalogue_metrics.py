"""Ranks over the whole catalogue at the end of each epoch."""

from __future__ import annotations

import keras

from keras_recs.evaluation.ranking.next_item_ranks import next_item_ranks
from keras_recs.evaluation.ranking.ranking_metrics import ranking_metrics


class CatalogueMetrics(keras.callbacks.Callback):
    """Adds `val_ndcg@10` and its like to the logs of each epoch of a `NextItemModel`.

    The item that came next is ranked among all items, as `evaluation.next_item_ranks`
    does it: in chunks, so that the memory is bounded. Put it before callbacks that
    monitor these metrics, such as `EarlyStopping`. `keras_recs.training.fit` makes one
    of its `validation`, or takes it in its place.

    Args:
        dataset: validation batches, as `evaluation.next_item_queries` takes them.
        ks: ints. Defaults to `(10,)`.
        exclude_seen: bool. Whether items of a history are no candidates for its user.
            Defaults to `True`.
        memory_bytes: int. As in `evaluation.catalogue_ranks`. Defaults to `268435456`.
        prefix: string. Defaults to `"val_"`.

    Example: `model.fit(batches, callbacks=[CatalogueMetrics(valid)])` logs
    `val_hit_rate@10`, `val_ndcg@10`, `val_mrr@10` and `val_mrr`.
    """

    def __init__(
        self,
        dataset,
        ks=(10,),
        exclude_seen=True,
        memory_bytes=1 << 28,
        prefix="val_",
    ):
        super().__init__()
        self.dataset = dataset
        self.ks = tuple(ks)
        self.exclude_seen = exclude_seen
        self.memory_bytes = memory_bytes
        self.prefix = prefix
        self._query_model = None

    @property
    def names(self):
        """Of the metrics, as they are in the logs."""
        return [f"{self.prefix}{name}" for name in ranking_metrics([1], self.ks)]

    def on_train_begin(self, logs=None):
        """Makes the model of queries, once for all epochs."""
        self._query_model = self.model.query_model()

    def on_epoch_end(self, epoch, logs=None):
        """Ranks the items that came next and extends the logs."""
        ranks = next_item_ranks(
            self.model,
            self.dataset,
            self.exclude_seen,
            self._query_model,
            self.memory_bytes,
        )
        if not len(ranks):
            raise ValueError(
                "`dataset` must have an example whose last event is followed by an "
                "item. Received: none"
            )
        found = ranking_metrics(ranks, self.ks)
        logs.update({f"{self.prefix}{name}": found[name] for name in found})
