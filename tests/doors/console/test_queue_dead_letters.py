from __future__ import annotations

import re
from html import unescape

from doors.console.test_queue_messages import listed
from doors.console.test_queues import NEXT, another
from doors.console.visitor import Visitor
from doors.live import Live
from doors.queueing import Desk, counts
from mainspring.core.push_model import PushResult


async def failed(live: Live, queue: str, *payloads: object) -> list[str]:
    """Messages that have become dead letters, one after the other."""
    desk = Desk(live, queue)
    await desk.make(max_retries=0)
    made = [await desk.publish(payload) for payload in payloads]
    for _ in payloads:
        await desk.settle("nack", (await desk.consume(max_messages=1))[0])
    return made


async def test_dead_letters_are_shown_of_a_queue_and_in_theirs(visitor_of_both: Visitor) -> None:
    first, second = await failed(visitor_of_both.live, "a:b", "one", "two")
    page = unescape(await visitor_of_both.page("/console/queues/a%3Ab/dead"))
    assert set(listed(page)) == {first, second}
    assert "max retries" in page
    assert "2 in all." in page
    inside = await visitor_of_both.page("/console/queues/a%3Ab.dlq/dead")
    assert set(listed(inside)) == {first, second}
    assert 'href="/console/queues/a%3Ab/dead"' in inside
    shown = await visitor_of_both.page(f"/console/queues/a%3Ab.dlq/messages/{first}")
    assert "Dead letter" in shown
    assert 'href="/console/queues/a%3Ab"' in shown


