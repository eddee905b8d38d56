"""The connection as the other side sees it: its first frames, its pauses, and results until they are taken."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from mainspring_agent import backoff
from mainspring_agent.journal import Journal, Response, folder_for
from mainspring_agent.link import Link
from mainspring_agent.settings import BadSettings, Server, Settings, load, parse, socket_url
from mainspring_agent.work import Workshop

UUID = "00000000-0000-0000-0000-000000000001"
HERE = "00000000-0000-0000-0000-0000000000aa"
TOKEN = "k:s"

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


class FakeServer:
    """Speaks the protocol; `upload` says what an upload is answered with, None to hang up instead."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.uploads: list[dict[str, Any]] = []
        self.connections: list[ServerConnection] = []
        self.extensions: list[str] = []
        self.upload: Answer = lambda response: {"result": {"id": response["task_id"]}}
        self.refuse: dict[str, Any] | None = None
        self.uuid = HERE
        self.url = ""

    async def talk(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        assert connection.request is not None
        self.extensions.append(connection.request.headers.get("Sec-WebSocket-Extensions", ""))
        async for frame in connection:
            assert isinstance(frame, str)
            call = json.loads(frame)
            self.calls.append(call)
            answer = self.answer(call)
            if answer is None:
                return
            await connection.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], **answer}))

    def answer(self, call: dict[str, Any]) -> dict[str, Any] | None:
        match call["method"]:
            case "nodeget-server_uuid":
                return {"result": self.uuid}
            case "task_register_task":
                return self.refuse or {"result": 7}
            case _:
                self.uploads.append(call["params"][1])
                return self.upload(call["params"][1])

    async def send_task(self, number: int, task: Any, token: str = "t") -> None:
        event = {"task_id": number, "task_token": token, "task_event_type": task}
        params = {"subscription": 7, "result": event}
        text = json.dumps({"jsonrpc": "2.0", "method": "task_register_task", "params": params})
        await self.connections[-1].send(text)


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(10):
        while not (value := condition()):
            await asyncio.sleep(0.005)
        return value


