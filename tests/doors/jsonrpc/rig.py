"""What the tests of the JSON-RPC door call: over HTTP and over a socket, by name and by position."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from doors.live import SUPER, Answer, Live

JSON = {"Content-Type": "application/json"}


async def post(live: Live, body: Any, path: str = "/") -> Answer:
    """One body over HTTP; anything but bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await live.post(path, raw=raw, headers=JSON, key=None)


async def ask(live: Live, method: str, params: Any = None, number: Any = 1) -> dict[str, Any]:
    """The whole answer to one call over HTTP."""
    request: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
    if params is not None:
        request["params"] = params
    answer = await post(live, request)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    found: dict[str, Any] = answer.json
    assert found["jsonrpc"] == "2.0"
    assert found["id"] == number
    assert set(found) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    return found


async def result(live: Live, method: str, **params: Any) -> Any:
    """The result of one call, its parameters by name."""
    answer = await ask(live, method, params)
    assert "result" in answer, answer
    return answer["result"]


async def error(live: Live, method: str, **params: Any) -> dict[str, Any]:
    """The error of one call, its parameters by name."""
    answer = await ask(live, method, params)
    assert "error" in answer, answer
    found: dict[str, Any] = answer["error"]
    return found


@asynccontextmanager
async def socket(live: Live, path: str = "/", **options: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket, until the block ends."""
    async with live.client.ws_connect(live.url + path, **options) as opened:
        yield opened


async def talk(opened: aiohttp.ClientWebSocketResponse, body: Any) -> Any:
    """Send one message and read the next frame."""
    await opened.send_str(body if isinstance(body, str) else json.dumps(body))
    return await opened.receive_json(timeout=10)


ONE, TWO = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
PING = {"agent": [[ONE, TWO], {"task": {"ping": "www.example.com"}}]}


async def token(live: Live, *limits: Any, **more: Any) -> str:
    """A new token with these limits."""
    creation = {"token_limit": list(limits), **more}
    made = await result(live, "token_create", father_token=SUPER, token_creation=creation)
    return f"{made['key']}:{made['secret']}"
