"""Next items, views of sequences and pairs of items, learned together."""

import keras
from keras import ops

from keras_recs.layers import ItemAttributes
from keras_recs.losses import info_nce
from keras_recs.models.next_item_model import NextItemModel
from keras_recs.register import register


@register
class ContrastiveItemModel(NextItemModel):
    """A `NextItemModel` that also tells sequences and items from others of the batch.

    Loss = next item + λ · InfoNCE of views + μ · InfoNCE of items, means over what
    counts. `"views"` `(B, 2, T)` of the targets are two altered forms of each sequence,
    whose last states shall find each other. `"item_pairs"` `(B, 2)` are items that
    share an attribute, 0 where there is none, whose vectors shall find each other among
    those of the batch that share none with them. `keras_recs.data.contrastive_batches`
    makes both.

    Args:
        inputs: of a functional `keras.Model`: one sequence of rows `(B, T)`.
        outputs: dict with the states `(B, T, D)` as `"states"`.
        view_weight: float. The λ. Defaults to `0.1`.
        item_weight: float. The μ; above 0 `attributes.set_table` must say which
            attributes items have. Defaults to `0.1`.
        temperature: float above 0. Of both. Defaults to `0.1`.
        max_attributes: int. Attributes of an item at most. Defaults to `1`.
        **kwargs: of `NextItemModel`.

    Raises:
        ValueError: for weights below 0, and as `NextItemModel`.

    Reference: [Zhou et al., 2020](https://arxiv.org/abs/2008.07873) for items and
    attributes, [Xie et al., 2020](https://arxiv.org/abs/2010.14395) for views
    """

    def __init__(
        self,
        inputs,
        outputs,
        view_weight=0.1,
        item_weight=0.1,
        temperature=0.1,
        max_attributes=1,
        **kwargs,
    ):
        super().__init__(inputs, outputs, **kwargs)
        for argument, value in (
            ("view_weight", view_weight),
            ("item_weight", item_weight),
        ):
            if value < 0:
                raise ValueError(
                    f"`{argument}` must not be below 0. Received: {argument}={value}"
                )
        self.view_weight = view_weight
        self.item_weight = item_weight
        self.temperature = temperature
        self.max_attributes = max_attributes
        self.attributes = ItemAttributes(
            self.item_table.num_rows, max_attributes, name="attributes"
        )
        self.attributes.build()

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Returns the weighed sum of the three losses, of those with targets.

        Raises:
            ValueError: in training, for a weight whose targets are missing.
        """
        if training:
            for weight, name in (
                ("view_weight", "views"),
                ("item_weight", "item_pairs"),
            ):
                if getattr(self, weight) and name not in y:
                    raise ValueError(
                        f"The targets have no '{name}', of which the loss is `{weight}`"
                        f"={getattr(self, weight)}: train with keras_recs.data."
                        f"contrastive_batches, with `partners` for pairs of items, or "
                        f"set the weight to 0. Received: targets {sorted(y)}"
                    )
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if self.view_weight and "views" in y:
            loss = loss + self.view_weight * self.view_loss(y["views"], training)
        if self.item_weight and "item_pairs" in y:
            loss = loss + self.item_weight * self.item_loss(y["item_pairs"])
        return loss

    def view_loss(self, views, training=False):
        """InfoNCE between the last states of two views.

        Args:
            views: int rows `(B, 2, T)`.
            training: bool. Defaults to `False`.

        Returns:
            float32 scalar.
        """
        rows = ops.reshape(views, (-1, views.shape[-1]))  # (2 B, T)
        inputs = keras.tree.pack_sequence_as(self.input, [rows])
        last = self(inputs, training=training)["states"][:, -1]  # (2 B, D)
        first, second = last[::2], last[1::2]
        return ops.mean(info_nce(first, second, temperature=self.temperature))

    def item_loss(self, pairs):
        """InfoNCE between items that share an attribute.

        Args:
            pairs: int rows `(B, 2)`, 0 where there is no pair.

        Returns:
            float32 scalar.
        """
        first, second = pairs[:, 0], pairs[:, 1]
        is_there = ops.logical_and(first > 0, second > 0)  # (B,)
        own, others = self.attributes(first), self.attributes(second)  # (B, A)
        equal = ops.equal(own[:, None, :, None], others[None, :, None, :])
        shared = ops.logical_and(equal, own[:, None, :, None] > 0)  # (B, B, A, A)
        same = ops.any(shared, axis=(2, 3))  # (B, B)
        # What is no pair is no negative either.
        same = ops.logical_or(same, ops.logical_not(is_there)[None, :])
        same = ops.logical_or(same, ops.logical_not(is_there)[:, None])
        losses = info_nce(
            self.item_table(first),
            self.item_table(second),
            ids=first,
            same=same,
            temperature=self.temperature,
        )
        counts = ops.cast(is_there, "float32")
        return ops.sum(losses * counts) / ops.maximum(ops.sum(counts), 1.0)

    def get_config(self):
        """The functional model and the other arguments."""
        config = {
            "view_weight": self.view_weight,
            "item_weight": self.item_weight,
            "temperature": self.temperature,
            "max_attributes": self.max_attributes,
        }
        return {**super().get_config(), **config}
