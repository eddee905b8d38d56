"""A real server, filled, and a real Chromium in front of it; whatever the browser complains of fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from agent.processes import SUPER, agent, flags
from e2e.harness import KEY, ServerProcess, Target, server
from tools.stage import AGENT, Stage

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
Opened = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    assert program is not None, "there is no Chromium here: apt-get install chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    started = Target()
    started.answers["/fail"] = 500
    yield started
    started.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server(tmp_path_factory.mktemp("console") / "data", MAINSPRING_SUPER_TOKEN=SUPER) as process:
        yield process


@pytest.fixture(scope="module")
def stage(running: ServerProcess, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    filled = Stage(running.url, KEY, SUPER, target.url)
    filled.build()
    with agent(tmp_path_factory.mktemp("agent"), *flags(running, "tcp_ping,version,execute", AGENT)):
        filled.employ()
        yield filled


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Opens a page that is signed in; options are those of the browser's context. At the end: no complaint was heard,
    of the page, its scripts or its policy."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        # A form that is refused, shown again with its faults, is an answer like any other; the browser remarks on it.
        if message.type in ("error", "warning") and "status of 422" not in message.text:
            complaints.append(f"{message.type}: {message.text} ({message.location})")

    def open_page(url: str, **options: object) -> Page:
        context = browser.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on(
            "requestfailed",
            lambda request: (
                complaints.append(f"failed: {request.url} {request.failure}")
                if request.failure != "net::ERR_ABORTED"
                else None
            ),
        )
        page.goto(f"{url}/console")
        page.fill("[name=credential]", KEY)
        page.click("button.main")
        page.wait_for_selector("#live")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
