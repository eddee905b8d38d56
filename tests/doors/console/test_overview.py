from __future__ import annotations

import re
from html import unescape
from typing import Any

import msgspec
import pytest

from doors.console.visitor import Visitor
from doors.live import Live
from mainspring.core import sample_schedules
from mainspring.core.limits import DAY, HOUR, MINUTE, SECOND
from mainspring.core.samples import RANGES, Sample, minute_of
from mainspring.doors.console.overview_charts import SPANS, shown, span_of

REFUSING = "http://127.0.0.1:9/hook"


def tiles(page: str) -> dict[str, str]:
    """Label → number."""
    found = re.findall(
        r'class="tile ?[a-z]*"[^>]*><span class="count">(.*?)</span><span class="label">(.*?)</span>', page
    )
    return {label: count for count, label in found}


def leads_to(page: str) -> dict[str, str]:
    """Label → where its tile leads."""
    found = re.findall(r'<a class="tile[^"]*" href="([^"]*)">.*?<span class="label">(.*?)</span>', page)
    return {label: unescape(href) for href, label in found}


def charts(page: str) -> list[Any]:
    return [msgspec.json.decode(unescape(text)) for text in re.findall(r'data-chart="([^"]*)"', page)]


async def later(live: Live) -> None:
    """When what was counted before is counted anew."""
    live.clock.ahead += 6 * SECOND


async def queue(live: Live, name: str, *payloads: int, **more: object) -> None:
    for payload in payloads:
        assert (await live.post("/v1/queue/publish", {"queue": name, "payload": payload, **more})).status == 200


async def test_a_new_project_is_shown_its_first_steps(visitor: Visitor, live: Live) -> None:
    page = await visitor.page("/console")
    assert "Begin here" in page
    assert f"curl -X POST {live.url}/v1/cron/create" in unescape(page)
    assert 'href="/console/schedules/new"' in page
    assert "The next 24 hours" not in page
    await live.cron()
    await later(live)
    page = await visitor.page("/console")
    assert "Begin here" not in page
    assert "The next 24 hours" in page


async def test_the_first_step_works_as_it_is_shown(visitor: Visitor, live: Live) -> None:
    body = re.search(r"-d '(\{.*?\})'", unescape(await visitor.page("/console")))
    assert body is not None
    assert (await live.post("/v1/cron/create", raw=body[1].encode())).status == 200


async def test_tiles_say_how_many_and_lead_to_them(visitor_of_both: Visitor) -> None:
    visitor, live = visitor_of_both, visitor_of_both.live
    paused = await live.cron()
    await live.post(f"/v1/cron/pause/{paused['id']}")
    bad = await live.cron(task=REFUSING, retry=0)
    await live.post(f"/v1/cron/trigger/{bad['id']}")
    await live.work()
    await live.post(f"/v1/cron/trigger/{(await live.cron())['id']}")
    await queue(live, "q", 1, 2, 3)
    await queue(live, "late", 1, delay_seconds=60)
    await live.post("/v1/queue/consume", {"queue": "q", "max_messages": 1})
    await live.post("/v1/account/webhooks/register", {"url": "http://127.0.0.1:9/"})
    page = await visitor.page("/console")
    assert tiles(page) == {
        "schedules enabled": "2",
        "failing now": "1",
        "runs waiting": "1",
        "messages available": "2",
        "messages in flight": "1",
        "dead letters": "0",
        "endpoints disabled or resting": "0",
        "agents online": "0",
    }
    assert leads_to(page)["failing now"] == "/console/schedules?state=failing"
    await later(live)
    live.clock.ahead += 10 * SECOND
    assert tiles(await visitor.page("/console"))["runs waiting, 1 of them late"] == "1"


async def test_numbers_are_at_most_five_seconds_old(visitor: Visitor, live: Live) -> None:
    await live.cron()
    assert tiles(await visitor.page("/console"))["schedules enabled"] == "1"
    await live.cron()
    live.clock.ahead += 6 * SECOND
    assert tiles(await visitor.page("/console"))["schedules enabled"] == "2"


