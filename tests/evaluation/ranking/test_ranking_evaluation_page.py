"""The page on the evaluation over a catalogue runs as it stands, in order."""

import re

from tests.harness import ROOT


def test_the_page_runs(capsys):
    page = (ROOT / "docs" / "ranking_evaluation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    exec(compile("\n".join(blocks), "ranking_evaluation.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "ndcg@10" in printed
    assert "PairedDifference" in printed
