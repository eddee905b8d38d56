"""What went wrong in the original does not here: each of its defects, by the case that showed it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from doors.crontab.conftest import Serving
from doors.crontab.rig import add, entry, fire, log, refusal, results, task, work
from doors.live import Live
from mainspring.core.limits import DAY, HOUR, MINUTE, SECOND


def instant(*fields: int) -> int:
    """ms of a moment in UTC."""
    return int(datetime(*fields, tzinfo=UTC).timestamp()) * 1000  # type: ignore[arg-type,misc]  # as many as given


def turn_to(live: Live, at: int) -> None:
    """Set the clock."""
    live.clock.ahead += at - live.clock()


@pytest.mark.parametrize("text", ["0 0 0 30 2 *", "0 0 0 31 4,6 *", "0 0 0 31 2-2 ?"])
async def test_a_date_that_never_comes_is_refused_and_nothing_fires(live: Live, text: str) -> None:
    code, said = await refusal(live, "add_task", task(start_time=text))
    assert (code, said[:23]) == (3, "start_time never fires:")
    assert await fire(live, live.clock() + DAY) == []


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("0 */30 * * * *", ["04:30", "05:00", "05:30", "06:00", "06:30", "07:00"]),
        ("0 30 1 * * *", ["05:30"]),
    ],
)
async def test_the_repeated_hour_is_no_storm(in_zone: Serving, text: str, local: list[str]) -> None:
    async with in_zone("America/New_York") as live:
        midnight = instant(2026, 11, 1, 4)
        turn_to(live, midnight)
        await add(live, type=4, start_time=text)
        fired = await fire(live, midnight + 3 * HOUR)
        assert [datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M") for at in fired] == local


GAP_ENDS = instant(2011, 12, 30, 10)  # of 30 December, which Samoa did not have


async def test_a_day_that_a_zone_left_out_does_not_hang(in_zone: Serving) -> None:
    """A fixed time of that day runs once, right after it, as in every gap of a clock."""
    async with in_zone("Pacific/Apia") as live:
        turn_to(live, instant(2011, 12, 29, 9))
        number = await add(live, type=4, start_time="0 0 12 * * *")
        fired = await fire(live, instant(2012, 1, 1, 0))
        noons = [instant(2011, 12, 29, 22), instant(2011, 12, 30, 22), instant(2011, 12, 31, 22)]
        assert fired == [noons[0], GAP_ENDS, *noons[1:]]
        assert (await entry(live, number)).progress.next_due_at == instant(2012, 1, 1, 22)


async def test_a_date_in_the_day_that_was_left_out_is_made_up_for(in_zone: Serving) -> None:
    async with in_zone("Pacific/Apia") as live:
        turn_to(live, instant(2011, 12, 1))
        await add(live, type=6, start_time="0 0 12 30 12 *")
        assert await fire(live, instant(2013, 1, 1)) == [GAP_ENDS, instant(2012, 12, 29, 22)]


@pytest.mark.parametrize(
    "text",
    [
        "*/0 * * * * *",
        "0 */0 * * * *",
        "",
        " ",
        "* * *",
        "0 0 0 * * 7",
        "@every 0s",
        "@reboot",
        "61 * * * * *",
    ],
)
async def test_a_bad_expression_is_an_error_and_neither_a_loop_nor_a_panic(live: Live, text: str) -> None:
    code, _ = await refusal(live, "add_task", task(start_time=text))
    assert code == 3


async def test_nothing_is_kept_of_a_task_whose_expression_is_bad(live: Live) -> None:
    await refusal(live, "add_task", task(name="poison", start_time="0 0 25 * * *"))
    assert await live.store.schedules.crontab("default", [], ["poison"]) == []
    await add(live, name="poison")


async def test_a_date_beyond_497_days_is_kept_to_the_second(live: Live) -> None:
    stamp = live.clock() // SECOND + 3 * 365 * 86_400
    await add(live, type=1, start_time=stamp)
    assert await fire(live, live.clock() + 4 * 365 * DAY) == [stamp * SECOND]


async def test_each_instant_fires_once_and_at_its_full_second(live: Live) -> None:
    number = await add(live, start_time="*/5 * * * * *")
    start = live.clock()
    fired = await fire(live, start + MINUTE)
    assert fired == list(range(-(-start // 5_000) * 5_000, start + MINUTE + 1, 5_000))
    key = (await entry(live, number)).schedule.id
    kept = [at for at, _, _ in await live.store.schedules.occurrences(key, 1 << 62, 100)]
    assert kept == fired[::-1]


async def test_an_update_leaves_the_number_and_the_log(live: Live) -> None:
    """The original made a new row with a new number, and what it had logged belonged to nobody."""
    number = await add(live, type=1, start_time="1")
    await work(live)
    await results(live, "update_task", {"task_id": number, "start_time": "0 0 9 * * *", "type": 4, "enable": 1})
    assert len(await log(live, {"task_id": number})) == 1
    assert (await entry(live, number)).schedule.cron_expr == "0 0 9 * * *"
