"""The tables of a model that lie partly in files."""

from keras_recs.layers.embedding.two_level_table import TwoLevelTable


def find_two_level_tables(model):
    """All `TwoLevelTable` layers of a model, each once, in the order of its layers.

    Args:
        model: Keras model.
    """
    layers = dict.fromkeys(model._flatten_layers())
    return [layer for layer in layers if isinstance(layer, TwoLevelTable)]
