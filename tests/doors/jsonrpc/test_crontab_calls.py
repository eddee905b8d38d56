"""`crontab_*`: the order of the checks, the texts of the refusals, names, and what is seen."""

from __future__ import annotations

from typing import Any

import pytest

from doors.jsonrpc.rig import PING, error, result, token
from doors.live import SUPER, Live
from store.making import driver

ONE, TWO = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
CLEAN_UP = {"server": "clean_up_database"}
SCRIPT = {"server": {"js_worker": ["demo_a", 1]}}
EACH_MINUTE = "0 * * * * *"
NOBODY = "nobody:at-all"
AGENT_WRITE = {
    "scopes": [{"agent_uuid": ONE}],
    "permissions": [{"crontab": "write"}, {"task": {"create": "ping"}}],
}


def definition(**fields: Any) -> dict[str, Any]:
    return {"token": SUPER, "name": "a", "cron_expression": EACH_MINUTE, "cron_type": PING} | fields


def denied(text: str) -> dict[str, Any]:
    return {"code": 102, "message": f"Permission denied: Permission Denied: {text}"}


BAD_TOKEN = {
    "code": 101,
    "message": "Parse error: Failed to parse token: Invalid token format: must be 'key:secret' or 'username|password'",
}
UNKNOWN = {"code": 102, "message": "Permission denied: Invalid credentials"}


async def test_create_checks_in_this_order(live: Live) -> None:
    await result(live, "crontab_create", **definition(name="taken"))
    reader = await token(live, {"scopes": ["global"], "permissions": [{"crontab": "read"}]})
    wrong = definition(name="", token="formless", cron_expression="nonsense", cron_type={"agent": []})
    assert (await error(live, "crontab_create", **wrong))["code"] == -32602
    wrong["cron_type"] = PING
    assert (await error(live, "crontab_create", **wrong))["message"] == "Invalid input: name cannot be empty"
    wrong["name"] = "taken"
    assert await error(live, "crontab_create", **wrong) == BAD_TOKEN
    wrong["token"] = NOBODY
    assert await error(live, "crontab_create", **wrong) == UNKNOWN
    wrong["token"] = reader
    assert await error(live, "crontab_create", **wrong) == denied(
        "Insufficient Crontab/Task permissions for all target scopes"
    )
    wrong["token"] = SUPER
    refused = await error(live, "crontab_create", **wrong)
    assert refused["code"] == 101
    assert refused["message"].startswith("Parse error: Invalid cron expression: ")
    wrong["cron_expression"] = EACH_MINUTE
    assert await error(live, "crontab_create", **wrong) == {
        "code": 108,
        "message": "Invalid input: Crontab name already exists: taken",
    }
    assert len(await result(live, "crontab_get", token=SUPER)) == 1


async def test_edit_checks_in_this_order(live: Live) -> None:
    await result(live, "crontab_create", **definition(name="there"))
    wrong = definition(name="nope", token="formless", cron_expression="nonsense", cron_type={"server": "x"})
    assert (await error(live, "crontab_edit", **wrong))["code"] == -32602
    wrong["cron_type"] = CLEAN_UP
    assert await error(live, "crontab_edit", **wrong) == BAD_TOKEN
    wrong["token"] = NOBODY
    assert await error(live, "crontab_edit", **wrong) == {
        "code": 105,
        "message": "Not found in database: Crontab not found: nope",
    }
    wrong["name"] = "there"
    assert await error(live, "crontab_edit", **wrong) == UNKNOWN
    wrong["token"] = await token(live, AGENT_WRITE)
    assert await error(live, "crontab_edit", **wrong) == denied(
        "Missing Crontab Write permission for all existing scopes"
    )
    wrong["token"] = await token(
        live, {"scopes": [{"agent_uuid": ONE}, {"agent_uuid": TWO}], "permissions": [{"crontab": "write"}]}
    )
    assert await error(live, "crontab_edit", **wrong) == denied("Missing crontab write permission in global scope")
    wrong["token"] = SUPER
    refused = await error(live, "crontab_edit", **wrong)
    assert refused["message"].startswith("Parse error: Invalid cron expression: ")