async def test_what_fails_is_listed_with_its_reason_and_can_be_run(visitor: Visitor, live: Live) -> None:
    bad = await live.cron(task=REFUSING, retry=0, name="the bad one")
    await live.cron(name="the good one")
    await live.post(f"/v1/cron/trigger/{bad['id']}")
    await live.work()
    page = await visitor.page("/console")
    failing = page.split('id="failing"')[1].split("</section>")[0]
    assert "the bad one" in failing
    assert "connection refused" in failing
    assert "the good one" not in failing
    [run] = (await live.get(f"/v1/cron/runs/list/{bad['id']}")).data["items"]
    assert f'href="/console/runs/{run["run_id"]}"' in failing
    answer = await visitor.submit("/console", f"/console/overview/run/{bad['id']}")
    assert answer.status == 303
    assert await visitor.told("/console") == "It runs now."
    assert len((await live.get(f"/v1/cron/runs/list/{bad['id']}")).data["items"]) == 2


async def test_who_may_only_read_is_offered_no_buttons_and_runs_nothing(visitor: Visitor, live: Live) -> None:
    bad = await live.cron(task=REFUSING, retry=0)
    await live.post(f"/v1/cron/trigger/{bad['id']}")
    await live.work()
    reader = Visitor(live)
    await reader.sign_in(await live.key("cron:read"))
    page = await reader.page("/console")
    assert "Run now" not in page
    csrf = re.search(r'name="csrf" value="([^"]+)"', await reader.page("/console/settings"))
    for path in (f"/console/overview/run/{bad['id']}", "/console/overview/samples/delete"):
        await reader.send(path, csrf=unescape(csrf[1]) if csrf else "")
    assert len((await live.get(f"/v1/cron/runs/list/{bad['id']}")).data["items"]) == 1


@pytest.mark.parametrize(
    ("scope", "sees"),
    [
        ("cron:read", {"schedules enabled", "failing now", "runs waiting"}),
        ("queue:consume", {"messages available", "messages in flight", "dead letters"}),
        ("webhook:read", {"endpoints disabled or resting"}),
        ("metrics:read", set()),
    ],
)
async def test_a_key_shows_no_more_than_it_may_read(live: Live, scope: str, sees: set[str]) -> None:
    await live.cron(name="a schedule of somebody")
    await queue(live, "a-queue-of-somebody", 1)
    reader = Visitor(live)
    await reader.sign_in(await live.key(scope))
    page = await reader.page("/console")
    assert set(tiles(page)) == sees
    assert ("a schedule of somebody" in page) == (scope == "cron:read")
    assert ("a-queue-of-somebody" in page) == (scope == "queue:consume")
    assert ("This key may read nothing" in page) == (not sees)


async def test_another_project_sees_nothing_of_this_one(visitor: Visitor, live: Live) -> None:
    await live.cron(name="a schedule of somebody")
    await queue(live, "a-queue-of-somebody", 1)
    stranger = Visitor(live)
    await stranger.sign_in(await live.key("admin", "cron:read", "queue:consume", "webhook:read", project="another"))
    page = await stranger.page("/console")
    assert "of somebody" not in page
    assert set(tiles(page).values()) == {"0"}
    assert "agents online" not in tiles(page)


async def test_what_is_due_next_is_listed_and_counted_by_the_hour(visitor_of_both: Visitor) -> None:
    visitor, live = visitor_of_both, visitor_of_both.live
    for number in range(25):
        await live.cron(cron_expr="*/5 * * * *", name=f"number {number}")
    await live.post("/v1/scheduling/task/schedule", {"task": "http://127.0.0.1:9/", "delay_seconds": 3600})
    page = await visitor.page("/console")
    first = re.findall(r'<tr id="due-(\d+)"', page)
    rest = re.findall(r'<tr id="due-(\d+)"', await visitor.page("/console/overview/upcoming"))
    assert len(first) == 20
    assert len(set(first + rest)) in (25, 26)
    assert f"{len(rest)} more</summary>" in page.split('id="coming"')[1]
    found = re.search(r"<figcaption>(?:about )?([\d,]+) runs by their schedules", page)
    assert found is not None
    assert 25 * 12 * 23 <= int(found[1].replace(",", "")) <= 25 * 12 * 24 + 1
    assert "about" not in found[0]
    assert len(re.findall(r'<rect class="main" x="', page)) >= 23


async def test_what_is_due_is_told_to_those_who_may_read_schedules(live: Live) -> None:
    await live.cron(name="a schedule of somebody")
    reader = Visitor(live)
    await reader.sign_in(await live.key("queue:consume"))
    answer = await reader.get("/console/overview/upcoming")
    assert answer.status == 403
    assert b"of somebody" not in answer.raw


