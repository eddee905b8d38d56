"""The JSON-RPC door of a real process: the super token, a socket, a tick of its own, and tokens from the shell."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from e2e.harness import ServerProcess, server, wait_for
from e2e.test_commands import mainspring

GIVEN = "a-super-key:and-its-secret"


def super_token(data: Path) -> str:
    return str(json.loads((data / "credentials.json").read_text())["super_token"])


def over_a_socket(url: str, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """The results of calls made one after the other over one socket."""

    async def talk() -> list[Any]:
        async with aiohttp.ClientSession() as client, client.ws_connect(url + "/any/path") as opened:
            answers = []
            for number, (method, params) in enumerate(calls):
                await opened.send_json({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
                answer = await opened.receive_json(timeout=20)
                assert answer["id"] == number
                answers.append(answer["result"])
            return answers

    return asyncio.run(talk())


def test_a_crontab_made_over_a_socket_fires_by_itself(tmp_path: Path) -> None:
    with server(tmp_path / "data") as process:
        token = super_token(process.data)
        each_second = {"name": "trim", "cron_expression": "* * * * * *", "cron_type": {"server": "clean_up_database"}}
        [made, _] = over_a_socket(
            process.url,
            ("crontab_create", {"token": token, **each_second}),
            ("nodeget-server_uuid", {}),
        )
        assert made == {"id": 1}
        query = ("crontab-result_query", {"token": token, "query": {"condition": [{"cron_name": "trim"}]}})

        def found() -> list[Any]:
            rows: list[Any] = over_a_socket(process.url, query)[0]
            return rows if len(rows) >= 2 else []

        rows = wait_for("two results", found)
        assert all(row["success"] for row in rows)
        assert process.stop() == 0


def test_the_super_token_stays_and_changes_when_it_is_set(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path / "data")
    process.start()
    first = super_token(process.data)
    ask = ("token_list_all_tokens", {"token": first})
    assert [one["username"] for one in over_a_socket(process.url, ask)[0]["tokens"]] == ["root"]
    uuid = over_a_socket(process.url, ("nodeget-server_uuid", {}))
    assert first not in process.log.read_text()
    assert process.stop() == 0
    for given in (GIVEN, "another-super-key:and-another-secret", GIVEN):
        process = ServerProcess(tmp_path / "data", MAINSPRING_SUPER_TOKEN=given)
        process.start()
        assert json.loads((process.data / "credentials.json").read_text())["super_token"] is None
        [listed] = over_a_socket(process.url, ("token_list_all_tokens", {"token": given}))
        assert [one["token_key"] for one in listed["tokens"]] == [given.partition(":")[0]]
        assert over_a_socket(process.url, ("nodeget-server_uuid", {})) == uuid
        assert _is_let_in(process.url, given)
        assert not _is_let_in(process.url, first)
        assert process.stop() == 0


def _is_let_in(url: str, key: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/v1/cron/list", headers={"Authorization": f"Bearer {key}"})
        return connection.getresponse().status == 200


def test_a_super_token_is_two_parts(tmp_path: Path) -> None:
    for given in ("no-colon-in-this-one", ":only-the-second-half", "short:one"):
        done = mainspring("serve", "--data", "data", cwd=tmp_path, MAINSPRING_SUPER_TOKEN=given)
        assert done.returncode == 2
        assert "SUPER_TOKEN" in done.stderr
        assert given not in done.stderr


def test_tokens_from_the_shell_through_the_server_and_without_it(tmp_path: Path) -> None:
    limits = '[{"scopes":["global"],"permissions":[{"crontab":"read"},{"crontab":"write"}]}]'
    with server(tmp_path / "data") as process:
        through = _a_token_s_life(tmp_path, limits)
        assert _is_let_in(process.url, through)
        assert process.stop() == 0
    straight = _a_token_s_life(tmp_path, limits)
    listed = json.loads(mainspring("token", "list", "--data", "data", "--json", cwd=tmp_path).stdout)
    assert {one["token_key"] for one in listed} >= {through.partition(":")[0], straight.partition(":")[0]}
    assert straight.partition(":")[2] not in str(listed)


def _a_token_s_life(cwd: Path, limits: str) -> str:
    """Make two, change one, delete the other; the one that is left."""

    def token(*arguments: str, code: int = 0) -> str:
        done = mainspring("token", *arguments, "--data", "data", cwd=cwd)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    made = token("create").splitlines()[0]
    other = json.loads(token("create", "--json", "--until", "2100-01-01T00:00:00Z"))
    assert len(other["key"]) == 16
    assert made.partition(":")[0] in token("list")
    assert "edited" in token("edit", made.partition(":")[0], "--limits", limits)
    assert "deleted" in token("delete", other["key"])
    assert "not found" in token("delete", other["key"], code=1)
    assert "--limits" in token("edit", made, "--limits", "{", code=1)
    return made


def test_a_stop_closes_sockets_and_does_not_wait_for_them(tmp_path: Path) -> None:
    async def hold(process: ServerProcess) -> int | None:
        async with aiohttp.ClientSession() as client, client.ws_connect(process.url) as opened:
            await opened.send_json({"jsonrpc": "2.0", "id": 1, "method": "nodeget-server_hello"})
            await opened.receive_json(timeout=20)
            stopping = asyncio.create_task(asyncio.to_thread(process.stop))
            ended = await opened.receive(timeout=20)
            assert ended.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
            assert await stopping == 0
            return opened.close_code

    with server(tmp_path / "data") as process:
        assert asyncio.run(hold(process)) == 1012