@contextlib.asynccontextmanager
async def speaking() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    async with serve(fake.talk, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        fake.url = f"ws://127.0.0.1:{port}/any/path"
        yield fake


@contextlib.asynccontextmanager
async def linked(fake: FakeServer, state: Path, **fields: Any) -> AsyncIterator[Link]:
    server = Server(ws_url=fake.url, token=TOKEN, allow_task=True, allow_task_type=("execute", "version"), **fields)
    settings = Settings(agent_uuid=UUID, server=(server,))
    workshop = Workshop(settings, None, lambda: None)
    journal = Journal(folder_for(state, server.ws_url, UUID))
    link = Link(settings, server, workshop, journal, lambda: time.time_ns() // 1_000_000, lambda: 0.0)
    running = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are shorter than in life; their lengths have a test of their own."""
    for name in ("FIRST_S", "AFTER_DROP_S"):
        monkeypatch.setattr(backoff, name, 0.05)
    for name in ("OTHER_SERVER_S", "UPLOAD_AGAIN_S"):
        monkeypatch.setattr(f"mainspring_agent.link.{name}", 0.05)


async def test_the_first_frames_are_those_of_the_protocol(tmp_path: Path) -> None:
    async with speaking() as fake, linked(fake, tmp_path, server_uuid=HERE.upper()):
        await until(lambda: len(fake.calls) == 2)
    assert fake.calls == [
        {"jsonrpc": "2.0", "id": 1, "method": "nodeget-server_uuid", "params": []},
        {"jsonrpc": "2.0", "id": 1, "method": "task_register_task", "params": [TOKEN, UUID]},
    ]
    assert fake.extensions == [""]


async def test_another_server_gets_nothing(tmp_path: Path) -> None:
    async with speaking() as fake, linked(fake, tmp_path, server_uuid=UUID):
        await until(lambda: len(fake.connections) == 2)
    assert {call["method"] for call in fake.calls} == {"nodeget-server_uuid"}


async def test_a_refused_registration_is_tried_again(tmp_path: Path) -> None:
    async with speaking() as fake:
        fake.refuse = {"error": {"code": 102, "message": "no"}}
        async with linked(fake, tmp_path):
            await until(lambda: len(fake.connections) == 2)
            fake.refuse = None
            await until(lambda: [one["method"] for one in fake.calls].count("task_register_task") >= 2)
            await until(lambda: len(fake.connections) >= 3)
            await fake.send_task(1, "version")
            await until(lambda: fake.uploads)


async def test_registration_is_repeated_on_the_same_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring_agent import link

    assert link.REGISTER_S == 60
    monkeypatch.setattr(link, "REGISTER_S", 0.05)
    async with speaking() as fake, linked(fake, tmp_path):
        await until(lambda: [one["method"] for one in fake.calls].count("task_register_task") >= 3)
        assert len(fake.connections) == 1


async def test_a_result_has_the_known_shape(tmp_path: Path) -> None:
    async with speaking() as fake, linked(fake, tmp_path):
        await until(lambda: len(fake.calls) == 2)
        await fake.send_task(3, {"execute": {"cmd": "echo", "args": ["a"]}}, "k6bsrBv1hS")
        [upload] = await until(lambda: fake.uploads)
        assert fake.calls[-1]["params"][0] == TOKEN
    assert upload == {
        "task_id": 3,
        "agent_uuid": UUID,
        "task_token": "k6bsrBv1hS",
        "timestamp": upload["timestamp"],
        "success": True,
        "error_message": None,
        "task_event_result": {"execute": "a\n"},
    }


async def test_a_result_is_sent_again_until_it_is_taken(tmp_path: Path) -> None:
    """Hung up on, then told to wait; each time it is the same one, and a task that is known is not done twice."""
    answers: list[dict[str, Any] | None] = [
        None,
        {"error": {"code": 103, "message": "away"}},
        {"error": {"code": -32603, "message": "Internal error"}},
        {"result": {"id": 1}},
    ]
    async with speaking() as fake:
        fake.upload = lambda _: answers.pop(0)
        async with linked(fake, tmp_path):
            await until(lambda: len(fake.calls) == 2)
            command = {"execute": {"cmd": "/bin/sh", "args": ["-c", f"echo x >> {tmp_path}/count"]}}
            await fake.send_task(1, command)
            await until(lambda: len(fake.connections) == 2 and len(fake.uploads) >= 2)
            await fake.send_task(1, command)
            await until(lambda: not answers)
            await until(lambda: not list(tmp_path.rglob("*.json")))
    assert (tmp_path / "count").read_text() == "x\n"
    assert all(one == fake.uploads[0] for one in fake.uploads)


@pytest.mark.parametrize("code", [102, 105, 108, -32602])
async def test_a_result_that_is_refused_for_good_is_let_go(tmp_path: Path, code: int) -> None:
    async with speaking() as fake:
        fake.upload = lambda _: {"error": {"code": code, "message": "no"}}
        async with linked(fake, tmp_path) as link:
            await until(lambda: len(fake.calls) == 2)
            await fake.send_task(1, "version")
            await until(lambda: fake.uploads)
            await until(lambda: not list(tmp_path.rglob("*.json")))
            await link.stop(5)
    assert len(fake.uploads) == 1


async def test_results_of_an_earlier_start_are_sent_first(tmp_path: Path) -> None:
    async with speaking() as fake:
        journal = Journal(folder_for(tmp_path, fake.url, UUID))
        kept = [
            Response(task_id=number, agent_uuid=UUID, task_token="t", timestamp=1, success=True) for number in (12, 9)
        ]
        for one in kept:
            journal.keep(one)
        [folder] = tmp_path.iterdir()
        (folder / "0000000000000000010-0123456789abcdef.json").write_text('{"half')
        async with linked(fake, tmp_path):
            await until(lambda: len(fake.uploads) == 2)
    assert [one["task_id"] for one in fake.uploads] == [9, 12]


async def test_what_is_cut_off_by_a_stop_is_answered(tmp_path: Path) -> None:
    async with speaking() as fake, linked(fake, tmp_path) as link:
        await until(lambda: len(fake.calls) == 2)
        await fake.send_task(1, {"execute": {"cmd": "/bin/sleep", "args": ["60"]}})
        await until(lambda: link._under_way)
        await asyncio.gather(link.stop(0.1), until(lambda: fake.uploads))
        await fake.send_task(2, "version")
        await until(lambda: len(fake.uploads) == 2)
    for upload in fake.uploads:
        assert (upload["success"], upload["task_event_result"]) == (False, None)
        assert "stopped" in upload["error_message"]


async def test_a_result_that_is_too_large_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring_agent.link.RESULT_BYTES_MAX", 300)
    async with speaking() as fake, linked(fake, tmp_path):
        await until(lambda: len(fake.calls) == 2)
        await fake.send_task(1, {"execute": {"cmd": "echo", "args": ["x" * 300]}})
        [upload] = await until(lambda: fake.uploads)
    assert not upload["success"]
    assert "cannot be uploaded" in upload["error_message"]


async def test_noise_is_ignored(tmp_path: Path) -> None:
    async with speaking() as fake, linked(fake, tmp_path):
        await until(lambda: len(fake.calls) == 2)
        for noise in ("no json", "[]", '{"id": [1]}', '{"id": 99, "result": 1}', '{"method": "task_register_task"}'):
            await fake.connections[0].send(noise)
        await fake.connections[0].send(b"\xff")
        await fake.send_task(1, "version")
        await until(lambda: fake.uploads)
        assert len(fake.connections) == 1


def test_pauses_grow_to_a_minute_and_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [backoff.pause(failures, 0.5) for failures in range(9)] == [3, 1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.pause(0, 0.0) == pytest.approx(2.4)
    assert backoff.pause(100, 1.0) == pytest.approx(72)


CONFIG = f"""
# who
agent_uuid = "auto_gen"
unknown = 1
[[server]]
ws_url = "https://host:1/x"
token = "{TOKEN}"
"""


def test_a_uuid_is_made_once_and_written_back(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG)
    first = load(path)
    assert load(path) == first
    assert first.settings.server[0].ws_url == "wss://host:1/x"
    assert path.read_text() == CONFIG.replace("auto_gen", first.settings.agent_uuid)
    assert first.state == tmp_path / "agent-state"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not toml",
        CONFIG.replace(TOKEN, ""),
        CONFIG.replace("https", "gopher"),
        CONFIG.replace("auto_gen", "nobody"),
        CONFIG + 'allow_task_type = ["pong"]',
        CONFIG + "allow_task = 5",
        "connect_timeout_ms = 0\n" + CONFIG,
    ],
)
def test_settings_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(BadSettings):
        parse(text)


@pytest.mark.parametrize("url", ["", "host", "ws://", "ws://h:x", "ws://[::1"])
def test_an_address_is_a_url(url: str) -> None:
    with pytest.raises(BadSettings):
        socket_url(url)
    assert socket_url("http://h") == "ws://h/"
