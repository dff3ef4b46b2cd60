"""What S3-Rec learns before it learns what comes next."""

import keras
from keras import ops

from keras_recs.layers import ItemAttributes, ItemTable
from keras_recs.layers.sequence.rows_at import rows_at
from keras_recs.register import register

FORMS = ("paper", "authors")
OBJECTIVES = ("aap", "mip", "map", "sp")


@register
class S3RecPretraining(keras.Model):
    """A functional model of sequences, trained on what items and sequences belong to.

    Four objectives, each a sum over the batch, are weighed and added:

    - `aap`, associated attributes: which attributes the items that are not masked have;
    - `mip`, masked items: what is masked is nearer to its place than a negative is;
    - `map`, masked attributes: which attributes what is masked has;
    - `sp`, segments: a sequence without a segment is nearer to this segment than to
      another user's.

    Attributes are binary questions, all of them for each item that has any; an item
    without attributes counts as unknown. `keras_recs.data.s3rec_batches` makes the
    data.

    Args:
        inputs: of a functional `keras.Model`: one sequence of rows `(B, T)`.
        outputs: dict with the states `(B, T, D)` as `"states"`.
        num_attributes: int. Attributes of all items; they count from 1.
        max_attributes: int. Attributes of an item at most. `attributes.set_table` says
            which.
        form: `"paper"`: the probability of a pair is the sigmoid of the difference of
            scores, and `aap` asks the item's vector. `"authors"`, as their code: the
            scores of `mip` and `sp` pass a sigmoid before their difference passes
            one, and `aap` asks the state at the item's place. Defaults to `"paper"`.
        weights: four floats, of `aap`, `mip`, `map` and `sp`. Defaults to
            `(0.2, 1.0, 1.0, 0.5)`.
        items: string. Name of the `ItemTable` among the model's layers. Defaults to
            `"items"`.
        first_row: int. First row of the table that is an item. Defaults to `2`.

    Raises:
        ValueError: for a layer that the model does not have, for another form and for
            other weights than four.

    Reference: [Zhou et al., 2020](https://arxiv.org/abs/2008.07873)
    """

    def __init__(
        self,
        inputs,
        outputs,
        num_attributes,
        max_attributes,
        form="paper",
        weights=(0.2, 1.0, 1.0, 0.5),
        items="items",
        first_row=2,
        **kwargs,
    ):
        super().__init__(inputs, outputs, **kwargs)
        names = [layer.name for layer in self.layers]
        if items not in names:
            raise ValueError(
                f"`items` must be the model's ItemTable. Received: items={items!r}; "
                f"the model has {names}"
            )
        if form not in FORMS:
            raise ValueError(f"`form` must be one of {FORMS}. Received: form={form!r}")
        if len(weights) != len(OBJECTIVES):
            raise ValueError(
                f"`weights` must be those of {OBJECTIVES}. Received: weights={weights}"
            )
        self.items = items
        self.num_attributes = num_attributes
        self.max_attributes = max_attributes
        self.form = form
        self.objective_weights = tuple(weights)
        self.first_row = first_row
        table = self.item_table
        dim = table.embedding_dim
        self.attributes = ItemAttributes(
            table.num_rows, max_attributes, name="attributes"
        )
        self.attributes.build()
        self.attribute_vectors = ItemTable(
            1 + num_attributes,
            dim,
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="attribute_vectors",
        )
        self.attribute_vectors.build()
        self.projections = [keras.layers.Dense(dim, name=name) for name in OBJECTIVES]
        for projection in self.projections:
            projection.build((None, dim))

    @property
    def item_table(self):
        """The `ItemTable`."""
        return self.get_layer(self.items)

    def compile_from_config(self, config):
        """Compiles a loaded model."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Returns the weighed sum of the objectives."""
        found = self.objectives(x, y, y_pred["states"], training)
        loss = sum(
            weight * found[name]
            for weight, name in zip(self.objective_weights, OBJECTIVES)
        )
        for extra in self.losses:
            loss = loss + ops.sum(ops.cast(extra, loss.dtype))
        return loss

    def objectives(self, x, y, states, training=False):
        """The sum of each objective over a batch.

        Args:
            x: the inputs, rows `(B, T)` with masks.
            y: dict of targets, as `keras_recs.data.s3rec_batches` gives them.
            states: `(B, T, D)`, of these inputs.
            training: bool. Of the segments' states. Defaults to `False`.

        Returns:
            dict of float32 scalars: `"aap"`, `"mip"`, `"map"` and `"sp"`.
        """
        (rows,) = keras.tree.flatten(x)
        aap, mip, masked_attributes, sp = self.projections
        targets = y["masked_items"]
        is_masked = ops.cast(targets >= self.first_row, "float32")  # (B, T)
        is_seen = ops.cast(rows >= self.first_row, "float32")
        is_at, state, masked, negatives = rows_at(
            is_masked, is_masked, states, targets, y["negatives"]
        )
        state = mip(state)  # (N, D)
        right, wrong = (
            _products(state, self.item_table(items)) for items in (masked, negatives)
        )
        parts = [y["masked_segment"], y["segment"], y["other_segment"]]
        segments = ops.concatenate(parts, axis=0)  # (3 B, T)
        inputs = keras.tree.pack_sequence_as(self.input, [segments])
        last = self(inputs, training=training)["states"][:, -1]  # (3 B, D)
        context, own, other = ops.unstack(
            ops.reshape(last, (3, -1, last.shape[-1])), num=3
        )
        context = sp(context)  # (B, D)
        has_segment = ops.cast(y["segment"][:, -1] > 0, "float32")  # (B,)
        segment_losses = self._pair_loss(
            _products(context, own), _products(context, other)
        )
        return {
            "aap": self._attribute_loss(
                aap, states if self.form == "authors" else None, rows, is_seen
            ),
            "mip": ops.sum(is_at * self._pair_loss(right, wrong)),
            "map": self._attribute_loss(masked_attributes, states, targets, is_masked),
            "sp": ops.sum(has_segment * segment_losses),
        }

    def _attribute_loss(self, projection, states, rows, counts):
        """Binary cross-entropy of all attributes, where an item counts.

        Without `states` the vectors of the items are asked.
        """
        has_any = ops.cast(ops.any(self.attributes(rows) > 0, axis=-1), counts.dtype)
        counts = counts * has_any  # (B, T)
        if states is None:
            counts, rows = rows_at(counts, counts, rows)
            states = self.item_table(rows)
        else:
            counts, rows, states = rows_at(counts, counts, rows, states)
        asked = projection(states)  # (N, D)
        vectors = ops.cast(self.attribute_vectors.whole(1), asked.dtype)  # (A, D)
        logits = ops.matmul(asked, ops.transpose(vectors))  # (N, A)
        logits = ops.cast(logits, "float32")
        own = self.attributes(rows)  # (N, max)
        is_there = ops.cast(own > 0, "float32")
        # −log σ(z) of what is there is softplus(z) − z.
        positive = ops.take_along_axis(logits, ops.maximum(own - 1, 0), axis=-1)
        losses = ops.sum(ops.softplus(logits), -1) - ops.sum(positive * is_there, -1)
        return ops.sum(losses * counts)

    def _pair_loss(self, right, wrong):
        if self.form == "authors":
            right, wrong = ops.sigmoid(right), ops.sigmoid(wrong)
        return ops.softplus(wrong - right)

    def get_config(self):
        """The functional model and the other arguments."""
        plain = keras.Model(self.input, self.output, name=self.name)
        return {
            "model": keras.saving.serialize_keras_object(plain),
            "num_attributes": self.num_attributes,
            "max_attributes": self.max_attributes,
            "form": self.form,
            "weights": self.objective_weights,
            "items": self.items,
            "first_row": self.first_row,
        }

    @classmethod
    def from_config(cls, config):
        """The model of a configuration."""
        plain = keras.saving.deserialize_keras_object(config.pop("model"))
        return cls(plain.input, plain.output, name=plain.name, **config)


def _products(states, vectors):
    return ops.cast(ops.sum(states * vectors, axis=-1), "float32")
