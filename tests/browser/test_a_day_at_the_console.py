from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import Opened
from e2e.harness import ServerProcess, Target, wait_for
from tools.stage import Stage

pytestmark = pytest.mark.browser


def go(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Screens").get_by_role("link", name=name).click()


def test_a_schedule_is_made_fires_and_is_paused(opened: Opened, running: ServerProcess, target: Target) -> None:
    page = opened(running.url)
    go(page, "Schedules")
    page.get_by_role("link", name="New schedule").first.click()
    page.get_by_label("Name", exact=True).fill("from the form")
    page.get_by_role("textbox", name="Cron expression").fill("*/2 * * * * *")
    expect(page.locator("#meaning")).to_contain_text("Every 2 seconds")
    page.get_by_label("URL", exact=True).fill(target.url + "/from-the-form")
    page.get_by_label("Payload").fill('{"n": 1.50}')
    page.get_by_role("button", name="Create schedule").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("from the form")
    assert wait_for("the schedule to fire", lambda: target.on("/from-the-form"))[0][3] == b'{"n": 1.50}'
    runs = page.locator("table", has=page.get_by_role("columnheader", name="Scheduled for")).locator("tbody tr")
    expect(runs.first).to_contain_text("succeeded")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#note")).to_contain_text("Paused from the form")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    runs.first.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
    expect(page.locator("main")).to_contain_text("run_")
    expect(page.locator("main")).to_contain_text("200")


def test_a_faulty_form_says_what_is_wrong_and_keeps_what_was_typed(opened: Opened, running: ServerProcess) -> None:
    page = opened(running.url)
    page.goto(running.url + "/console/schedules/new")
    page.get_by_label("Name", exact=True).fill("kept")
    page.get_by_role("textbox", name="Cron expression").fill("61 * * * *")
    expect(page.locator("#meaning")).to_contain_text("61 is not within 0-59")
    page.get_by_label("URL", exact=True).fill("http://10.0.0.1/inside")
    page.get_by_role("button", name="Create schedule").click()
    expect(page.locator(".fault").first).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("kept")
    expect(page.get_by_role("textbox", name="Cron expression")).to_have_value("61 * * * *")


def test_a_dead_letter_goes_back_to_its_queue(opened: Opened, running: ServerProcess, stage: Stage) -> None:
    before = stage.call("GET", "/v1/queue/stats/orders")
    page = opened(running.url)
    page.goto(running.url + "/console/queues/orders/dead")
    row = page.locator("tr", has_text=stage.ids["dead letter"])
    row.get_by_role("button", name="Redrive").click()
    expect(page.locator("#note")).to_contain_text("1")
    after = stage.call("GET", "/v1/queue/stats/orders")
    assert (after["dlq"], after["available"]) == (before["dlq"] - 1, before["available"] + 1)


def test_a_delivery_is_sent_again(opened: Opened, running: ServerProcess, stage: Stage, target: Target) -> None:
    sent = len(target.on("/hook"))
    page = opened(running.url)
    page.goto(f"{running.url}/console/webhooks/deliveries/{stage.ids['delivery']}")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.locator("#note")).to_be_visible()
    wait_for("the delivery to come again", lambda: len(target.on("/hook")) > sent)


def test_language_theme_and_zone_are_switched(opened: Opened, running: ServerProcess, stage: Stage) -> None:
    page = opened(running.url, color_scheme="light")
    page.locator("details.menu summary").click()
    with page.expect_navigation():
        page.get_by_label("Language").select_option("zh")
    expect(page.get_by_role("heading", level=1)).to_have_text("概览")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("details.menu summary").click()
    with page.expect_navigation():
        page.locator("select[name=theme]").select_option("dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.locator("details.menu summary").click()
    with page.expect_navigation():
        page.locator("select[name=zone]").select_option("browser")
    page.goto(f"{running.url}/console/runs/{stage.ids['run']}")
    assert "UTC" not in page.locator("time[data-here]").first.inner_text()


def test_what_happens_is_seen_without_reloading(opened: Opened, running: ServerProcess, stage: Stage) -> None:
    page = opened(running.url)
    page.goto(running.url + "/console/queues")
    page.evaluate("() => { window.sameDocument = true }")
    stage.call("POST", "/v1/queue/publish", {"queue": "seen-at-once", "payload": 1})
    expect(page.locator("#live")).to_contain_text("seen-at-once")
    assert page.evaluate("window.sameDocument") is True


def test_a_hidden_page_asks_for_nothing(opened: Opened, running: ServerProcess, stage: Stage) -> None:
    page = opened(running.url)
    page.goto(running.url + "/console/runs")
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', { get: () => true });"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3_000)
    assert asked == []


def test_the_keyboard_is_enough(opened: Opened, running: ServerProcess, stage: Stage) -> None:
    page = opened(running.url)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("g")
    page.keyboard.press("2")
    expect(page.get_by_role("heading", level=1)).to_have_text("Schedules")
    page.keyboard.press("/")
    page.keyboard.type("heartbeat")
    page.keyboard.press("Enter")
    expect(page.locator("#live tbody tr")).to_have_count(1)
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()


def test_signing_out_ends_it(opened: Opened, running: ServerProcess) -> None:
    page = opened(running.url)
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key or token")).to_be_visible()