@pytest.mark.parametrize(
    ("method", "more", "missing"),
    [
        ("crontab_delete", {}, "Missing Crontab Delete permission for all target scopes"),
        ("crontab_set_enable", {"enable": False}, "Missing Crontab Write permission for all target scopes"),
    ],
)
async def test_delete_and_switch_look_for_the_row_first(
    live: Live, method: str, more: dict[str, Any], missing: str
) -> None:
    await result(live, "crontab_create", **definition(name="there"))
    assert await error(live, method, token="formless", name="nope", **more) == BAD_TOKEN
    assert (await error(live, method, token=NOBODY, name="nope", **more))["code"] == 105
    assert await error(live, method, token=NOBODY, name="there", **more) == UNKNOWN
    half = await token(
        live, {"scopes": [{"agent_uuid": ONE}], "permissions": [{"crontab": "write"}, {"crontab": "delete"}]}
    )
    assert await error(live, method, token=half, name="there", **more) == denied(missing)
    agents = [{"agent_uuid": ONE}, {"agent_uuid": TWO}]
    whole = await token(live, {"scopes": agents, "permissions": [{"crontab": "write"}, {"crontab": "delete"}]})
    assert (await result(live, method, token=whole, name="there", **more))["success"] is True


@pytest.mark.parametrize(
    ("cron_type", "limits", "refused"),
    [
        (PING, [AGENT_WRITE], denied("Insufficient Crontab/Task permissions for all target scopes")),
        ({"agent": [[ONE, ONE], {"task": {"ping": "x"}}]}, [AGENT_WRITE], None),
        (
            {"agent": [[ONE], {"task": {"tcp_ping": "x:1"}}]},
            [AGENT_WRITE],
            denied("Insufficient Crontab/Task permissions for all target scopes"),
        ),
        (
            {"agent": [[], {"task": {"ping": "x"}}]},
            [AGENT_WRITE],
            denied("Missing Crontab Write permission for empty agent list"),
        ),
        (
            {"agent": [[], {"task": {"ping": "x"}}]},
            [{"scopes": ["global"], "permissions": [{"crontab": "write"}]}],
            None,
        ),
        (CLEAN_UP, [AGENT_WRITE], denied("Missing crontab write permission in global scope")),
        (CLEAN_UP, [{"scopes": ["global"], "permissions": [{"crontab": "write"}]}], None),
        (SCRIPT, [AGENT_WRITE], denied("Missing crontab write permission in global scope")),
        (
            SCRIPT,
            [{"scopes": ["global"], "permissions": [{"crontab": "write"}]}],
            denied("Missing js_worker run permission for 'demo_a'"),
        ),
        (
            {"server": {"js_worker": ["  ", 1]}},
            [{"scopes": ["global"], "permissions": [{"crontab": "write"}]}],
            {"code": 108, "message": "Invalid input: Invalid crontab payload: js worker name cannot be empty"},
        ),
        (
            SCRIPT,
            [
                {"scopes": ["global"], "permissions": [{"crontab": "write"}]},
                {"scopes": [{"js_worker": "demo_*"}], "permissions": [{"js_worker": "run_defined_js_worker"}]},
            ],
            None,
        ),
    ],
)
async def test_what_a_token_needs_for_each_type(
    live: Live, cron_type: Any, limits: list[Any], refused: dict[str, Any] | None
) -> None:
    params = definition(token=await token(live, *limits), cron_type=cron_type)
    if refused is None:
        assert await result(live, "crontab_create", **params) == {"id": 1}
    else:
        assert await error(live, "crontab_create", **params) == refused


@pytest.mark.parametrize(
    "cron_type",
    [
        {},
        [],
        "agent",
        {"agent": [[ONE]]},
        {"agent": [[ONE], {"task": {"0": "i"}}]},
        {"agent": [["no uuid"], {"task": {"ping": "x"}}]},
        {"agent": [[ONE], {"task": {"ping": 5}}]},
        {"agent": [[ONE], {"task": {"http_ping": "no url"}}]},
        {"agent": [[ONE], {"task": {"execute": {"cmd": "ls"}}}]},
        {"agent": [[ONE], {"task": {"ip": 1}}]},
        {"agent": [[ONE], {"other": "ip"}]},
        {"server": "drop_database"},
        {"server": {"clean_up_database": 1}},
        {"server": {"js_worker": ["a"]}},
        {"server": "clean_up_database", "agent": [[], {"task": "ip"}]},
        5,
        None,
    ],
)
async def test_what_is_no_type_is_refused_and_not_stored(live: Live, cron_type: Any) -> None:
    refused = await error(live, "crontab_create", **definition(cron_type=cron_type))
    assert (refused["code"], refused["message"]) == (-32602, "Invalid params")
    assert isinstance(refused["data"], str)
    assert await result(live, "crontab_get", token=SUPER) == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"server": {"clean_up_database": None}}, CLEAN_UP),
        ({"agent": [[ONE.upper()], {"task": {"ip": None}}]}, {"agent": [[ONE], {"task": "ip"}]}),
        (
            {"agent": [[ONE], {"task": {"http_ping": "HTTPS://Example.COM:443"}}]},
            {"agent": [[ONE], {"task": {"http_ping": "https://example.com/"}}]},
        ),
        (
            {"agent": [[], {"task": {"http_request": {"url": "http://a", "method": "GET", "more": 1}}}]},
            {
                "agent": [
                    [],
                    {
                        "task": {
                            "http_request": {
                                "url": "http://a/",
                                "method": "GET",
                                "headers": {},
                                "body": None,
                                "body_base64": None,
                                "ip": None,
                            }
                        }
                    },
                ]
            },
        ),
    ],
)
async def test_types_are_kept_in_one_form(live: Live, given: Any, kept: Any) -> None:
    await result(live, "crontab_create", **definition(cron_type=given))
    [shown] = await result(live, "crontab_get", token=SUPER)
    assert shown["cron_type"] == kept


