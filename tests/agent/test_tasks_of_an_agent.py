"""Which tasks an agent does, which it refuses, and what it says of those that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring_agent.settings import Server, parse
from mainspring_agent.work import Workshop

UUID = "00000000-0000-0000-0000-000000000001"
SH = "/bin/sh"
CONFIG = f"""
agent_uuid = "{UUID}"
[[server]]
ws_url = "ws://127.0.0.1:1/"
token = "k:s"
"""


def workshop(path: Path | None = None, reload: Callable[[], None] = lambda: None) -> Workshop:
    return Workshop(parse(CONFIG), path, reload)


def server(**fields: Any) -> Server:
    return Server(ws_url="ws://h/", token="k:s", **fields)


EVERY: dict[str, Any] = {
    "ping": "127.0.0.1",
    "tcp_ping": "127.0.0.1:1",
    "http_ping": "http://127.0.0.1:1/",
    "execute": {"cmd": SH, "args": ["-c", "true"]},
    "http_request": {"url": "http://127.0.0.1:1/", "method": "GET"},
    "read_config": None,
    "edit_config": CONFIG,
    "ip": None,
    "version": None,
    "dns": {"domain": "x", "record_types": ["a"]},
}
REFUSED = "Permission denied: Permission Denied: Task not allowed"


@pytest.mark.parametrize("kind", EVERY)
async def test_nothing_is_done_that_is_not_allowed(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG)
    shop = workshop(path)
    others = tuple(other for other in EVERY if other != kind)
    event = {kind: EVERY[kind]}
    every_switch = {f"allow_{name}": True for name in ("icmp_ping", *others) if name != "ping"}
    if kind == "ping":
        del every_switch["allow_icmp_ping"]
    for one in (
        server(),
        server(allow_task=True),
        server(allow_task_type=(kind,)),
        server(allow_task=True, allow_task_type=others),
        server(allow_task=True, **every_switch),
        server(allow_task=True, allow_task_type=others, **{"allow_" + kind.replace("ping", "icmp_ping"): True})
        if kind == "ping"
        else server(allow_task=True, allow_task_type=others, **{f"allow_{kind}": True}),
    ):
        assert await shop.do(one, event) == (None, REFUSED)


async def test_what_is_allowed_is_done(tmp_path: Path) -> None:
    path, reloads = tmp_path / "agent.toml", []
    path.write_text(CONFIG)
    path.chmod(0o640)
    shop = workshop(path, lambda: reloads.append(1))
    may = server(allow_task=True, allow_execute=True, allow_read_config=True, allow_edit_config=True)
    assert await shop.do(may, {"execute": EVERY["execute"]}) == ({"execute": "(No Output)"}, None)
    assert await shop.do(may, "read_config") == ({"read_config": CONFIG}, None)
    assert await shop.do(may, {"edit_config": CONFIG + "\n# more"}) == ({"edit_config": True}, None)
    assert path.read_text() == CONFIG + "\n# more"
    assert path.stat().st_mode & 0o777 == 0o640
    result, error = await shop.do(may, {"edit_config": "no = toml = this"})
    assert result is None
    assert "cannot be used" in (error or "")
    assert path.read_text() == CONFIG + "\n# more"
    assert reloads == [1]
    listed = server(allow_task=True, allow_task_type=("version",))
    found, _ = await shop.do(listed, {"version": None})
    assert len(found["version"]) == 13
    assert found["version"]["binary_type"] == "Agent"


@pytest.mark.parametrize("event", [None, 5, {}, {"a": 1, "b": 2}, "nothing", {"nothing": 1}, {"execute": {"cmd": "x"}}])
async def test_a_task_that_cannot_be_read_is_answered(event: Any) -> None:
    result, error = await workshop().do(server(allow_task=True, allow_execute=True), event)
    assert result is None
    assert error


async def test_a_web_shell_is_refused_clearly() -> None:
    may = server(allow_task=True, allow_web_shell=True)
    result, error = await workshop().do(may, {"web_shell": {"url": "ws://x/", "terminal_id": UUID}})
    assert result is None
    assert "no web_shell" in (error or "")


async def test_without_a_file_there_is_no_configuration_to_read() -> None:
    _, error = await workshop().do(server(allow_task=True, allow_read_config=True), "read_config")
    assert "without a configuration file" in (error or "")
