from __future__ import annotations

import re
from html import unescape

import pytest

from doors.console.visitor import Visitor
from doors.live import Live
from doors.queueing import Desk

ROW = re.compile(r'<tr id="queue-\d+">(.*?)</tr>', re.DOTALL)
NAME = re.compile(r'class="name" href="([^"]+)">([^<]+)<')
NEXT = re.compile(r'href="([^"]+)" rel="next"')


def rows(page: str) -> dict[str, list[str]]:
    """Name → what its cells say."""
    found = {}
    for row in ROW.findall(page):
        cells = [re.sub(r"<[^>]+>", " ", cell).split() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        name = NAME.search(row)
        assert name is not None
        found[unescape(name[2])] = [" ".join(map(unescape, cell)) for cell in cells]
    return found


async def another(live: Live, *scopes: str, project: str = "default") -> Visitor:
    """Signed in with fewer rights."""
    somebody = Visitor(live)
    assert (await somebody.sign_in(await live.key(*scopes, project=project))).status == 303
    return somebody


async def test_an_empty_list_says_what_to_do_first(visitor: Visitor) -> None:
    page = await visitor.page("/console/queues")
    assert "There is none yet" in page
    assert 'href="/console/queues/new"' in page


async def test_the_list_shows_what_each_queue_holds(visitor_of_both: Visitor) -> None:
    desk = Desk(visitor_of_both.live, "orders:eu.west")
    await desk.make(max_retries=0, type="standard")
    for payload in range(4):
        await desk.publish(payload)
    await desk.publish(9, delay_seconds=60)
    [first, _] = await desk.consume(max_messages=2)
    await desk.settle("nack", first)
    await desk.to("push_subscribe", url="http://127.0.0.1:9/in")
    await Desk(visitor_of_both.live, "quiet").make()
    page = await visitor_of_both.page("/console/queues")
    shown = rows(page)
    assert list(shown) == ["orders:eu.west", "orders:eu.west.dlq", "quiet"]
    assert shown["orders:eu.west"][1] == "standard"
    assert shown["orders:eu.west"][3:7] == ["2", "1", "1", "1"]
    assert shown["orders:eu.west"][7].endswith("s")
    assert shown["orders:eu.west"][8:] == ["1", "Pause"]
    assert "holds dead letters" in shown["orders:eu.west.dlq"][0]
    assert shown["quiet"][3:9] == ["0", "0", "0", "0", "–", "0"]
    assert 'href="/console/queues/orders%3Aeu.west"' in page


async def test_the_list_is_ordered_searched_and_filtered_by_its_address(visitor: Visitor) -> None:
    for name, count in (("b_one", 1), ("a.two", 2), ("c", 0)):
        desk = Desk(visitor.live, name)
        await desk.make()
        for _ in range(count):
            await desk.publish()
    await Desk(visitor.live, "c").to("pause")
    expected = {
        "": ["a.two", "b_one", "c"],
        "?order=name": ["a.two", "b_one", "c"],
        "?order=newest": ["c", "a.two", "b_one"],
        "?q=ONE": ["b_one"],
        "?q=_": ["b_one"],
        "?only=holding": ["a.two", "b_one"],
        "?only=paused": ["c"],
        "?only=dead": [],
        "?only=nonsense&order=nonsense": ["a.two", "b_one", "c"],
    }
    for query, names in expected.items():
        page = await visitor.page(f"/console/queues{query}")
        assert list(rows(page)) == names, query
    assert "No queue matches." in await visitor.page("/console/queues?only=dead")
    page = await visitor.page("/console/queues?q=one&only=holding&order=name")
    assert 'value="one"' in page
    assert {"holding", "name"} <= set(re.findall(r'<option value="([a-z]*)" selected>', page))


@pytest.mark.parametrize("text", ["%00", "%27%22%3Cb%3E", "%25", "!", "%5C", "%E2%80%AE", "%FF%FE", "x" * 5_000])
async def test_any_text_may_be_searched_for(visitor_of_both: Visitor, text: str) -> None:
    await Desk(visitor_of_both.live, "q").make()
    for order in ("depth", "name", "newest"):
        page = await visitor_of_both.page(f"/console/queues?order={order}&q={text}")
        assert list(rows(page)) == (["q"] if text == "%00" else [])
        assert "<b>" not in page
    assert list(rows(await visitor_of_both.page(f"/console/queues?order=name&cursor={text}"))) in (["q"], [])


@pytest.mark.parametrize("order", ["depth", "name", "newest"])
async def test_pages_follow_each_other(visitor: Visitor, order: str) -> None:
    for number in range(60):
        await visitor.live.post("/v1/queue/create", {"name": f"queue:{number:02}"})
    seen: list[str] = []
    path = f"/console/queues?order={order}&q=queue%3A"
    while True:
        page = await visitor.page(path)
        seen += rows(page)
        following = NEXT.search(page)
        if following is None:
            break
        path = unescape(following[1])
        assert "q=queue%3A" in path
    names = [f"queue:{number:02}" for number in range(60)]
    assert seen == (names if order == "name" else names[::-1])


@pytest.mark.parametrize("cursor", ["x", "1", "1.", "1.2.3", "9" * 20 + ".1", "-1.2", "1.²"])
async def test_a_cursor_that_no_list_has_written_is_refused(visitor: Visitor, cursor: str) -> None:
    answer = await visitor.get(f"/console/queues?cursor={cursor}")
    assert answer.status == 422
    assert "Begin at the first page" in answer.raw.decode()


async def test_a_queue_is_made_of_what_was_typed(visitor_of_both: Visitor) -> None:
    answer = await visitor_of_both.submit(
        "/console/queues/new",
        "/console/queues/new",
        name=" mail:eu ",
        type="fifo",
        visibility_timeout_default="45.5",
        max_retries="",
        message_retention_days="3",
        dead_letter_queue="lost",
        enable_priority="on",
    )
    assert (answer.status, answer.headers["location"]) == (303, "/console/queues/mail%3Aeu")
    assert await visitor_of_both.told("/console/queues/mail%3Aeu") == "The queue mail:eu is there."
    made = (await visitor_of_both.live.get("/v1/queue/get/mail:eu")).data
    assert (made["type"], made["dead_letter_queue"], made["max_retries"]) == ("fifo", "lost", 5)
    assert (made["visibility_timeout_default"], made["message_retention_days"]) == (45.5, 3)
    assert made["enable_priority"] is False


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "no spaces", "Use 1 to 124 letters"),
        ("name", "", "Use 1 to 124 letters"),
        ("dead_letter_queue", "a/b", "Use 1 to 124 letters"),
        ("max_retries", "many", "This is not a number."),
        ("max_retries", "1001", "max_retries"),
        ("visibility_timeout_default", "0", "visibility_timeout_default"),
        ("message_retention_days", "1e3", "This is not a number."),
        ("dead_letter_queue", "q", "its own dead-letter queue"),
        ("type", "lifo", "type"),
    ],
)
async def test_a_wrong_field_is_shown_again_with_its_fault_beside_it(
    visitor: Visitor, field: str, value: str, said: str
) -> None:
    typed = {"name": "q", "type": "standard", "max_retries": "3", field: value}
    answer = await visitor.submit("/console/queues/new", "/console/queues/new", **typed)
    page = answer.raw.decode()
    assert answer.status == 422
    fault = re.search(rf'<p class="fault" id="{field}-fault">(.*?)</p>', page)
    assert fault is not None
    assert said in unescape(fault[1])
    assert re.search(rf'name="{field}"[^>]*aria-invalid="true"[^>]*aria-describedby="[^"]*{field}-fault"', page)
    if field != "type":
        assert f'value="{value}"' in page
    assert (await visitor.live.get("/v1/queue/list")).data["items"] == []


