"""The leaderboard's settings and its summary of runs."""

import json

import pytest

from benchmarks.leaderboard import report, settings


@pytest.mark.parametrize("dataset", settings.SETTINGS)
def test_every_row_has_a_builder_that_takes_its_setting(dataset):
    import inspect

    from keras_recs import models

    assert set(settings.SETTINGS[dataset]) == set(settings.PUBLISHED[dataset])
    for name, setting in settings.SETTINGS[dataset].items():
        builder = getattr(models, setting.builder or name)
        assert set(setting.arguments) <= set(inspect.signature(builder).parameters)
        json.dumps(setting.arguments)


def test_summary_takes_the_last_setting_and_one_run_a_seed():
    def line(seed, auc, setting="new"):
        return {
            "model": "fm",
            "seed": seed,
            "setting": setting,
            "auc": auc,
            "logloss": 0.5,
            "device": "cpu",
            "epochs": 3,
            "seconds": 1.0,
            "parameters": 7,
        }

    lines = [line(0, 0.1, "old"), line(0, 0.6), line(1, 0.8), line(1, 0.9)]
    (row,) = report.summarize("frappe", lines)
    assert row["runs"] == 2
    assert row["auc"] == pytest.approx(0.75)
    assert row["best"] == 0.9
    assert row["auc_std"] == pytest.approx(0.15 * 2**0.5)
