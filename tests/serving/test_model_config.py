"""ModelServerConfig text protos."""

import pathlib

import pytest

from serving.model_config import ModelConfig, read_model_config_file

ROOT = pathlib.Path(__file__).parents[2]


def read(tmp_path, *models):
    path = tmp_path / "models.config"
    text = "\n".join(f"config {{ {model} }}" for model in models)
    path.write_text(f"model_config_list {{ {text} }}")
    return read_model_config_file(str(path))


MODEL = 'name: "m" base_path: "/m" model_platform: "tensorflow"'


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", {}),
        ("latest {}", {}),
        ("latest { num_versions: 3 }", {"num_latest": 3}),
        ("all {}", {"num_latest": 0}),
        ("specific { versions: 4 versions: 2 }", {"specific": frozenset({2, 4})}),
    ],
)
def test_policies(tmp_path, policy, expected):
    policy = f"model_version_policy {{ {policy} }}"
    assert read(tmp_path, f"{MODEL} {policy}") == [ModelConfig("m", "/m", **expected)]


def test_labels(tmp_path):
    config = read(tmp_path, MODEL + ' version_labels { key: "stable" value: 1 }')[0]
    assert config.labels == {"stable": 1}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([MODEL, MODEL], "Illegal to list model m multiple times"),
        ([MODEL.replace('"/m"', '"m"')], "an absolute path"),
        ([MODEL.replace('"m"', '""', 1)], "has no `name`"),
        ([MODEL.replace("tensorflow", "torch")], "`model_platform` of model m"),
        ([MODEL + " model_version_policy { specific {} }"], "at least one version"),
        (["nonsense: 1"], "ModelServerConfig text proto"),
    ],
)
def test_config_that_is_refused(tmp_path, models, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, *models)
    assert "models.config" in str(caught.value)


def test_the_example_is_valid():
    configs = read_model_config_file(str(ROOT / "serving" / "models.config"))
    assert [config.name for config in configs] == ["default"]
