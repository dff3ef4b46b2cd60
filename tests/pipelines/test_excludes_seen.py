import json

import pytest

from pipelines.excludes_seen import excludes_seen


@pytest.mark.parametrize(
    ("stored", "flag", "expected"),
    [
        (None, None, True),
        (None, False, False),
        ({}, None, True),
        ({"exclude_seen": False}, None, False),
        ({"exclude_seen": False}, True, True),
        ({"exclude_seen": True}, False, False),
    ],
)
def test_the_flag_and_else_the_run_decides(stored, flag, expected, tmp_path):
    if stored is not None:
        (tmp_path / "config.json").write_text(json.dumps(stored))
    assert excludes_seen(tmp_path, flag) is expected
