"""What callbacks remember between epochs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

# Of Keras's own callbacks, which have no method for it.
_REMEMBERED: dict[type, tuple[str, ...]] = {
    keras.callbacks.History: ("epoch", "history"),
    keras.callbacks.EarlyStopping: (
        "wait",
        "stopped_epoch",
        "best",
        "best_epoch",
        "best_weights",
    ),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: (
        "best",
        "epochs_since_last_save",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
    ),
}


def read_callback_state(
    callbacks: Iterable[keras.callbacks.Callback],
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """What callbacks remember, to be stored.

    Of a callback with `get_state`, what that returns: a dict of numbers, strings, lists
    and dicts of them, arrays and lists of arrays. Of Keras's `EarlyStopping`,
    `ReduceLROnPlateau`, `ModelCheckpoint` and `History` what decides about their
    further course. Of others nothing.

    Args:
        callbacks: Keras callbacks.

    Returns:
        A dict that JSON can hold for each callback which could remember something, and
        a dict of arrays by name.

    Raises:
        TypeError: for a state that is none of these; the callback is named.
    """
    states: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for callback in callbacks:
        if not _remembers(callback):
            continue
        kind = type(callback).__name__
        state: dict[str, Any] = {}
        for name, value in _state_of(callback).items():
            key = f"callback/{len(states)}/{name}"
            try:
                if isinstance(value, np.ndarray):
                    state[name], arrays[key] = {"array": True}, np.array(value)
                elif _is_arrays(value):
                    state[name] = {"arrays": len(value)}
                    for i, array in enumerate(value):
                        arrays[f"{key}/{i}"] = np.array(array)
                else:
                    state[name] = {"value": _plain(value)}
                _check_key(name)
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"What the callback {kind} remembers as {name!r} cannot be "
                    f"stored: {error}. Let `get_state` return a dict of numbers, "
                    "strings, lists and dicts of them, arrays and lists of arrays."
                ) from error
        states.append({"class": kind, "state": state})
    return states, arrays


def write_callback_state(
    callbacks: Iterable[keras.callbacks.Callback],
    states: list[dict[str, Any]],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Gives callbacks what `read_callback_state` found in those of an earlier process.

    Raises:
        ValueError: for other callbacks than those.
    """
    callbacks = [callback for callback in callbacks if _remembers(callback)]
    here = [type(callback).__name__ for callback in callbacks]
    there = [state["class"] for state in states]
    if here != there:
        raise ValueError(
            "The interrupted run had other callbacks, so what they remember cannot be "
            f"given back. Give the same ones in the same order. Received: {here}; the "
            f"run had {there}"
        )
    for number, (callback, stored) in enumerate(zip(callbacks, states)):
        state = {}
        for name, entry in stored["state"].items():
            if "value" in entry:
                state[name] = entry["value"]
                continue
            if "array" in entry:
                state[name] = arrays[f"callback/{number}/{name}"]
                continue
            keys = [f"callback/{number}/{name}/{i}" for i in range(entry["arrays"])]
            state[name] = [arrays[key] for key in keys]
        if hasattr(callback, "set_state"):
            callback.set_state(state)
        else:
            for name, value in state.items():
                setattr(callback, name, value)


def _remembers(callback) -> bool:
    return hasattr(callback, "get_state") or isinstance(callback, tuple(_REMEMBERED))


def _state_of(callback) -> dict[str, Any]:
    if hasattr(callback, "get_state"):
        return callback.get_state()
    for kind, names in _REMEMBERED.items():
        if isinstance(callback, kind):
            return {n: getattr(callback, n) for n in names if hasattr(callback, n)}
    return {}


def _is_arrays(value) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(item, np.ndarray) for item in value)
    )


def _check_key(key):
    if not isinstance(key, str):
        raise TypeError(f"keys must be strings, and there is {key!r}")
    return key


def _plain(value):
    """NumPy's numbers, and tensors of one number, as Python's."""
    if isinstance(value, dict):
        return {_check_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return np.asarray(value).item()
