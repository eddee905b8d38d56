"""What the web board of that ecosystem sends, as it was recorded; and names that no database can hold."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from doors.jsonrpc.rig import PING, ask, error, result, socket, talk, token
from doors.live import SUPER, Live, serving
from mainspring.core.errors import Unavailable
from mainspring.doors.entrance import elsewhere

ONE = "00000000-0000-0000-0000-000000000001"
PAGE: list[tuple[str, Any]] = [
    ("token_get", {}),
    ("nodeget-server_list_all_agent_uuid", {}),
    ("crontab_get", {}),
    ("kv_get_multi_value", {"namespace_key": [{"namespace": ONE, "key": "metadata_name"}]}),
    ("kv_list_all_namespace", {}),
    ("kv_create", {"namespace": "global"}),
    ("js-worker_list_all_js_worker", {}),
    ("agent_static_data_multi_last_query", {"uuids": [ONE], "fields": ["cpu", "system"]}),
    ("nodeget-server_uuid", []),
    ("nodeget-server_version", []),
    ("nodeget-server_hello", []),
]
ACTIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "crontab_create",
        {
            "name": "ui_cron",
            "cron_expression": "*/10 * * * * *",
            "cron_type": {"agent": [[], {"task": {"ping": "1.1.1.1"}}]},
        },
        {"id": 1},
    ),
    (
        "crontab_edit",
        {
            "name": "ui_cron",
            "cron_expression": "0 * * * * *",
            "cron_type": {"agent": [[ONE], {"task": {"ping": "www.example.com"}}]},
        },
        {"id": 1, "success": True},
    ),
    (
        "crontab_edit",
        {"name": "ui_cron", "cron_expression": "0 0 3 * * *", "cron_type": {"server": "clean_up_database"}},
        {"id": 1, "success": True},
    ),
    (
        "crontab_edit",
        {
            "name": "ui_cron",
            "cron_expression": "*/5 * * * * *",
            "cron_type": {"server": {"js_worker": ["demo", {"hello": "x"}]}},
        },
        {"id": 1, "success": True},
    ),
    ("crontab_set_enable", {"name": "ui_cron", "enable": False}, {"success": True, "enabled": False}),
    ("crontab_delete", {"name": "ui_cron"}, {"success": True}),
]


async def test_opening_the_page_and_working_on_it(live: Live) -> None:
    async with socket(live) as opened:
        for number, (method, params) in enumerate(PAGE):
            given = params if isinstance(params, list) else {"token": SUPER, **params}
            answer = await talk(opened, {"jsonrpc": "2.0", "id": f"u-{number}", "method": method, "params": given})
            assert answer["id"] == f"u-{number}"
            assert "error" not in answer, method
            shown = answer["result"]
            assert not (isinstance(shown, dict) and shown.get("error_message"))
        for method, params, wanted in ACTIONS:
            request = {"jsonrpc": "2.0", "id": "a", "method": method, "params": {"token": SUPER, **params}}
            assert (await talk(opened, request))["result"] == wanted
        conditions = [{"cron_name": "ping_task"}, {"limit": 20}, {"run_time_from_to": [1795144260000, 1795147860000]}]
        query = {"token": SUPER, "query": {"condition": conditions}}
        request = {"jsonrpc": "2.0", "id": "q", "method": "crontab-result_query", "params": query}
        assert (await talk(opened, request))["result"] == []
        about = {"token": SUPER, "task_data_query": {"condition": [{"task_id": 77}]}}
        request = {"jsonrpc": "2.0", "id": "t", "method": "task_query", "params": about}
        assert (await talk(opened, request))["result"] == []


async def test_what_the_board_gets_wrong_is_refused_and_not_stored(live: Live) -> None:
    made = {"token": SUPER, "name": "a", "cron_expression": "0 0 0 * * 0", "cron_type": PING}
    assert (await error(live, "crontab_create", **made))["code"] == 101
    made |= {"cron_expression": "0 * * * * *", "cron_type": {"agent": [[ONE], {"task": {"0": "i"}}]}}
    assert (await error(live, "crontab_create", **made))["code"] == -32602
    failed = {"condition": [{"is_success": False}]}
    assert (await error(live, "crontab-result_query", token=SUPER, query=failed))["code"] == -32602
    assert (await error(live, "crontab_toggle_enable", token=SUPER, name="a")) == {
        "code": -32601,
        "message": "Method not found",
    }
    assert await result(live, "crontab_get", token=SUPER) == []


NUL = "a\x00b"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("crontab_get", {"token": f"{NUL}:x"}),
        ("crontab_get", {"token": f"{NUL}|x"}),
        ("crontab_get", {"token": f"x:{NUL}"}),
        ("token_get", {"token": NUL, "supertoken": SUPER}),
        ("token_edit", {"token": SUPER, "target_token": NUL, "limit": []}),
        ("token_delete", {"token": SUPER, "target_token": NUL}),
        ("token_roll_token_secret", {"token": SUPER, "target_token": NUL}),
        ("token_change_password", {"token": SUPER, "target_token": NUL, "new_password": "long enough"}),
        (
            "token_create",
            {"father_token": SUPER, "token_creation": {"token_limit": [], "username": NUL, "password": "x"}},
        ),
        ("crontab_create", {"token": SUPER, "name": NUL, "cron_expression": "0 * * * * *", "cron_type": PING}),
        ("crontab_create", {"token": SUPER, "name": "a", "cron_expression": NUL, "cron_type": PING}),
        ("crontab_edit", {"token": SUPER, "name": NUL, "cron_expression": "0 * * * * *", "cron_type": PING}),
        ("crontab_delete", {"token": SUPER, "name": NUL}),
        ("crontab_set_enable", {"token": SUPER, "name": NUL, "enable": True}),
        ("kv_create", {"token": SUPER, "namespace": NUL}),
        ("kv_set_value", {"token": SUPER, "namespace": NUL, "key": "k", "value": 1}),
        ("kv_delete_key", {"token": SUPER, "namespace": NUL, "key": NUL}),
        ("kv_delete_namespace", {"token": SUPER, "namespace": NUL}),
        ("kv_get_all_keys", {"token": SUPER, "namespace": NUL}),
    ],
)
async def test_names_that_no_database_holds_are_nobodys(both: Live, method: str, params: dict[str, Any]) -> None:
    assert (await error(both, method, **params))["code"] in (101, 102, 105, 108)


async def test_what_is_asked_for_by_such_a_name_is_nothing(both: Live) -> None:
    query = {"condition": [{"cron_name": NUL}]}
    assert await result(both, "crontab-result_query", token=SUPER, query=query) == []
    assert (await result(both, "crontab-result_delete", token=SUPER, query=query))["deleted"] == 0
    assert await result(both, "kv_get_value", token=SUPER, namespace=NUL, key=NUL) is None
    pairs = [{"namespace": NUL, "key": "*"}, {"namespace": "a", "key": NUL}]
    [found] = await result(both, "kv_get_multi_value", token=SUPER, namespace_key=pairs)
    assert found["value"] is None
    text = {"agent": [[ONE], {"task": {"ping": NUL}}]}
    made = {"token": SUPER, "name": "a", "cron_expression": "0 * * * * *", "cron_type": text}
    await result(both, "crontab_create", **made)
    assert (await result(both, "crontab_get", token=SUPER))[0]["cron_type"] == text


async def test_a_deleted_token_is_dead_on_every_node_within_a_second(two_nodes: tuple[Live, Live]) -> None:
    here, there = two_nodes
    credential = await token(here, {"scopes": ["global"], "permissions": [{"crontab": "read"}]})
    for node in two_nodes:
        assert await result(node, "crontab_get", token=credential) == []
    await result(here, "token_delete", token=SUPER, target_token=credential.partition(":")[0])
    assert (await error(here, "crontab_get", token=credential))["code"] == 102
    there.clock.ahead += 1_000
    assert (await error(there, "crontab_get", token=credential))["code"] == 102
    assert (await there.get("/v1/cron/list", key=credential)).status == 401


async def test_one_name_is_given_once_whichever_nodes_are_asked(two_nodes: tuple[Live, Live]) -> None:
    made = {"token": SUPER, "name": "a", "cron_expression": "0 * * * * *", "cron_type": PING}
    answers = await asyncio.gather(*(ask(node, "crontab_create", made) for node in two_nodes * 10))
    assert sum("result" in one for one in answers) == 1
    assert (await ask(two_nodes[0], "nodeget-server_uuid"))["result"] == (
        await ask(two_nodes[1], "nodeget-server_uuid")
    )["result"]


async def test_a_node_without_this_door_turns_sockets_away(tmp_path: Path) -> None:
    import aiohttp

    refusal = elsewhere(frozenset({"janitor"}))
    assert isinstance(refusal, Unavailable)
    async with serving(tmp_path, elsewhere=refusal) as live:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await live.client.ws_connect(live.url)
        assert refused.value.status == 503
