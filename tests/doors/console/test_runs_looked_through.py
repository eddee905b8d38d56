"""A filter that fits few runs among very many: a page looks at no more than so many, and the next one goes on."""

from __future__ import annotations

import re
from html import unescape

import pytest

from doors.console.visitor import Visitor
from doors.hooking import send


async def walk(visitor: Visitor, path: str, prefix: str) -> list[list[str]]:
    """The ids that each page shows, page by page."""
    pages = []
    following: str | None = path
    while following is not None:
        page = await visitor.page(following)
        pages.append(re.findall(rf'<tr id="({prefix}_[0-9a-z]{{13}})"', page))
        assert ("were looked through" in page) is (not pages[-1]), "only a page that could find none says so"
        found = re.search(r'href="([^"]+)" rel="next">Next page', page)
        following = unescape(found[1]) if found else None
    return pages


async def test_runs(visitor_of_both: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.store.views.runs._STEPS", (1, 2, 4))
    live = visitor_of_both.live
    job = await live.cron(cron_expr="0 0 1 1 *", overlap_policy="allow", retry=0)
    path = f"/v1/cron/trigger/{job['id']}"
    rare = (await live.post(path)).data["run_id"]
    await live.work()
    replay = (await live.post(f"/v1/scheduling/run/replay/{rare}")).data["run_id"]
    for _ in range(8):
        await live.post(path)
    other = await live.cron(cron_expr="0 0 1 1 *", name="another of the name")
    assert other["id"] != job["id"]
    nothing: list[str] = []
    for query in ("trigger=replay", f"trigger=replay&cron_id={job['id']}"):
        assert await walk(visitor_of_both, f"/console/runs?{query}", "run") == [nothing, nothing, [replay]]
    await live.work()
    [first, *_] = (await live.get("/v1/scheduling/run/list?state=failed&limit=500")).data["items"][::-1]
    assert first["run_id"] == rare
    assert await walk(visitor_of_both, "/console/runs?state=failed&trigger=replay", "run") == [
        nothing,
        nothing,
        [replay],
    ]


async def test_deliveries(visitor_of_both: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.store.views.runs._STEPS", (1, 2, 4))
    live = visitor_of_both.live
    rare = await send(live, "http://127.0.0.1:9/x", event="rare")
    for _ in range(9):
        await send(live, "http://127.0.0.1:9/x", event="common")
    nothing: list[str] = []
    pages = await walk(visitor_of_both, "/console/webhooks/deliveries?event=rare", "dlv")
    assert pages == [nothing, nothing, [rare]]