@pytest.mark.parametrize("name", ["日本", "🇩🇪 flag", "a b", "x" * 255, "a/b", "a\\b", "a#1", " "])
async def test_any_printable_name_will_do(live: Live, name: str) -> None:
    await result(live, "crontab_create", **definition(name=name))
    assert (await result(live, "crontab_edit", **definition(name=name)))["success"] is True
    assert [one["name"] for one in await result(live, "crontab_get", token=SUPER)] == [name]
    assert await result(live, "crontab_delete", token=SUPER, name=name) == {"success": True}


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "a\x00b", "a\x7fb"])
async def test_other_names_are_refused(live: Live, name: str) -> None:
    assert (await error(live, "crontab_create", **definition(name=name)))["code"] == 108


@pytest.mark.parametrize(
    "expression", ["* * * * *", "0 0 0 * * 0", "? * * * * *", "*/60 * * * * *", "0 0 0 30 2 foo", "@dailyBla", ""]
)
async def test_what_is_no_expression_is_refused(live: Live, expression: str) -> None:
    refused = await error(live, "crontab_create", **definition(cron_expression=expression))
    assert refused["code"] == 101
    assert refused["message"].startswith("Parse error: Invalid cron expression: ")
    assert "data" not in refused


async def test_one_that_never_fires_is_accepted(live: Live) -> None:
    await result(live, "crontab_create", **definition(cron_expression="0 0 0 31 2 *"))
    [record] = (await live.get("/v1/cron/list")).data["items"]
    assert record["next_run_at"] is None
    [shown] = await result(live, "crontab_get", token=SUPER)
    assert shown["enable"] is True
    await result(live, "crontab_set_enable", token=SUPER, name="a", enable=False)
    await result(live, "crontab_set_enable", token=SUPER, name="a", enable=True)
    assert (await result(live, "crontab_get", token=SUPER))[0]["enable"] is True


async def test_many_at_once_with_one_name_leave_one(live: Live) -> None:
    import asyncio

    from doors.jsonrpc.rig import ask

    answers = await asyncio.gather(*(ask(live, "crontab_create", definition()) for _ in range(20)))
    assert sorted("result" in one for one in answers) == [False] * 19 + [True]
    assert len(await result(live, "crontab_get", token=SUPER)) == 1


async def test_a_name_that_another_door_gave_is_taken_and_shown_once(live: Live) -> None:
    first, second = await live.cron(name="backup"), await live.cron(name="backup")
    assert (await error(live, "crontab_create", **definition(name="backup")))["code"] == 108
    assert await result(live, "crontab_get", token=SUPER) == []
    await result(live, "crontab_set_enable", token=SUPER, name="backup", enable=False)
    await result(live, "crontab_set_enable", token=SUPER, name="backup#2", enable=False)
    for one in (first, second):
        assert (await live.get(f"/v1/cron/get/{one['id']}")).data["enabled"] is False
    assert (await error(live, "crontab_delete", token=SUPER, name="backup#1"))["code"] == 105
    assert (await error(live, "crontab_edit", **definition(name="backup")))["code"] == 108
    await result(live, "crontab_delete", token=SUPER, name="backup")
    assert (await live.get(f"/v1/cron/get/{first['id']}")).status == 404
    await result(live, "crontab_delete", token=SUPER, name="backup")
    assert (await live.get(f"/v1/cron/get/{second['id']}")).status == 404
    await result(live, "crontab_create", **definition(name="backup"))


async def test_one_that_was_renamed_elsewhere_has_a_name_of_its_own(live: Live) -> None:
    for name in ("a", "b"):
        await result(live, "crontab_create", **definition(name=name))
    [_, record] = sorted((await live.get("/v1/cron/list")).data["items"], key=lambda one: one["name"])
    assert (await live.call("PATCH", f"/v1/cron/update/{record['id']}", {"name": "a"})).status == 200
    assert [one["name"] for one in await result(live, "crontab_get", token=SUPER)] == ["a", "a#2"]
    assert await result(live, "crontab_edit", **definition(name="a#2")) == {"id": 2, "success": True}


