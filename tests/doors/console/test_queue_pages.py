from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest

from doors.console.test_queues import another
from doors.console.visitor import Visitor
from doors.live import KEY
from doors.queueing import Desk, counts
from mainspring.core.limits import MINUTE
from mainspring.core.samples import minute_of

TILE = re.compile(r'class="tile[^"]*"[^>]*><span class="count">([^<]*)</span><span class="label">([^<]*)</span>')
CHART = re.compile(r'<figure class="chart" id="(\w+)">.*?data-chart="([^"]*)"', re.DOTALL)


def tiles(page: str) -> dict[str, str]:
    return {label: count for count, label in TILE.findall(page)}


def charts(page: str) -> dict[str, Any]:
    return {name: json.loads(unescape(spec)) for name, spec in CHART.findall(page)}


async def test_a_queue_shows_its_numbers_now_and_over_time(visitor_of_both: Visitor) -> None:
    desk = Desk(visitor_of_both.live, "orders")
    await desk.make(max_retries=0)
    for payload in range(3):
        await desk.publish(payload)
    await desk.settle("nack", (await desk.consume(max_messages=1))[0])
    await desk.publish(1, delay_seconds=60)
    page = await visitor_of_both.page("/console/queues/orders")
    shown = tiles(page)
    assert {name: shown[name] for name in ("Available", "Delayed", "In flight", "Dead letters")} == {
        "Available": "2",
        "Delayed": "1",
        "In flight": "0",
        "Dead letters": "1",
    }
    assert shown["Age of the oldest"].endswith("s")
    drawn = charts(page)
    assert [one["values"][-1] for one in drawn["depth"]["series"]] == [2, 1, 0, 1]
    assert drawn["age"]["unit"] == "ms"
    for spec in drawn.values():
        assert spec["x"] == sorted(spec["x"])
        assert all(len(one["values"]) == len(spec["x"]) for one in spec["series"])


@pytest.mark.parametrize(("span", "hours", "step"), [("1h", 1, 60), ("24h", 24, 300), ("7d", 168, 3600)])
async def test_the_charts_reach_as_far_as_the_address_says(visitor: Visitor, span: str, hours: int, step: int) -> None:
    await Desk(visitor.live, "q").make()
    page = await visitor.page(f"/console/queues/q?span={span}")
    x = charts(page)["depth"]["x"]
    assert hours * 3600 <= x[-1] - x[0] <= hours * 3600 + step
    assert x[1] - x[0] == step
    assert re.search(r'aria-current="true">([^<]+)<', page)


