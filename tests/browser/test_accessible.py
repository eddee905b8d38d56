from __future__ import annotations

import json
from pathlib import Path

import axe_playwright_python
import pytest

from browser.conftest import Opened
from e2e.harness import ServerProcess
from tools.stage import Stage

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
LOOK = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).join(" | ")}`);
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_axe_finds_nothing(opened: Opened, running: ServerProcess, stage: Stage, theme: str, language: str) -> None:
    page = opened(running.url, color_scheme=theme, locale=language)
    found = {}
    for screen in stage.screens():
        answer = page.goto(f"{running.url}/console{screen.path}")
        assert answer is not None
        assert answer.status == 200, screen
        page.evaluate(AXE)
        if violations := page.evaluate(LOOK):
            found[screen.name] = violations
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)


def test_every_screen_fits_a_phone(opened: Opened, running: ServerProcess, stage: Stage) -> None:
    page = opened(running.url, viewport={"width": 360, "height": 740})
    too_wide = {}
    for screen in stage.screens():
        page.goto(f"{running.url}/console{screen.path}")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            too_wide[screen.name] = wide
    assert not too_wide


def test_a_stranger_s_page_is_accessible_too(opened: Opened, running: ServerProcess) -> None:
    page = opened(running.url)
    page.context.clear_cookies()
    page.goto(f"{running.url}/console")
    page.evaluate(AXE)
    assert page.evaluate(LOOK) == []
