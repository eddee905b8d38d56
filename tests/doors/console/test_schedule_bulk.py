from __future__ import annotations

import re
from html import unescape

import pytest

from doors.console.scheduling import LIST, Form, names
from doors.console.visitor import Visitor
from mainspring.doors.console import schedule_bulk

STEP = f"{LIST}/bulk/step"


async def all_of(visitor: Visitor, action: str, **chosen: str) -> str:
    """The page with which working off all that match begins."""
    page = f"{LIST}?once={chosen.get('once', '')}"
    answer = await visitor.submit_all(page, f"{LIST}/bulk", [("all", action), *chosen.items()])
    assert answer.status == 200
    return answer.raw.decode()


async def next_step(visitor: Visitor, page: str, **more: str) -> str:
    """The page after the next step, as the form of this one asks for it."""
    answer = await visitor.send(STEP, **Form(page, STEP).fields, **more)
    assert answer.status == 200
    return answer.raw.decode()


def said(page: str) -> str:
    """What the page says of how far it has come."""
    shown = page.partition('id="bulk"')[2].partition("</main>")[0].partition(">")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).split())


async def enabled(visitor: Visitor) -> dict[str, bool]:
    found = (await visitor.live.get("/v1/cron/list?limit=500")).data["items"]
    return {one["name"]: one["enabled"] for one in found}


async def test_picked_rows_are_worked_off_at_once(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    made = [(await live.cron(name=f"job {number}"))["id"] for number in range(3)]
    picks = [("pick", public) for public in made[:2]]
    answer = await visitor_of_both.submit_all(LIST, f"{LIST}/bulk", [("do", "pause"), *picks, picks[0]])
    assert (answer.status, answer.headers["location"]) == (303, LIST)
    assert await visitor_of_both.told(LIST) == "Paused: 2."
    assert await enabled(visitor_of_both) == {"job 0": False, "job 1": False, "job 2": True}
    await visitor_of_both.submit_all(LIST, f"{LIST}/bulk", [("do", "resume"), *picks])
    assert all((await enabled(visitor_of_both)).values())
    await visitor_of_both.submit_all(LIST, f"{LIST}/bulk", [("do", "delete"), *picks])
    assert names(await visitor_of_both.page(LIST)) == ["job 2"]


async def test_what_is_refused_is_counted_with_its_reason(visitor: Visitor) -> None:
    public = (await visitor.live.cron())["id"]
    picks = [("pick", public), ("pick", "cron_0000000000000"), ("pick", "nonsense")]
    await visitor.submit_all(LIST, f"{LIST}/bulk", [("do", "run"), *picks])
    assert await visitor.told(LIST) == "Runs started: 1. Refused: 2. there is no such cron job (2)."


@pytest.mark.parametrize("fields", [[("do", "pause")], [("do", "explode"), ("pick", "x")], [("all", "explode")], []])
async def test_nothing_picked_or_nothing_to_do_is_told(visitor: Visitor, fields: list[tuple[str, str]]) -> None:
    await visitor.live.cron()
    assert (await visitor.submit_all(LIST, f"{LIST}/bulk", fields)).status == 303
    assert "That cannot be done" in await visitor.told(LIST)


async def test_all_that_match_are_worked_off_step_by_step(
    visitor_of_both: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_bulk, "STEP", 2)
    live = visitor_of_both.live
    for number in range(5):
        await live.cron(name=f"mine {number}")
    await live.cron(name="other")
    page = await all_of(visitor_of_both, "pause", q="MINE", state="active")
    assert said(page).startswith("0 of 5 Paused: 0.")
    assert 'hx-trigger="load' in page
    assert all((await enabled(visitor_of_both)).values())
    for done in (2, 4):
        page = await next_step(visitor_of_both, page)
        assert said(page).startswith(f"{done} of 5 Paused: {done}.")
        await live.cron(name=f"mine, made meanwhile {done}")
    page = await next_step(visitor_of_both, page)
    assert "Everything that matched has had its turn." in page
    assert "hx-trigger" not in page.partition('id="bulk"')[2]
    still = [name for name, on in (await enabled(visitor_of_both)).items() if on]
    assert sorted(still) == ["mine, made meanwhile 2", "mine, made meanwhile 4", "other"]


async def test_it_can_be_stopped_between_two_steps(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_bulk, "STEP", 2)
    for number in range(5):
        await visitor.live.cron(name=f"job {number}")
    page = await next_step(visitor, await all_of(visitor, "delete"))
    page = await next_step(visitor, page, stop="1")
    assert "Stopped. What is done stays done." in page
    assert said(page).startswith("2 of 5 Deleted: 2.")
    assert len(await enabled(visitor)) == 3


async def test_a_step_that_was_tampered_with_is_refused(visitor: Visitor) -> None:
    await visitor.live.cron()
    fields = Form(await all_of(visitor, "pause"), STEP).fields
    for job in (
        "",
        "[]",
        "{}",
        fields["job"].replace("pause", "explode"),
        fields["job"].replace('"before":', '"before":-'),
    ):
        await visitor.send(STEP, **(fields | {"job": job}))
        assert "That cannot be done" in await visitor.told(LIST)
    assert all((await enabled(visitor)).values())


async def test_all_tasks_that_match_can_be_cancelled(visitor: Visitor) -> None:
    for name in ("one", "two"):
        body = {"run_at": "2199-01-01T00:00:00Z", "task": "http://127.0.0.1:9/x", "name": name}
        await visitor.live.post("/v1/scheduling/task/schedule", body)
    page = await next_step(visitor, await all_of(visitor, "cancel", once="1"))
    assert said(page).startswith("2 of 2 Cancelled: 2.")
    assert len(names(await visitor.page(f"{LIST}?once=1&state=cancelled"))) == 2


async def test_the_page_of_the_work_leads_back_when_asked_for_alone(visitor: Visitor) -> None:
    for path in (f"{LIST}/bulk", STEP):
        answer = await visitor.get(path)
        assert (answer.status, answer.headers["location"]) == (303, LIST)
