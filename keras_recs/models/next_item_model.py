"""A model of sequences that learns to say what comes next."""

import keras
import numpy as np
from keras import ops

from keras_recs.layers import ItemTable
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer
from keras_recs.layers.sequence.rows_at import rows_at
from keras_recs.losses import CandidateBinaryCrossentropy, catalogue_cross_entropy
from keras_recs.losses.candidate_loss import CandidateLoss
from keras_recs.register import register

OF_NEGATIVES = ("negative_weights", "log_counts")


@register
class NextItemModel(keras.Model):
    """A functional model of sequences, trained on the item that stands at each place.

    The functional model gives states; their products with the rows of an `ItemTable`
    are the scores of items. `fit` takes targets by place, `"next_item"` `(B, T)`: rows
    of the table, 0 where nothing is to be learned. Without `num_negatives` the loss is
    the cross-entropy over the whole catalogue, computed in chunks. With it each target
    stands beside so many uniform draws, or beside what the data give as `"negatives"`
    `(B, T, n)`, and the compiled loss, such as `CandidateBinaryCrossentropy()`, sees
    their scores. The mean is over the places that have a target. `"negative_weights"`
    of their shape say what each negative counts, and `"log_counts"` `(B, T, 1 + n)`,
    the log of how often the target and its negatives are expected to be drawn, is
    subtracted from scores, for losses of a temperature of 1. With `hard_negatives` of
    the n negatives of a place those alone count that the loss would see with the
    highest scores; nothing is learned through the choice.

    With `shares_negatives` all places of a batch share the draws, `"negatives"` `(n,)`,
    and have each other's targets as negatives too: the scores of all places are one
    matrix product. An item that a place's own target is does not count as its negative.
    What the data give as `"log_counts"` `(B·T + n,)`, the log of how often each of the
    targets and negatives is expected among them, is subtracted from their scores;
    `"negative_weights"` are `(n,)` or `(B, T, n)`.

    Where most places have none the data may give `"places"` `(B, M)` and the targets
    there, `"next_item"` `(B, M)`: nothing is scored elsewhere, and the loss is the
    same. A model that learns what stands at masked places is asked by a mask after the
    last event: `mask_row` makes `query_model` append it.

    Args:
        inputs: of a functional `keras.Model`.
        outputs: dict with the states `(B, T, D)` as `"states"`.
        items: string. Name of the `ItemTable` among the model's layers.
        first_row: int. First row of the table that is an item: those before are padding
            and unknown items. Defaults to `2`.
        num_negatives: int. Draws a place, or with `shares_negatives` a batch. Defaults
            to `None`: the whole catalogue.
        use_bias: bool. A learned bias of each item. Defaults to `False`.
        chunk_size: int. Items whose scores are held at once where the whole catalogue
            is. Defaults to `32768`.
        seed: int. Of the draws. Defaults to `None`.
        mask_row: int. Row of the mask, one before `first_row`. Defaults to `None`:
            states come after events.
        shares_negatives: bool. One set of candidates a batch. Defaults to `False`.
        separate: bool. Score with another table than events are read from, as wide as
            the states. Defaults to `False`.
        hard_negatives: int. Negatives of a place that count, those with the highest
            scores; not with `shares_negatives`. The attribute may be set before a model
            is compiled. Defaults to `None`: all.

    Raises:
        ValueError: for a layer that the model does not have, for numbers that are not
            positive, for a mask that is padding or an item, for one where the table
            reads no input of the model, for hard negatives that are shared, and in
            training for negatives that the data give in another shape.
    """

    def __init__(
        self,
        inputs,
        outputs,
        items="items",
        first_row=2,
        num_negatives=None,
        use_bias=False,
        chunk_size=32768,
        seed=None,
        mask_row=None,
        shares_negatives=False,
        separate=False,
        hard_negatives=None,
        **kwargs,
    ):
        super().__init__(inputs, outputs, **kwargs)
        names = [layer.name for layer in self.layers]
        if items not in names:
            raise ValueError(
                f"`items` must be the model's ItemTable. Received: items={items!r}; "
                f"the model has {names}"
            )
        least = 0 if shares_negatives else 1  # beside each other's targets
        if num_negatives is not None and (
            not isinstance(num_negatives, int) or num_negatives < least
        ):
            raise ValueError(
                f"`num_negatives` must be an integer of at least {least}, or None: the "
                f"whole catalogue. Received: num_negatives={num_negatives!r}"
            )
        if mask_row is not None and not 1 <= mask_row < first_row:
            raise ValueError(
                "`mask_row` must be a row after padding and before `first_row`. "
                f"Received: mask_row={mask_row}, first_row={first_row}"
            )
        if mask_row is not None and not any(
            tensor is self.get_layer(items).input for tensor in self.inputs
        ):
            raise ValueError(
                "`mask_row` is appended to the input that the ItemTable reads, which "
                f"must be one of the model's. Received: mask_row={mask_row}; the model "
                f"has {[tensor.name for tensor in self.inputs]}"
            )
        self.items = items
        self.first_row = first_row
        self.num_negatives = num_negatives
        self.use_bias = use_bias
        self.chunk_size = chunk_size
        self.seed = seed
        self.mask_row = mask_row
        self.shares_negatives = shares_negatives
        self.separate = separate
        self.hard_negatives = hard_negatives
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._candidate_loss = None
        self.item_table = table = self.get_layer(items)
        if separate:
            self.item_table = ItemTable(
                table.num_rows,
                outputs["states"].shape[-1],
                table.num_shards,
                renewed_initializer(table.initializer, 1),
                table.regularizer,
                name="candidates",
            )
            self.item_table.build()
        self.item_biases = None
        if use_bias:
            self.item_biases = ItemTable(
                table.num_rows, 1, table.num_shards, "zeros", name="item_biases"
            )
            self.item_biases.build()

    @property
    def hard_negatives(self):
        """How many negatives of a place count, or `None`: all."""
        return self._hard_negatives

    @hard_negatives.setter
    def hard_negatives(self, number):
        """Sets it; see the class."""
        if number is not None and (
            not isinstance(number, int) or number < 1 or self.shares_negatives
        ):
            raise ValueError(
                "`hard_negatives` must be a positive integer, of a model whose places "
                "have negatives of their own, or None: all count. Received: "
                f"hard_negatives={number!r}, shares_negatives={self.shares_negatives}"
            )
        self._hard_negatives = number

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **kwargs):
        """As `keras.Model.compile`.

        Args:
            optimizer: Keras optimizer.
            loss: loss of candidates' scores, of `keras_recs.losses`; the whole
                catalogue takes none. Defaults to `None`: for candidates
                `CandidateBinaryCrossentropy()`.
            metrics: none: Keras's would compare states with rows. Use
                `keras_recs.training.CatalogueMetrics`. Defaults to `None`.
            **kwargs: as `keras.Model.compile` takes them.

        Raises:
            ValueError: for a loss where the whole catalogue is scored, for one that is
                not of candidates, and for metrics.
        """
        if metrics is not None:
            raise ValueError(
                "`metrics` would compare states with rows of the table: give "
                "`keras_recs.training.CatalogueMetrics` to `fit` as a callback. "
                f"Received: metrics={metrics!r}"
            )
        if loss is not None and self.num_negatives is None:
            raise ValueError(
                "`loss` is of candidates' scores, and this model has the whole "
                "catalogue: build it with `num_negatives`, or leave the loss out. "
                f"Received: loss={loss!r}"
            )
        self._candidate_loss = keras.losses.get(loss or CandidateBinaryCrossentropy())
        if not isinstance(self._candidate_loss, CandidateLoss):
            raise ValueError(
                "`loss` must be of candidates' scores, the positive one first, such as "
                "`keras_recs.losses.CandidateBinaryCrossentropy()`: Keras's take what "
                f"says which negatives count for labels. Received: loss={loss!r}"
            )
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def compile_from_config(self, config):
        """Compiles a loaded model."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Returns the loss of the places that have a target.

        Raises:
            ValueError: for weights of examples.
        """
        if sample_weight is not None:
            raise ValueError(
                "`sample_weight` is not read: each place with a target counts once; "
                "leave a place out by a target of 0. Received: weights"
            )
        states, targets = y_pred["states"], y["next_item"]
        if "places" in y:
            states = _states_at(states, y["places"])  # (B, M, D)
        # Nor are unknown items learned: they are no candidates.
        is_there = ops.logical_and(
            targets >= self.first_row, targets < self.item_table.num_rows
        )
        is_there = ops.cast(is_there, "float32")  # (B, T)
        if self.num_negatives is None and "negatives" not in y:
            loss = self._over_catalogue(states, targets, is_there, training)
        elif self.shares_negatives:
            loss = self._over_shared(states, targets, is_there, y)
        else:
            loss = self._over_candidates(states, targets, is_there, y)
        for extra in self.losses:
            loss = loss + ops.sum(ops.cast(extra, loss.dtype))
        return loss

    def score(self, states, rows):
        """Scores of candidates.

        Args:
            states: `(..., D)`.
            rows: int `(..., n)`: the candidates of each state, or `(n,)` of all.

        Returns:
            float32 `(..., n)`.
        """
        scores = self.item_table.score(states, rows)
        if self.item_biases is not None:
            biases = ops.squeeze(self.item_biases(rows), -1)
            scores = scores + ops.cast(biases, "float32")
        return scores

    def query_model(self):
        """A functional model of the state after the last event, `(B, D)`.

        With `mask_row` that of a mask appended to the events, of which the oldest is
        left out if there is no room; nothing else is known of the masked event.
        Histories are padded on the left: the state is that of the last place.
        """
        inputs, outputs = self.input, self.output
        if self.mask_row is not None:
            # Inputs of its own, whose events move by one place.
            items = self.get_layer(self.items).input
            fills = keras.tree.map_structure(
                lambda x: self.mask_row if x is items else 0, inputs
            )
            plain = keras.Model(inputs, outputs, name=self.name)
            inputs = keras.tree.map_structure(
                lambda x: keras.Input(x.shape[1:], dtype=x.dtype, name=x.name), inputs
            )
            outputs = plain(keras.tree.map_structure(_appended, inputs, fills))
        state = outputs["states"][:, -1]  # (B, D)
        return keras.Model(inputs, state, name=f"{self.name}_query")

    @property
    def items_input(self):
        """The name of the input that has the items, among those of the model."""
        inputs = self.input
        if not isinstance(inputs, dict):
            return self.inputs[0].name
        rows = self.get_layer(self.items).input
        return next(
            (name for name in inputs if inputs[name] is rows), next(iter(inputs))
        )

    def item_vectors(self):
        """What queries are multiplied with.

        Returns:
            float32 `(V, D)` and `(V,)`: vectors and biases of the items, without rows
            of padding and unknown ones; of a model without biases zeros.
        """
        rows = np.arange(self.first_row, self.item_table.num_rows)
        vectors = self.item_table.read_rows(rows)
        biases = np.zeros(len(rows), "float32")
        if self.item_biases is not None:
            biases = self.item_biases.read_rows(rows)[:, 0]
        return vectors, biases

    def _over_catalogue(self, states, targets, is_there, training):
        table, biases = self.item_table.whole(self.first_row), None
        if self.item_biases is not None:
            biases = self.item_biases.whole(self.first_row)[:, 0]
        weights = is_there / ops.maximum(ops.sum(is_there), 1.0)
        states, targets, weights = rows_at(is_there, states, targets, weights)
        losses = catalogue_cross_entropy(
            states,
            table,
            ops.maximum(targets - self.first_row, 0),
            bias=biases,
            chunk_size=self.chunk_size,
            weights=weights if training else None,
        )
        return losses if training else ops.sum(losses * weights)

    def _over_candidates(self, states, targets, is_there, y):
        names = [key for key in ("negatives", *OF_NEGATIVES) if key in y]
        _check_negatives(y, "(batch, places, n)", 3)
        states, targets, is_there, *given = rows_at(
            is_there, states, targets, is_there, *(y[key] for key in names)
        )
        given = dict(zip(names, given))
        negatives = given.get("negatives")  # (N, n)
        if negatives is None:
            negatives = self._draw((ops.shape(targets)[0], self.num_negatives))
        positives = ops.expand_dims(ops.cast(targets, negatives.dtype), -1)
        # Neither padding nor a draw that is the target itself.
        counts = ops.logical_and(
            ops.not_equal(negatives, 0), ops.not_equal(negatives, positives)
        )
        counts = ops.cast(counts, "float32")
        if "negative_weights" in given:
            counts = counts * ops.cast(given["negative_weights"], "float32")
        logs = ops.zeros((), "float32")
        if "log_counts" in given:
            logs = ops.cast(given["log_counts"], "float32")  # (N, 1 + n)
        if self.hard_negatives is not None:
            negatives, counts, logs = self._hardest(states, negatives, counts, logs)
        rows = ops.concatenate([positives, negatives], axis=-1)  # (N, 1 + n)
        scores = self.score(states, rows) - logs
        own = ops.ones_like(positives, dtype="float32")
        counts = ops.concatenate([own, counts], axis=-1)
        return self._candidate_loss(counts * ops.expand_dims(is_there, -1), scores)

    def _hardest(self, states, negatives, counts, logs):
        """Of negatives `(N, n)` those that count with the highest scores, `(N, k)`."""
        number = min(self.hard_negatives, negatives.shape[-1])
        scores = ops.stop_gradient(self.score(states, negatives))
        if len(logs.shape):
            scores = scores - logs[:, 1:]
        scores = ops.where(counts > 0, scores, -np.inf)
        _, best = ops.top_k(scores, number)  # (N, k)
        negatives, counts = (
            ops.take_along_axis(array, best, axis=-1) for array in (negatives, counts)
        )
        if len(logs.shape):
            others = ops.take_along_axis(logs[:, 1:], best, axis=-1)
            logs = ops.concatenate([logs[:, :1], others], axis=-1)
        return negatives, counts, logs

    def _over_shared(self, states, targets, is_there, y):
        _check_negatives(y, "(n,), which all places share", 1)
        negatives = y.get("negatives")
        if negatives is None:
            negatives = self._draw((self.num_negatives,))
        states = ops.reshape(states, (-1, states.shape[-1]))  # (N, D), N = B·T
        targets = ops.reshape(ops.cast(targets, negatives.dtype), (-1, 1))  # (N, 1)
        is_there = ops.reshape(is_there, (-1, 1))  # (N, 1)
        rows = ops.concatenate([targets[:, 0], negatives])  # (C,), C = N + n
        own, scores = self.score(states, targets), self.score(states, rows)
        if "log_counts" in y:
            logs = ops.cast(y["log_counts"], "float32")  # (C,)
            own = own - ops.expand_dims(logs[: ops.shape(own)[0]], -1)
            scores = scores - logs
        counts = ops.logical_and(rows >= self.first_row, ops.not_equal(rows, targets))
        counts = ops.cast(counts, "float32") * is_there  # (N, C)
        if "negative_weights" in y:
            weights = ops.cast(y["negative_weights"], "float32")
            weights = ops.reshape(weights, (-1, ops.shape(negatives)[0]))  # (1 or N, n)
            size = ops.shape(targets)[0]
            weights = counts[:, size:] * weights
            counts = ops.concatenate([counts[:, :size], weights], axis=-1)
        return self._candidate_loss(
            ops.concatenate([is_there, counts], axis=-1),
            ops.concatenate([own, scores], axis=-1),  # (N, 1 + C)
        )

    def _draw(self, shape):
        return keras.random.randint(
            shape,
            self.first_row,
            self.item_table.num_rows,
            dtype="int32",
            seed=self.seed_generator,
        )

    def get_config(self):
        """The functional model and the other arguments."""
        plain = keras.Model(self.input, self.output, name=self.name)
        return {
            "model": keras.saving.serialize_keras_object(plain),
            "items": self.items,
            "first_row": self.first_row,
            "num_negatives": self.num_negatives,
            "use_bias": self.use_bias,
            "chunk_size": self.chunk_size,
            "seed": self.seed,
            "mask_row": self.mask_row,
            "shares_negatives": self.shares_negatives,
            "separate": self.separate,
            "hard_negatives": self.hard_negatives,
        }

    @classmethod
    def from_config(cls, config):
        """The model of a configuration."""
        plain = keras.saving.deserialize_keras_object(config.pop("model"))
        return cls(plain.input, plain.output, name=plain.name, **config)


def _check_negatives(y, expected, rank):
    if "negatives" in y and len(y["negatives"].shape) != rank:
        shared = rank == 1
        raise ValueError(
            f"`negatives` of this model must be {expected}. Make the batches with "
            f"`shared={shared}`, or the model with `shares_negatives={not shared}`. "
            f"Received: negatives.shape={tuple(y['negatives'].shape)}, "
            f"next_item.shape={tuple(y['next_item'].shape)}"
        )


def _appended(rows, fill):
    """Rows `(B, T)` without the first, and `fill` after the last."""
    last = ops.full_like(rows[:, :1], fill)
    return ops.concatenate([rows[:, 1:], last], axis=1)


def _states_at(states, places):
    """States `(B, T, D)` of some places `(B, M)`, as `(B, M, D)`."""
    batch, length = ops.shape(states)[:2]
    starts = ops.expand_dims(ops.arange(batch, dtype="int32") * length, -1)
    flat = ops.reshape(states, (-1, states.shape[-1]))  # (B T, D)
    return ops.take(flat, starts + ops.cast(places, "int32"), axis=0)
