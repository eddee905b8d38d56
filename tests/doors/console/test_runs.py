"""The screens about runs, over a real socket: what they show, and that what they offer is done."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from doors.console.visitor import Visitor
from doors.live import Live
from doors.receiving import Receiver, receiving
from mainspring.core.instants import iso
from mainspring.core.limits import HOUR, MINUTE, SECOND


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


async def ran(live: Live, job: dict[str, Any], **body: Any) -> str:
    """A run by hand, to its end; its id."""
    run = (await live.post(f"/v1/cron/trigger/{job['id']}", body)).data
    await live.work()
    return str(run["run_id"])


async def failed(live: Live, **fields: Any) -> tuple[dict[str, Any], str]:
    """A cron job whose one run has failed: nothing listens there."""
    job = await live.cron(**{"cron_expr": "0 0 1 1 *", "retry": 0, "overlap_policy": "allow", **fields})
    return job, await ran(live, job)


def rows(page: str) -> list[str]:
    """The ids of the runs in the table."""
    return re.findall(r'<tr id="(run_[0-9a-z]{13})"', page)


async def test_the_list_shows_runs_newest_first_with_what_matters(visitor_of_both: Visitor, receiver: Receiver) -> None:
    live = visitor_of_both.live
    job = await live.cron(cron_expr="0 0 1 1 *", task=receiver.url + "/ok", name="digest")
    good = await ran(live, job)
    bad_job, bad = await failed(live, name="broken")
    page = await visitor_of_both.page("/console/runs")
    assert rows(page) == [bad, good]
    assert f'href="/console/schedules/{job["id"]}">digest</a>' in page
    assert f'href="/console/runs/{good}"' in page
    assert "connection refused" in page
    assert "By hand" in page
    assert rows(await visitor_of_both.page(f"/console/runs?cron_id={bad_job['id']}")) == [bad]


async def test_filters_stand_in_the_address(visitor_of_both: Visitor, receiver: Receiver) -> None:
    live = visitor_of_both.live
    job = await live.cron(cron_expr="0 0 1 1 *", task=receiver.url + "/ok", name="digest")
    good = await ran(live, job)
    _, bad = await failed(live, name="broken")
    live.clock.ahead += 2 * HOUR
    queued = (await live.post(f"/v1/cron/trigger/{job['id']}")).data["run_id"]
    replayed = (await live.post(f"/v1/scheduling/run/replay/{bad}")).data["run_id"]

    async def shown(query: str) -> list[str]:
        return rows(await visitor_of_both.page(f"/console/runs?{query}"))

    assert await shown("state=failed") == [bad]
    assert await shown("state=succeeded") == [good]
    assert await shown("state=queued") == [replayed, queued]
    assert await shown("state=cancelled") == []
    assert await shown("trigger=replay") == [replayed]
    assert await shown("trigger=manual&state=queued") == [queued]
    assert await shown("since=1h") == [replayed, queued]
    assert await shown("until=1h") == [bad, good]
    assert await shown(f"since={iso(live.clock() - HOUR)}&state=failed") == []
    assert await shown(f"cron_id={job['id']}") == [queued, good]
    assert await shown(f"cron_id={job['id']}&state=succeeded&until=1h") == [good]
    assert await shown("cron_id=cron_0000000000000") == []
    assert await shown("state=nonsense&trigger=nonsense") == [replayed, queued, bad, good]
    page = await visitor_of_both.page("/console/runs?since=yesterday&state=failed")
    assert rows(page) == [bad]
    assert 'aria-invalid="true"' in page
    assert 'value="yesterday"' in page


async def test_the_search_box_leads_to_a_run_to_a_schedule_or_offers_those_that_fit(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    job, run = await failed(live, name="Nightly 100%_report")
    other, second = await failed(live, name="nightly backup")

    async def led(text: str) -> str:
        answer = await visitor_of_both.get(f"/console/runs?q={text}&state=failed")
        assert answer.status == 303
        return answer.headers["location"]

    assert await led(run) == f"/console/runs/{run}"
    assert await led(job["id"]) == f"/console/runs?state=failed&cron_id={job['id']}"
    assert await led("BACKUP") == f"/console/runs?state=failed&cron_id={other['id']}"
    assert await led("100%25_") == f"/console/runs?state=failed&cron_id={job['id']}"
    page = await visitor_of_both.page("/console/runs?q=nightly")
    assert rows(page) == [second, run]
    for one in (job, other):
        assert f'href="/console/runs?cron_id={one["id"]}"' in page
    assert "No schedule has this in its name." in await visitor_of_both.page("/console/runs?q=weekly")


async def test_pages_follow_each_other(visitor_of_both: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.doors.console.runs.PAGE", 2)
    live = visitor_of_both.live
    job = await live.cron(cron_expr="0 0 1 1 *", overlap_policy="allow")
    made = [(await live.post(f"/v1/cron/trigger/{job['id']}")).data["run_id"] for _ in range(5)]
    for start in ("/console/runs", f"/console/runs?cron_id={job['id']}", "/console/runs?trigger=manual"):
        path: str | None = start
        seen: list[str] = []
        while path is not None:
            page = await visitor_of_both.page(path)
            seen += rows(page)
            following = re.search(r'href="([^"]+)" rel="next">Next page', page)
            path = unescape(following[1]) if following else None
        assert seen == made[::-1]
    for odd in ("cursor=nonsense", "cursor=99999999999999999999.1", "path=x&self=y&text=z", "state=&trigger="):
        assert rows(await visitor_of_both.page(f"/console/runs?{odd}")) == made[:2:-1]


async def test_a_run_shows_its_attempts_on_one_axis_the_request_and_what_came_back(
    visitor_of_both: Visitor, receiver: Receiver
) -> None:
    live = visitor_of_both.live
    receiver.answers["/flaky"] = [(500, {}), (200, {})]
    job = await live.cron(
        cron_expr="0 0 1 1 *",
        task=receiver.url + "/flaky",
        name="flaky",
        payload={"n": 1},
        headers={"X-Token": "very-secret"},
        secret="a-signing-secret",
        retry_delays=[2],
    )
    run = await ran(live, job)
    waiting = await visitor_of_both.page(f"/console/runs/{run}")
    assert "Next attempt" in waiting
    await live.work(ahead=3 * SECOND)
    page = await visitor_of_both.page(f"/console/runs/{run}")
    assert len(re.findall(r'<tr id="attempt-\d"', page)) == 2
    bars = re.findall(r'<rect class="(\w+)" x="(\d+)" y="\d+" width="(\d+)"', page)
    assert {tone for tone, _, _ in bars} >= {"idle", "bad", "good"}
    assert all(int(x) + int(width) <= 1000 for _, x, width in bars)
    for shown in ("X-Token", "webhook-signature", "X-Mainspring-Run-Id", receiver.url + "/flaky", "HTTP status 500"):
        assert shown in page
    assert "very-secret" not in page
    assert "a-signing-secret" not in page
    assert "&#34;n&#34;: 1" in page
    assert "No entry" in page


async def test_a_run_of_the_schedule_is_an_entry_of_the_ledger_and_knows_its_neighbours(
    visitor_of_both: Visitor, receiver: Receiver
) -> None:
    live = visitor_of_both.live
    job = await live.cron(task=receiver.url + "/ok")
    for _ in range(3):
        await live.work(ahead=MINUTE)
    items = (await live.get(f"/v1/cron/runs/list/{job['id']}")).data["items"]
    newest, middle, oldest = (item["run_id"] for item in items)
    page = await visitor_of_both.page(f"/console/runs/{middle}")
    assert f'href="/console/runs/{oldest}" rel="prev"' in page
    assert f'href="/console/runs/{newest}" rel="next"' in page
    assert "This run is the entry for its instant." in page


async def test_a_failed_run_says_what_happened_and_where_to_look(visitor: Visitor) -> None:
    _, run = await failed(visitor.live)
    page = unescape(await visitor.page(f"/console/runs/{run}"))
    assert "connection refused" in page
    assert "Nothing listens at the target's address and port." in page
    assert "Check that the target runs, and its port." in page


async def test_a_long_answer_is_said_to_be_cut(visitor: Visitor, receiver: Receiver) -> None:
    live = visitor.live
    job = await live.cron(cron_expr="0 0 1 1 *", task=f"{live.url}/console/static/console.css", method="GET")
    run = await ran(live, job)
    assert "Only the first 4.0 KiB are kept." in await visitor.page(f"/console/runs/{run}")


async def test_what_is_not_there_or_not_ours_is_not_found(visitor: Visitor) -> None:
    live = visitor.live
    key = await live.key("cron:read", "cron:write", project="other")
    job = (await live.post("/v1/cron/create", {"cron_expr": "0 0 1 1 *", "task": "http://127.0.0.1:9/"}, key=key)).data
    theirs = (await live.post(f"/v1/cron/trigger/{job['id']}", key=key)).data["run_id"]
    for run in (theirs, "run_0000000000000", "nonsense", job["id"]):
        answer = await visitor.get(f"/console/runs/{run}")
        assert answer.status == 404
        assert "Not found" in answer.raw.decode()
    assert rows(await visitor.page("/console/runs")) == []
    assert rows(await visitor.page(f"/console/runs?cron_id={job['id']}")) == []


async def test_a_replay_and_another_run_of_the_schedule_lead_to_the_new_run(
    visitor_of_both: Visitor, receiver: Receiver
) -> None:
    live = visitor_of_both.live
    job = await live.cron(cron_expr="0 0 1 1 *", task=receiver.url + "/one", overlap_policy="allow")
    run = await ran(live, job)
    await live.call("PATCH", f"/v1/cron/update/{job['id']}", {"task": receiver.url + "/two"})
    for action, told in (("replay", f"payload of {run}"), ("again", "as it is now")):
        answer = await visitor_of_both.submit(f"/console/runs/{run}", f"/console/runs/{run}/{action}")
        assert answer.status == 303
        assert answer.headers["location"].startswith("/console/runs/run_")
        assert told in await visitor_of_both.told(answer.headers["location"])
        await live.work()
    assert [post.path for post in receiver.posts] == ["/one", "/one", "/two"]


async def test_a_replay_that_is_refused_says_why_on_the_page_it_came_from(visitor: Visitor) -> None:
    live = visitor.live
    job, run = await failed(live, overlap_policy="skip")
    await live.post(f"/v1/cron/trigger/{job['id']}")
    answer = await visitor.submit(f"/console/runs/{run}", f"/console/runs/{run}/replay")
    assert answer.headers["location"] == f"/console/runs/{run}"
    assert "overlap_policy is skip" in await visitor.told(f"/console/runs/{run}")


async def test_the_runs_of_a_deleted_schedule_are_shown_and_cannot_be_repeated(visitor: Visitor) -> None:
    live = visitor.live
    job, run = await failed(live, name="gone soon")
    await live.call("DELETE", f"/v1/cron/delete/{job['id']}")
    page = await visitor.page("/console/runs")
    assert rows(page) == [run]
    assert f'href="/console/schedules/{job["id"]}"' not in page
    assert f'action="/console/runs/{run}/replay"' not in await visitor.page(f"/console/runs/{run}")


async def test_picked_runs_are_replayed_and_refusals_are_counted(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    _, one = await failed(live)
    skip, other = await failed(live, overlap_policy="skip")
    await live.post(f"/v1/cron/trigger/{skip['id']}")
    page = "/console/runs?state=failed"
    answer = await visitor_of_both.submit_all(page, "/console/runs/replay", [("pick", one), ("pick", other)])
    assert answer.headers["location"] == page
    told = await visitor_of_both.told(page)
    assert "Replayed: 1." in told
    assert "Refused: 1." in told
    assert "overlap_policy is skip" in told
    replays = (await live.get("/v1/scheduling/run/list?state=queued")).data["items"]
    assert [item["trigger"] for item in replays] == ["replay", "manual"]


async def test_all_that_match_are_replayed_step_by_step(
    visitor_of_both: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.doors.console.run_bulk.STEP", 2)
    live = visitor_of_both.live
    job, first = await failed(live, name="broken")
    made = [first] + [await ran(live, job) for _ in range(4)]
    await failed(live, name="other")
    listing = f"/console/runs?state=failed&cron_id={job['id']}"
    answer = await visitor_of_both.submit(listing, "/console/runs/replay/all", state="failed", cron_id=job["id"])
    page = answer.raw.decode()
    assert "Failed runs that fit: 5." in page
    assert (await live.get("/v1/scheduling/run/list?state=queued")).data["items"] == []
    seen = []
    while found := re.search(r'name="job" value="([^"]+)"', page):
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        assert csrf is not None
        answer = await visitor_of_both.send("/console/runs/replay/step", csrf=csrf[1], job=unescape(found[1]))
        assert answer.status == 200
        page = answer.raw.decode()
        progress = re.search(r'<progress value="(\d+)" max="5">', page)
        assert progress is not None
        seen.append(int(progress[1]))
    assert seen == [2, 4, 5]
    assert "Replayed: 5." in page
    queued = (await live.get("/v1/scheduling/run/list?state=queued")).data["items"]
    assert len(queued) == len(made)
    assert {item["cron_id"] for item in queued} == {job["id"]}


async def test_no_more_than_a_thousand_are_replayed_whatever_the_form_says(visitor: Visitor) -> None:
    _, run = await failed(visitor.live)
    found = re.search(r'name="csrf" value="([^"]+)"', await visitor.page("/console/runs?state=failed"))
    assert found is not None
    csrf = unescape(found[1])
    job = '{"query":{"path":"x"},"total":5000,"tally":{"done":1000},"cursor":""}'
    page = (await visitor.send("/console/runs/replay/step", csrf=csrf, job=job)).raw.decode()
    assert 'max="1000"' in page
    assert 'name="job"' not in page
    assert (await visitor.send("/console/runs/replay/step", csrf=csrf, job="nonsense")).status == 303
    assert (await visitor.live.get("/v1/scheduling/run/list?state=queued")).data["items"] == [], run


async def test_who_may_only_read_is_offered_nothing_and_can_do_nothing(live: Live) -> None:
    _, run = await failed(live)
    reader = Visitor(live)
    await reader.sign_in(await live.key("cron:read", "webhook:write"))
    assert 'name="pick"' not in await reader.page("/console/runs?state=failed")
    page = await reader.page(f"/console/runs/{run}")
    assert f"/console/runs/{run}/replay" not in page
    for path, fields in (
        (f"/console/runs/{run}/replay", {}),
        (f"/console/runs/{run}/again", {}),
        ("/console/runs/replay", {"pick": run}),
        ("/console/runs/replay/all", {"state": "failed"}),
    ):
        await reader.submit("/console/webhooks/emit", path, **fields)
        assert "lacks the scope cron:write" in await reader.told("/console/webhooks/emit")
    assert (await live.get("/v1/scheduling/run/list?state=queued")).data["items"] == []


async def test_who_may_not_read_runs_sees_none(live: Live) -> None:
    _, run = await failed(live, name="a name of ours")
    stranger = Visitor(live)
    await stranger.sign_in(await live.key("queue:consume"))
    for path in ("/console/runs", f"/console/runs/{run}", "/console/runs?q=ours"):
        answer = await stranger.get(path)
        assert answer.status == 403
        assert b"a name of ours" not in answer.raw


async def test_names_payloads_and_answers_of_others_play_no_tricks(visitor: Visitor, receiver: Receiver) -> None:
    evil = "<script>alert(1)</script>\"'\u202eevil\u0007\u200b"
    live = visitor.live
    job = await live.cron(cron_expr="0 0 1 1 *", task=receiver.url + "/x", name=evil, payload={evil: evil})
    run = await ran(live, job)
    for path in ("/console/runs", f"/console/runs/{run}", f"/console/runs?cron_id={job['id']}", "/console/runs?q=evil"):
        answer = await visitor.get(path)
        page = answer.raw.decode()
        assert "<script>alert" not in page
        assert not set("\u202e\u0007\u200b") & set(page)
    assert "⟨U+202E⟩" in await visitor.page(f"/console/runs/{run}")
