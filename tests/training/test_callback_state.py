"""What callbacks remember, stored and given back."""

import json

import keras
import numpy as np
import pytest

from keras_recs.training.callback_state import (
    read_callback_state,
    write_callback_state,
)


class Counts(keras.callbacks.Callback):
    """Remembers whatever it is given."""

    def __init__(self, state=None):
        super().__init__()
        self.state = {} if state is None else state

    def get_state(self):
        return dict(self.state)

    def set_state(self, state):
        self.state = state


def given_back(state, fresh):
    states, arrays = read_callback_state([Counts(state)])
    write_callback_state([fresh], json.loads(json.dumps(states)), arrays)
    return fresh.state


def test_a_state_that_is_empty_at_the_start():
    assert given_back({"seen": 3}, Counts()) == {"seen": 3}
    assert given_back({}, Counts({"seen": 3})) == {}


def test_arrays_keep_their_form():
    state = given_back(
        {
            "one": np.zeros(3, "float32"),
            "single": np.array([7]),
            "several": [np.arange(2), np.ones((2, 2))],
            "number": np.float32(0.5),
            "nested": {"a": [1, np.int64(2)]},
        },
        Counts(),
    )
    np.testing.assert_array_equal(state["one"], np.zeros(3))
    assert state["one"].dtype == "float32"
    assert state["single"].shape == (1,)
    np.testing.assert_array_equal(state["several"][1], np.ones((2, 2)))
    assert state["number"] == 0.5
    assert state["nested"] == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"by user": {3: 1}},
            "Counts remembers as 'by user'.*keys must be strings.* 3",
        ),
        ({3: 1}, "Counts remembers as 3 .*keys must be strings"),
        ({"x": {"y": np.zeros(3)}}, "Counts remembers as 'x' cannot be stored"),
    ],
)
def test_what_cannot_be_stored_is_named(state, message):
    with pytest.raises(TypeError, match=message):
        read_callback_state([Counts(state)])
