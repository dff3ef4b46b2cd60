"""A model of sequences that can go on from a state."""

import keras
from keras import ops

from keras_recs.models.next_item_model import NextItemModel
from keras_recs.register import register


@register
class SessionModel(NextItemModel):
    """A `NextItemModel` whose states are those of a `SessionGRU`.

    A state says all that is known of the events until then, so that one can be stored
    and the next event needs no history: `step_model`.

    Args:
        inputs: of a functional `keras.Model`: a dict with the rows of events first.
        outputs: dict with the states `(B, T, D)` as `"states"`.
        gru: string. Name of the `SessionGRU` among the model's layers. Defaults to
            `"gru"`.
        **kwargs: of `NextItemModel`.
    """

    def __init__(self, inputs, outputs, gru="gru", **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.gru = gru

    def fit(self, *args, shuffle=None, **kwargs):
        """As `keras.Model.fit`; where states are carried, batches come in their order.

        Args:
            *args: as `keras.Model.fit` takes them.
            shuffle: bool. Defaults to `None`: `True`, and `False` with `num_slots`.
            **kwargs: as `keras.Model.fit` takes them.

        Raises:
            ValueError: for batches in a drawn order, whose states are not those before.
        """
        carries = self.get_layer(self.gru).num_slots is not None
        if carries and shuffle:
            raise ValueError(
                "`shuffle` must be False or left out: the states that a batch begins "
                "with are those that the batch before it has left. Received: "
                f"shuffle={shuffle}"
            )
        if shuffle is None:
            shuffle = not carries  # Keras would shuffle those of a `PyDataset`, too
        return super().fit(*args, shuffle=shuffle, **kwargs)

    def query_model(self):
        """A functional model of whole histories `(B, T)` to the last state `(B, D)`.

        Histories are padded on the left; one without events has a state of zeros.
        """
        name = next(iter(self.input))
        rows = self.input[name]
        rows = keras.Input(rows.shape[1:], dtype=rows.dtype, name=name)  # (B, T)
        starts = ops.zeros_like(rows, dtype="bool")
        nothing = ops.zeros_like(rows[:, :1], dtype="float32")  # (B, 1)
        units = self.get_layer(self.gru).hidden_units
        before = [ops.repeat(nothing, n, axis=1) for n in units]  # (B, H_i)
        _, *after = self._go_on(rows, starts, before)
        return keras.Model({name: rows}, after[-1], name=f"{self.name}_query")

    def step_model(self):
        """A functional model of a state and the next event.

        Its inputs are the event by the name of the sequence, `(B,)`, and the state of
        each layer of the GRU, `"state_0"` `(B, H_0)` and so on, of zeros at the start
        of a session. Its outputs are the states after the event by these names, and
        what scores items, `"query"` `(B, D)`. An event of 0 is none: the state stays.
        """
        name = next(iter(self.input))
        row = keras.Input((), dtype=self.input[name].dtype, name=name)  # (B,)
        before = {
            f"state_{i}": keras.Input((units,), name=f"state_{i}")
            for i, units in enumerate(self.get_layer(self.gru).hidden_units)
        }
        rows = ops.expand_dims(row, 1)  # (B, 1)
        starts = ops.zeros_like(rows, dtype="bool")
        _, *after = self._go_on(rows, starts, list(before.values()))
        outputs = dict(zip(before, after)) | {"query": after[-1]}
        return keras.Model({name: row, **before}, outputs, name=f"{self.name}_step")

    def get_config(self):
        """That of `NextItemModel` and the name of the GRU."""
        return {**super().get_config(), "gru": self.gru}

    def _go_on(self, rows, starts, before):
        """What the GRU makes of events and the states before them."""
        name, gru = next(iter(self.input)), self.get_layer(self.gru)
        embed = keras.Model({name: self.input[name]}, gru.input[0])
        return gru([embed({name: rows}), starts, ops.not_equal(rows, 0), *before])