async def test_a_queue_of_that_name_with_other_settings_is_a_conflict(visitor: Visitor) -> None:
    await Desk(visitor.live, "q").make(max_retries=1)
    answer = await visitor.submit("/console/queues/new", "/console/queues/new", name="q", max_retries="2")
    assert answer.status == 409
    assert "there is a queue q with other settings" in answer.raw.decode()


async def test_a_queue_is_paused_and_resumed(visitor: Visitor) -> None:
    await Desk(visitor.live, "a:b").make()
    page = "/console/queues?order=name"
    answer = await visitor.submit(page, "/console/queues/a%3Ab/pause")
    assert (answer.status, answer.headers["location"]) == (303, page)
    assert await visitor.told(page) == "a:b is paused: it takes messages and hands out none."
    assert (await visitor.live.get("/v1/queue/get/a:b")).data["paused"] is True
    assert "Resume" in rows(await visitor.page(page))["a:b"][-1]
    await visitor.submit(page, "/console/queues/a%3Ab/resume")
    assert (await visitor.live.get("/v1/queue/get/a:b")).data["paused"] is False


async def test_what_a_key_may_not_do_is_not_offered_and_is_refused(visitor: Visitor) -> None:
    live = visitor.live
    await Desk(live, "q").make()
    await Desk(live, "q").publish()
    reader = await another(live, "cron:read")
    assert (await reader.get("/console/queues")).status == 403
    publisher = await another(live, "queue:publish")
    page = await publisher.page("/console/queues")
    assert list(rows(page)) == ["q"]
    assert "/pause" not in page
    assert "/console/queues/dead" not in page
    await publisher.submit("/console/queues/new", "/console/queues/q/pause")
    assert (await live.get("/v1/queue/get/q")).data["paused"] is False
    assert "lacks the scope" in await publisher.told("/console/queues/new")
    for path in ("q/messages", "q/dead", "q/push", "dead"):
        assert (await publisher.get(f"/console/queues/{path}")).status == 403, path


async def test_queues_of_other_projects_are_not_there(visitor: Visitor) -> None:
    live = visitor.live
    desk = Desk(live, "q")
    await desk.make(max_retries=0)
    message_id = await desk.publish("secret words")
    stranger = await another(live, "queue:consume", "queue:publish", project="elsewhere")
    assert rows(await stranger.page("/console/queues")) == {}
    for path in ("", "/messages", f"/messages/{message_id}", "/publish", "/dead", "/push", "/settings"):
        answer = await stranger.get(f"/console/queues/q{path}")
        assert answer.status == 404, path
        assert "secret words" not in answer.raw.decode()
    await stranger.submit("/console/queues/new", "/console/queues/q/pause")
    assert (await live.get("/v1/queue/get/q")).data["paused"] is False
