"""The screens about deliveries, over a real socket."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest
import pytest_asyncio

from doors.console.visitor import Visitor
from doors.hooking import emit, get, register, send, settle
from doors.receiving import Receiver, receiving
from mainspring.core.limits import HOUR


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


def rows(page: str) -> list[str]:
    """The ids of the deliveries in the table."""
    return re.findall(r'<tr id="(dlv_[0-9a-z]{13})"', page)


async def test_filters_stand_in_the_address(visitor_of_both: Visitor, receiver: Receiver) -> None:
    live = visitor_of_both.live
    receiver.answers["/bad"] = [(500, {})]
    good = (await register(live, receiver.url + "/good", events=["order.paid"]))["id"]
    bad = (await register(live, receiver.url + "/bad", events=["order.*"], retry_policy={"max_attempts": 1}))["id"]
    first, second = await emit(live, "order.paid")
    await live.work()
    live.clock.ahead += 2 * HOUR
    [third] = await emit(live, "order.sent")
    direct = await send(live, receiver.url + "/direct")
    by_endpoint = {(await get(live, one))["endpoint_id"]: one for one in (first, second)}

    async def shown(query: str) -> list[str]:
        return rows(await visitor_of_both.page(f"/console/webhooks/deliveries?{query}"))

    assert await shown("") == [direct, third, second, first]
    assert await shown("state=failed") == [by_endpoint[bad]]
    assert await shown("state=delivered") == [by_endpoint[good]]
    assert await shown("state=queued") == [direct, third]
    assert await shown("state=queued&event=order.sent") == [third]
    assert await shown("event=order.sent") == [third]
    assert await shown("since=1h") == [direct, third]
    assert await shown("until=1h") == [second, first]
    assert await shown(f"endpoint_id={bad}") == [third, by_endpoint[bad]]
    assert await shown(f"endpoint_id={bad}&state=failed") == [by_endpoint[bad]]
    assert await shown(f"q={good}") == [by_endpoint[good]]
    assert await shown("q=nonsense") == []
    answer = await visitor_of_both.get(f"/console/webhooks/deliveries?q={direct}")
    assert answer.headers["location"] == f"/console/webhooks/deliveries/{direct}"
    page = await visitor_of_both.page("/console/webhooks/deliveries?until=soon")
    assert 'aria-invalid="true"' in page
    of_one = await visitor_of_both.page(f"/console/webhooks/{bad}?state=failed")
    assert rows(of_one) == [by_endpoint[bad]]


async def test_pages_follow_each_other(visitor_of_both: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.doors.console.deliveries.PAGE", 2)
    made = [await send(visitor_of_both.live, "http://127.0.0.1:9/x", event="a") for _ in range(5)]
    for start in ("", "?event=a", "?state=queued"):
        path: str | None = f"/console/webhooks/deliveries{start}"
        seen: list[str] = []
        while path is not None:
            page = await visitor_of_both.page(path)
            seen += rows(page)
            following = re.search(r'href="([^"]+)" rel="next"', page)
            path = unescape(following[1]) if following else None
        assert seen == made[::-1]


async def test_a_delivery_shows_its_attempts_the_request_and_what_came_back(
    visitor_of_both: Visitor, receiver: Receiver
) -> None:
    live = visitor_of_both.live
    receiver.answers["/flaky"] = [(503, {}), (200, {})]
    made = await register(live, receiver.url + "/flaky", headers={"X-Key": "very-secret"}, retry_policy={"delays": [1]})
    [delivery] = await emit(live)
    await live.work()
    path = f"/console/webhooks/deliveries/{delivery}"
    waiting = await visitor_of_both.page(path)
    assert "Next attempt" in waiting
    assert "HTTP status 503" in waiting
    await live.work(ahead=2_000)
    page = await visitor_of_both.page(path)
    assert len(re.findall(r'<tr id="attempt-\d"', page)) == 2
    assert {"idle", "bad", "good"} <= set(re.findall(r'<rect class="(\w+)" x=', page))
    for shown in ("X-Key", "webhook-signature", "order.paid", f'href="/console/webhooks/{made["id"]}"'):
        assert shown in page
    assert "very-secret" not in page
    assert made["secret"] not in page


async def test_a_delivery_is_replayed_or_tried_no_more(visitor_of_both: Visitor, receiver: Receiver) -> None:
    live = visitor_of_both.live
    await register(live, receiver.url + "/a")
    [delivery] = await emit(live)
    path = f"/console/webhooks/deliveries/{delivery}"
    await visitor_of_both.submit(path, f"{path}/cancel")
    assert "not tried any more" in await visitor_of_both.told(path)
    assert (await get(live, delivery))["state"] == "cancelled"
    assert ">Replay as a new delivery<" in await visitor_of_both.page(path)
    for new_id in ("", "yes"):
        answer = await visitor_of_both.submit(path, f"{path}/replay", new_id=new_id)
        again = answer.headers["location"].rpartition("/")[2]
        record = await get(live, again)
        assert record["replay_of"] == delivery
        assert (record["webhook_id"] == delivery) is (new_id == "")
        assert f'href="{path}"' in await visitor_of_both.page(f"/console/webhooks/deliveries/{again}")
    await visitor_of_both.submit(path, f"{path}/cancel")
    assert (await get(live, delivery))["state"] == "cancelled"


async def test_picked_deliveries_are_replayed_or_cancelled_and_refusals_are_counted(
    visitor_of_both: Visitor, receiver: Receiver
) -> None:
    live, page = visitor_of_both.live, "/console/webhooks/deliveries"
    await register(live, receiver.url + "/a")
    [over] = await emit(live)
    await settle(live)
    [waiting] = await emit(live)
    picks = [("pick", over), ("pick", waiting)]
    await visitor_of_both.submit_all(page, f"{page}/some", [*picks, ("do", "cancel")])
    told = await visitor_of_both.told(page)
    assert "Cancelled: 1." in told
    assert "Refused: 1." in told
    assert (await get(live, waiting))["state"] == "cancelled"
    await visitor_of_both.submit_all(page, f"{page}/some", [*picks, ("do", "replay")])
    assert "Replayed: 2." in await visitor_of_both.told(page)
    for fields in ([("do", "replay")], [*picks, ("do", "delete")]):
        await visitor_of_both.submit_all(page, f"{page}/some", fields)
        assert "That cannot be done" in await visitor_of_both.told(page)


async def test_deliveries_of_others_are_not_there(visitor: Visitor) -> None:
    live = visitor.live
    key = await live.key("webhook:write", "webhook:read", project="other")
    body = {"url": "http://127.0.0.1:9/x", "payload": {}}
    theirs = (await live.post("/v1/webhook/send", body, key=key)).data["delivery_id"]
    assert rows(await visitor.page("/console/webhooks/deliveries")) == []
    for one in (theirs, "dlv_0000000000000", "nonsense"):
        assert (await visitor.get(f"/console/webhooks/deliveries/{one}")).status == 404
        await visitor.submit("/console/webhooks/emit", f"/console/webhooks/deliveries/{one}/replay")
        assert "Not found" in await visitor.told("/console/webhooks/emit")


async def test_a_delivery_to_a_deleted_endpoint_is_still_shown(visitor: Visitor, receiver: Receiver) -> None:
    live = visitor.live
    made = await register(live, receiver.url + "/a")
    [delivery] = await emit(live)
    await settle(live)
    await live.call("DELETE", f"/v1/account/webhooks/delete/{made['id']}")
    page = await visitor.page(f"/console/webhooks/deliveries/{delivery}")
    assert "the endpoint was deleted" in page
    assert rows(await visitor.page("/console/webhooks/deliveries")) == [delivery]
