"""What a fire makes: a run per agent, one for what was missed, and the record of what became of it."""

from __future__ import annotations

from typing import Any

import pytest

from doors.jsonrpc.rig import ONE, PING, TWO, error, result, token
from doors.live import SUPER, Live
from mainspring.core.crontab_results_model import NewResult
from mainspring.core.model import Page
from mainspring.loops.scheduler import Scheduler
from mainspring.loops.server_jobs import ServerJobs

MINUTE = 60_000
HOUR = 60 * MINUTE
EACH_MINUTE = "0 * * * * *"
CLEAN_UP = {"server": "clean_up_database"}


async def create(live: Live, cron_type: Any = PING, name: str = "a", expression: str = EACH_MINUTE) -> int:
    params = {"name": name, "cron_expression": expression, "cron_type": cron_type}
    return int((await result(live, "crontab_create", token=SUPER, **params))["id"])


async def tick(live: Live, ahead: int = 0) -> int:
    """Move the clock on and let the scheduler come; the instant."""
    live.clock.ahead += ahead
    now = live.clock()
    await Scheduler(live.core).step(now)
    return now


async def runs(live: Live) -> list[tuple[str, int, str]]:
    """(lane, instant, trigger) of every run, oldest first."""
    entries = await live.store.schedules.page("default", "cron", Page(500))
    found = [
        run for one in entries for run in await live.store.runs.page_of_schedule(one.schedule.id, None, 0, Page(500))
    ]
    return [(one.lane, one.scheduled_for, one.trigger) for one in sorted(found, key=lambda one: one.id)]


async def shown(live: Live, name: str = "a") -> dict[str, Any]:
    [found] = [one for one in await result(live, "crontab_get", token=SUPER) if one["name"] == name]
    assert isinstance(found, dict)
    return found


async def test_each_agent_gets_a_run_as_often_as_it_is_named(both: Live) -> None:
    await create(both, {"agent": [[TWO, ONE, TWO], {"task": {"ping": "x"}}]})
    now = await tick(both, MINUTE)
    found = await runs(both)
    assert [lane for lane, _, _ in found] == [f"agent:{TWO}", f"agent:{ONE}", f"agent:{TWO}"]
    assert len({instant for _, instant, _ in found}) == 1
    record = await shown(both)
    assert now - MINUTE < found[0][1] <= record["last_run_time"] <= now
    [entry] = (await both.get("/v1/cron/list")).data["items"]
    assert entry["run_count"] == 1
    ledger = (await both.get(f"/v1/cron/occurrences/list/{entry['id']}")).data["items"]
    assert len(ledger) == 1
    assert ledger[0]["outcome"] in ("ran", "caught_up")
    await tick(both, MINUTE)
    assert len(await runs(both)) == 6


async def test_a_fire_for_no_agents_only_moves_the_last_run(both: Live) -> None:
    await create(both, {"agent": [[], {"task": "ip"}]})
    await tick(both, MINUTE)
    assert await runs(both) == []
    assert (await shown(both))["last_run_time"] is not None
    [entry] = (await both.get("/v1/cron/list")).data["items"]
    [gap] = (await both.get(f"/v1/cron/occurrences/list/{entry['id']}")).data["items"]
    assert (gap["outcome"], gap["reason"], gap["run_id"]) == ("skipped", "no_agents", None)
    refused = await both.post(f"/v1/cron/trigger/{entry['id']}")
    assert (refused.status, refused.json["error"]["code"]) == (409, "CONFLICT")


async def test_a_run_by_hand_is_for_each_agent_too(both: Live) -> None:
    await create(both)
    [entry] = (await both.get("/v1/cron/list")).data["items"]
    assert (await both.post(f"/v1/cron/trigger/{entry['id']}")).status == 200
    assert [lane for lane, _, _ in await runs(both)] == [f"agent:{ONE}", f"agent:{TWO}"]
    [found] = await both.store.schedules.page("default", "cron", Page(5))
    assert found.progress.active == 2


async def test_an_edit_changes_whom_it_is_for(both: Live) -> None:
    await create(both)
    for cron_type in ({"agent": [[TWO], {"task": "ip"}]}, CLEAN_UP, {"server": {"js_worker": ["s", 1]}}):
        params = {"token": SUPER, "name": "a", "cron_expression": EACH_MINUTE, "cron_type": cron_type}
        await result(both, "crontab_edit", **params)
        assert (await shown(both))["cron_type"] == cron_type
        await tick(both, MINUTE)
    assert [lane for lane, _, _ in await runs(both)] == [f"agent:{TWO}", "server", "script"]


async def test_what_was_missed_is_made_up_for_by_one_fire(both: Live) -> None:
    await create(both, CLEAN_UP)
    now = await tick(both, 3 * 24 * HOUR + 5_000)
    [(lane, instant, trigger)] = await runs(both)
    assert (lane, trigger) == ("server", "catchup" if now - instant > 10_000 else "schedule")
    assert 0 <= now - instant < MINUTE
    await tick(both)
    assert len(await runs(both)) == 1


