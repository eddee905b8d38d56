from __future__ import annotations

import pytest

from mainspring.core.ports import Request
from mainspring.outbound.echoes import without_echoes
from mainspring.outbound.sender import HttpSender
from outbound.conftest import OpenPeer
from outbound.peers import Visit

HEADERS = (
    ("User-Agent", "Mainspring/1.0.0"),
    ("Idempotency-Key", "run_0123456789"),
    ("X-Mainspring-Run-Id", "run_0123456789"),
    ("webhook-id", "dlv_0123456789"),
    ("Authorization", "Bearer s3cret-of-mine"),
    ("X-Token", "another-one"),
    ("X-Short", "true"),
)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"you sent Bearer s3cret-of-mine and another-one", b"you sent *** and ***"),
        (b'{"token":"s3cret-of-mine"}', b'{"token":"***"}'),
        (b"it is true: run_0123456789, dlv_0123456789, Mainspring/1.0.0", None),
        (b"cut off in another-o", b"cut off in ***"),
        (b"cut off in s3cret-of", b"cut off in ***"),
        (b"cut off in anot", None),
        (b"ok", None),
        (b"", None),
    ],
)
def test_of_custom_headers_nothing_is_left(body: bytes, kept: bytes | None) -> None:
    assert without_echoes(body, HEADERS) == (body if kept is None else kept)


@pytest.mark.parametrize("whole", [True, False])
async def test_what_a_target_repeats_of_the_headers_is_not_kept(
    peer: OpenPeer, sender: HttpSender, whole: bool
) -> None:
    async def script(visit: Visit) -> None:
        request = await visit.request()
        if whole:
            await visit.reply(request, "500 Oops")
        else:
            await visit.say(b"HTTP/1.1 500 Oops\r\nContent-Length: 9999\r\n\r\n" + request)

    target = await peer(script)
    outcome = await sender.send(Request("POST", target.url(), HEADERS, b"{}", 30_000))
    assert (outcome.kind, outcome.status) == ("reply" if whole else "connection", 500)
    assert b"X-Token: ***" in outcome.body
    assert b"Authorization: ***" in outcome.body
    assert b"s3cret" not in outcome.body


async def test_who_asked_for_the_headers_of_a_reply_gets_it_as_it_came(peer: OpenPeer, sender: HttpSender) -> None:
    async def script(visit: Visit) -> None:
        await visit.reply(await visit.request())

    target = await peer(script)
    outcome = await sender.send(Request("POST", target.url(), HEADERS, b"{}", 30_000, want_headers=True))
    assert b"another-one" in outcome.body
