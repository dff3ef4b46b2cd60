"""The configuration of a run: files, overrides, messages."""

import inspect
import json
import re

import pytest

from pipelines.config import Config, load_config
from tests.harness import ROOT

CONFIG = Config(data="prepared", model_arguments={"embedding_dim": 8})


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("learning_rate=1e-2", "learning_rate", 0.01),
        ("model=dlrm", "model", "dlrm"),
        ("data=other/folder", "data", "other/folder"),
        ("data='quoted'", "data", "quoted"),
        ("data=a=b", "data", "a=b"),
        ("monitor=None", "monitor", None),
        ("monitor=val_click_gauc", "monitor", "val_click_gauc"),
        ("model_arguments={}", "model_arguments", {}),
        ("model_arguments.embedding_dim=4", "model_arguments", {"embedding_dim": 4}),
        (
            "model_arguments.hidden_units=(8, 4)",
            "model_arguments",
            {"embedding_dim": 8, "hidden_units": (8, 4)},
        ),
    ],
)
def test_settings(setting, key, value):
    changed = CONFIG.replaced([setting])
    assert getattr(changed, key) == value
    others = {name for name in vars(CONFIG) if name != key}
    assert all(getattr(changed, name) == getattr(CONFIG, name) for name in others)


def test_settings_follow_each_other():
    settings = ["epochs=2", "model_arguments={}", "model_arguments.seed=1", "epochs=3"]
    changed = CONFIG.replaced(settings)
    assert changed.epochs == 3
    assert changed.model_arguments == {"seed": 1}
    assert CONFIG.model_arguments == {"embedding_dim": 8}, "the original stays"
    assert CONFIG.replaced([]) == CONFIG


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epoch=3", "unknown key 'epoch'; known are .* Did you mean 'epochs'?"),
        ("lerning_rate=3", "Did you mean 'learning_rate'?"),
        ("nothing_like_it=3", r"unknown key 'nothing_like_it'; known are \[.*\]\.$"),
        ("data.x=3", "unknown key 'data.x'"),
        ("model_argument.x=3", "Did you mean 'model_arguments'?"),
        ("epochs", "`--set` takes key=value. Received: --set 'epochs'"),
        ("epochs=0", "Config: `epochs` must be a positive integer. Received: epochs=0"),
        ("batch_size=big", "`batch_size` must be a positive integer.*'big'"),
        ("steps_per_execution=1.5", "`steps_per_execution` must be a positive integer"),
    ],
)
def test_wrong_settings(setting, message):
    with pytest.raises(ValueError, match=message):
        CONFIG.replaced([setting])


def test_unknown_keys_of_a_file_are_errors():
    with pytest.raises(TypeError, match="epoch"):
        Config(data="prepared", epoch=3)


def test_save(tmp_path):
    CONFIG.save(tmp_path / "config.json")
    stored = json.loads((tmp_path / "config.json").read_text())
    assert Config(**stored) == CONFIG


def test_load(tmp_path):
    path = tmp_path / "some-name.py"
    path.write_text(
        "from pipelines.config import Config\ndef get_config():\n    return Config(data='x')\n"
    )
    assert load_config(str(path)) == Config(data="x")
    path.write_text("import pipelines\n")
    with pytest.raises(
        ValueError, match=rf"'{re.escape(str(path))}' must define get_config\(\)"
    ):
        load_config(str(path))
    path.write_text("def get_config():\n    return {'data': 'x'}\n")
    with pytest.raises(ValueError, match=r"must define get_config\(\)"):
        load_config(str(path))
    for wrong in (tmp_path / "gone.py", tmp_path, tmp_path / "config.json"):
        with pytest.raises(
            ValueError, match=f"`--config` must be a Python file .*--config={wrong}"
        ):
            load_config(str(wrong))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "pipelines/configs").glob("*.py")), ids=lambda p: p.stem
)
def test_shipped_configurations(path):
    """They load, name a builder and arguments it takes, and their command is right."""
    from keras_recs import models

    config = load_config(str(path))
    builder = getattr(models, config.model)
    assert set(config.model_arguments) <= set(inspect.signature(builder).parameters)
    text = path.read_text()
    assert f"--config=pipelines/configs/{path.name}" in text
    assert path.stem.endswith(f"_{config.model}")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("learning_rate=abc", "`learning_rate` must be a positive number.*'abc'"),
        ("learning_rate=0", "`learning_rate` must be a positive number"),
        ("patience=-1", "`patience` must be an integer of at least 0.*-1"),
        ("seed=1.5", "`seed` must be an integer.*1.5"),
        ("dtype_policy=bf16", "`dtype_policy` must be one of.*mixed_bfloat16.*'bf16'"),
        ("model_arguments=3", "`model_arguments` must be a dict.*3"),
    ],
)
def test_values_are_checked(setting, message):
    with pytest.raises(ValueError, match=message):
        CONFIG.replaced([setting])


def test_the_configuration_of_a_run_is_one(tmp_path):
    """What is searched, too: ranges stay ranges and choices stay choices."""
    from keras_recs.models import deepfm
    from keras_recs.tuning import search_space

    config = CONFIG.replaced(
        [
            "epochs=3",
            'space.learning_rate={"low": 1e-4, "high": 1e-2}',
            "space.dropout=[0.0, 0.5]",
            "space.hidden_units=[[8, 4], [2]]",
        ]
    )
    config.save(tmp_path / "config.json")
    loaded = load_config(str(tmp_path / "config.json"))
    assert loaded == config
    ranges = search_space(deepfm, loaded.space)
    assert ranges == search_space(deepfm, config.space)
    assert ranges["learning_rate"] == {"low": 1e-4, "high": 1e-2}
    (tmp_path / "other.json").write_text('{"data": "x", "epoch": 3}')
    with pytest.raises(ValueError, match="must hold the arguments of Config"):
        load_config(str(tmp_path / "other.json"))
