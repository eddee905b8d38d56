from __future__ import annotations

import re

from tidy.sources import ROOT

ROW = re.compile(r"^\| `MAINSPRING_([A-Z0-9_]+)` \| (.*) \|$", re.MULTILINE)


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    from mainspring.settings import SETTINGS

    rows = dict(ROW.findall((ROOT / "docs" / "settings.md").read_text(encoding="utf-8")))
    assert sorted(rows) == sorted(setting.name for setting in SETTINGS)
    defaults = {setting.name: f"`{setting.default}`" for setting in SETTINGS if setting.default is not None}
    wrong = [name for name, default in defaults.items() if default not in rows[name]]
    assert not wrong, "another default, or none, is documented"
