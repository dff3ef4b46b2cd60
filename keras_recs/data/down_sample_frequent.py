"""Training on a part of the examples of very frequent values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

from keras_recs.schema import CategoricalFeature, Schema


@dataclasses.dataclass(frozen=True, kw_only=True)
class DownSampleFrequent:
    """Keeps an example with probability min(1, √(t/f)), f the share of its value.

    As word2vec subsamples words: values above the threshold t lose examples, those
    below it none. Give it to `tfrecord_dataset` or `array_dataset` as `down_sampling`;
    an example's fate depends on its place and the seed, as in `DownSampleNegatives`.

    Which examples go depends on a feature and not on the label. So the rate of clicks
    given the features stays what it was, with weights and without; without them the
    model fits less to the frequent values. With `weigh` a kept example counts 1 over
    its probability: the loss then estimates that of all examples without bias. Its
    variance is larger, which nothing corrects.

    Args:
        feature: string. Name of a categorical feature.
        counts: dict of raw value to the number of its training examples.
        threshold: float above 0. The share t.
        weigh: bool. Defaults to `True`.
        seed: int, not negative. Defaults to `0`.

    Raises:
        ValueError: for a value out of range, no counts, or later for a feature that is
            not a `CategoricalFeature` of the schema.

    Example:
    >>> hot = keras_recs.data.DownSampleFrequent(
    ...     feature="item", counts={"i1": 900, "i2": 100}, threshold=0.1
    ... )

    Reference: [Mikolov et al., 2013](https://arxiv.org/abs/1310.4546), section 2.3
    """

    feature: str
    counts: Mapping
    threshold: float
    weigh: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.threshold < math.inf:
            raise ValueError(
                f"`threshold` must be above 0. Received: threshold={self.threshold!r}"
            )
        if not self.counts or min(self.counts.values()) < 1:
            raise ValueError(
                "`counts` must hold a positive number of examples for each value. "
                f"Received: {str(dict(self.counts))[:80]}"
            )
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(
                f"`seed` must be an integer of at least 0. Received: seed={self.seed!r}"
            )

    def column(self, schema: Schema) -> str:
        """The column that decides."""
        features = {f.name: f for f in schema.features}
        if not isinstance(features.get(self.feature), CategoricalFeature):
            raise ValueError(
                "`feature` must be a CategoricalFeature of the schema. Received: "
                f"feature={self.feature!r}; the schema has {list(features)}"
            )
        return self.feature

    def probabilities(self, schema: Schema) -> Callable:
        """A function of that column's `(B,)` values: the chance of each to be kept."""
        import tensorflow as tf

        total = sum(self.counts.values())
        limit = self.threshold * total
        frequent = {v: n for v, n in self.counts.items() if n > limit}
        chances = {str(v): math.sqrt(limit / n) for v, n in frequent.items()}
        if not chances:
            return lambda values: tf.ones_like(values, tf.float32)
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant([*chances], tf.string),
                tf.constant([*chances.values()], tf.float32),
            ),
            default_value=1.0,
        )

        def keep(values):
            text = values
            if values.dtype != tf.string:
                text = tf.strings.as_string(values)
            return table.lookup(text)

        return keep
