"""`js-worker_*` and `js-result_*`: shapes, refusals, permissions, on both databases where the store decides."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from doors.conftest import BACKENDS
from doors.jsonrpc.rig import ask
from doors.jsonrpc.scripting import ECHO, Scripted, scripted
from doors.live import SUPER, Clock

LIMITS = ("max_run_time", "max_stack_size", "max_heap_size")
DOCUMENTED = (
    "ZXhwb3J0IGRlZmF1bHQgeyBhc3luYyBvbkNhbGwocGFyYW1zLCBlbnYsIGN0eCkgeyByZXR1cm4geyBvazogdHJ1ZSwgcGFyYW1zLCBlbnYgfTsg"
    "fSwgYXN5bmMgb25Dcm9uKHBhcmFtcywgZW52LCBjdHgpIHsgcmV0dXJuIHsgb2s6IHRydWUsIGNyb246IHRydWUgfTsgfSB9Ow=="
)


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Scripted]:
    async with scripted(tmp_path) as started:
        yield started


@pytest_asyncio.fixture(params=BACKENDS)
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scripted]:
    clock = Clock()
    store = await BACKENDS[request.param](request, clock)
    async with scripted(tmp_path, clock=clock, store=store) as started:
        yield started


async def test_a_script_is_kept_shown_changed_and_deleted(both: Scripted) -> None:
    before = both.live.clock()
    made = await both.ask(
        "js-worker_create",
        name="demo_worker",
        description="demo worker for monitoring",
        js_script_base64=DOCUMENTED,
        route_name="demo_route",
        runtime_clean_time=60000,
        env={"project": "NodeGet"},
    )
    assert list(made) == [
        "id",
        "name",
        "description",
        "route_name",
        "runtime_clean_time",
        *LIMITS,
        "create_at",
        "update_at",
    ]
    assert made["id"] == 1
    assert before <= made["create_at"] == made["update_at"] <= both.live.clock()
    read = await both.ask("js-worker_read", name="demo_worker")
    assert read == {
        "name": "demo_worker",
        "description": "demo worker for monitoring",
        "route_name": "demo_route",
        "js_script_base64": DOCUMENTED,
        "runtime_clean_time": 60000,
        "max_run_time": None,
        "max_stack_size": None,
        "max_heap_size": None,
        "env": {"project": "NodeGet"},
        "create_at": made["create_at"],
        "update_at": made["create_at"],
    }
    both.live.clock.ahead += 1000
    code = base64.b64encode(ECHO.encode()).decode()
    changed = await both.ask(
        "js-worker_update", name="demo_worker", js_script_base64=code, max_run_time=900_000, max_heap_size=1 << 26
    )
    assert list(changed) == [
        "success",
        "name",
        "description",
        "route_name",
        "runtime_clean_time",
        *LIMITS,
        "update_at",
    ]
    assert changed["success"] is True
    assert changed["update_at"] > made["update_at"]
    read = await both.ask("js-worker_read", name="demo_worker")
    assert (read["env"], read["route_name"], read["description"], read["js_script_base64"]) == (None, None, None, code)
    assert [read[name] for name in LIMITS] == [900_000, None, 1 << 26]
    assert read["create_at"] == made["create_at"]
    assert await both.ask("js-worker_delete", name="demo_worker") == {"success": True, "rows_affected": 1}
    assert (await both.refused("js-worker_read", name="demo_worker"))[0] == 105


async def test_names_and_routes_belong_to_one_script(both: Scripted) -> None:
    await both.create("one", route_name="r.1")
    await both.create("two")
    code = base64.b64encode(ECHO.encode()).decode()
    assert await both.refused("js-worker_create", name="one", js_script_base64=code) == (
        108,
        "Invalid input: js_worker already exists: one",
    )
    for method, name in (("js-worker_create", "three"), ("js-worker_update", "two")):
        assert await both.refused(method, name=name, js_script_base64=code, route_name="r.1") == (
            108,
            "Invalid input: route_name already exists: r.1",
        )
    await both.ask("js-worker_update", name="one", js_script_base64=code, route_name="r.1")
    await both.ask("js-worker_delete", name="one")
    await both.create("three", route_name="r.1")
    assert await both.ask("js-worker_list_all_js_worker") == ["two", "three"]


@pytest.mark.parametrize(
    ("given", "code", "begins"),
    [
        ({"name": ""}, 108, "Invalid input: js_worker name cannot be empty"),
        ({"name": "  "}, 108, "Invalid input: js_worker name cannot be empty"),
        ({"name": "a\nb"}, 108, "Invalid input: "),
        ({"name": "x" * 256}, 108, "Invalid input: js_worker name too long"),
        ({"js_script_base64": "%%%"}, 108, "Invalid input: js_script_base64 is not base64"),
        ({"js_script_base64": "/w=="}, 108, "Invalid input: js_script_base64 does not hold UTF-8"),
        ({"js_script_base64": "AA=="}, 108, "Invalid input: the script contains a NUL"),
        (
            {"js_script_base64": base64.b64encode(b"x" * (1 << 20) + b"x").decode()},
            108,
            "Invalid input: the script has",
        ),
        (
            {"js_script_base64": base64.b64encode(b"export {").decode()},
            999,
            "Other error: JavaScript precompile failed: ",
        ),
        ({"route_name": "a/b"}, 108, "Invalid input: route_name"),
        ({"route_name": ""}, 108, "Invalid input: route_name"),
        ({"route_name": "..."}, 108, "Invalid input: route_name"),
        ({"route_name": "x" * 129}, 108, "Invalid input: route_name"),
        ({"max_run_time": 0}, 108, "Invalid input: max_run_time is 1 to 900000"),
        ({"max_stack_size": 1}, 108, "Invalid input: max_stack_size"),
        ({"max_heap_size": 1 << 40}, 108, "Invalid input: max_heap_size"),
        ({"runtime_clean_time": -1}, 108, "Invalid input: runtime_clean_time"),
        ({"env": {"a": "x" * 70_000}}, 108, "Invalid input: env has"),
    ],
)
async def test_what_cannot_be_kept_is_refused(server: Scripted, given: dict[str, Any], code: int, begins: str) -> None:
    whole = {"name": "new", "js_script_base64": base64.b64encode(ECHO.encode()).decode(), **given}
    found = await server.refused("js-worker_create", **whole)
    assert found[0] == code
    assert found[1].startswith(begins)
    assert await server.ask("js-worker_list_all_js_worker") == []


@pytest.mark.parametrize("method", ["read", "delete", "update", "run"])
async def test_an_unknown_script_is_not_found(server: Scripted, method: str) -> None:
    name = {"js_script_name" if method == "run" else "name": "nope"}
    code = base64.b64encode(ECHO.encode()).decode()
    more = {"js_script_base64": code} if method == "update" else {"params": None} if method == "run" else {}
    found = await server.refused(f"js-worker_{method}", **name, **more)
    assert found == (105, "Not found in database: js_worker not found: nope")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("js-worker_create", {"name": "x"}),
        ("js-worker_run", {"js_script_name": "x"}),
        ("js-worker_run", {"js_script_name": "x", "params": 1, "run_type": "onCall"}),
        ("js-result_query", {"query": {"condition": [{"is_success": False}]}}),
        ("js-result_query", {"query": {"condition": ["nonsense"]}}),
        ("js-result_query", {"query": {"condition": [{"run_type": "onCall"}]}}),
        ("js-result_query", {"query": {"condition": [{"start_time_from_to": [1]}]}}),
        ("js-result_query", {"query": {"condition": [{"start_time": 1}]}}),
        ("js-result_query", {"query": {"condition": [{"id": "1"}]}}),
        ("js-result_delete", {"query": {"condition": [{"limit": -1}]}}),
    ],
)
async def test_parameters_of_another_shape_are_invalid(server: Scripted, method: str, params: dict[str, Any]) -> None:
    answer = await ask(server.live, method, {"token": SUPER, **params})
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32602, "Invalid params")


async def test_a_run_is_on_record_from_the_start_to_the_end(both: Scripted) -> None:
    made = await both.create("demo_worker", env={"region": "a"})
    started = await both.ask("js-worker_run", js_script_name="demo_worker", run_type="call", params={"hello": "world"})
    assert started == {"id": 1}
    [waiting] = await both.results({"js_worker_name": "demo_worker"}, "is_running")
    assert waiting == {
        "id": 1,
        "js_worker_id": made["id"],
        "js_worker_name": "demo_worker",
        "run_type": "call",
        "start_time": waiting["start_time"],
        "finish_time": None,
        "param": {"hello": "world"},
        "result": None,
        "error_message": None,
    }
    await both.work()
    [ended] = await both.results({"js_worker_name": "demo_worker"}, {"limit": 10})
    assert ended["finish_time"] >= ended["start_time"] == waiting["start_time"]
    assert ended["result"] == {"params": {"hello": "world"}, "env": {"region": "a"}}
    assert ended["error_message"] is None
    assert await both.results("is_running") == []


async def test_a_run_may_have_an_environment_of_its_own(server: Scripted) -> None:
    await server.create("plain")
    await server.create("with", env={"a": 1})
    assert (await server.run("plain"))["result"] == {"params": None, "env": {}}
    assert (await server.run("with", [1]))["result"] == {"params": [1], "env": {"a": 1}}
    assert (await server.run("with", env={"b": 2}))["result"]["env"] == {"b": 2}


async def test_environments_are_sealed_in_the_store(server: Scripted, tmp_path: Path) -> None:
    await server.create("with", env={"password": "correct horse battery"})
    await server.ask("js-worker_run", js_script_name="with", params=None, env={"password": "staple of horses"})
    await server.live.store.db.durable()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("mainspring.db*"))
    assert b"correct horse" not in kept
    assert b"staple of" not in kept


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("export default { onCall() { throw new Error('no'); } }", "Error: no\n"),
        ("export default { onCall() {} }", "TypeError: "),
        ("export default { onCron() {} }", "TypeError: the script exports no onCall"),
        ("export default { onCall() { for (;;); } }", "it ran longer than 200 ms"),
        ("export default { onCall() { const a = []; for (;;) a.push([a]); } }", ""),
    ],
)
async def test_a_failure_is_on_record(server: Scripted, source: str, error: str) -> None:
    await server.create("bad", source, max_run_time=200)
    found = await server.run("bad")
    assert found["error_message"].startswith("JavaScript runtime execution failed: " + error)
    assert found["result"] is None
    assert found["finish_time"] >= found["start_time"]
    assert [one["id"] for one in await server.results("is_failure", "last")] == [found["id"]]
    assert await server.results("is_success") == []


async def test_results_are_found_and_deleted_by_their_conditions(both: Scripted) -> None:
    await both.create("good")
    await both.create("bad", "export default { onCall() { throw 1; } }")
    for name in ("good", "bad", "good", "good"):
        await both.run(name)
        both.live.clock.ahead += 1000
    every = await both.results()
    assert [one["id"] for one in every] == [4, 3, 2, 1]
    third, second = every[1]["start_time"], every[2]["start_time"]

    async def ids(*condition: Any) -> list[int]:
        return [one["id"] for one in await both.results(*condition)]

    assert await ids({"js_worker_name": "good"}) == [4, 3, 1]
    assert await ids({"js_worker_id": 2}) == [2]
    assert await ids({"run_type": "call"}, {"limit": 2}) == [4, 3]
    assert await ids({"run_type": "cron"}) == []
    assert await ids("is_success", "last") == [4]
    assert await ids({"is_failure": None}) == [2]
    assert await ids({"start_time_from_to": [second, third]}) == [3, 2]
    assert await ids({"start_time_from": third}) == [4, 3]
    assert await ids({"start_time_to": second}) == [2, 1]
    assert await ids({"finish_time_from": third}) == [4, 3]
    assert await ids({"finish_time_to": third - 1}) == [2, 1]
    assert await ids({"finish_time_from_to": [second, third - 1]}) == [2]
    assert await ids({"id": 1}, {"id": 2}) == []
    deleted = await both.ask("js-result_delete", query={"condition": [{"js_worker_name": "good"}, "last"]})
    assert deleted == {"deleted": 1, "condition_count": 2, "success": True}
    assert await ids() == [3, 2, 1]
    assert (await both.ask("js-result_delete", query={"condition": []}))["deleted"] == 3
    assert await ids() == []


GRANTS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "js-worker_create": ("Create", {"js_script_base64": "%"}, "create"),
    "js-worker_update": ("Write", {"js_script_base64": "%"}, "write"),
    "js-worker_read": ("Read", {}, "read"),
    "js-worker_delete": ("Delete", {}, "delete"),
    "js-worker_run": ("RunDefinedJsWorker", {"params": None}, "run_defined_js_worker"),
}


@pytest.mark.parametrize("method", GRANTS)
async def test_each_method_needs_its_permission_for_that_name(server: Scripted, method: str) -> None:
    word, more, action = GRANTS[method]
    name = "js_script_name" if method == "js-worker_run" else "name"

    async def code(scopes: list[Any], permissions: list[Any]) -> tuple[int, str]:
        limit = [{"scopes": scopes, "permissions": permissions}]
        made = await server.ask("token_create", father_token=SUPER, token_creation={"token_limit": limit}, token=None)
        token = f"{made['key']}:{made['secret']}"
        return await server.refused(method, token=token, **{name: "demo_x"}, **more)

    refusal = (102, f"Permission denied: Permission denied for js_worker 'demo_x', required permission: {word}")
    others = [{"js_worker": one} for _, _, one in GRANTS.values() if one != action]
    for scope in ("global", {"js_worker": "demo_*"}, {"js_worker": "demo_x"}):
        assert (await code([scope], [{"js_worker": action}]))[0] in (105, 108)
        assert await code([scope], others) == refusal
    for scope in ({"js_worker": "demo"}, {"kv_namespace": "demo_x"}, {"js_worker": "other_*"}):
        assert await code([scope], [{"js_worker": action}]) == refusal


async def test_results_and_lists_show_what_the_token_may_see(server: Scripted) -> None:
    for name in ("a_one", "a_two", "b"):
        await server.create(name)
        await server.run(name)
    rights = [{"js_worker": "list_all_js_worker"}, {"js_result": {"read": "a_*"}}]
    limit = [{"scopes": [{"js_worker": "a_*"}], "permissions": rights}]
    made = await server.ask("token_create", father_token=SUPER, token_creation={"token_limit": limit}, token=None)
    token = f"{made['key']}:{made['secret']}"
    assert await server.ask("js-worker_list_all_js_worker", token=token) == ["a_one", "a_two"]
    seen = await server.ask("js-result_query", token=token, query={"condition": [{"js_worker_name": "a_two"}]})
    assert [one["js_worker_name"] for one in seen] == ["a_two"]
    for name, condition in (("b", [{"js_worker_name": "b"}]), ("*", [])):
        assert await server.refused("js-result_query", token=token, query={"condition": condition}) == (
            102,
            f"Permission denied: No read permission for js_result with js_worker_name '{name}'",
        )
    assert await server.refused(
        "js-result_delete", token=token, query={"condition": [{"js_worker_name": "a_two"}]}
    ) == (102, "Permission denied: No delete permission for js_result with js_worker_name 'a_two'")
    assert await server.refused("js-worker_get_rt_pool", token=token) == (
        102,
        "Permission denied: Permission Denied: Insufficient NodeGet GetRtPool permission",
    )
    assert await server.ask("js-worker_get_rt_pool") == {"total_workers": 0, "workers": []}


async def test_scripts_may_be_run_by_position(server: Scripted) -> None:
    await server.create("demo")
    answer = await ask(server.live, "js-worker_run", [SUPER, "demo", {"a": 1}, "call", {"E": 2}])
    await server.work()
    [found] = await server.results({"id": answer["result"]["id"]})
    assert json.dumps(found["result"]) == '{"params": {"a": 1}, "env": {"E": 2}}'
