from __future__ import annotations

import json
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import expect

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
        assert page.url == f"{running.url}/console{screen.path}"
        page.evaluate(AXE)
        if violations := page.evaluate(LOOK):
            found[screen.name] = violations
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_what_only_forms_lead_to(
    opened: Opened, running: ServerProcess, stage: Stage, theme: str
) -> None:
    page = opened(running.url, color_scheme=theme)
    found = {}

    def look(name: str) -> None:
        page.evaluate(AXE)
        if violations := page.evaluate(LOOK):
            found[name] = violations

    page.goto(running.url + "/console/settings/keys")
    page.locator("[name=name]").fill("made here")
    page.get_by_role("button", name="Create key").click()
    expect(page.locator("main")).to_contain_text("msk_")
    look("a new key")
    page.goto(running.url + "/console/webhooks/new")
    page.locator("[name=url]").fill("http://127.0.0.1:9/nobody")
    page.get_by_role("button", name="Create endpoint").click()
    expect(page.locator("main")).to_contain_text("whsec_")
    look("a new endpoint")
    page.goto(running.url + "/console/schedules/new")
    page.locator("[name=cron_expr]").fill("61 * * * *")
    page.get_by_role("button", name="Create schedule").click()
    expect(page.locator(".fault").first).to_be_visible()
    look("a faulty form")
    page.goto(running.url + "/console/schedules?q=weekly")
    page.locator("[name=pick]").first.check()
    page.get_by_role("button", name="Pause", exact=True).first.click()
    expect(page.locator("main")).to_contain_text("Paused")
    look("a bulk action")
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
