"""The page on models of sequences runs as it stands, in order."""

import re

from tests.harness import ROOT


def test_the_page_runs(capsys):
    page = (ROOT / "docs" / "sequences.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    names = {}
    exec(compile("\n".join(blocks), "sequences.md", "exec"), names)
    assert "hit_rate@5" in capsys.readouterr().out
    values = names["history"].history["val_ndcg@10"]
    assert values[-1] > values[0]
