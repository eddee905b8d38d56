from __future__ import annotations

import pytest

from mainspring.core.limits import DAY, HOUR, MINUTE
from mainspring.core.views.overview import Alike
from mainspring.doors.console.overview_hours import HOURS, fires_by_hour

NOW = 1_763_629_200_000 + 30 * MINUTE  # 2025-11-20T09:30:00Z, a Thursday
SINCE = NOW - 30 * MINUTE


def alike(expression: str, count: int = 1, timezone: str = "UTC", anchor_at: int = 0) -> Alike:
    return Alike(expression, "standard", timezone, anchor_at, count)


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("0 12 * * *", {3: 1}),
        ("45 9 * * *", {0: 1}),
        ("15 9 * * *", {}),
        ("0 * * * *", dict.fromkeys(range(1, 24), 1)),
        ("* * * * *", {0: 29} | dict.fromkeys(range(1, 24), 60)),
        ("*/5 * * * * *", {0: 359} | dict.fromkeys(range(1, 24), 720)),
        ("* 14-15 * * 4", {5: 60, 6: 60}),
    ],
)
def test_fires_are_counted_by_the_hour_from_now_on(expression: str, hours: dict[int, int]) -> None:
    found = fires_by_hour(NOW, [alike(expression)], {})
    assert (found.since, found.about) == (SINCE, False)
    assert {hour: count for hour, count in enumerate(found.counts) if count} == hours


def test_the_zone_and_the_anchor_say_when() -> None:
    found = fires_by_hour(NOW, [alike("0 18 * * *", timezone="Asia/Shanghai")], {})
    assert {hour: count for hour, count in enumerate(found.counts) if count} == {1: 1}
    found = fires_by_hour(NOW, [alike("@every 6h", anchor_at=SINCE + 2 * HOUR - 6 * HOUR)], {})
    assert [hour for hour, count in enumerate(found.counts) if count] == [2, 8, 14, 20]


def test_schedules_that_fire_alike_and_those_that_fire_once_are_added_up() -> None:
    found = fires_by_hour(NOW, [alike("0 12 * * *", 3), alike("30 12 * * *")], {3: 5, 0: 1})
    assert {hour: count for hour, count in enumerate(found.counts) if count} == {0: 1, 3: 9}
    assert (found.total, found.most) == (10, 9)


def test_of_a_part_of_all_schedules_the_whole_is_estimated() -> None:
    found = fires_by_hour(NOW, [alike("0 12 * * *", 1234)], {}, share=0.1)
    assert found.about
    assert found.counts[3] == 12_300


def test_of_very_many_expressions_some_stand_for_the_others() -> None:
    many = [alike(f"{minute} {hour} * * *") for minute in range(60) for hour in range(24)]
    found = fires_by_hour(NOW, [alike("* * * * * *", 50), *many], {})
    assert found.about
    assert found.counts[5] >= 50 * 3600
    rare = [count - 50 * 3600 for count in found.counts[1:]]
    assert 0.5 * len(many) <= sum(fires_by_hour(NOW, many, {}).counts) <= 1.5 * len(many)
    assert max(rare) <= 50 * 3600 * 0.01


def test_what_an_estimate_costs_is_bounded_whatever_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring.core import cron

    steps = 0
    real = cron.next_after

    def counted(*args: object) -> int | None:
        nonlocal steps
        steps += 1
        return real(*args)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(cron, "next_after", counted)
    many = [alike(f"{minute % 60} {minute // 60 % 24} {1 + minute // 1440} * *") for minute in range(10_000)]
    fires_by_hour(NOW, many, {})
    frequent = [alike(f"{second} * * * * *", timezone=zone) for second in range(60) for zone in ("UTC", "Asia/Tokyo")]
    fires_by_hour(NOW, frequent * 20, {})
    assert 0 < steps <= 10_000


def test_an_expression_that_is_no_longer_understood_is_left_out() -> None:
    found = fires_by_hour(NOW, [alike("61 * * * *"), alike("0 12 * * *", timezone="Mars/Olympus")], {})
    assert found.counts == (0,) * HOURS
    assert DAY == HOURS * HOUR
