"""query_task_status: a row per attempt, newest first, in pages."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from zoneinfo import ZoneInfo

from doors.crontab.conftest import Serving
from doors.crontab.rig import HttpTarget, add, dispatch, entry, log, results, send, task, work
from doors.live import Live
from mainspring.core.limits import SECOND
from store.making import driver

Target = tuple[HttpTarget, str]
ONCE = {"type": 1, "start_time": "1"}


async def test_a_row_says_everything_of_its_attempt(both: Live, target: Target) -> None:
    received, url = target
    received.plans["/hook"] = [(200, b"welcome")]
    number = await add(both, name="one", module=5, url=url + "/hook", body='{"a": 1}', **ONCE)
    before = both.clock()
    await work(both)
    [row] = await log(both, {"name": "one"})
    assert 0 < row.pop("id") < 2**53
    began, ended = row.pop("begin_time"), row.pop("end_time")
    assert before // SECOND <= seconds(began) <= seconds(ended) <= both.clock() // SECOND
    assert row == {
        "task_id": number,
        "name": "one",
        "module": 5,
        "run_type": 1,
        "status": 2,
        "url": url + "/hook",
        "method": "post",
        "body": '{"a": 1}',
        "resp": "welcome",
        "err": "",
    }


def seconds(text: str, zone: str = "UTC") -> float:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text)
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


async def test_times_are_those_of_the_zone(in_zone: Serving, target: Target) -> None:
    async with in_zone("Asia/Kolkata") as live:
        number = await add(live, url=target[1], **ONCE)
        await work(live)
        [row] = await log(live, {"task_id": number})
        assert abs(seconds(row["begin_time"], "Asia/Kolkata") - live.clock() / 1000) < 60
        assert (await entry(live, number)).schedule.timezone == "Asia/Kolkata"


async def test_an_attempt_in_flight_has_begun_and_not_ended(both: Live, target: Target) -> None:
    received, url = target
    received.later.add("/x")
    number = await add(both, url=url + "/x", **ONCE)
    async with asyncio.TaskGroup() as group:
        group.create_task(work(both))
        async with asyncio.timeout(10):
            while not received.received:
                await asyncio.sleep(0.01)
        [row] = await log(both, {"task_id": number})
        received.let_go.set()
    assert (row["status"], row["end_time"], row["resp"]) == (1, "", "")
    assert [ended["status"] for ended in await log(both, {"task_id": number})] == [2]


async def test_what_waits_has_no_row_yet(both: Live) -> None:
    number = await add(both)
    await results(both, "run_again_task", {"task_id": number})
    assert await log(both, {"task_id": number}) == []


async def test_attempts_are_in_the_order_in_which_they_began(both: Live, target: Target) -> None:
    """Not in that of their runs: a retry comes after the run that was begun meanwhile."""
    received, url = target
    received.plans["/x"] = [(500, b"1"), (200, b"2"), (200, b"3")]
    number = await add(both, url=url + "/x", redo_param="60", enable=2)
    other = await add(both, url=url + "/other", enable=2)
    for wanted in (number, other):
        await results(both, "run_again_task", {"task_id": wanted})
        await work(both, ahead=10)
    await results(both, "run_again_task", {"task_id": number})
    await work(both, ahead=10)
    await work(both, ahead=61_000)
    rows = await log(both, {"task_id": number}, {"task_id": other})
    assert [(row["task_id"], row["run_type"], row["resp"]) for row in rows] == [
        (number, 2, "3"),
        (number, 3, "2"),
        (other, 3, "ok"),
        (number, 3, "1"),
    ]
    assert sorted((row["id"] for row in rows), reverse=True) == [row["id"] for row in rows]


async def test_pages_hold_every_attempt_once(both: Live, target: Target) -> None:
    """Also of those that began in the same millisecond, as a batch of runs does."""
    _, url = target
    numbers = [await add(both, url=f"{url}/{at}", enable=2) for at in range(5)]
    asked = [{"task_id": number} for number in numbers]
    for _ in range(10):
        await results(both, "run_again_task", *asked, *asked)
        await dispatch(both)
        await dispatch(both)
    everything = await log(both, *asked, limit=1_000)
    assert len(everything) == 100
    assert len(await log(both, *asked)) == 100
    paged: list[int] = []
    while page := await log(both, *asked, limit=7, **({"before_id": paged[-1]} if paged else {})):
        assert len(page) <= 7 + 2
        paged += [row["id"] for row in page]
    assert sorted(paged) == sorted(row["id"] for row in everything)
    assert await log(both, *asked, limit="3", before_id=str(paged[9])) != []


async def test_a_page_does_not_end_between_two_with_one_id(live: Live, target: Target) -> None:
    number = await add(live, url=target[1], enable=2)
    for _ in range(3):
        await results(live, "run_again_task", {"task_id": number})
        await work(live, ahead=10)
    ask = driver(live.store).execute
    [(first,), (second,), _] = ask("SELECT id FROM runs ORDER BY id")
    cycle = 4096 * 4_194_304  # after so many keys, what tells attempts of one instant apart comes round
    ask("UPDATE runs SET id = ? WHERE id = ?", (first - cycle, second))
    ask("UPDATE runs SET attempt_started_at = (SELECT max(attempt_started_at) FROM runs) + 5 WHERE id <= ?", (first,))
    page = await log(live, {"task_id": number}, limit=1)
    assert len(page) == 2
    assert page[0]["id"] == page[1]["id"]
    rest = await log(live, {"task_id": number}, limit=1, before_id=page[1]["id"])
    assert len(rest) == 1
    assert rest[0]["id"] < page[0]["id"]


async def test_100_rows_are_shown_unless_more_are_wanted(live: Live, target: Target) -> None:
    number = await add(live, url=target[1], enable=2)
    await results(live, "run_again_task", *({"task_id": number} for _ in range(120)))
    for _ in range(4):
        await dispatch(live)
    assert len(await log(live, {"task_id": number})) >= 100
    assert len(await log(live, {"task_id": number})) < 105
    assert len(await log(live, {"task_id": number}, limit=500)) == 120


async def test_the_id_goes_before_the_name(live: Live, target: Target) -> None:
    one, two = [await add(live, name=name, url=target[1], **ONCE) for name in ("one", "two")]
    await work(live)
    assert [row["task_id"] for row in await log(live, {"task_id": one, "name": "two"})] == [one]
    assert [row["task_id"] for row in await log(live, {"task_id": 0, "name": "two"})] == [two]


async def test_asked_twice_is_shown_once_and_nobody_is_a_result(live: Live, target: Target) -> None:
    number = await add(live, name="one", url=target[1], **ONCE)
    await work(live)
    answer = await send(live, "query_task_status", {"task_id": number}, {"name": "one"}, {"name": "nobody"})
    assert len(answer.json["data"]["log_list"]) == 1
    assert [one["err"] for one in answer.json["data"]["task_result"]] == ["", "", "there is no task with this name"]


async def test_a_row_keeps_what_its_run_was_sent_to(both: Live, target: Target) -> None:
    _, url = target
    number = await add(both, url=url + "/old", body="old", enable=2)
    await results(both, "run_again_task", {"task_id": number})
    await work(both)
    await results(both, "update_task", {"task_id": number, "url": url + "/new", "method": "get", "body": "new"})
    await results(both, "run_again_task", {"task_id": number})
    await work(both, ahead=10)
    rows = await log(both, {"task_id": number})
    assert [(row["url"], row["method"], row["body"]) for row in rows] == [
        (url + "/new", "get", "new"),
        (url + "/old", "post", "old"),
    ]


async def test_the_log_of_another_project_is_not_there(both: Live, target: Target) -> None:
    number = await add(both, name="one", url=target[1], **ONCE)
    await work(both)
    other = await both.key("cron:read", "cron:write", project="other")
    for call in ("query_task_status", "update_task", "run_again_task"):
        answer = await both.post(f"/crontab/{call}", {"task_list": [{"task_id": number}, {"name": "one"}]}, key=other)
        assert [one["state"] for one in answer.json["data"]["task_result"]] == [5, 5]
        assert not answer.json["data"].get("log_list")
    made = await both.post("/crontab/add_task", {"task_list": [task(name="one")]}, key=other)
    assert made.json["data"]["task_result"][0]["err"] == ""


async def test_what_rest_has_made_is_not_seen_here(live: Live) -> None:
    await live.cron(name="by rest")
    for item in ({"name": "by rest"}, {"task_id": 1}):
        assert (await results(live, "query_task_status", item))[0]["state"] == 5
