"""The registration under which saved models find the classes of this package."""

import keras


def register(cls):
    """Registers a Keras class as `keras_recs>ClassName`."""
    return keras.saving.register_keras_serializable(package="keras_recs")(cls)
