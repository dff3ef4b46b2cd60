"""The loss of a label that may be missing."""

import keras
from keras import ops

from keras_recs.register import register


@register
class LabelledLoss(keras.losses.Loss):
    """The mean of a loss over the examples of a batch that have the label.

    Those are the ones with a sample weight above 0. Their weights count as in any Keras
    loss: doubled, they double it. A batch without the label has the loss 0.

    Args:
        loss: Keras loss, or its name, whose reduction is a mean over the batch.
        name: string. Defaults to `"labelled_loss"`.

    Call arguments:
        y_true, y_pred: as the loss takes them.
        sample_weight: `(B,)`, 0 where the label is missing. Defaults to `None`: all
            have it.

    Example:
    >>> loss = keras_recs.losses.LabelledLoss(keras.losses.MeanSquaredError())
    >>> y, p = np.array([[1.0], [0.0]]), np.array([[3.0], [9.0]])
    >>> float(loss(y, p, np.array([1.0, 0.0])))
    4.0
    """

    def __init__(self, loss, name="labelled_loss"):
        super().__init__(name=name)
        self.loss = keras.losses.get(loss)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the loss, a scalar."""
        if sample_weight is None:
            return self.loss(y_true, y_pred)
        weight = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
        labelled = ops.sum(ops.cast(weight > 0, "float32"))
        size = ops.cast(ops.size(weight), "float32")
        # The loss divides by the size of the batch.
        weight = weight * size / ops.maximum(labelled, 1.0)
        return self.loss(y_true, y_pred, weight)

    def get_config(self):
        """Constructor arguments."""
        return {"loss": keras.losses.serialize(self.loss), "name": self.name}
