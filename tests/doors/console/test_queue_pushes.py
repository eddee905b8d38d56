from __future__ import annotations

import re
from html import unescape

import pytest

from doors.console.test_queues import another
from doors.console.visitor import Visitor
from doors.queueing import Desk
from mainspring.core.push_model import PushResult

ROW = re.compile(r'<tr id="(sub|dlv)_\w+">(.*?)</tr>', re.DOTALL)
PAGE = "/console/queues/q/push"
URL = "http://127.0.0.1:9/in?a=1&b=<2>"


def cells(page: str, kind: str) -> list[list[str]]:
    """What the cells of the rows of subscriptions or of pushes say."""
    return [
        [
            " ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split())
            for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)
        ]
        for name, row in ROW.findall(page)
        if name == kind
    ]


async def test_a_url_is_subscribed_with_all_that_can_be_said(visitor_of_both: Visitor) -> None:
    desk = Desk(visitor_of_both.live, "q")
    await desk.make()
    assert "Nothing is pushed." in await visitor_of_both.page(PAGE)
    answer = await visitor_of_both.submit(
        PAGE,
        PAGE,
        url=f" {URL} ",
        secret="a secret of mine",
        headers="X-A: hidden value",
        signature_style="timestamp.body",
        format="payload",
        max_concurrency="3",
        timeout_seconds="12.5",
        visibility_timeout="60",
        max_retries="2",
        dead_letter_queue="lost",
    )
    assert (answer.status, answer.headers["location"]) == (303, PAGE)
    page = await visitor_of_both.page(PAGE)
    assert "a secret of mine" not in page
    assert "hidden value" not in page
    [one] = (await desk.look("push_list"))["items"]
    assert (one["url"], one["format"], one["signature_style"]) == (URL, "payload", "timestamp.body")
    assert (one["max_concurrency"], one["timeout_seconds"], one["visibility_timeout"]) == (3, 12.5, 60)
    assert (one["max_retries"], one["dead_letter_queue"], one["signed"]) == (2, "lost", True)
    assert one["headers"] == {"X-A": "***"}
    [row] = cells(page, "sub")
    assert row[0].startswith(URL)
    assert "dead letters to lost" in row[0]
    assert row[1:4] == ["active", "0 / 3", "payload"]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("url", "", "url"),
        ("url", "ftp://127.0.0.1/", "url"),
        ("url", "http://10.0.0.1/", "MAINSPRING_ALLOW_TARGETS"),
        ("max_concurrency", "101", "max_concurrency"),
        ("timeout_seconds", "soon", "This is not a number."),
        ("headers", "Host: x", "Host"),
        ("format", "xml", "format"),
    ],
)
async def test_what_cannot_be_subscribed_is_shown_again(visitor: Visitor, field: str, value: str, said: str) -> None:
    desk = Desk(visitor.live, "q")
    await desk.make()
    typed = {"url": "http://127.0.0.1:9/in", "secret": "hush-hush", field: value}
    answer = await visitor.submit(PAGE, PAGE, **typed)
    page = unescape(answer.raw.decode())
    assert answer.status == 422
    fault = re.search(rf'<p class="fault" id="{field}-fault">(.*?)</p>', page)
    assert fault is not None
    assert said in fault[1]
    assert "hush-hush" not in page
    assert (await desk.look("push_list"))["items"] == []


async def test_what_was_pushed_is_shown_with_its_outcome(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    desk = Desk(live, "q")
    await desk.make()
    first = (await desk.to("push_subscribe", url=URL)).data["id"]
    kept, failed = [await desk.publish(n) for n in range(2)]
    now = live.clock()
    [subscription] = await live.store.pushes.wanted(now, None)
    pushes = await live.store.pushes.claim(now, [subscription], 5)
    assert cells(await visitor_of_both.page(PAGE), "sub")[0][2] == "2 / 8"
    good, bad = sorted(pushes, key=lambda push: push.message.id)
    await live.store.pushes.finish(
        now,
        [
            PushResult(good, "ack", now, now, now, now, status=200, body=b"fine"),
            PushResult(
                bad, "nack", now, now, now, now, status=500, body=b"<script>no</script>", error="HTTP status 500"
            ),
        ],
    )
    second = (await desk.to("push_subscribe", url="http://127.0.0.1:9/other")).data["id"]
    page = await visitor_of_both.page(PAGE)
    assert "<script>no" not in page
    shown = sorted(cells(page, "dlv"), key=lambda row: row[4])
    assert [(row[1], row[4]) for row in shown] == [(kept, "acked"), (failed, "nacked")]
    assert shown[0][5].startswith("HTTP 200")
    assert shown[1][5].startswith("HTTP status 500")
    assert f"/messages/{failed}" in page
    assert f"/messages/{kept}" not in page, "what was acknowledged is gone"
    assert len(cells(await visitor_of_both.page(f"{PAGE}?subscription_id={first}"), "dlv")) == 2
    assert "Nothing was pushed yet." in await visitor_of_both.page(f"{PAGE}?subscription_id={second}")


async def test_a_subscription_is_removed(visitor: Visitor) -> None:
    desk = Desk(visitor.live, "q")
    await desk.make()
    public = (await desk.to("push_subscribe", url=URL)).data["id"]
    answer = await visitor.submit(PAGE, f"{PAGE}/remove", subscription=public)
    assert (answer.status, answer.headers["location"]) == (303, PAGE)
    page = await visitor.page(PAGE)
    assert cells(page, "sub")[0][1].startswith("ended")
    assert f"{PAGE}/remove" not in page
    await visitor.submit(PAGE, f"{PAGE}/remove", subscription="sub_0000000000000")
    assert "Not found" in await visitor.told(PAGE)


async def test_subscriptions_need_the_right_to_consume(visitor: Visitor) -> None:
    desk = Desk(visitor.live, "q")
    await desk.make()
    public = (await desk.to("push_subscribe", url=URL)).data["id"]
    publisher = await another(visitor.live, "queue:publish")
    await publisher.submit("/console/queues/new", PAGE, url="http://127.0.0.1:9/mine")
    await publisher.submit("/console/queues/new", f"{PAGE}/remove", subscription=public)
    assert [(one["url"], one["state"]) for one in (await desk.look("push_list"))["items"]] == [(URL, "active")]