async def test_what_was_due_while_it_was_off_is_one_fire_when_it_is_on(both: Live) -> None:
    await create(both, CLEAN_UP)
    await tick(both, MINUTE)
    first = (await shown(both))["last_run_time"]
    await result(both, "crontab_set_enable", token=SUPER, name="a", enable=False)
    await tick(both, 2 * HOUR)
    assert len(await runs(both)) == 1
    assert await shown(both) == {**await shown(both), "enable": False, "last_run_time": first}
    for _ in range(2):
        assert await result(both, "crontab_set_enable", token=SUPER, name="a", enable=True) == {
            "success": True,
            "enabled": True,
        }
    now = await tick(both)
    assert len(await runs(both)) == 2
    assert (await shown(both))["last_run_time"] == now


async def test_one_that_never_ran_makes_up_for_nothing(both: Live) -> None:
    await create(both, CLEAN_UP)
    await result(both, "crontab_set_enable", token=SUPER, name="a", enable=False)
    await tick(both, 2 * HOUR)
    await result(both, "crontab_set_enable", token=SUPER, name="a", enable=True)
    [found] = await both.store.schedules.page("default", "cron", Page(5))
    assert found.progress.next_due_at is not None
    assert found.progress.next_due_at > found.schedule.updated_at


async def test_an_edit_keeps_the_last_run_and_may_be_due_at_once(both: Live) -> None:
    await create(both, CLEAN_UP, expression="0 0 0 1 1 *")
    await tick(both, 366 * 24 * HOUR)
    before = await shown(both)
    assert before["last_run_time"] is not None
    both.clock.ahead += 10 * MINUTE
    params = {"token": SUPER, "name": "a", "cron_expression": EACH_MINUTE, "cron_type": CLEAN_UP}
    assert await result(both, "crontab_edit", **params) == {"id": 1, "success": True}
    assert (await shown(both))["last_run_time"] == before["last_run_time"]
    await tick(both)
    assert len(await runs(both)) == 2


async def test_an_edit_of_one_that_is_off_leaves_it_off(both: Live) -> None:
    await create(both, CLEAN_UP)
    await result(both, "crontab_set_enable", token=SUPER, name="a", enable=False)
    params = {"token": SUPER, "name": "a", "cron_expression": "*/5 * * * * *", "cron_type": PING}
    await result(both, "crontab_edit", **params)
    await tick(both, HOUR)
    assert await runs(both) == []
    assert (await shown(both))["enable"] is False


async def do(live: Live) -> None:
    await ServerJobs(live.core, live.clock).step(live.clock())


async def query(live: Live, *conditions: Any, credential: str = SUPER) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await result(
        live, "crontab-result_query", token=credential, query={"condition": list(conditions)}
    )
    return found


async def write(live: Live, *times: int, name: str = "x", cron_id: int = 9) -> None:
    items = [NewResult(None, cron_id, name, 5, at, at % 2 == 0, f"at {at}") for at in times]
    await live.store.crontab_results.add(items)


async def test_what_the_server_did_is_written_down_once(both: Live) -> None:
    number = await create(both, CLEAN_UP)
    now = await tick(both, MINUTE)
    await do(both)
    await do(both)
    [row] = await query(both)
    assert row == {
        "id": 1,
        "cron_id": number,
        "cron_name": "a",
        "relative_id": None,
        "run_time": row["run_time"],
        "success": True,
        "message": "数据库清理完成。已删除：static_monitoring=0，dynamic_monitoring=0，task=0，crontab_result=0",
    }
    assert now <= row["run_time"] <= both.clock()
    [run] = (await both.get("/v1/scheduling/run/list")).data["items"]
    assert run["state"] == "succeeded"
    await result(both, "crontab_delete", token=SUPER, name="a")
    assert len(await query(both)) == 1


@pytest.mark.parametrize(
    ("limit", "left"),
    [(0, [500]), ("100", [500, 400]), (" 250 ", [500, 400, 300]), (10**9, [500, 400, 300, 200, 100]),
     ("x", [500, 400, 300, 200, 100]), (None, [500, 400, 300, 200, 100]), (-5, [500, 400, 300, 200, 100]),
     (100.0, [500, 400])],
)  # fmt: skip
async def test_results_are_trimmed_behind_the_newest(both: Live, limit: Any, left: list[int]) -> None:
    await write(both, 100, 200, 300, 400, 500)
    await result(both, "kv_create", token=SUPER, namespace="global")
    setting = {"namespace": "global", "key": "database_limit_crontab_result", "value": limit}
    await result(both, "kv_set_value", token=SUPER, **setting)
    await create(both, CLEAN_UP)
    await tick(both, MINUTE)
    await do(both)
    found = await query(both)
    assert [row["run_time"] for row in found[1:]] == left
    assert found[0]["message"].endswith(f"crontab_result={5 - len(left)}")