async def test_rest_shows_them_and_leaves_what_they_do_alone(live: Live) -> None:
    for name, cron_type in (("p", PING), ("c", CLEAN_UP), ("s", SCRIPT)):
        await result(live, "crontab_create", **definition(name=name, cron_type=cron_type))
    items = {one["name"]: one for one in (await live.get("/v1/cron/list")).data["items"]}
    assert {name: (one["task_type"], one["task"]) for name, one in items.items()} == {
        "p": ("agent", "mainspring:agent/ping"),
        "c": ("server", "mainspring:server/clean_up_database"),
        "s": ("script", "mainspring:server/js_worker"),
    }
    for one in items.values():
        path = f"/v1/cron/update/{one['id']}"
        refused = await live.call("PATCH", path, {"task": "https://example.com"})
        assert (refused.status, refused.json["error"]["field"]) == (422, "task")
        changed = await live.call("PATCH", path, {"cron_expr": "30 * * * * *", "retention_days": 3})
        assert changed.data["cron_expr"] == "30 * * * * *"
    shown = await result(live, "crontab_get", token=SUPER)
    assert [one["cron_type"] for one in shown] == [PING, CLEAN_UP, SCRIPT]


async def test_who_sees_what(live: Live) -> None:
    types = {
        "one": {"agent": [[ONE], {"task": "ip"}]},
        "both": PING,
        "two": {"agent": [[TWO], {"task": "ip"}]},
        "none": {"agent": [[], {"task": "ip"}]},
        "server": CLEAN_UP,
    }
    for name, cron_type in types.items():
        await result(live, "crontab_create", **definition(name=name, cron_type=cron_type))

    async def seen(**limit: Any) -> list[str]:
        credential = await token(live, {"permissions": [{"crontab": "read"}], **limit})
        return [one["name"] for one in await result(live, "crontab_get", token=credential)]

    assert await seen(scopes=["global"]) == list(types)
    assert await seen(scopes=[{"agent_uuid": ONE}]) == ["one", "both"]
    assert await seen(scopes=[{"agent_uuid": ONE}, {"agent_uuid": TWO}]) == ["one", "both", "two"]
    assert await seen(scopes=[{"js_worker": "*"}]) == []
    assert await seen(scopes=[]) == []
    credential = await token(live, {"scopes": ["global"], "permissions": [{"crontab": "write"}]})
    assert await error(live, "crontab_get", token=credential) == denied("Insufficient Crontab Read permission")


async def test_outside_its_time_a_token_reads_nothing(live: Live) -> None:
    limit = {"scopes": ["global"], "permissions": [{"crontab": "read"}, {"crontab": "write"}]}
    early = await token(live, limit, timestamp_from=live.clock() + 60_000)
    late = await token(live, limit, timestamp_to=live.clock() - 60_000)
    assert (await error(live, "crontab_get", token=early))["message"] == "Permission denied: Token is not yet valid"
    assert (await error(live, "crontab_get", token=late))["message"] == "Permission denied: Token has expired"
    for one in (early, late):
        assert (await error(live, "crontab_create", **definition(token=one, cron_type=CLEAN_UP)))["code"] == 102
    assert (await live.get("/v1/cron/list", key=early)).status == 401


async def test_a_damaged_row_is_told_of_with_its_id_and_name(live: Live) -> None:
    for name in ("good", "bad"):
        await result(live, "crontab_create", **definition(name=name))
    sql = "UPDATE targets SET payload = ? WHERE schedule_id = (SELECT id FROM schedules WHERE name = 'bad')"
    driver(live.store).execute(sql, (b'{"agent":',))
    reader = await token(live, {"scopes": [{"agent_uuid": ONE}], "permissions": [{"crontab": "read"}]})
    for credential in (SUPER, reader):
        refused = await error(live, "crontab_get", token=credential)
        assert refused["code"] == 101
        assert refused["message"].startswith(
            "Serialization error: Failed to parse cron_type for crontab 'bad' (id 2): "
        )
    nothing = await token(live, {"scopes": [{"js_worker": "*"}], "permissions": [{"crontab": "read"}]})
    assert await result(live, "crontab_get", token=nothing) == []
    await result(live, "crontab_delete", token=SUPER, name="bad")
    assert [one["name"] for one in await result(live, "crontab_get", token=SUPER)] == ["good"]