async def test_charts_show_the_samples_of_the_span_that_the_address_names(visitor_of_both: Visitor) -> None:
    visitor, live = visitor_of_both, visitor_of_both.live
    await live.cron()
    now = minute_of(live.clock())
    for ago, fires in ((2 * MINUTE, 7), (2 * HOUR, 30), (3 * DAY, 500)):
        sample = Sample("default", fires, 1, 50 * fires, 80, (fires, *(0,) * (RANGES - 1)))
        await live.store.samples.add(now - ago, [sample])
    for span, total in (("1h", 7), ("24h", 37), ("7d", 537), ("nonsense", 7)):
        page = await visitor.page(f"/console?span={span}")
        fires, lateness = charts(page)
        assert sum(fires["series"][0]["values"]) == total
        assert sum(fires["series"][1]["values"]) == len({7, 37, 537} & set(range(total + 1)))
        assert len(fires["x"]) == len(fires["series"][0]["values"]) == len(lateness["x"])
        assert max(value or 0 for value in lateness["series"][1]["values"]) <= 4
        assert "50 ms on average, 80 ms at most" in page
    assert 'href="/console?span=24h"' in page


async def test_without_runs_there_is_no_chart_of_lateness(visitor: Visitor, live: Live) -> None:
    await live.cron()
    page = await visitor.page("/console")
    assert len(charts(page)) == 1
    assert "No run has begun in this span of time." in page


def test_every_span_has_its_steps_and_the_minute_that_is_not_over_is_left_out() -> None:
    now = 1_763_629_200_000 + 90 * SECOND
    for name, steps in (("1h", 59), ("24h", 288), ("7d", 168)):
        span = span_of(name)
        made = msgspec.json.decode(shown([], span, now, str).fires)
        assert len(made["x"]) == steps
        assert made["x"][-1] * 1000 <= now - (MINUTE if name == "1h" else 0)
    assert [span.name for span in SPANS] == ["1h", "24h", "7d"]


async def test_the_fullest_queues_are_compared(visitor: Visitor, live: Live) -> None:
    await queue(live, "some:queue", 1, 2, 3, 4)
    await queue(live, "another", 1)
    depths = (await visitor.page("/console")).split('id="depths"')[1]
    assert re.findall(r'class="main" width="([\d.]+)"', depths) == ["100.0", "25.0"]
    assert 'href="/console/queues/some%3Aqueue"' in depths


async def test_the_samples_are_told_apart_and_go_with_one_button(visitor: Visitor, live: Live) -> None:
    await sample_schedules.make(live.core, live.clock(), f"{live.url}/dev/echo", "UTC")
    mine = await live.cron(name="mine")
    page = await visitor.page("/console")
    assert "These two are samples" in page
    await visitor.submit("/console", "/console/overview/samples/delete")
    assert await visitor.told("/console") == "The samples are deleted."
    assert [job["id"] for job in (await live.get("/v1/cron/list")).data["items"]] == [mine["id"]]
    assert "samples" not in await visitor.page("/console")
    await sample_schedules.make(live.core, live.clock(), f"{live.url}/dev/echo", "UTC")
    assert len((await live.get("/v1/cron/list")).data["items"]) == 1


async def test_a_store_that_has_schedules_already_gets_no_samples(live: Live) -> None:
    made = await live.cron()
    for _ in range(2):
        await sample_schedules.make(live.core, live.clock(), f"{live.url}/dev/echo", "UTC")
        assert [job["id"] for job in (await live.get("/v1/cron/list")).data["items"]] == [made["id"]]
        await live.call("DELETE", f"/v1/cron/delete/{made['id']}")
        made = await live.cron()


async def test_a_sample_is_a_schedule_like_any_other(live: Live) -> None:
    await sample_schedules.make(live.core, live.clock(), f"{live.url}/dev/echo", "Europe/Berlin")
    jobs = {job["name"]: job for job in (await live.get("/v1/cron/list")).data["items"]}
    assert set(jobs) == {"sample: every minute", "sample: weekdays at nine"}
    assert jobs["sample: weekdays at nine"]["timezone"] == "Europe/Berlin"
    assert jobs["sample: every minute"]["payload"] == {"sample": True}


async def test_names_of_others_play_no_tricks(visitor: Visitor, live: Live) -> None:
    name = '<img src=x onerror=alert(1)>\u202e"&'
    bad = await live.cron(task=REFUSING, retry=0, name=name)
    await live.post(f"/v1/cron/trigger/{bad['id']}")
    await live.work()
    page = await visitor.page("/console")
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;⟨U+202E⟩" in page
