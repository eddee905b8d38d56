"""The functions that ARCHITECTURE.md names exist, and no flow needs more than eight of them."""

from __future__ import annotations

import re

from tidy.sources import ROOT

ROW = re.compile(r"^\| (a tick|a create|a publish|a consume|a failing run) \| (.+) \|$", re.MULTILINE)


def test_the_flows_name_at_most_eight_functions_that_exist() -> None:
    rows = ROW.findall((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert len(rows) == 5
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    for flow, through in rows:
        names = re.findall(r"`([\w.]+)`", through)
        assert len(names) <= 8, flow
        missing = [name for name in names if not re.search(rf"def {re.escape(name.rpartition('.')[2])}\(", source)]
        assert not missing, flow
