"""`fetch` of scripts against a real server: what is sent, what comes back, where redirects lead."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mainspring import __version__
from sandbox.sandboxing import Rig, reply, target


async def show(line: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
    """Answers with what it was sent."""
    shown = json.dumps({"line": line, "headers": headers, "body": body.decode("latin-1")}).encode()
    writer.write(reply(200, shown, content_type="application/json", x_a="1"))


async def test_a_request_goes_out_as_it_was_made(sandbox: Rig) -> None:
    async with target(show) as url:
        sent: dict[str, Any] = await sandbox.of(
            """const r = await fetch(params + '/p?q=é#f', {method: 'put', body: new Uint8Array([0, 255]),
                headers: {'X-Mine': 'yes', 'Content-Type': 'x/y', host: 'evil', 'content-length': '9'}});
            return await r.json();""",
            params=url,
        )
    assert sent["line"] == "PUT /p?q=%C3%A9 HTTP/1.1"
    assert sent["body"] == "\x00\xff"
    headers = sent["headers"]
    assert headers["x-mine"] == "yes"
    assert headers["content-type"] == "x/y"
    assert headers["content-length"] == "2"
    assert headers["host"] in url
    assert headers["user-agent"] == f"Mainspring/{__version__}"


async def test_a_response_comes_back_whole(sandbox: Rig) -> None:
    body = bytes(range(256)) * 2000

    async def answer(_: str, __: object, ___: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(404, body, x_a="1", etag='"é"'))

    async with target(answer) as url:
        assert await sandbox.of(
            """const r = await fetch(params); const bytes = await r.bytes();
            return [r.status, r.ok, r.url, r.redirected, r.headers.get('X-A'), bytes.length, bytes.at(-1), r.type];""",
            params=url,
        ) == [404, False, f"{url}/", False, "1", len(body), 255, "basic"]


async def test_requests_go_out_side_by_side(sandbox: Rig) -> None:
    waiting: list[asyncio.StreamWriter] = []

    async def together(_: str, __: object, ___: bytes, writer: asyncio.StreamWriter) -> None:
        waiting.append(writer)
        while len(waiting) < 8:
            await asyncio.sleep(0.005)
        writer.write(reply(200))

    async with target(together) as url:
        statuses = "(await Promise.all(Array.from({length: 8}, () => fetch(params)))).map((r) => r.status)"
        assert await sandbox.of(f"return {statuses};", params=url) == [200] * 8


@pytest.mark.parametrize(
    ("status", "method", "seen"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
        (302, "PUT", "PUT"),
    ],
)
async def test_redirects_are_followed(sandbox: Rig, status: int, method: str, seen: str) -> None:
    async def lead(line: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        if " /end " in line:
            await show(line, headers, body, writer)
        else:
            writer.write(reply(status, location="../end"))

    async with target(lead) as url:
        found = await sandbox.of(
            f"""const headers = {{authorization: 'k'}};
            const r = await fetch(params + '/a/b', {{method: '{method}', body: 'x', headers}});
            return [r.redirected, r.url, await r.json()];""",
            params=url,
        )
    assert found[:2] == [True, f"{url}/end"]
    assert found[2]["line"] == f"{seen} /end HTTP/1.1"
    assert found[2]["body"] == ("" if seen == "GET" else "x")
    assert found[2]["headers"]["authorization"] == "k"


async def test_what_says_who_asks_stays_with_its_origin(sandbox: Rig) -> None:
    async with target(show) as other:

        async def lead(_: str, __: object, ___: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(reply(302, location=other))

        async with target(lead) as url:
            seen = await sandbox.of(
                "return (await fetch(params, {headers: {Authorization: 'k', Cookie: 'c', 'x-a': '1'}})).json();",
                params=url,
            )
    assert "authorization" not in seen["headers"]
    assert "cookie" not in seen["headers"]
    assert seen["headers"]["x-a"] == "1"


async def test_redirects_can_be_refused_and_do_not_go_on_for_ever(sandbox: Rig) -> None:
    async def lead(_: str, __: object, ___: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(302, location="/again"))

    async with target(lead) as url:
        assert "redirects" in await sandbox.error("await fetch(params);", params=url)
        assert "another place" in await sandbox.error("await fetch(params, {redirect: 'error'});", params=url)


@pytest.mark.parametrize(
    "script",
    [
        "await fetch('http://127.0.0.1:1/');",
        "await fetch('nothing');",
        "await fetch('http://127.0.0.1:1/', {method: 'GET', body: 'x'});",
        "await fetch('http://127.0.0.1:1/', {headers: {'webhook-id': 'mine'}});",
        "await fetch('http://127.0.0.1:1/', {headers: Array.from({length: 99}, (_, n) => ['a' + n, ''])});",
    ],
)
async def test_what_cannot_be_sent_is_a_type_error(sandbox: Rig, script: str) -> None:
    assert (await sandbox.error(script)).startswith("TypeError")
    assert await sandbox.of("try { " + script + " } catch (error) { return error instanceof TypeError; }") is True


async def test_a_response_that_breaks_off_is_a_type_error(sandbox: Rig) -> None:
    async def half(_: str, __: object, ___: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nhalf")

    async with target(half) as url:
        assert (await sandbox.error("await fetch(params);", params=url)).startswith("TypeError")