async def test_dead_letters_of_all_queues_stand_in_one_list(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    assert "nothing has failed for good" in await visitor_of_both.page("/console/queues/dead")
    made = [*await failed(live, "a", 1), *await failed(live, "b", 2, 3)]
    page = await visitor_of_both.page("/console/queues/dead")
    assert sorted(listed(page)) == sorted(made)
    assert 'href="/console/queues/a/dead"' in page
    stranger = await another(live, "queue:consume", project="elsewhere")
    assert listed(await stranger.page("/console/queues/dead")) == []


async def test_pages_of_dead_letters_follow_each_other(visitor: Visitor) -> None:
    desk = Desk(visitor.live, "q")
    await desk.make(max_retries=0)
    published = (await desk.say("publish_batch", messages=[{"payload": n} for n in range(110)])).data["message_ids"]
    for message in await desk.consume(max_messages=200):
        await desk.settle("nack", message)
    for path in ("/console/queues/q/dead", "/console/queues/dead", "/console/queues/q.dlq/dead"):
        seen: list[str] = []
        following: re.Match[str] | None = None
        while following or not seen:
            page = await visitor.page(unescape(following[1]) if following else path)
            seen += listed(page)
            following = NEXT.search(page)
        assert len(seen) == len(set(seen))
        assert set(seen) == set(published)


async def test_one_dead_letter_is_sent_back(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    first, second = await failed(live, "a:b", "one", "two")
    page = "/console/queues/a%3Ab/dead"
    answer = await visitor_of_both.submit(page, "/console/queues/dead/redrive", one=f"a:b.dlq/{first}")
    assert (answer.status, answer.headers["location"]) == (303, page)
    assert await visitor_of_both.told(page) == "1 dead letters went back to where they came from."
    assert listed(await visitor_of_both.page(page)) == [second]
    assert [one["message_id"] for one in await Desk(live, "a:b").consume()] == [first]


async def test_those_that_were_picked_are_sent_back_from_any_queue(visitor: Visitor) -> None:
    live = visitor.live
    [one] = await failed(live, "a", 1)
    two, left = await failed(live, "b", 2, 3)
    page = "/console/queues/dead"
    shown = await visitor.page(page)
    picks = re.findall(r'name="pick" value="([^"]+)" form="picked"', shown)
    assert shown.count('name="pick"') == len(picks), "the page counts what is ticked by this name"
    assert set(picks) == {f"a.dlq/{one}", f"b.dlq/{two}", f"b.dlq/{left}"}
    token = re.search(r'name="csrf" value="([^"]+)"', shown)
    assert token is not None
    body = f"csrf={token[1]}&back={page}&pick=a.dlq%2F{one}&pick=b.dlq%2F{two}"
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    answer = await live.call(
        "POST", "/console/queues/dead/redrive", raw=body.encode(), key=None, headers=headers | {"Origin": live.url}
    )
    assert answer.status == 200, "it follows to the page"
    assert listed(answer.raw.decode()) == [left]
    assert await Desk(live, "a").stats() == counts(available=1)
    assert await Desk(live, "b").stats() == counts(available=1, dlq=1)


async def test_what_somebody_has_leased_stays(visitor: Visitor) -> None:
    [one] = await failed(visitor.live, "q", 1)
    await Desk(visitor.live, "q.dlq").consume()
    page = await visitor.page("/console/queues/q/dead")
    assert "leased" in page
    assert re.search(rf'value="q.dlq/{one}"[^>]* disabled', page)
    await visitor.submit("/console/queues/q/dead", "/console/queues/dead/redrive", pick=f"q.dlq/{one}")
    told = await visitor.told("/console/queues/q/dead")
    assert told == "0 of 1 went back; the others are leased, or gone."


async def test_one_whose_queue_is_gone_does_not_keep_the_others(visitor: Visitor) -> None:
    [one] = await failed(visitor.live, "q", 1)
    page = "/console/queues/q/dead"
    for pick in (f"gone/{one}", "", "/", f"q.dlq/{one}x"):
        await visitor.submit(page, "/console/queues/dead/redrive", one=pick)
        assert (await visitor.told(page)).startswith(("0 of 1 went back", "That cannot be done")), pick
    await visitor.submit(page, "/console/queues/dead/redrive", one=f"q.dlq/{one}")
    assert await Desk(visitor.live, "q").stats() == counts(available=1)


async def test_nothing_picked_is_said(visitor: Visitor) -> None:
    await failed(visitor.live, "q", 1)
    await visitor.submit("/console/queues/q/dead", "/console/queues/dead/redrive")
    assert "Nothing was picked" in await visitor.told("/console/queues/q/dead")


async def test_all_of_them_or_the_oldest_or_those_since_are_sent_back(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    desk = Desk(live, "q")
    await failed(live, "q", *range(5))
    page, path = "/console/queues/q/dead", "/console/queues/q/dead/redrive"
    await visitor_of_both.submit(page, path, since="2099-01-01T00:00", max_messages="")
    assert await visitor_of_both.told(page) == "0 dead letters went back to where they came from."
    await visitor_of_both.submit(page, path, since="", max_messages="2")
    assert await desk.stats() == counts(available=2, dlq=3)
    await visitor_of_both.submit(page, path, since="2020-01-01T00:00", max_messages="")
    assert await visitor_of_both.told(page) == "3 dead letters went back to where they came from."
    assert await desk.stats() == counts(available=5)


async def test_a_wrong_number_is_said(visitor: Visitor) -> None:
    await failed(visitor.live, "q", 1)
    page = "/console/queues/q/dead"
    for fields in ({"max_messages": "all"}, {"max_messages": "0"}, {"since": "yesterday"}):
        await visitor.submit(page, f"{page}/redrive", **fields)
        assert "That cannot be done" in await visitor.told(page)
    assert await Desk(visitor.live, "q").stats() == counts(dlq=1)


async def test_a_push_that_failed_for_good_is_the_last_error(visitor: Visitor) -> None:
    live = visitor.live
    desk = Desk(live, "q")
    await desk.make(max_retries=0)
    await desk.to("push_subscribe", url="http://127.0.0.1:9/in")
    await desk.publish(1)
    now = live.clock()
    [subscription] = await live.store.pushes.wanted(now, None)
    pushes = await live.store.pushes.claim(now, [subscription], 5)
    results = [PushResult(push, "nack", now, now, now, now, status=503, error="went <wrong>") for push in pushes]
    await live.store.pushes.finish(now, results)
    for path in ("q/dead", "dead"):
        assert "went &lt;wrong&gt;" in await visitor.page(f"/console/queues/{path}")


async def test_sending_back_needs_the_right_to_consume(visitor: Visitor) -> None:
    [one] = await failed(visitor.live, "q", 1)
    publisher = await another(visitor.live, "queue:publish")
    for path, fields in (("dead/redrive", {"pick": f"q.dlq/{one}"}), ("q/dead/redrive", {})):
        await publisher.submit("/console/queues/new", f"/console/queues/{path}", **fields)
        assert "lacks the scope" in await publisher.told("/console/queues/new")
    assert await Desk(visitor.live, "q").stats() == counts(dlq=1)
