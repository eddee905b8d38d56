from __future__ import annotations

from urllib.parse import urlencode

import pytest

from doors.live import Live


async def preview(live: Live, **query: object) -> object:
    return (await live.get(f"/v1/cron/preview?{urlencode(query)}")).data


async def test_the_next_fires_in_utc_and_local_time_and_the_expression_in_words(live: Live) -> None:
    answer = await live.get(
        "/v1/cron/preview?" + urlencode({"cron_expr": "0 9 * * 1-5", "timezone": "Asia/Shanghai", "count": 2,
                                         "after": "2026-11-20T00:30:00Z"})
    )  # fmt: skip
    data = answer.data
    assert data["cron_expr"] == data["schedule"] == "0 9 * * 1-5"
    assert (data["timezone"], data["dialect"]) == ("Asia/Shanghai", "standard")
    assert [(fire["utc"], fire["local"], fire["note"]) for fire in data["next"]] == [
        ("2026-11-20T01:00:00.000Z", "2026-11-20T09:00:00.000+08:00", None),
        ("2026-11-23T01:00:00.000Z", "2026-11-23T09:00:00.000+08:00", None),
    ]
    assert "09:00" in data["description"]["en"]
    assert "09:00" in data["description"]["zh"]
    assert data["description"]["en"] != data["description"]["zh"]


async def test_a_clock_change_is_noted(live: Live) -> None:
    data = (
        await live.get(
            "/v1/cron/preview?"
            + urlencode({"schedule": "30 2 * * *", "timezone": "Europe/Berlin", "after": "2026-03-28T12:00:00Z"})
        )
    ).data
    assert len(data["next"]) == 5
    first = data["next"][0]
    assert (first["utc"], first["local"]) == ("2026-03-29T01:00:00.000Z", "2026-03-29T03:00:00.000+02:00")
    assert "2026-03-29" in first["note"]
    assert "2026-03-29" in first["note_zh"]
    assert data["next"][1]["note"] is None


async def test_an_interval_counts_from_the_given_instant(live: Live) -> None:
    data = (
        await live.get(
            "/v1/cron/preview?" + urlencode({"cron_expr": "@every 90s", "after": "2026-01-01T00:00:00Z", "count": 1})
        )
    ).data
    assert data["next"][0]["utc"] == "2026-01-01T00:01:30.000Z"


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ({}, "VALIDATION_FAILED", "cron_expr"),
        ({"cron_expr": "nonsense"}, "VALIDATION_FAILED", "cron_expr"),
        ({"cron_expr": "0 0 30 2 *"}, "NEVER_FIRES", "cron_expr"),
        ({"cron_expr": "* * * * *", "timezone": "Mars"}, "VALIDATION_FAILED", "timezone"),
        ({"cron_expr": "CRON_TZ=Asia/Tokyo * * * * *", "timezone": "UTC"}, "VALIDATION_FAILED", "timezone"),
        ({"cron_expr": "* * * * *", "dialect": "x"}, "VALIDATION_FAILED", "dialect"),
        ({"cron_expr": "* * * * *", "count": "0"}, "VALIDATION_FAILED", "count"),
        ({"cron_expr": "* * * * *", "count": "101"}, "VALIDATION_FAILED", "count"),
        ({"cron_expr": "* * * * *", "after": "now"}, "VALIDATION_FAILED", "after"),
        ({"cron_expr": "* * * * *", "schedule": "0 * * * *"}, "VALIDATION_FAILED", "schedule"),
    ],
)
async def test_what_cannot_be_previewed_is_named(live: Live, query: dict[str, str], code: str, field: str) -> None:
    answer = await live.get(f"/v1/cron/preview?{urlencode(query)}")
    assert (answer.code, answer.error["field"]) == ((422, code), field)
