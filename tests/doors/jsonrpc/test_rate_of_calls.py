"""How many calls a token may make: over HTTP, over sockets, in batches; and what does not count."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from doors.jsonrpc.rig import ONE, SUPER, ask, error, post, result, socket, talk, token
from doors.jsonrpc.test_tasks_by_rpc import create, query, register, upload
from doors.live import Live, serving
from mainspring.core.limits import SECOND
from mainspring.core.rate import Buckets, parse_rate

READER = {"scopes": ["global"], "permissions": [{"crontab": "read"}]}
AGENT = {
    "scopes": [{"agent_uuid": ONE}],
    "permissions": [{"task": "listen"}, {"task": {"write": "ping"}}, {"dynamic_monitoring": "write"}],
}


@pytest_asyncio.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """A server with agents; the tests set the limit when they have made their tokens."""
    async with serving(tmp_path, agents=True) as started:
        yield started


def limit(live: Live, rate: str = "5/h") -> None:
    live.auth.buckets = Buckets(parse_rate(rate))


def call(credential: str, number: int = 1, method: str = "crontab_get") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {"token": credential}}


def wait_of(refused: dict[str, Any]) -> int:
    """What is said about one too many, checked; in how many seconds to come back."""
    assert (refused["code"], refused["message"]) == (-32009, "Server is busy: this key makes more requests than it may")
    said = json.loads(refused["data"])
    assert set(said) == {"retry_after"}
    assert isinstance(said["retry_after"], int)
    return int(said["retry_after"])


async def test_one_too_many_is_told_when_to_come_back(live: Live) -> None:
    held = await token(live, READER)
    limit(live)
    for _ in range(5):
        assert await result(live, "crontab_get", token=held) == []
    wait = wait_of(await error(live, "crontab_get", token=held))
    assert 1 <= wait <= 720
    assert live.observed[-1][:2] == ("rpc.crontab_get", 429)
    live.clock.ahead += wait * SECOND
    assert await result(live, "crontab_get", token=held) == []
    wait_of(await error(live, "crontab_get", token=held))


async def test_a_socket_is_no_way_around_it(live: Live) -> None:
    held = await token(live, READER)
    limit(live)
    for _ in range(3):
        async with socket(live) as opened:
            assert (await talk(opened, call(held)))["result"] == []
    async with socket(live) as opened:
        for _ in range(2):
            assert (await talk(opened, call(held)))["result"] == []
        wait_of((await talk(opened, call(held)))["error"])
        wait_of((await talk(opened, call(held)))["error"])
        assert (await talk(opened, {"jsonrpc": "2.0", "id": 9, "method": "nodeget-server_hello"}))["id"] == 9


async def test_each_entry_of_a_batch_is_a_call(live: Live) -> None:
    held = await token(live, READER)
    limit(live)
    batch = [call(held, number) for number in range(4)]
    assert all("result" in one for one in (await post(live, batch)).json)
    async with socket(live) as opened:
        answers = await talk(opened, batch)
    assert [one["id"] for one in answers] == [0, 1, 2, 3]
    assert answers[0]["result"] == []
    for one in answers[1:]:
        wait_of(one["error"])


async def test_the_limit_of_one_is_not_that_of_another(live: Live) -> None:
    one, other = await token(live, READER), await token(live, READER)
    limit(live)
    for _ in range(5):
        await result(live, "crontab_get", token=one)
    wait_of(await error(live, "crontab_get", token=one))
    for _ in range(5):
        await result(live, "crontab_get", token=other)


async def test_all_doors_count_together(live: Live) -> None:
    held = await token(live, READER)
    limit(live)
    for _ in range(2):
        assert (await live.get("/v1/cron/list", key=held)).status == 200
    for _ in range(3):
        await result(live, "crontab_get", token=held)
    wait_of(await error(live, "crontab_get", token=held))
    assert (await live.get("/v1/cron/list", key=held)).status == 429


async def test_a_call_that_asks_twice_counts_once(live: Live) -> None:
    """Creating a task and waiting for it takes two rights."""
    limit(live)
    given = {"token": SUPER, "target_uuid": ONE, "task_type": {"ping": "a"}, "timeout_ms": 1}
    for _ in range(5):
        assert (await error(live, "task_create_task_blocking", **given))["code"] == 104
    wait_of(await error(live, "task_create_task_blocking", **given))


async def test_what_shows_no_good_token_is_not_counted(live: Live) -> None:
    held = await token(live, READER)
    limit(live)
    key = held.partition(":")[0]
    for _ in range(6):
        assert (await error(live, "crontab_get", token=f"{key}:wrong"))["code"] == 102
        assert (await error(live, "crontab_get", token="formless"))["code"] == 101
        assert "result" in await ask(live, "nodeget-server_uuid", [])
    assert await result(live, "crontab_get", token=held) == []


@pytest.mark.parametrize("rate", ["1/h", "2/h"])
async def test_what_agents_send_is_never_refused(live: Live, rate: str) -> None:
    """A token that may make a call or two an hour registers, reports and answers as often as it must."""
    held = await token(live, AGENT)
    async with socket(live) as opened:
        limit(live, rate)
        for _ in range(4):
            await register(opened, held=held)
        for number in range(8):
            data = {"uuid": ONE, "time": number}
            report = {**call(held, method="agent_report_dynamic"), "params": [held, data]}
            assert (await talk(opened, report))["result"] == {"status": "buffered"}
        for _ in range(8):
            live.auth.buckets = None
            number = await create(live)
            limit(live, rate)
            event = (await opened.receive_json(timeout=5))["params"]["result"]
            assert (await upload(opened, event, token=held))["result"] == {"id": number}
    live.auth.buckets = None
    assert [row["success"] for row in await query(live)] == [True] * 8
