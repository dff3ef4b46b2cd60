"""A loss whose value can be had before it is summed with others."""

import keras

from keras_recs.register import register


@register
class TaskLoss(keras.losses.Loss):
    """The loss of one task, which remembers what it was.

    Args:
        loss: Keras loss, its name, or a function of `y_true` and `y_pred`.
        name: string. Defaults to `"task_loss"`.

    Call arguments:
        y_true, y_pred, sample_weight: as the loss takes them.
    """

    def __init__(self, loss, name="task_loss"):
        super().__init__(name=name)
        self.loss = keras.losses.get(loss)
        self._value = None

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the loss, a scalar."""
        if isinstance(self.loss, keras.losses.Loss):
            value = self.loss(y_true, y_pred, sample_weight)
        else:
            value = super().__call__(y_true, y_pred, sample_weight)
        self._value = value
        return value

    def call(self, y_true, y_pred):
        """The function's value of each example."""
        return self.loss(y_true, y_pred)

    def taken(self):
        """The value of the last call, once."""
        value, self._value = self._value, None
        return value

    def get_config(self):
        """Constructor arguments."""
        return {"loss": keras.losses.serialize(self.loss), "name": self.name}