async def test_the_charts_show_what_was_noted_of_the_queue(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    desk = Desk(live, "q")
    await desk.make()
    await desk.publish()
    await desk.publish()
    noted = minute_of(live.clock()) - 10 * MINUTE
    assert await live.store.samples.add_queues(noted, live.clock()) == 1
    await desk.publish()
    for span in ("1h", "24h", "7d"):
        spec = charts(await visitor_of_both.page(f"/console/queues/q?span={span}"))["depth"]
        available = dict(zip(spec["x"], spec["series"][0]["values"], strict=True))
        assert sorted(value for value in available.values() if value) == [2, 3], span
        [at] = [at for at, value in available.items() if value == 2]
        assert at <= noted / 1000 < at + spec["x"][1] - spec["x"][0]


@pytest.mark.parametrize("name", ["new", "dead", ".", "..", "a:b", "x.dlq", "-", "a" * 124])
async def test_a_queue_of_any_name_has_its_pages(visitor: Visitor, name: str) -> None:
    await visitor.live.post("/v1/queue/create", {"name": name})
    listed = await visitor.page("/console/queues")
    found = re.search(r'class="name" href="([^"]+)"', listed)
    assert found is not None
    for path in ("", "/messages", "/publish", "/dead", "/push", "/settings"):
        page = await visitor.page(unescape(found[1]) + path)
        assert f"<h1>{name}</h1>" in page, path
        assert 'aria-current="page"' in page
    await visitor.submit(unescape(found[1]), f"{unescape(found[1])}/pause")
    assert (await visitor.live.get("/v1/queue/list")).data["items"][0]["paused"] is True


async def test_the_examples_work_as_they_stand(visitor: Visitor) -> None:
    """They name this server and this queue, and no key."""
    await Desk(visitor.live, "a:b").make()
    page = unescape(await visitor.page("/console/queues/a%3Ab"))
    assert KEY not in page
    blocks = dict(re.findall(r'<pre id="([\w-]+)"[^>]*>(.*?)</pre>', page, re.DOTALL))
    assert set(blocks) == {
        f"{verb}-{one}" for verb in ("publish", "consume") for one in ("curl", "python", "typescript")
    }
    assert all(visitor.live.url in text and "a:b" in text for text in blocks.values())
    url, body = re.findall(r"(http://\S+)|-d '(.*)'", blocks["publish-curl"])
    answer = await visitor.live.post(url[0].removeprefix(visitor.live.url), json.loads(body[1]))
    assert answer.data["queue"] == "a:b"
    for python in (blocks["publish-python"], blocks["consume-python"]):
        compile(python, "example", "exec")


async def test_settings_are_changed(visitor_of_both: Visitor) -> None:
    desk = Desk(visitor_of_both.live, "q")
    await desk.make(max_retries=7, dead_letter_queue="lost")
    path = "/console/queues/q/settings"
    page = await visitor_of_both.page(path)
    assert re.search(r'name="max_retries"[^>]*value="7"', page)
    assert re.search(r'name="dead_letter_queue"[^>]*value="lost"', page)
    answer = await visitor_of_both.submit(
        path, path, do="save", max_retries="9", visibility_timeout_default="60", message_retention_days=""
    )
    assert (answer.status, answer.headers["location"]) == (303, path)
    changed = (await visitor_of_both.live.get("/v1/queue/get/q")).data
    assert (changed["max_retries"], changed["visibility_timeout_default"]) == (9, 60)
    assert (changed["message_retention_days"], changed["dead_letter_queue"]) == (14, None)
    assert changed["enable_priority"] is False
    assert await visitor_of_both.told(path) == "The settings of q are changed."


async def test_a_setting_that_cannot_be_stays_in_its_field_with_its_fault(visitor: Visitor) -> None:
    await Desk(visitor.live, "q").make(max_retries=7)
    path = "/console/queues/q/settings"
    answer = await visitor.submit(path, path, do="save", max_retries="1001")
    page = answer.raw.decode()
    assert answer.status == 422
    assert re.search(r'name="max_retries"[^>]*value="1001" aria-invalid="true"', page)
    assert 'id="max_retries-fault"' in page
    assert (await visitor.live.get("/v1/queue/get/q")).data["max_retries"] == 7


async def test_purging_needs_the_name(visitor: Visitor) -> None:
    desk = Desk(visitor.live, "a:b")
    await desk.make()
    await desk.publish()
    await desk.publish(delay_seconds=60)
    path = "/console/queues/a%3Ab/settings"
    for typed in ("", "a", "A:B"):
        answer = await visitor.submit(path, path, do="purge", purge_name=typed)
        assert answer.status == 422
        assert 'id="purge_name-fault"' in answer.raw.decode()
    assert await desk.stats() == counts(available=1, delayed=1)
    answer = await visitor.submit(path, path, do="purge", purge_name="a:b")
    assert answer.headers["location"] == "/console/queues/a%3Ab"
    assert await visitor.told("/console/queues/a%3Ab") == "a:b is empty: 2 messages are gone."
    assert await desk.stats() == counts()


async def test_deleting_needs_the_name(visitor: Visitor) -> None:
    await Desk(visitor.live, "q").make()
    path = "/console/queues/q/settings"
    assert (await visitor.submit(path, path, do="delete", delete_name="p")).status == 422
    assert (await visitor.live.get("/v1/queue/get/q")).status == 200
    answer = await visitor.submit(path, path, do="delete", delete_name="q")
    assert answer.headers["location"] == "/console/queues"
    assert await visitor.told("/console/queues") == "The queue q is deleted."
    assert (await visitor.live.get("/v1/queue/get/q")).status == 404


async def test_a_queue_that_others_need_says_so_and_stays(visitor: Visitor) -> None:
    await Desk(visitor.live, "orders").make(dead_letter_queue="lost")
    path = "/console/queues/lost/settings"
    page = await visitor.page(path)
    assert "It cannot be deleted while the dead letters of these queues go to it: orders." in page
    answer = await visitor.submit(path, path, do="delete", delete_name="lost")
    assert answer.status == 409
    assert "the dead letters of orders go to this queue" in answer.raw.decode()
    assert (await visitor.live.get("/v1/queue/get/lost")).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"do": "save", "max_retries": "1"},
        {"do": "purge", "purge_name": "q"},
        {"do": "delete", "delete_name": "q"},
        {"do": "purge", "purge_name": "wrong"},
    ],
)
async def test_settings_need_the_right_to_consume(visitor: Visitor, fields: dict[str, str]) -> None:
    desk = Desk(visitor.live, "q")
    await desk.make(max_retries=7)
    await desk.publish()
    publisher = await another(visitor.live, "queue:publish")
    page = await publisher.page("/console/queues/q/settings")
    assert 'name="do"' not in page
    answer = await publisher.submit("/console/queues/new", "/console/queues/q/settings", **fields)
    assert answer.status == 403
    assert (await visitor.live.get("/v1/queue/get/q")).data["max_retries"] == 7
    assert await desk.stats() == counts(available=1)


async def test_a_queue_that_is_not_there_has_no_page(visitor: Visitor) -> None:
    for path in ("nothing", "nothing/messages", "a%20b", "%3Cscript%3E"):
        answer = await visitor.get(f"/console/queues/{path}")
        assert answer.status == 404, path
        assert "<script>" not in answer.raw.decode()
