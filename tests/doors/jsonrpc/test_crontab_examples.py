"""Every request and response of the documentation, replayed one after the other."""

from __future__ import annotations

import re
from typing import Any

from doors.jsonrpc.rig import ask, post, result
from doors.live import SUPER, Live

ONE, TWO = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
PING = {"agent": [[ONE, TWO], {"task": {"ping": "www.example.com"}}]}
SCRIPT = {"server": {"js_worker": ["demo_nodeget_fetch", {"hello": "from_cron"}]}}
CLEAN_UP = {"server": "clean_up_database"}


def call(number: int, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": {"token": SUPER, **params}, "id": number}


async def test_the_examples_of_the_documentation(live: Live) -> None:
    async def said(request: dict[str, Any]) -> str:
        answer = await post(live, request)
        assert answer.status == 200
        return answer.raw.decode()

    create = call(1, "crontab_create", name="ping_task", cron_expression="0 * * * * *", cron_type=PING)
    assert await said(create) == '{"jsonrpc":"2.0","id":1,"result":{"id":1}}'
    create = call(2, "crontab_create", name="cron_js_demo", cron_expression="*/5 * * * * *", cron_type=SCRIPT)
    assert await said(create) == '{"jsonrpc":"2.0","id":2,"result":{"id":2}}'

    tcp_ping = {"agent": [[ONE], {"task": {"tcp_ping": "www.example.com:443"}}]}
    edit = call(1, "crontab_edit", name="ping_task", cron_expression="0 */5 * * * *", cron_type=tcp_ping)
    assert await said(edit) == '{"jsonrpc":"2.0","id":1,"result":{"id":1,"success":true}}'
    from_edit = {"server": {"js_worker": ["demo_nodeget_fetch", {"hello": "from_edit"}]}}
    edit = call(2, "crontab_edit", name="cron_js_demo", cron_expression="*/5 * * * * *", cron_type=from_edit)
    assert await said(edit) == '{"jsonrpc":"2.0","id":2,"result":{"id":2,"success":true}}'

    await result(
        live, "crontab_create", token=SUPER, name="db_cleanup", cron_expression="0 0 3 * * *", cron_type=CLEAN_UP
    )
    assert re.sub(r"\s", "", await said(call(1, "crontab_get"))) == (
        '{"jsonrpc":"2.0","id":1,"result":['
        '{"id":1,"name":"ping_task","enable":true,"cron_expression":"0*/5****",'
        f'"cron_type":{{"agent":[["{ONE}"],{{"task":{{"tcp_ping":"www.example.com:443"}}}}]}},"last_run_time":null}},'
        '{"id":2,"name":"cron_js_demo","enable":true,"cron_expression":"*/5*****",'
        '"cron_type":{"server":{"js_worker":["demo_nodeget_fetch",{"hello":"from_edit"}]}},"last_run_time":null},'
        '{"id":3,"name":"db_cleanup","enable":true,"cron_expression":"003***",'
        '"cron_type":{"server":"clean_up_database"},"last_run_time":null}]}'
    )

    off = call(2, "crontab_set_enable", name="ping_task", enable=False)
    assert await said(off) == '{"jsonrpc":"2.0","id":2,"result":{"success":true,"enabled":false}}'
    on = call(1, "crontab_set_enable", name="ping_task", enable=True)
    assert await said(on) == '{"jsonrpc":"2.0","id":1,"result":{"success":true,"enabled":true}}'
    delete = call(1, "crontab_delete", name="ping_task")
    assert await said(delete) == '{"jsonrpc":"2.0","id":1,"result":{"success":true}}'


async def test_the_token_of_the_documentation_for_agents(live: Live) -> None:
    limit = {
        "scopes": [{"agent_uuid": ONE}, {"agent_uuid": TWO}],
        "permissions": [{"crontab": "write"}, {"task": {"create": "ping"}}, {"task": {"create": "tcp_ping"}}],
    }
    token = await _token(live, limit)
    made = await ask(
        live,
        "crontab_create",
        {"token": token, "name": "a", "cron_expression": "0 * * * * *", "cron_type": PING},
    )
    assert made["result"] == {"id": 1}
    refused = await ask(
        live,
        "crontab_create",
        {"token": token, "name": "b", "cron_expression": "0 * * * * *", "cron_type": CLEAN_UP},
    )
    assert refused["error"] == {
        "code": 102,
        "message": "Permission denied: Permission Denied: Missing crontab write permission in global scope",
    }


async def test_the_token_of_the_documentation_for_scripts(live: Live) -> None:
    limit = {
        "scopes": [{"global": None}, {"js_worker": "demo_*"}],
        "permissions": [{"crontab": "write"}, {"js_worker": "run_defined_js_worker"}],
    }
    token = await _token(live, limit)
    params = {"token": token, "name": "a", "cron_expression": "*/5 * * * * *", "cron_type": SCRIPT}
    assert (await ask(live, "crontab_create", params))["result"] == {"id": 1}


async def _token(live: Live, *limits: Any) -> str:
    made = await result(live, "token_create", father_token=SUPER, token_creation={"token_limit": list(limits)})
    return f"{made['key']}:{made['secret']}"
