from __future__ import annotations

from html import unescape
from urllib.parse import urlencode

import pytest

from doors.console.scheduling import LIST
from doors.console.visitor import Visitor


async def preview(visitor: Visitor, **typed: str) -> str:
    shown = await visitor.page(f"{LIST}/preview?{urlencode(typed)}")
    assert "<html" not in shown
    return unescape(shown)


async def test_an_expression_is_told_in_words_with_its_next_instants(visitor: Visitor) -> None:
    query = urlencode({"cron_expr": "30 9 * * 1-5", "timezone": "Europe/Berlin", "count": 5})
    told = (await visitor.live.get(f"/v1/cron/preview?{query}")).data
    typed = {"when": "cron", "cron_expr": "30 9 * * 1-5", "timezone": "Europe/Berlin"}
    shown = await preview(visitor, **typed)
    assert told["description"]["en"] in shown
    for fire in told["next"]:
        assert f">{fire['utc'][:10]} {fire['utc'][11:19]}<" in shown
        assert f">{fire['local'][:10]} {fire['local'][11:19]} {fire['local'][23:]}<" in shown
    await visitor.send("/console/preferences", language="zh")
    assert told["description"]["zh"] in await preview(visitor, **typed)


async def test_clock_changes_are_remarked(visitor: Visitor) -> None:
    query = urlencode({"cron_expr": "30 2 * 3 0L", "timezone": "Europe/Berlin", "count": 5})
    told = (await visitor.live.get(f"/v1/cron/preview?{query}")).data
    shown = await preview(visitor, cron_expr="30 2 * 3 0L", timezone="Europe/Berlin")
    notes = [fire["note"] for fire in told["next"] if fire["note"]]
    assert notes
    assert all(note in shown for note in notes)


async def test_a_fault_names_its_place(visitor: Visitor) -> None:
    shown = await preview(visitor, cron_expr="0 9 * 13 <b>")
    assert "Not valid at character 7" in shown
    assert "0 9 * 13 <b>\n      ^</pre>" in shown
    raw = await visitor.page(f"{LIST}/preview?{urlencode({'cron_expr': '0 9 * 13 <b>'})}")
    assert "<b>" not in raw


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({}, "What it means"),
        ({"cron_expr": "   "}, "What it means"),
        ({"when": "every", "every": ""}, "What it means"),
        ({"when": "every", "every": "90", "every_unit": "s"}, "1 minute and 30 seconds"),
        ({"when": "every", "every": "x"}, "Not valid at character"),
        ({"when": "once"}, "What it means"),
        ({"when": "once", "once_at": "2199-01-01T09:00", "timezone": "Asia/Tokyo"}, "2199-01-01 00:00:00"),
        ({"when": "once", "once_at": "2020-01-01T09:00"}, "fires at once"),
        ({"when": "once", "once_at": "soon"}, "no date"),
        ({"when": "once", "once_at": "2199-01-01T09:00", "timezone": "Mars/Base"}, "Mars/Base"),
        ({"cron_expr": "0 0 31 2 *"}, "never fires"),
        ({"cron_expr": "* * * * *", "timezone": "Mars/Base"}, "Mars/Base"),
        ({"cron_expr": "* * * * *", "dialect": "klingon"}, "klingon"),
        ({"cron_expr": "CRON_TZ=Asia/Tokyo 0 9 * * *", "timezone": "UTC"}, "Asia/Tokyo"),
        ({"cron_expr": "CRON_TZ=Asia/Tokyo 0 9 * * *", "timezone": "Europe/Berlin"}, "Give only one"),
        ({"cron_expr": "* " * 400}, "at most 512"),
        ({"cron_expr": "\x00"}, "Not valid"),
    ],
)
async def test_whatever_is_typed_is_answered(visitor: Visitor, typed: dict[str, str], said: str) -> None:
    assert said in await preview(visitor, **typed)
