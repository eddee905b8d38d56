from __future__ import annotations

import pytest
from playwright.sync_api import expect

from agent.processes import SUPER
from browser.conftest import Opened
from e2e.harness import KEY, Target, server
from tools.stage import Stage

pytestmark = pytest.mark.browser

TRICKS = "<img src=x onerror=\"alert('x')\"><script>alert(1)</script>\u202etxt.exe\u2066\u200b\x07'\"&amp;{{ 7*7 }}"


def test_behind_a_path_nothing_is_asked_outside_of_it(
    opened: Opened, tmp_path_factory: pytest.TempPathFactory, target: Target
) -> None:
    folder = tmp_path_factory.mktemp("path") / "data"
    with server(folder, MAINSPRING_ROOT_PATH="/tools/ms", MAINSPRING_SUPER_TOKEN=SUPER) as running:
        stage = Stage(running.url, KEY, SUPER, target.url)
        stage.build()
        page = opened(running.url + "/tools/ms")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for screen in stage.screens():
            page.goto(f"{running.url}/tools/ms/console{screen.path}")
        page.goto(f"{running.url}/tools/ms/console/schedules")
        page.locator("tr", has_text="heartbeat").get_by_role("button", name="Pause").click()
        expect(page.locator("#note")).to_contain_text("aused")
        assert len(asked) > 50
        assert [url for url in asked if not url.startswith(running.url + "/tools/ms/")] == []
        page.close()


def test_text_of_others_stays_text(opened: Opened, tmp_path_factory: pytest.TempPathFactory, target: Target) -> None:
    folder = tmp_path_factory.mktemp("tricks") / "data"
    with server(folder, MAINSPRING_SUPER_TOKEN=SUPER) as running:
        stage = Stage(running.url, KEY, SUPER, target.url, dress=lambda name: name + TRICKS)
        stage.build()
        page = opened(running.url)
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        for screen in stage.screens():
            page.goto(f"{running.url}/console{screen.path}")
            assert page.locator("img[src=x], main script").count() == 0, screen
            shown = page.locator("body").inner_text()
            assert not set(shown) & set("\u202e\u2066\u200b\x07"), screen
            assert "49" not in page.locator("h1").inner_text(), screen
        assert dialogs == []
        page.close()
