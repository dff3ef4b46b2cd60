"""Budget, importance and tables, against counts and closed forms."""

import csv
import itertools
import math

import keras_tuner
import numpy as np
import pytest

from keras_recs.tuning import budget, importance, write_trials


def trial(number, score, values, **others):
    return {
        "trial": f"{number:02}",
        "status": "FAILED" if score is None else "COMPLETED",
        "score": score,
        "epochs": 2,
        "best_execution": 0,
        "best_epoch": 1,
        "seconds": 1.5,
        "error": "ValueError: a|b" if score is None else None,
        "values": values,
        **others,
    }


def counted(max_epochs, factor):
    """Trials and epochs that Keras Tuner's oracle asks for."""
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    oracle = keras_tuner.oracles.HyperbandOracle(
        keras_tuner.Objective("m", "max"),
        max_epochs=max_epochs,
        factor=factor,
        hyperparameters=hp,
        seed=1,
    )
    epochs = 0
    for number in itertools.count():
        values = oracle.populate_space(str(number))
        if values["status"] == "STOPPED":
            return number, epochs
        values = values["values"]
        epochs += values["tuner/epochs"] - values["tuner/initial_epoch"]
        space = hp.copy()
        space.values = values
        done = keras_tuner.engine.trial.Trial(space, str(number), "COMPLETED")
        done.score = values["x"]
        oracle.trials[str(number)] = done
    return None


@pytest.mark.parametrize(
    ("max_epochs", "factor"),
    [(1, 3), (2, 3), (4, 2), (9, 3), (10, 3), (27, 3), (30, 4)],
)
def test_the_budget_of_hyperband_is_what_it_asks_for(max_epochs, factor):
    asked = counted(max_epochs, factor)
    assert budget("hyperband", 10**6, max_epochs, factor=factor) == asked


def test_the_budget_of_other_tuners():
    assert budget("bayesian", 7, 3, executions=2) == (7, 42)
    trials, epochs = budget("hyperband", 5, 9)
    assert trials == 5
    assert epochs == 5, "the first bracket begins with trials of one epoch"


def test_importance_is_the_adjusted_correlation_ratio():
    """Scores 1…6 in groups (1, 2, 4), (3, 5, 6): by hand, on the ranks themselves."""
    groups = [0, 0, 1, 0, 1, 1]
    trials = [trial(i, i / 10, {"a": g, "b": 7}) for i, g in enumerate(groups)]
    ranks = np.arange(1, 7)
    total = ((ranks - 3.5) ** 2).sum()  # 17.5
    within = (16 + 1 + 25) / 9 + (1 + 4 + 25 + 0) / 9
    within = sum(
        ((r - r.mean()) ** 2).sum()
        for r in (ranks[[0, 1, 3]].astype(float), ranks[[2, 4, 5]].astype(float))
    )
    expected = (total - within - within / 4) / total
    found = importance(trials)
    assert found == {"a": pytest.approx(expected)}, "b has one value"


def test_importance_of_what_matters_and_what_does_not():
    rng = np.random.default_rng(0)
    trials = []
    for i in range(200):
        values = {
            "decisive": ["x", "y", "z"][i % 3],
            "range": float(rng.uniform()),
            "noise": int(rng.integers(0, 4)),
            "other": float(rng.uniform()),
            "tuner/initial_epoch": 0,
        }
        score = (i % 3) + 0.5 * values["range"]
        trials.append(trial(i, score, values))
    trials.append(trial(200, None, {"decisive": "x"}))
    found = importance(trials)
    assert next(iter(found)) == "decisive"
    assert set(found) == {"decisive", "range", "noise", "other"}
    assert found["decisive"] > 0.8
    assert found["noise"] < 0.03
    assert found["other"] < 0.03
    # A monotone change of the scores, such as a trial that diverged, changes nothing.
    cubed = [
        {**t, "score": None if t["score"] is None else math.exp(9 * t["score"])}
        for t in trials
    ]
    assert importance(cubed) == found


def test_importance_compares_trials_of_one_length():
    """Without that, the longer trials would make their values look better."""
    trials = []
    for i in range(40):
        epochs = 1 if i < 20 else 9
        values = {"a": i % 2, "often_long": int(i >= 18), "tuner/epochs": epochs}
        trials.append(trial(i, epochs + 0.1 * (i % 2) + 0.001 * i, values))
    found = importance(trials)
    assert found["a"] > 0.6
    assert found["often_long"] < 0.1


def test_importance_of_too_few_trials():
    assert importance([]) == {}
    assert importance([trial(0, 1.0, {"a": 1})]) == {}
    assert importance([trial(i, 1.0, {"a": i}) for i in range(3)]) == {}
    assert importance([trial(i, 1.0, {"a": i % 2}) for i in range(4)]) == {"a": 0.0}


@pytest.mark.parametrize("direction", ["max", "min"])
def test_tables(direction, tmp_path):
    trials = [
        trial(0, 0.25, {"a": 1}),
        trial(1, None, {"a": 2, "b": "x|y"}),
        trial(2, 0.75, {"a": 1}),
        trial(3, 0.5, {"a": 2}),
    ]
    write_trials(trials, tmp_path, direction)
    with open(tmp_path / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    scores = ["0.75", "0.5", "0.25"][:: 1 if direction == "max" else -1]
    assert [row["score"] for row in rows] == [*scores, ""]
    assert rows[-1]["error"] == "ValueError: a|b"
    assert (rows[-1]["a"], rows[-1]["b"]) == ("2", "x|y")
    lines = (tmp_path / "trials.md").read_text().splitlines()
    assert len(lines) == 6
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert (tmp_path / "plots" / "importance.png").read_bytes()[:4] == b"\x89PNG"
    write_trials(trials[1:2], tmp_path / "failed")
    assert not (tmp_path / "failed" / "plots").exists()
