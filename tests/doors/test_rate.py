from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from doors.live import KEY, Live, serving
from mainspring.core.limits import SECOND
from mainspring.core.rate import Buckets, parse_rate

WANTED = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")


@pytest_asyncio.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Live]:
    """A server where each key may make 5 requests an hour."""
    async with serving(tmp_path) as live:
        live.auth.buckets = Buckets(parse_rate("5/h"))
        yield live


async def test_every_answer_says_what_is_left(limited: Live) -> None:
    first = await limited.get("/v1/cron/list")
    assert [first.headers[name] for name in WANTED] == ["5", "4", "720"]
    refused = await limited.get("/v1/cron/get/x")
    assert (refused.status, refused.headers["ratelimit-remaining"]) == (404, "3")


async def test_one_too_many_is_refused_and_told_when_to_come_back(limited: Live) -> None:
    for _ in range(5):
        assert (await limited.get("/v1/cron/list")).status == 200
    refused = await limited.post("/v1/cron/create", {"cron_expr": "* * * * *", "task": "https://example.com/"})
    assert refused.code == (429, "RATE_LIMITED")
    assert refused.error["retryable"] is True
    wait = refused.headers["retry-after"]
    assert 1 <= int(wait) <= 720
    assert [refused.headers[name] for name in WANTED] == ["5", "0", wait]
    limited.clock.ahead += int(wait) * SECOND
    assert (await limited.get("/v1/cron/list")).data["items"] == []
    assert (await limited.get("/v1/cron/list")).status == 429


async def test_each_key_has_its_own(limited: Live) -> None:
    other = await limited.key("cron:read")
    for _ in range(6):
        last = await limited.get("/v1/cron/list")
    assert last.status == 429
    assert (await limited.get("/v1/cron/list", key=other)).headers["ratelimit-remaining"] == "4"


async def test_other_doors_count_too(limited: Live) -> None:
    for _ in range(5):
        answer = await limited.post("/crontab/query_task_status", {"task_list": []})
        assert answer.status == 200
    answer = await limited.post("/crontab/query_task_status", {"task_list": []})
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert (await limited.get("/v1/cron/list")).status == 429


async def test_what_needs_no_key_is_not_counted(limited: Live) -> None:
    for _ in range(6):
        assert (await limited.get("/v1/discovery", key=None)).status == 200
        assert (await limited.get("/healthz", key=None)).status == 200
        assert (await limited.get("/v1/cron/list", key="msk_of_nobody_at_all")).status == 401
    assert (await limited.get("/v1/cron/list", key=KEY)).headers["ratelimit-remaining"] == "4"


async def test_without_a_limit_nothing_is_said(live: Live) -> None:
    answer = await live.get("/v1/cron/list")
    assert not set(WANTED) & set(answer.headers)
