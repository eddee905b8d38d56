"""update_task and run_again_task; types and times; the same schedules over REST."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from doors.crontab.conftest import Serving
from doors.crontab.rig import EVERY_MINUTE, HttpTarget, add, entry, fire, log, refusal, results, task, work
from doors.live import Live
from mainspring.core.limits import DAY, HOUR, MINUTE, SECOND

Target = tuple[HttpTarget, str]
ONCE = {"type": 1, "start_time": "1"}


def shown(instants: list[int]) -> list[str]:
    return [datetime.fromtimestamp(at / 1000, UTC).strftime("%m-%d %H:%M:%S") for at in instants]


@pytest.mark.parametrize(
    ("kind", "local"),
    [
        (3, ["03-10 08:30:15", "03-10 09:30:15", "03-10 10:30:15"]),
        (4, ["03-10 08:30:15", "03-11 08:30:15", "03-12 08:30:15"]),
        (5, ["03-10 08:30:15", "04-10 07:30:15", "05-10 07:30:15"]),
        (6, ["03-10 08:30:15", "03-10 08:30:15", "03-10 08:30:15"]),
        (7, ["03-10 08:30:15", "03-17 08:30:15", "03-24 08:30:15"]),
    ],
)
async def test_an_instant_with_types_3_to_7_comes_back_from_then_on(
    in_zone: Serving, kind: int, local: list[str]
) -> None:
    """At the same local time, in Berlin here, and not before the instant itself though the clock shows it earlier."""
    start = int(datetime(2031, 3, 10, 8, 30, 15, tzinfo=UTC).timestamp())
    async with in_zone("Europe/Berlin") as live:
        live.clock.ahead += (start - 20 * 86_400) * SECOND - live.clock()
        number = await add(live, type=kind, start_time=start)
        await results(live, "update_task", {"task_id": number, "enable": 2}, {"task_id": number, "enable": 1})
        fired = await fire(live, (start + 3 * 366 * 86_400) * SECOND) if kind == 6 else []
        while len(fired) < 3:
            due = (await entry(live, number)).progress.next_due_at
            assert due is not None
            fired += await fire(live, due)
        assert shown(fired[:3]) == local
        assert fired[0] == start * SECOND


async def test_new_zone_data_does_not_begin_a_task_before_its_time(in_zone: Serving) -> None:
    async with in_zone("Europe/Berlin") as live:
        start = live.clock() // SECOND + 30 * 86_400
        later = await add(live, type=4, start_time=start)
        begun = await add(live, type=4, start_time=1)
        moved = live.clock() + MINUTE
        assert await live.store.schedules.rezone(live.clock(), lambda *_: moved) == 1
        assert (await entry(live, begun)).progress.next_due_at == moved
        assert (await entry(live, later)).progress.next_due_at == start * SECOND


async def test_a_past_instant_with_types_3_to_7_goes_on_from_now(live: Live) -> None:
    start = live.clock() // SECOND - 10 * 86_400 - 100
    await add(live, type=4, start_time=start)
    assert await fire(live, live.clock() + 2 * DAY) == [(start + day * 86_400) * SECOND for day in (11, 12)]


async def test_types_2_to_7_go_by_their_cron_text_alone(live: Live) -> None:
    for kind in range(2, 8):
        number = await add(live, type=kind, start_time=EVERY_MINUTE)
        made = await entry(live, number)
        assert (made.schedule.cron_expr, made.schedule.dialect, made.schedule.max_runs) == (
            EVERY_MINUTE,
            "go-crontab",
            None,
        )


async def test_what_was_missed_while_nobody_ran_is_dropped_with_types_2_to_7(live: Live) -> None:
    number = await add(live)
    await fire(live, live.clock() + 2 * MINUTE)
    live.clock.ahead += DAY
    await work(live)
    key = (await entry(live, number)).schedule.id
    assert {kind for _, kind, _ in await live.store.schedules.occurrences(key, 1 << 62, 500)} == {"schedule"}
    assert sum(gap.count for gap in await live.store.schedules.gaps(key, 1 << 62, 100)) > 1_000


async def test_off_from_the_start_fires_nothing_until_it_is_on(both: Live) -> None:
    number = await add(both, enable=2)
    assert await fire(both, both.clock() + HOUR) == []
    await results(both, "update_task", {"task_id": number, "enable": 1})
    due = (await entry(both, number)).progress.next_due_at
    assert due is not None
    assert 0 < due - both.clock() <= MINUTE


async def test_an_update_changes_what_it_names_and_nothing_else(both: Live) -> None:
    number = await add(both, name="one", body="{}", resp_regexp="ok", redo_param="1 2", module=3)
    before = await entry(both, number)
    await results(both, "update_task", {"task_id": number, "module": 4})
    after = await entry(both, number)
    assert (after.target, after.progress) == (before.target, before.progress)
    assert after.crontab is not None
    assert after.crontab.module == 4
    await results(both, "update_task", {"name": "one", "redo_param": "5", "resp_regexp": "*"})
    after = await entry(both, number)
    assert (after.target.retry, after.target.retry_delays_ms) == (1, (5_000,))
    assert after.target.expect is not None
    assert (after.target.expect.statuses, after.target.expect.body_regexp) == ((200,), None)
    assert after.target.payload == b"{}"


async def test_items_about_one_task_take_effect_in_their_order(both: Live) -> None:
    number = await add(both, name="one")
    changes = [{"task_id": number, "module": at} if at % 2 else {"name": "one", "module": at} for at in range(1, 30)]
    assert {one["err"] for one in await results(both, "update_task", *changes)} == {""}
    kept = (await entry(both, number)).crontab
    assert kept is not None
    assert kept.module == 29


async def test_from_url_to_function_and_back(live: Live) -> None:
    number = await add(live, body="{}", resp_regexp="ok")
    assert (await refusal(live, "update_task", {"task_id": number, "method": "rpc"}))[1].startswith("url is missing")
    change = {"task_id": number, "method": "rpc", "url": "127.0.0.1:80/A.F"}
    assert (await results(live, "update_task", change))[0]["err"] == ""
    made = (await entry(live, number)).target
    assert (made.kind, made.address, made.method, made.payload) == ("rpc", "tcp://127.0.0.1:80/A.F", "RPC", b"{}")
    assert made.expect is not None
    assert (made.expect.statuses, made.expect.body_regexp) == (None, "ok")
    assert (await refusal(live, "update_task", {"task_id": number, "method": "get"}))[1].startswith("url is missing")
    back = {"task_id": number, "method": "get", "url": "http://127.0.0.1/", "body_type": 2}
    assert (await results(live, "update_task", back))[0]["err"] == ""
    made = (await entry(live, number)).target
    assert (made.kind, made.method, made.expect and made.expect.statuses) == ("form", "GET", (200,))


async def test_the_same_update_again_does_not_run_a_task_again(both: Live, target: Target) -> None:
    received, url = target
    number = await add(both, url=url, type=1, start_time=EVERY_MINUTE)
    await work(both, ahead=MINUTE + SECOND)
    assert len(received.received) == 1
    await results(
        both, "update_task", {"task_id": number, "type": 1, "start_time": EVERY_MINUTE, "enable": 1, "url": url}
    )
    await work(both, ahead=DAY)
    assert len(received.received) == 1
    await results(both, "update_task", {"task_id": number, "start_time": "30 * * * * *"})
    await work(both, ahead=DAY)
    await work(both, ahead=DAY)
    assert len(received.received) == 2


async def test_run_again_runs_once_now_also_what_is_off(both: Live, target: Target) -> None:
    received, url = target
    number = await add(both, url=url, enable=2)
    [result] = await results(both, "run_again_task", {"task_id": number})
    assert (result["task_id"], result["err"]) == (number, "")
    await work(both)
    await work(both, ahead=DAY)
    assert len(received.received) == 1
    assert [row["run_type"] for row in await log(both, {"task_id": number})] == [3]


async def test_a_finished_type_1_is_removed_with_its_retention(both: Live, target: Target) -> None:
    number = await add(both, url=target[1], name="old", **ONCE)
    other = await add(both, url=target[1])
    await work(both)
    both.clock.ahead += 31 * DAY
    assert await both.store.upkeep.prune_schedules(both.clock(), 30) == 1
    left = await both.store.schedules.crontab("default", [number, other], ["old"])
    assert [one.schedule.number for one in left] == [other]
    assert await add(both, name="old") > other


# ------------------------------------------------------------------------------------------------------------ over REST


async def test_rest_sees_pauses_and_runs_what_was_made_here(live: Live, target: Target) -> None:
    received, url = target
    number = await add(live, name="one", url=url + "/x", body='{"a":1}')
    [record] = (await live.get("/v1/cron/list")).data["items"]
    assert (record["name"], record["task_type"], record["task"], record["payload"]) == (
        "one",
        "http_url",
        url + "/x",
        {"a": 1},
    )
    assert (record["cron_expr"], record["dialect"], record["retry"], record["timeout_seconds"]) == (
        EVERY_MINUTE,
        "go-crontab",
        0,
        10,
    )
    await live.post(f"/v1/cron/pause/{record['id']}")
    assert not (await entry(live, number)).progress.enabled
    await live.post(f"/v1/cron/trigger/{record['id']}")
    await work(live)
    assert len(received.received) == 1
    assert [row["run_type"] for row in await log(live, {"task_id": number})] == [3]


@pytest.mark.parametrize(
    ("fields", "kind", "address", "payload"),
    [
        ({"method": "rpc", "url": "127.0.0.1:80/A.F", "body": "[1]"}, "rpc", "tcp://127.0.0.1:80/A.F", [1]),
        ({"url": "http://127.0.0.1/", "body": '{"a":"b"}', "body_type": 2}, "form", "http://127.0.0.1/", {"a": "b"}),
        ({"url": "http://127.0.0.1/", "body": "no json é"}, "text", "http://127.0.0.1/", "no json é"),
    ],
)
async def test_what_rest_cannot_say_it_shows_and_leaves_alone(
    live: Live, fields: dict[str, object], kind: str, address: str, payload: object
) -> None:
    number = await add(live, **fields)
    [record] = (await live.get("/v1/cron/list")).data["items"]
    assert (record["task_type"], record["task"], record["payload"]) == (kind, address, payload)
    before = (await entry(live, number)).target
    for change in ({"task": "http://127.0.0.1/else"}, {"payload": 1}, {"headers": {"a": "b"}}, {"secret": "x" * 20}):
        refused = await live.call("PATCH", f"/v1/cron/update/{record['id']}", change)
        assert refused.code == (422, "VALIDATION_FAILED")
        assert refused.error["field"] in change
    assert (await live.post(f"/v1/cron/trigger/{record['id']}", {"payload": 1})).code == (422, "VALIDATION_FAILED")
    assert (await entry(live, number)).target == before
    renamed = {"name": "new", "cron_expr": "0 9 * * *", "dialect": "standard", "retry": 2}
    assert (await live.call("PATCH", f"/v1/cron/update/{record['id']}", renamed)).status == 200
    after = await entry(live, number)
    assert (after.target.kind, after.target.retry, after.schedule.cron_expr) == (kind, 2, "0 9 * * *")
    [result] = await results(live, "update_task", {"task_id": number, "enable": 1})
    assert result["name"] != "new", "the name given here stays the one to be found by here"


async def test_a_timing_given_over_rest_begins_at_once(live: Live) -> None:
    number = await add(live, type=4, start_time=live.clock() // SECOND + 30 * 86_400)
    [record] = (await live.get("/v1/cron/list")).data["items"]
    await live.call("PATCH", f"/v1/cron/update/{record['id']}", {"cron_expr": "* * * * *", "dialect": "standard"})
    due = (await entry(live, number)).progress.next_due_at
    assert due is not None
    assert due - live.clock() <= MINUTE


async def test_the_task_of_one_project_takes_no_name_from_another(live: Live) -> None:
    await add(live, name="one")
    other = await live.key("cron:write", project="other")
    answer = await live.post("/crontab/add_task", {"task_list": [task(name="one")]}, key=other)
    assert answer.json["data"]["task_result"][0]["err"] == ""
