"""The page on tuning: its code runs, and its commands are those of the programs."""

import re
import shlex

import pytest

from keras_recs import CategoricalFeature, Label, Schema
from keras_recs.data import array_dataset
from pipelines.config import load_config
from tests.harness import ROOT

PAGES = sorted(
    path.relative_to(ROOT) for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"))
)


def blocks(page, language):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def test_the_code_runs(tmp_path, monkeypatch):
    """With one epoch a trial."""
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("docs/tuning.md", "python")
    code, count = re.subn(r"max_epochs=\d+", "max_epochs=1", code)
    assert count == 1
    schema = Schema(
        features=[CategoricalFeature("item", vocabulary_size=8)],
        labels=[Label("click")],
    )
    columns = {
        "item": [i % 8 for i in range(16)],
        "click": [i % 3 % 2 for i in range(16)],
    }
    data = array_dataset(columns, schema, 16, shuffle=False)
    names = {"schema": schema, "train": data, "valid": data}
    exec(compile(code, "tuning.md", "exec"), names)
    assert len(names["trials"]) == 1
    assert names["model"].name == "deepfm"
    assert (tmp_path / "tuning" / "trials.md").exists()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands(page):
    """Their flags exist, and they name data that others prepare or configure."""
    for block in blocks(page, "bash"):
        # What follows `--` is a command of its own.
        for line in re.split(r"\n| -- ", block.replace("\\\n", " ")):
            found = re.search(r"python -m pipelines\.(\w+)(.*)", line)
            if not found:
                continue
            program = (ROOT / "pipelines" / f"{found[1]}.py").read_text()
            words = shlex.split(found[2], comments=True)
            for word in words:
                name = re.match(r"--(\w+)", word)
                if name:
                    assert re.search(rf'DEFINE_\w+\(\s*"{name[1]}"', program), line
            config = next((w[9:] for w in words if w.startswith("--config=")), "")
            if config.startswith("pipelines/"):
                settings = load_config(str(ROOT / config)).replaced(
                    [words[i + 1] for i, word in enumerate(words) if word == "--set"]
                )
                if f"--output={settings.data}" in block:
                    continue  # the page prepares what the configuration names
                assert "data=prepared" in words, f"the data of the page: {line}"
