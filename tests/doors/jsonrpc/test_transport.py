"""Calls over HTTP and over sockets: paths, types, sizes, ids, batches, and what each of them is answered."""

from __future__ import annotations

from typing import Any

import pytest

from doors.jsonrpc.rig import ask, post, socket, talk
from doors.live import Live

HELLO = {"jsonrpc": "2.0", "id": 1, "method": "nodeget-server_hello"}
SAID = "NodeGet Server Is Running!"
PATHS = ["/", "/nodeget/rpc", "/jsonrpc", "/anything/else?x=1", "/v2/cron/list", "/healthzz"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_path_that_nobody_owns_takes_calls(live: Live, path: str) -> None:
    answer = await post(live, HELLO, path)
    assert (answer.status, answer.json) == (200, {"jsonrpc": "2.0", "id": 1, "result": SAID})
    async with socket(live, path) as opened:
        assert (await talk(opened, HELLO))["result"] == SAID


@pytest.mark.parametrize("path", ["/v1/nothing", "/crontab/nothing", "/console/x", "/worker-route/x", "/docs/x"])
async def test_paths_of_others_are_never_calls(live: Live, path: str) -> None:
    assert (await live.post(path, HELLO)).status == 404


@pytest.mark.parametrize("path", ["/v1/cron/list", "/console", "/worker-route/x"])
async def test_sockets_are_calls_on_every_path(live: Live, path: str) -> None:
    async with socket(live, path) as opened:
        assert (await talk(opened, HELLO))["result"] == SAID


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_only_post_is_a_call(live: Live, method: str) -> None:
    answer = await live.call(method, "/anything", key=None)
    assert (answer.status, answer.headers["content-type"]) == (405, "text/plain")
    assert answer.raw == (b"" if method == "HEAD" else b"Used HTTP Method is not allowed. POST is required")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON;charset=utf-8", 200),
        ("application/json-rpc", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        (None, 415),
    ],
)
async def test_a_call_is_json(live: Live, kind: str | None, status: int) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = await live.post("/", raw=b'{"jsonrpc":"2.0","id":1,"method":"nodeget-server_hello"}', headers=headers)
    assert answer.status == status
    if status == 415:
        assert answer.headers["content-type"] == "text/plain"
        assert answer.raw == (b"Supplied content type is not allowed. Content-Type: application/json is required")


PARSE: dict[str, Any] = {"code": -32700, "message": "Parse error"}
INVALID: dict[str, Any] = {"code": -32600, "message": "Invalid request"}


