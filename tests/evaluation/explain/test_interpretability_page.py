"""The page on interpretability runs as it stands, in order."""

import functools
import re
import textwrap

from tests.harness import ROOT

PLOTS = ("importance", "fm", "cross", "autoint", "din")


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    """On fewer rows, and without graphs, to trace which takes longer than the rest."""
    import keras

    eager = functools.partialmethod(keras.Model.compile, run_eagerly=True)
    monkeypatch.setattr(keras.Model, "compile", eager)
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "interpretability.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```python\n(.*?)^ *```", page, re.M | re.S)
    code = "\n".join(textwrap.dedent(block) for _, block in blocks)
    code, count = re.subn(r"num_rows=\w+", "num_rows=300", code)
    assert count == 1
    exec(compile(code, "interpretability.md", "exec"), {})
    for name in PLOTS:
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
