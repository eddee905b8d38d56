"""The screens about endpoints, over a real socket: what they show, and that what they offer is done."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from doors.console.visitor import Visitor
from doors.hooking import emit, register, settle
from doors.live import Live
from doors.receiving import Receiver, receiving
from mainspring.core.limits import HOUR

FORM = {
    "url": "https://hooks.example.com/a",
    "events": "order.*\ninvoice.paid",
    "description": "for billing",
    "headers": "X-Team: billing\nX-Key: very-secret",
    "retry": "delays",
    "delays": "5, 60 0.5",
    "timeout_seconds": "12.5",
    "max_concurrency": "3",
    "rate_limit": "0.5",
    "ordered": "yes",
    "signature_style": "timestamp.body",
}


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


def rows(page: str) -> list[str]:
    """The ids of the endpoints or deliveries in the table."""
    return re.findall(r'<tr id="((?:wh|dlv)_[0-9a-z]{13})"', page)


async def endpoint(live: Live, endpoint_id: str) -> dict[str, Any]:
    record: dict[str, Any] = (await live.get(f"/v1/account/webhooks/get/{endpoint_id}")).data
    return record


async def failing(live: Live, receiver: Receiver, path: str = "/bad") -> str:
    """An endpoint to which three deliveries have failed for good."""
    receiver.answers[path] = [(500, {})]
    made = await register(live, receiver.url + path, retry_policy={"max_attempts": 1})
    for _ in range(3):
        await emit(live)
        await live.work()
    return str(made["id"])


async def test_the_list_shows_how_endpoints_are_doing(visitor_of_both: Visitor, receiver: Receiver) -> None:
    live = visitor_of_both.live
    bad = await failing(live, receiver)
    good = (await register(live, receiver.url + "/good", description="for billing", ordered=True))["id"]
    [delivery] = (await live.post(f"/v1/account/webhooks/test/{good}")).data["delivery_ids"]
    await live.work()
    off = (await register(live, receiver.url + "/off"))["id"]
    await live.call("PATCH", f"/v1/account/webhooks/update/{off}", {"enabled": False})
    page = await visitor_of_both.page("/console/webhooks")
    assert rows(page) == [off, good, bad]
    assert "switched off by hand" in page
    assert f'href="/console/webhooks/deliveries/{delivery}"' in page
    assert "for billing" in page

    async def shown(query: str) -> list[str]:
        return rows(await visitor_of_both.page(f"/console/webhooks?{query}"))

    assert await shown("state=disabled") == [off]
    assert await shown("state=failing") == [bad]
    assert await shown("state=active") == [good]
    assert await shown("state=resting") == []
    assert await shown("q=BILLING") == [good]
    assert await shown("q=/bad") == [bad]
    assert await shown("q=%25") == []


async def test_an_endpoint_that_rests_says_until_when(visitor_of_both: Visitor, receiver: Receiver) -> None:
    live = visitor_of_both.live
    receiver.answers["/bad"] = [(500, {})]
    made = await register(live, receiver.url + "/bad", retry_policy={"max_attempts": 1})
    for _ in range(12):
        await emit(live)
        await live.work()
    assert rows(await visitor_of_both.page("/console/webhooks?state=resting")) == [made["id"]]
    assert "Rests until" in await visitor_of_both.page(f"/console/webhooks/{made['id']}")


async def test_pages_of_endpoints_follow_each_other(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.doors.console.webhooks.PAGE", 2)
    made = [(await register(visitor.live, f"http://127.0.0.1:9/{number}"))["id"] for number in range(5)]
    path: str | None = "/console/webhooks"
    seen: list[str] = []
    while path is not None:
        page = await visitor.page(path)
        seen += rows(page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        path = unescape(following[1]) if following else None
    assert seen == made[::-1]


async def test_a_new_endpoint_is_made_of_the_form_and_its_secret_shown_once(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    answer = await visitor_of_both.submit("/console/webhooks/new", "/console/webhooks/register", **FORM)
    assert answer.status == 200
    page = answer.raw.decode()
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", page)
    assert secret is not None
    assert "set-cookie" not in answer.headers
    [made] = (await live.get("/v1/account/webhooks/list")).data["items"]
    assert (made["url"], made["events"], made["description"]) == (
        FORM["url"],
        ["order.*", "invoice.paid"],
        "for billing",
    )
    assert made["headers"] == {"X-Team": "***", "X-Key": "***"}
    assert made["retry_policy"] == {"max_attempts": 4, "max_retries": 3, "delays": [5, 60, 0.5]}
    assert (made["timeout_seconds"], made["max_concurrency"], made["rate_limit"]) == (12.5, 3, 0.5)
    assert (made["ordered"], made["signature_style"]) == (True, "timestamp.body")
    for path in ("/console/webhooks", f"/console/webhooks/{made['id']}", f"/console/webhooks/{made['id']}/edit"):
        shown = await visitor_of_both.page(path)
        assert secret[0] not in shown
        assert "very-secret" not in shown
    assert (await visitor_of_both.get("/console/webhooks/register")).status == 303


async def test_a_secret_of_ones_own_is_taken(visitor: Visitor) -> None:
    given = FORM | {"secret": "one of my own secrets", "retry": "standard"}
    page = (await visitor.submit("/console/webhooks/new", "/console/webhooks/register", **given)).raw.decode()
    assert "one of my own secrets" in page
    [made] = (await visitor.live.get("/v1/account/webhooks/list")).data["items"]
    assert made["retry_policy"] == {"max_attempts": 10, "max_retries": 9, "delays": None}


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": ""}, "url"),
        ({"events": "a..b"}, "events"),
        ({"headers": "no colon"}, "headers"),
        ({"headers": "X-A: 1\nX-A: 2"}, "headers"),
        ({"headers": "Host: x"}, "headers"),
        ({"retry": "count", "max_attempts": ""}, "max_attempts"),
        ({"retry": "count", "max_attempts": "99"}, "max_attempts"),
        ({"delays": "5, soon"}, "delays"),
        ({"delays": "-1"}, "delays"),
        ({"timeout_seconds": "5000"}, "timeout_seconds"),
        ({"timeout_seconds": "nan"}, "timeout_seconds"),
        ({"max_concurrency": "1.5"}, "max_concurrency"),
        ({"rate_limit": "0"}, "rate_limit"),
        ({"signature_style": "none"}, "signature_style"),
        ({"secret": "whsec_AAAA"}, "secret"),
    ],
)
async def test_a_fault_stands_beside_its_field_and_what_was_typed_stays(
    visitor: Visitor, fields: dict[str, str], at: str
) -> None:
    given = FORM | {"secret": ""} | fields
    answer = await visitor.submit("/console/webhooks/new", "/console/webhooks/register", **given)
    assert answer.status == 422
    page = answer.raw.decode()
    assert f'aria-describedby="{at}-fault"' in page
    assert f'<p class="fault" id="{at}-fault">' in page
    assert page.count('aria-invalid="true"') == 1
    for name in ("description", "rate_limit"):
        assert f'value="{given[name]}"' in page
    assert (await visitor.live.get("/v1/account/webhooks/list")).data["items"] == []


async def test_an_edit_changes_what_was_changed_and_keeps_what_is_stored(
    visitor_of_both: Visitor, receiver: Receiver
) -> None:
    live = visitor_of_both.live
    made = await register(live, receiver.url + "/a", headers={"X-Key": "kept"}, description="before")
    path = f"/console/webhooks/{made['id']}/edit"
    page = await visitor_of_both.page(path)
    was = re.search(r'name="was" value="([^"]+)"', page)
    assert was is not None
    values = {"url": receiver.url + "/a", "events": "*", "headers": "X-Key: ***\nX-New: 1", "description": "after"}
    values |= {"retry": "standard", "timeout_seconds": "30", "max_concurrency": "8", "signature_style": "body"}
    await live.call("PATCH", f"/v1/account/webhooks/update/{made['id']}", {"max_concurrency": 5})
    answer = await visitor_of_both.submit(path, path, was=unescape(was[1]), **values)
    assert answer.headers["location"] == f"/console/webhooks/{made['id']}"
    changed = await endpoint(live, made["id"])
    assert (changed["description"], changed["max_concurrency"]) == ("after", 5)
    await live.post(f"/v1/account/webhooks/test/{made['id']}")
    await settle(live)
    assert (receiver.posts[0].headers["x-key"], receiver.posts[0].headers["x-new"]) == ("kept", "1")
    again = await visitor_of_both.submit(path, path, was=unescape(was[1]), **(values | {"url": "ftp://x"}))
    assert again.status == 422
    assert 'id="url-fault"' in again.raw.decode()


async def test_buttons_switch_test_and_delete(visitor_of_both: Visitor, receiver: Receiver) -> None:
    live = visitor_of_both.live
    made = await register(live, receiver.url + "/a", events=["order.*"])
    path = f"/console/webhooks/{made['id']}"
    await visitor_of_both.submit(path, f"{path}/switch", enabled="no")
    assert "It is disabled" in await visitor_of_both.told(path)
    assert (await endpoint(live, made["id"]))["state"] == "disabled"
    await visitor_of_both.submit(path, f"{path}/test")
    assert "Not possible now" in await visitor_of_both.told(path)
    await visitor_of_both.submit(path, f"{path}/switch", enabled="yes")
    assert (await endpoint(live, made["id"]))["state"] == "active"
    answer = await visitor_of_both.submit(path, f"{path}/test")
    assert answer.headers["location"].startswith("/console/webhooks/deliveries/dlv_")
    await settle(live)
    assert [post.path for post in receiver.posts] == ["/a"]
    answer = await visitor_of_both.submit(path, f"{path}/delete")
    assert answer.headers["location"] == "/console/webhooks"
    assert (await visitor_of_both.get(path)).status == 404


async def test_a_new_secret_is_shown_once_and_the_old_one_signs_for_a_while(
    visitor_of_both: Visitor, receiver: Receiver
) -> None:
    live = visitor_of_both.live
    made = await register(live, receiver.url + "/a")
    path = f"/console/webhooks/{made['id']}"
    answer = await visitor_of_both.submit(path, f"{path}/rotate", grace_hours="2")
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", answer.raw.decode())
    assert answer.status == 200
    assert secret is not None
    assert secret[0] != made["secret"]
    assert (await endpoint(live, made["id"]))["previous_secret_valid_until"] is not None
    assert secret[0] not in await visitor_of_both.page(path)
    await live.post(f"/v1/account/webhooks/test/{made['id']}")
    await settle(live)
    assert len(receiver.posts[0].headers["webhook-signature"].split(" ")) == 2
    for hours in ("soon", "999"):
        refused = await visitor_of_both.submit(path, f"{path}/rotate", grace_hours=hours)
        assert refused.status == 422
        assert 'aria-invalid="true"' in refused.raw.decode()


async def test_replays_are_counted_before_they_are_sent(visitor_of_both: Visitor, receiver: Receiver) -> None:
    live = visitor_of_both.live
    bad = await failing(live, receiver)
    path = f"/console/webhooks/{bad}"
    counted = (await visitor_of_both.submit(path, f"{path}/count", status="failed", since="1h")).raw.decode()
    assert "3 deliveries would be replayed" in counted
    assert (await live.get(f"/v1/account/webhooks/deliveries/{bad}?state=queued")).data["items"] == []
    fields = {name: unescape(value) for name, value in re.findall(r'name="(status|since)" value="([^"]+)"', counted)}
    none = (await visitor_of_both.submit(path, f"{path}/count", status="failed", since="1h", event="x")).raw.decode()
    assert "0 deliveries would be replayed" in none
    receiver.answers["/bad"] = [(200, {})]
    await visitor_of_both.submit(path, f"{path}/replay", **fields)
    assert "Replayed: 3." in await visitor_of_both.told(path)
    await visitor_of_both.submit(path, f"{path}/replay", **fields)
    assert "Nothing fits" in await visitor_of_both.told(path)
    for since in ("", "soon"):
        assert (await visitor_of_both.submit(path, f"{path}/count", status="failed", since=since)).status == 422


async def test_what_failed_since_an_instant_is_recovered(visitor_of_both: Visitor, receiver: Receiver) -> None:
    live = visitor_of_both.live
    bad = await failing(live, receiver)
    path = f"/console/webhooks/{bad}"
    live.clock.ahead += HOUR
    await visitor_of_both.submit(path, f"{path}/recover", recover_since="30m")
    assert "Nothing fits" in await visitor_of_both.told(path)
    await visitor_of_both.submit(path, f"{path}/recover", recover_since="2h")
    assert "Replayed: 3." in await visitor_of_both.told(path)
    answer = await visitor_of_both.submit(path, f"{path}/recover", recover_since="whenever")
    assert answer.status == 422
    assert 'value="whenever"' in answer.raw.decode()


async def test_an_event_is_emitted_to_those_that_listen(visitor: Visitor, receiver: Receiver) -> None:
    live, path = visitor.live, "/console/webhooks/emit"
    await register(live, receiver.url + "/a", events=["order.*"])
    await visitor.submit(path, path, event="order.paid", payload='{"n": 1.50}')
    assert "order.paid goes to 1 endpoints." in await visitor.told("/console/webhooks/deliveries")
    await settle(live)
    assert b'"data":{"n": 1.50}' in receiver.posts[0].body
    await visitor.submit(path, path, event="other", payload="")
    assert "No endpoint listens for other" in await visitor.told("/console/webhooks")
    for fields, at in (({"event": "a..b", "payload": "1"}, "event"), ({"event": "a", "payload": "{x"}, "payload")):
        answer = await visitor.submit(path, path, **fields)
        assert answer.status == 422
        assert f'id="{at}-fault"' in answer.raw.decode()


async def test_endpoints_of_others_are_not_there(visitor: Visitor) -> None:
    live = visitor.live
    key = await live.key("webhook:write", project="other")
    body = {"url": "http://127.0.0.1:9/theirs"}
    theirs = (await live.post("/v1/account/webhooks/register", body, key=key)).data["id"]
    assert rows(await visitor.page("/console/webhooks")) == []
    for path in (theirs, f"{theirs}/edit", "wh_0000000000000", "nonsense"):
        assert (await visitor.get(f"/console/webhooks/{path}")).status == 404
    await visitor.submit("/console/webhooks/emit", f"/console/webhooks/{theirs}/delete")
    assert "Not found" in await visitor.told("/console/webhooks/emit")


async def test_who_may_only_read_is_offered_nothing_and_can_do_nothing(live: Live, receiver: Receiver) -> None:
    made = await register(live, receiver.url + "/a")
    reader = Visitor(live)
    await reader.sign_in(await live.key("webhook:read", "cron:write"))
    page = await reader.page(f"/console/webhooks/{made['id']}")
    assert f'action="/console/webhooks/{made["id"]}' not in page
    assert "/console/webhooks/new" not in await reader.page("/console/webhooks")
    for path in ("/console/webhooks/new", "/console/webhooks/emit", f"/console/webhooks/{made['id']}/edit"):
        assert (await reader.get(path)).status == 403
    session = reader.live.core.vault.unseal(bytes.fromhex(reader.cookies["mainspring_session"]), "console session")
    csrf = re.search(rb'"csrf":"([^"]+)"', session)
    assert csrf is not None
    for action in ("switch", "test", "delete", "rotate", "count", "replay", "recover", "edit"):
        fields = {"since": "1h", "recover_since": "1h", "was": "{}", **FORM}
        answer = await reader.send(f"/console/webhooks/{made['id']}/{action}", csrf=csrf[1].decode(), **fields)
        assert answer.status in (303, 422), action
    kept = await endpoint(live, made["id"])
    assert kept == {name: value for name, value in made.items() if name != "secret"}


async def test_who_may_not_read_webhooks_sees_none(live: Live, receiver: Receiver) -> None:
    made = await register(live, receiver.url + "/a", description="a name of ours")
    [delivery] = await emit(live)
    stranger = Visitor(live)
    await stranger.sign_in(await live.key("cron:read"))
    for path in ("", f"/{made['id']}", "/deliveries", f"/deliveries/{delivery}"):
        answer = await stranger.get(f"/console/webhooks{path}")
        assert answer.status == 403
        assert b"a name of ours" not in answer.raw


async def test_descriptions_and_payloads_of_others_play_no_tricks(visitor: Visitor, receiver: Receiver) -> None:
    evil = "<script>alert(1)</script>\"'\u202eevil\u0007\u200b"
    live = visitor.live
    made = await register(live, receiver.url + "/a", description=evil)
    [delivery] = await emit(live, "order.paid", {evil: evil})
    await settle(live)
    for path in ("", f"/{made['id']}", "/deliveries", f"/deliveries/{delivery}"):
        page = (await visitor.get(f"/console/webhooks{path}")).raw.decode()
        assert "<script>alert" not in page
        assert not set("\u202e\u0007\u200b") & set(page)
    assert "⟨U+202E⟩" in await visitor.page("/console/webhooks")
