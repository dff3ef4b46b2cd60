"""Training on a part of the negative examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from keras_recs.schema import Schema


@dataclasses.dataclass(frozen=True, kw_only=True)
class DownSampleNegatives:
    """Keeps every positive example of a label and a share of the negative ones.

    Give it to `tfrecord_dataset` or `array_dataset` as `down_sampling`. Whether an
    example is kept depends on the seed and on the example's place alone (file name and
    number in the file, or row): it is the same in every epoch, order and number of
    workers.

    A model trained on what is left predicts p where the rate is q = p / (p + (1 − p)/w)
    for the share w. Correct it by `keras_recs.training.calibrate_down_sampling`, or
    in training by `weigh`.

    Args:
        rate: float above 0, at most 1. The share w.
        label: string. Name of a binary label. Defaults to `None`: the schema's first.
        weigh: bool. Let a negative example that is kept count 1/w, in the loss of each
            label: then the loss estimates that of all examples, and the model needs no
            correction. Defaults to `False`.
        seed: int, not negative. Defaults to `0`.

    Raises:
        ValueError: for a value out of range; later for a label that the schema does not
            have or that is not binary.

    Example:
    >>> half = keras_recs.data.DownSampleNegatives(rate=0.5)

    Reference: [He et al., 2014](https://doi.org/10.1145/2648584.2648589), section 6.3
    """

    rate: float
    label: str | None = None
    weigh: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ValueError(
                f"`rate` must be above 0 and at most 1. Received: rate={self.rate!r}"
            )
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(
                f"`seed` must be an integer of at least 0. Received: seed={self.seed!r}"
            )

    def column(self, schema: Schema) -> str:
        """The column that decides."""
        name = self.label or next(iter(schema.label_names), "")
        if schema.tasks.get(name) != "binary":
            raise ValueError(
                "`label` must be a binary label of the schema. Received: "
                f"label={self.label!r}; the schema has {schema.tasks}"
            )
        return name

    def probabilities(self, schema: Schema) -> Callable:
        """A function of that column's `(B,)` values: the chance of each to be kept."""
        import tensorflow as tf

        def keep(labels):
            return tf.where(tf.equal(labels, 0), self.rate, 1.0)

        return keep
