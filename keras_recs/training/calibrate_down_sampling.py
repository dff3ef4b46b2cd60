"""True probabilities of a model that was trained on a part of the negatives."""

import keras

from keras_recs.layers import DownSamplingCorrection


def calibrate_down_sampling(model, rates):
    """Makes a model whose probabilities are those among all examples.

    For a model that was trained with `DownSampleNegatives(rate=w)` and without weights.
    The new model has the layers and weights of the old one and is not compiled; save
    and export it in its place. The order of the scores stays, and so does the AUC.

    Only the label whose negatives were left out is corrected. Another label of the same
    model has rates among the kept examples too, which this formula does not undo: train
    such a model with `DownSampleNegatives(…, weigh=True)` instead.

    Args:
        model: functional `keras.Model` with a dict of outputs, as the builders of
            `keras_recs.models` return it.
        rates: dict of the name of a binary label to the share of its negatives that was
            kept.

    Returns:
        Functional `keras.Model`.

    Raises:
        ValueError: for an output that the model does not have, one that is corrected
            already, or a rate out of range.

    Example: `served = calibrate_down_sampling(model, {"click": 0.1})`
    """
    outputs = getattr(model, "output", None)
    if not isinstance(outputs, dict):
        raise ValueError(
            f"Model '{model.name}' must be a functional keras.Model with a dict of "
            f"outputs by label. Received outputs of type {type(outputs).__name__}"
        )
    unknown = sorted(set(rates) - set(outputs))
    if unknown or not rates:
        raise ValueError(
            "`rates` must name outputs of the model. Received: "
            f"{unknown or 'none'}; the model has {sorted(outputs)}"
        )
    outputs = dict(outputs)
    names = [layer.name for layer in model.layers]
    for label, rate in rates.items():
        if isinstance(outputs[label]._keras_history.operation, DownSamplingCorrection):
            raise ValueError(
                f"Output '{label}' of model '{model.name}' is corrected already. "
                f"Received: rates={rates}"
            )
        safe = "".join(c if c.isalnum() and c.isascii() else "_" for c in label)
        name = f"correct_{safe}"
        while name in names:
            name += "_"
        names.append(name)
        correction = DownSamplingCorrection(rate, name=name)
        outputs[label] = correction(outputs[label])
    return keras.Model(model.input, outputs, name=model.name)
