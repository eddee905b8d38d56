"""Tasks over the wire: asked for, handed over, answered, found again, each with its exact shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from doors.conftest import BACKENDS
from doors.jsonrpc.rig import ONE, SUPER, TWO, ask, error, result, socket, talk, token
from doors.live import Clock, Live, serving

STRANGER = "00000000-0000-0000-0000-00000000ffff"
OFFLINE = f"Unable to connect agent: Error sending task event: Agent {ONE} is not connected"


@pytest_asyncio.fixture(params=BACKENDS)
async def live(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Live]:
    """A server with agents, on each database."""
    clock = Clock()
    store = await BACKENDS[request.param](request, clock)
    async with serving(tmp_path, clock=clock, store=store, agents=True) as started:
        yield started


async def register(opened: aiohttp.ClientWebSocketResponse, uuid: str = ONE, held: str = SUPER) -> int:
    """Do as agents do, and return the subscription."""
    known = await talk(opened, {"jsonrpc": "2.0", "id": 1, "method": "nodeget-server_uuid", "params": []})
    assert isinstance(known["result"], str)
    answer = await talk(opened, {"jsonrpc": "2.0", "id": 1, "method": "task_register_task", "params": [held, uuid]})
    assert set(answer) == {"jsonrpc", "id", "result"}
    assert answer["id"] == 1
    number = answer["result"]
    assert isinstance(number, int)
    assert 0 <= number < 1 << 53
    return number


async def upload(opened: aiohttp.ClientWebSocketResponse, event: dict[str, Any], **fields: Any) -> Any:
    response = {
        "task_id": event["task_id"],
        "agent_uuid": ONE,
        "task_token": event["task_token"],
        "timestamp": 1769341269012,
        "success": True,
        "error_message": None,
        "task_event_result": {"ping": 12.34},
        **fields,
    }
    held = response.pop("token", SUPER)
    return await talk(
        opened, {"jsonrpc": "2.0", "id": 1, "method": "task_upload_task_result", "params": [held, response]}
    )


async def create(live: Live, task: Any = None, uuid: str = ONE, held: str = SUPER) -> int:
    made = await result(
        live, "task_create_task", token=held, target_uuid=uuid, task_type=task or {"ping": "www.example.com"}
    )
    assert set(made) == {"id"}
    number: int = made["id"]
    return number


async def query(live: Live, *condition: Any, held: str = SUPER) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = await result(
        live, "task_query", token=held, task_data_query={"condition": list(condition)}
    )
    return rows


async def test_a_task_goes_to_its_agent_and_its_result_comes_back(live: Live) -> None:
    async with socket(live) as opened:
        subscription = await register(opened)
        number = await create(live)
        event = await opened.receive_json(timeout=5)
        sent = event["params"]["result"]
        assert event == {
            "jsonrpc": "2.0",
            "method": "task_register_task",
            "params": {
                "subscription": subscription,
                "result": {
                    "task_id": number,
                    "task_token": sent["task_token"],
                    "task_event_type": {"ping": "www.example.com"},
                },
            },
        }
        assert len(sent["task_token"]) == 10
        shown = {
            "task_id": number,
            "uuid": ONE,
            "cron_source": None,
            "timestamp": None,
            "success": None,
            "error_message": None,
            "task_event_type": {"ping": "www.example.com"},
            "task_event_result": None,
        }
        assert await query(live, {"task_id": number}) == [shown]
        assert await upload(opened, sent) == {"jsonrpc": "2.0", "id": 1, "result": {"id": number}}
        ended = shown | {"timestamp": 1769341269012, "success": True, "task_event_result": {"ping": 12.34}}
        assert await query(live, {"task_id": number}) == [ended]


async def test_an_agent_that_is_not_there_leaves_no_task(live: Live) -> None:
    task = {"ping": "www.example.com"}
    said = await error(live, "task_create_task", token=SUPER, target_uuid=ONE, task_type=task)
    assert (said["code"], said["message"]) == (104, OFFLINE)
    assert said["data"] == f'{{"error_id":104,"error_message":"{OFFLINE}"}}'
    assert await query(live) == []


async def test_the_newest_registration_gets_the_tasks(live: Live) -> None:
    async with socket(live) as old, socket(live) as new:
        await register(old)
        await register(new)
        number = await create(live)
        event = await new.receive_json(timeout=5)
        assert event["params"]["result"]["task_id"] == number
        # The same socket again, as agents do every minute.
        second = await register(new)
        number = await create(live)
        event = await new.receive_json(timeout=5)
        assert event["params"]["subscription"] == second
        with pytest.raises(TimeoutError):
            await old.receive(timeout=0.05)
    await gone(live)


async def gone(live: Live, uuid: str = ONE) -> None:
    """Until the server knows that the agent has hung up."""
    async with asyncio.timeout(10):
        while await live.store.agents.is_there(live.clock(), uuid):
            await asyncio.sleep(0.01)


async def test_one_that_has_hung_up_is_not_there(live: Live) -> None:
    async with socket(live) as opened:
        await register(opened)
    await gone(live)
    said = await error(live, "task_create_task", token=SUPER, target_uuid=ONE, task_type={"ping": "x"})
    assert said["code"] == 104


async def test_a_socket_of_a_node_that_is_gone_is_none_after_15_seconds(live: Live) -> None:
    await live.store.agents.attach(live.clock(), 77, [(ONE, 5)])
    assert await live.store.agents.is_there(live.clock(), ONE)
    live.clock.ahead += 15_001
    assert not await live.store.agents.is_there(live.clock(), ONE)


async def test_what_nobody_takes_for_10_seconds_has_found_nobody(live: Live) -> None:
    await live.store.agents.attach(live.clock(), 77, [(ONE, 5)])
    number = await create(live)
    live.clock.ahead += 10_500
    live.wakeups.stir_agents()
    async with asyncio.timeout(10):
        while await query(live, {"task_id": number}):
            await asyncio.sleep(0.01)


async def test_a_call_may_wait_for_the_result(live: Live) -> None:
    async with socket(live) as opened:
        await register(opened)
        waiting = asyncio.create_task(
            ask(
                live,
                "task_create_task_blocking",
                {"token": SUPER, "target_uuid": ONE, "task_type": {"ping": "x"}, "timeout_ms": 9_000},
            )
        )
        sent = (await opened.receive_json(timeout=5))["params"]["result"]
        await upload(opened, sent, success=False, error_message="Other error: no", task_event_result=None)
        answer = (await waiting)["result"]
    assert answer == {
        "task_id": sent["task_id"],
        "agent_uuid": ONE,
        "task_token": sent["task_token"],
        "timestamp": 1769341269012,
        "success": False,
        "error_message": "Other error: no",
        "task_event_result": None,
    }


async def test_a_call_does_not_wait_longer_than_it_says(live: Live) -> None:
    async with socket(live) as opened:
        await register(opened)
        said = await error(
            live, "task_create_task_blocking", token=SUPER, target_uuid=ONE, task_type={"ping": "x"}, timeout_ms=50
        )
        [row] = await query(live)
    assert (said["code"], said["message"]) == (999, f"Other error: Task {row['task_id']} timed out after 50ms")
    assert row["success"] is None


async def test_a_result_is_checked_in_the_known_order(live: Live) -> None:
    writes = {"scopes": [{"agent_uuid": ONE}], "permissions": [{"task": {"write": "tcp_ping"}}]}
    other = await token(live, writes)
    nothing = await token(live, {"scopes": [{"agent_uuid": TWO}], "permissions": [{"task": {"write": "ping"}}]})

    async def refused(**fields: Any) -> tuple[int, str]:
        answer = await upload(opened, sent, **fields)
        assert "data" not in answer["error"]
        return answer["error"]["code"], answer["error"]["message"]

    async with socket(live) as opened:
        await register(opened)
        await create(live)
        sent = (await opened.receive_json(timeout=5))["params"]["result"]
        missing = "Permission denied: Permission Denied: Missing Task Write permission for this Agent"
        unknown = "Not found in database: Task validation failed: Invalid ID, UUID, or Token"
        ping = "Permission denied: Permission Denied: Missing Task Write (ping) permission for this Agent"
        assert (await refused(token="neither"))[0] == 101
        assert await refused(token=nothing) == (102, missing)
        for wrong in ({"task_id": 999}, {"agent_uuid": TWO}, {"task_token": "no"}, {"task_id": -1}):
            assert await refused(**wrong) == (105, unknown)
        assert await refused(token=other) == (102, ping)
        assert "result" in await upload(opened, sent)
        assert await refused() == (108, "Invalid input: Task result has already been uploaded")
        [row] = await query(live)
        assert row["task_event_result"] == {"ping": 12.34}


async def test_only_who_may_listen_gets_tasks(live: Live) -> None:
    held = await token(live, {"scopes": [{"agent_uuid": TWO}], "permissions": [{"task": "listen"}]})
    request = {"jsonrpc": "2.0", "id": 1, "method": "task_register_task", "params": [held, ONE]}
    async with socket(live) as opened:
        said = (await talk(opened, request))["error"]
        assert (said["code"], said["message"]) == (
            102,
            "Permission denied: Permission Denied: Missing Task Listen permission for this Agent",
        )
        assert "result" in await talk(opened, request | {"params": [held, TWO]})
        assert (await talk(opened, request | {"params": ["no form", TWO]}))["error"]["code"] == 101
        assert (await talk(opened, request | {"params": [SUPER, "no uuid"]}))["error"]["code"] == -32602
    assert (await ask(live, "task_register_task", [SUPER, ONE]))["error"]["code"] == -32603


async def test_who_listens_no_more_gets_no_more(live: Live) -> None:
    async with socket(live) as opened:
        number = await register(opened)
        end = {"jsonrpc": "2.0", "id": 2, "method": "task_unregister_task", "params": [number]}
        assert (await talk(opened, end))["result"] is True
        assert (await talk(opened, end))["result"] is False
        await gone(live)
        said = await error(live, "task_create_task", token=SUPER, target_uuid=ONE, task_type={"ping": "x"})
        assert said["code"] == 104


@pytest.mark.parametrize(
    "task",
    [
        {"0": "i"},
        {"ping": 1},
        {"ping": "a", "tcp_ping": "b"},
        {"execute": {"cmd": "ls"}},
        "ping",
        {"ip": 5},
        [],
        {"http_ping": "not a url"},
        {"dns": {"domain": "x", "record_types": ["any"]}},
    ],
)
async def test_a_task_of_another_shape_is_refused_and_not_kept(live: Live, task: Any) -> None:
    async with socket(live) as opened:
        await register(opened)
        said = await error(live, "task_create_task", token=SUPER, target_uuid=ONE, task_type=task)
        assert said["code"] == -32602
        assert await query(live) == []


async def test_an_execute_without_a_command_is_refused(live: Live) -> None:
    task = {"execute": {"cmd": " ", "args": []}}
    said = await error(live, "task_create_task", token=SUPER, target_uuid=ONE, task_type=task)
    assert (said["code"], said["message"]) == (108, "Invalid input: Execute cmd cannot be empty")


async def test_creating_needs_the_right_for_the_kind_and_the_agent(live: Live) -> None:
    held = await token(live, {"scopes": [{"agent_uuid": ONE}], "permissions": [{"task": {"create": "ping"}}]})
    async with socket(live) as opened:
        await register(opened)
        await create(live, held=held)
        for uuid, task in ((ONE, {"tcp_ping": "a:1"}), (TWO, {"ping": "a"})):
            said = await error(live, "task_create_task", token=held, target_uuid=uuid, task_type=task)
            assert said["code"] == 102
        blocking = {"token": held, "target_uuid": ONE, "task_type": {"ping": "x"}, "timeout_ms": 10}
        assert (await error(live, "task_create_task_blocking", **blocking))["code"] == 102


async def test_tasks_are_found_by_every_condition(live: Live) -> None:
    async with socket(live) as opened:
        await register(opened)
        numbers = []
        for at, task in enumerate(({"ping": "a"}, {"tcp_ping": "b:1"}, "ip", {"ping": "c"})):
            numbers.append(await create(live, task))
            sent = (await opened.receive_json(timeout=5))["params"]["result"]
            if at < 3:
                await upload(opened, sent, timestamp=1_000 + at, success=at != 1)
    first, second, third, running = numbers

    async def found(*condition: Any) -> list[int]:
        return [row["task_id"] for row in await query(live, *condition)]

    assert await found() == [first, second, third, running]
    assert await found({"limit": 2}) == [running, third]
    assert await found("last") == [running]
    assert await found({"last": None}, "is_success") == [third]
    assert await found("is_success") == [first, third]
    assert await found("is_failure") == [second]
    assert await found("is_running") == [running]
    assert await found({"type": "ip"}) == [third]
    assert await found({"type": "ping"}, {"uuid": ONE}) == [first, running]
    assert await found({"uuid": ONE.upper()}, {"limit": 1}) == [running]
    assert await found({"uuid": TWO}) == await found({"task_id": first}, {"task_id": second}) == []
    assert await found({"timestamp_from_to": [1_000, 1_001]}) == [first, second]
    assert await found({"timestamp_from": 1_001}) == [second, third]
    assert await found({"timestamp_to": 1_000}) == [first]
    assert await found({"cron_source": "none"}) == []
    for wrong in ({"is_success": False}, {"type": "nothing"}, {"limit": -1}, "nothing", {"task_id": "1"}, 5):
        assert (await error(live, "task_query", token=SUPER, task_data_query={"condition": [wrong]}))["code"] == -32602

    gone_rows = await result(live, "task_delete", token=SUPER, conditions=[{"type": "ping"}, {"limit": 1}])
    assert gone_rows == {"success": True, "deleted": 1, "condition_count": 2}
    assert await found() == [first, second, third]
    assert (await result(live, "task_delete", token=SUPER, conditions=[]))["deleted"] == 3


async def test_reading_needs_the_right_for_every_kind(live: Live) -> None:
    await live.store.agents.attach(live.clock(), 77, [(ONE, 5)])
    await create(live, {"ping": "a"})
    era = ("ping", "tcp_ping", "http_ping", "web_shell", "execute", "http_request", "read_config", "edit_config", "ip")
    pings = await token(live, {"scopes": [{"agent_uuid": ONE}], "permissions": [{"task": {"read": "ping"}}]})
    old = await token(live, {"scopes": ["global"], "permissions": [{"task": {"read": kind}} for kind in era]})
    wild = await token(live, {"scopes": ["global"], "permissions": [{"task": {"read": "*"}}]})
    await create(live, "version")
    assert len(await query(live, {"type": "ping"}, {"uuid": ONE}, held=pings)) == 1
    text = "Permission denied: Permission Denied: Insufficient permissions to read requested task types"
    for condition in ([], [{"type": "ping"}], [{"uuid": ONE}], [{"type": "ip"}, {"uuid": ONE}]):
        said = await error(live, "task_query", token=pings, task_data_query={"condition": condition})
        assert (said["code"], said["message"]) == (102, text)
        assert "error_message" in said["data"]
    assert [row["task_event_type"] for row in await query(live, held=old)] == [{"ping": "a"}]
    assert len(await query(live, held=wild)) == 2
    assert (await error(live, "task_delete", token=wild, conditions=[]))["code"] == 102


async def test_agents_are_known_once_they_were_heard_of(live: Live) -> None:
    assert await result(live, "nodeget-server_list_all_agent_uuid", token=SUPER) == {"uuids": []}
    async with socket(live) as opened:
        await register(opened)
    await result(live, "agent_report_static", token=SUPER, data={"uuid": TWO, "time": 1})
    await live.core.agents.flush()  # type: ignore[union-attr]
    assert await result(live, "nodeget-server_list_all_agent_uuid", token=SUPER) == {"uuids": [ONE, TWO]}