@pytest.mark.parametrize(
    ("body", "status", "number", "error"),
    [
        (b"", 400, None, PARSE),
        (b"   ", 400, None, PARSE),
        (b"hello", 400, None, PARSE),
        (b" " * 128 + b"{}", 400, None, PARSE),
        (b'"text"', 400, None, PARSE),
        (b"\xef\xbb\xbf{}", 400, None, PARSE),
        (b"{broken", 200, None, PARSE),
        (b"{}", 200, None, PARSE),
        (b'{"jsonrpc":"2.0"}', 200, None, PARSE),
        (b'{"method":"x"}', 200, None, PARSE),
        (b'{"jsonrpc":"2.0","method":5}', 200, None, PARSE),
        (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', 200, None, PARSE),
        (b'{"jsonrpc":"2.0","id":7}', 200, 7, INVALID),
        (b'{"jsonrpc":"2.0","id":7,"method":5}', 200, 7, INVALID),
        (b'{"id":"a","method":"x"}', 200, "a", INVALID),
        (b'{"jsonrpc":"1.0","id":null,"method":"x"}', 200, None, INVALID),
        (b'{"jsonrpc":2.0,"id":3,"method":"x"}', 200, 3, INVALID),
        (b"[broken", 200, None, PARSE),
        (b"[]", 200, None, INVALID),
        (b'{"jsonrpc":"2.0","id":1,"method":"nothing_here"}', 200, 1, {"code": -32601, "message": "Method not found"}),
        (b'{"jsonrpc":"2.0","id":1,"method":"nodeget-server_hello","params":5}', 200, 1, -32602),
    ],
)
async def test_what_is_no_call_is_answered_so(
    live: Live, body: bytes, status: int, number: Any, error: dict[str, Any] | int
) -> None:
    answer = await post(live, body)
    assert answer.status == status
    found = answer.json
    assert (found["jsonrpc"], found["id"]) == ("2.0", number)
    if isinstance(error, int):
        assert (found["error"]["code"], found["error"]["message"]) == (error, "Invalid params")
    else:
        assert found["error"] == error
    async with socket(live) as opened:
        await opened.send_bytes(body)
        assert await opened.receive_json(timeout=10) == found


@pytest.mark.parametrize("number", [0, 1, 18446744073709551615, "", "text", "é", None])
async def test_ids_come_back_as_they_were(live: Live, number: Any) -> None:
    assert (await ask(live, "nodeget-server_hello", number=number))["result"] == SAID


@pytest.mark.parametrize("number", ["-1", "1.5", "true", "[]", "{}", "18446744073709551616", "1e3"])
async def test_without_a_readable_id_a_call_is_a_notification(live: Live, number: str) -> None:
    answer = await post(live, b'{"jsonrpc":"2.0","id":%b,"method":"nodeget-server_hello"}' % number.encode())
    assert (answer.status, answer.raw) == (200, b"")


async def test_notifications_are_not_answered(live: Live) -> None:
    quiet = {"jsonrpc": "2.0", "method": "nodeget-server_hello"}
    for body in (quiet, [quiet, quiet]):
        answer = await post(live, body)
        assert (answer.status, answer.raw) == (200, b"")
    async with socket(live) as opened:
        await opened.send_json(quiet)
        assert (await talk(opened, HELLO))["id"] == 1


async def test_a_batch_is_answered_in_its_order(live: Live) -> None:
    body = [{**HELLO, "id": number} for number in range(250)]
    body[3] = {"id": 3}
    body[4] = 5  # type: ignore[call-overload]  # no call at all
    body[5] = {"jsonrpc": "2.0", "method": "nodeget-server_hello"}
    for answer in ((await post(live, body)).json, await _over_socket(live, body)):
        assert [one["id"] for one in answer] == [0, 1, 2, 3, None, *range(6, 250)]
        assert [one.get("error") for one in answer[:6]] == [None, None, None, INVALID, INVALID, None]


async def _over_socket(live: Live, body: Any) -> Any:
    async with socket(live) as opened:
        return await talk(opened, body)


async def test_too_large_a_body_is_refused(live: Live) -> None:
    error = {"code": -32007, "message": "Request is too big", "data": "Exceeded max limit of 10485760"}
    body = b'{"a":"' + b" " * (10 * 1024 * 1024) + b'"}'
    answer = await post(live, body)
    assert (answer.status, answer.json) == (413, {"jsonrpc": "2.0", "id": None, "error": error})
    async with socket(live) as opened:
        await opened.send_bytes(body)
        assert (await opened.receive_json(timeout=10))["error"] == error
        assert (await talk(opened, HELLO))["result"] == SAID


async def test_a_body_as_large_as_allowed_is_read(live: Live) -> None:
    filler = b'{"jsonrpc":"2.0","id":1,"method":"nodeget-server_hello","x":"%b"}'
    answer = await post(live, filler % (b" " * (10 * 1024 * 1024 - len(filler) + 2)))
    assert (answer.status, answer.json["result"]) == (200, SAID)


async def test_nothing_is_sent_on_a_socket_before_the_first_answer(live: Live) -> None:
    async with socket(live) as opened:
        with pytest.raises(TimeoutError):
            await opened.receive(timeout=0.3)
        assert (await talk(opened, {**HELLO, "id": 9}))["id"] == 9


async def test_sockets_are_not_compressed(live: Live) -> None:
    async with socket(live, compress=15) as opened:
        assert opened.compress == 0


async def test_text_and_binary_messages_are_the_same(live: Live) -> None:
    async with socket(live) as opened:
        await opened.send_bytes(b'{"jsonrpc":"2.0","id":1,"method":"nodeget-server_hello"}')
        assert await opened.receive_json(timeout=10) == {"jsonrpc": "2.0", "id": 1, "result": SAID}


async def test_the_uuid_is_always_the_same(live: Live) -> None:
    first = (await ask(live, "nodeget-server_uuid", []))["result"]
    assert (await ask(live, "nodeget-server_uuid", {}))["result"] == first
    assert len(first) == 36
    assert first[14] == "4"


async def test_the_version_has_thirteen_texts(live: Live) -> None:
    version = (await ask(live, "nodeget-server_version"))["result"]
    assert len(version) == 13
    assert all(isinstance(one, str) for one in version.values())
