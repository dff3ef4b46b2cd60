"""The end of an epoch, for weightings that wait for it."""

import keras


class EndEpoch(keras.callbacks.Callback):
    """Tells the weighting of a `MultiTaskModel` that an epoch is over."""

    def on_epoch_end(self, epoch, logs=None):
        """Lets the weighting set its weights anew."""
        self.model.weighting.end_epoch()