async def test_results_are_found_by_all_their_conditions(both: Live) -> None:
    await write(both, 10, 11, 12, 13, name="x", cron_id=1)
    await write(both, 20, 21, name="y", cron_id=2)

    async def times(*conditions: Any) -> list[int]:
        return [row["run_time"] for row in await query(both, *conditions)]

    assert await times() == [21, 20, 13, 12, 11, 10]
    assert await times({"cron_name": "x"}) == [13, 12, 11, 10]
    assert await times({"cron_id": 2}) == [21, 20]
    assert await times({"id": 1}) == [10]
    assert await times("is_success") == await times({"is_success": None}) == [20, 12, 10]
    assert await times("is_failure", {"cron_name": "y"}) == [21]
    assert await times({"run_time_from_to": [11, 20]}) == [20, 13, 12, 11]
    assert await times({"run_time_from": 13}, {"run_time_to": 20}) == [20, 13]
    assert await times({"limit": 2}) == [21, 20]
    assert await times("last") == await times({"limit": 3}, "last") == [21]
    assert await times("last", {"limit": 3}) == [21, 20, 13]
    assert await times({"limit": 0}) == []
    assert await times({"cron_name": "x"}, {"cron_name": "y"}) == []
    assert await times("is_success", "is_failure") == []


async def test_a_query_gives_a_thousand_unless_it_says_more_and_ten_thousand_at_most(both: Live) -> None:
    for first in range(0, 10_001, 1_000):
        await write(both, *range(first, min(first + 1_000, 10_001)))
    for conditions, count in ([], 1_000), ([{"limit": 1_001}], 1_001), ([{"limit": 1 << 40}], 10_000):
        found = [row["run_time"] for row in await query(both, *conditions)]
        assert found == list(range(10_000, 10_000 - count, -1))


@pytest.mark.parametrize(
    "condition",
    [{"is_success": False}, {"nothing": 1}, "nothing", {"limit": -1}, {"limit": "1"}, {"id": 1.5},
     {"run_time_from_to": [1]}, {"cron_name": 5}, {}, {"id": 1, "limit": 2}, 7, None],
)  # fmt: skip
async def test_what_is_no_condition_is_refused(live: Live, condition: Any) -> None:
    for method in ("crontab-result_query", "crontab-result_delete"):
        refused = await error(live, method, token=SUPER, query={"condition": [condition]})
        assert (refused["code"], refused["message"]) == (-32602, "Invalid params")


async def test_the_newest_are_deleted_first(both: Live) -> None:
    await write(both, *range(100, 700))

    async def delete(*conditions: Any) -> Any:
        return await result(both, "crontab-result_delete", token=SUPER, query={"condition": list(conditions)})

    assert await delete({"limit": 10}) == {"success": True, "deleted": 10, "condition_count": 1}
    assert (await query(both, "last"))[0]["run_time"] == 689
    assert await delete("last", {"cron_name": "x"}) == {"success": True, "deleted": 1, "condition_count": 2}
    assert await delete("is_success") == {"success": True, "deleted": 295, "condition_count": 1}
    assert await delete() == {"success": True, "deleted": 294, "condition_count": 0}
    assert await query(both) == []


async def test_who_may_see_and_delete_results(live: Live) -> None:
    await write(live, 10, 11, name="ping_a")

    async def refused(credential: str, method: str, *conditions: Any) -> str:
        found = await error(live, method, token=credential, query={"condition": list(conditions)})
        assert found["code"] == 102
        return str(found["message"])

    some = await token(live, {"scopes": ["global"], "permissions": [{"crontab_result": {"read": "ping_*"}}]})
    assert len(await query(live, {"cron_name": "ping_a"}, credential=some)) == 2
    begin = "Permission denied: No read permission for crontab_result with cron_name"
    assert await refused(some, "crontab-result_query") == f"{begin} '*'"
    assert await refused(some, "crontab-result_query", {"cron_name": "other"}) == f"{begin} 'other'"
    both_names = ({"cron_name": "ping_a"}, {"cron_name": "other"})
    assert await refused(some, "crontab-result_query", *both_names) == f"{begin} 'other'"
    assert await refused(some, "crontab-result_delete", {"cron_name": "ping_a"}) == (
        "Permission denied: No delete permission for crontab_result with cron_name 'ping_a'"
    )
    agent = await token(live, {"scopes": [{"agent_uuid": ONE}], "permissions": [{"crontab_result": {"read": "*"}}]})
    assert await refused(agent, "crontab-result_query") == f"{begin} '*'"
    everything = await token(live, {"scopes": ["global"], "permissions": [{"crontab_result": {"read": "*"}}]})
    assert len(await query(live, credential=everything)) == 2
