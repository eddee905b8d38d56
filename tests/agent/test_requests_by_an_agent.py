"""What an agent asks of web servers, each a real one on this machine, with its limits."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web as aioweb

from mainspring_agent import machine, web
from mainspring_agent.failure import TaskFailed


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[str]:
    async def answer(request: aioweb.Request) -> aioweb.StreamResponse:
        match request.path:
            case "/echo":
                body = await request.read()
                return aioweb.Response(
                    status=201, body=body, headers={"X-Method": request.method, "X-Host": request.host}
                )
            case "/binary":
                return aioweb.Response(body=b"\xff\x00")
            case "/trace":
                return aioweb.Response(text="fl=1\nip=198.51.100.7\nts=1\n")
            case "/slow":
                await asyncio.sleep(60)
        return aioweb.Response(status=500)

    runner = aioweb.ServerRunner(aioweb.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    listening = aioweb.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_http_ping_takes_any_answer() -> None:
    async with site() as url:
        assert 0 < await web.http_ping(url + "/fails") < 10_000
    for bad in (url, "ftp://host/", "nothing"):
        with pytest.raises(TaskFailed, match="Http Ping failed"):
            await web.http_ping(bad)


async def test_http_ping_waits_ten_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (web.PING_S, web.REQUEST_S) == (10, 30)
    monkeypatch.setattr(web, "PING_S", 0.2)
    monkeypatch.setattr(web, "REQUEST_S", 0.2)
    async with site() as url:
        with pytest.raises(TaskFailed, match="Http Ping Timeout"):
            await web.http_ping(url + "/slow")
        with pytest.raises(TaskFailed, match="Http Request Timeout"):
            await web.http_request(web.HttpRequest(url=url + "/slow", method="GET"))


async def test_http_request_gives_status_headers_and_body() -> None:
    async with site() as url:
        asked = web.HttpRequest(url=url + "/echo", method="PUT", headers={"X-A": "b"}, body="tâsk")
        found = await web.http_request(asked)
        assert (found["status"], found["body"], found["body_base64"]) == (201, "tâsk", None)
        assert {"X-Method": "PUT"} in found["headers"]
        sent = base64.b64encode(b"\xff\xfe").decode()
        asked = web.HttpRequest(url=url + "/echo", method="POST", body_base64=sent)
        assert (await web.http_request(asked))["body_base64"] == sent
        assert (await web.http_request(web.HttpRequest(url=url + "/binary", method="GET")))["body"] is None
        port = url.rpartition(":")[2]
        elsewhere = web.HttpRequest(url=f"http://example.invalid:{port}/echo", method="GET", ip="127.0.0.1")
        assert {"X-Host": f"example.invalid:{port}"} in (await web.http_request(elsewhere))["headers"]
        v4 = web.HttpRequest(url=f"http://localhost:{port}/echo", method="GET", ip="ipv4 auto")
        assert (await web.http_request(v4))["status"] == 201
        for bad in ({"ip": "nowhere"}, {"body": "a", "body_base64": "YQ=="}, {"body_base64": "?"}):
            with pytest.raises(TaskFailed, match="Http Request failed"):
                await web.http_request(web.HttpRequest(url=url + "/echo", method="POST", **bad))


async def test_a_body_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert web.BODY_BYTES_MAX == 64 * 1024 * 1024
    monkeypatch.setattr(web, "BODY_BYTES_MAX", 10)
    async with site() as url:
        with pytest.raises(TaskFailed, match="larger than"):
            await web.http_request(web.HttpRequest(url=url + "/echo", method="POST", body="x" * 11))


async def test_the_public_addresses_are_what_the_provider_sees() -> None:
    async with site() as url:
        assert await machine.ip(url + "/trace") == ["198.51.100.7", None]
        assert await machine.ip(url + "/fails") == [None, None]
