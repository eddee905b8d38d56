from __future__ import annotations

import re

import pytest

from doors.console.scheduling import LIST, count, csrf_of, names, reader, row
from doors.console.visitor import Visitor
from doors.live import SUPER, Live

HOSTILE = "<script>alert(1)</script> \u202egnp \x07"


async def test_an_empty_list_says_what_to_do_first(visitor: Visitor) -> None:
    page = await visitor.page(LIST)
    assert "No schedules yet" in page
    assert f'href="{LIST}/new"' in page


async def test_a_row_shows_what_is_stored(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    made = await live.cron(name="nightly", cron_expr="30 2 * * *", timezone="Europe/Berlin", task="https://a.example/x")
    shown = row(await visitor_of_both.page(LIST), made["id"])
    assert f'href="{LIST}/{made["id"]}">nightly<' in shown
    assert "https://a.example/x" in shown
    meant = (await live.get("/v1/cron/preview?cron_expr=30+2+*+*+*&timezone=Europe/Berlin")).data["description"]
    assert f'<code title="{meant["en"]}">30 2 * * *</code>' in shown
    await visitor_of_both.send("/console/preferences", language="zh")
    assert f'<code title="{meant["zh"]}">' in row(await visitor_of_both.page(LIST), made["id"])
    await visitor_of_both.send("/console/preferences", language="en")
    assert "Europe/Berlin" in shown
    assert ">active<" in shown
    assert made["next_run_at"] in shown


async def test_the_last_runs_are_bars_of_their_state_and_duration(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    made = await live.cron(task="http://127.0.0.1:9/refused", retry=0)
    await live.post(f"/v1/cron/trigger/{made['id']}")
    await live.work()
    await live.post(f"/v1/cron/trigger/{made['id']}")
    shown = row(await visitor_of_both.page(LIST), made["id"])
    bars = re.findall(r'<rect class="(\w+)"[^>]*><title>(.*?)</title>', shown)
    assert [tone for tone, _ in bars] == ["bad", "idle"]
    assert bars[0][1].startswith("failed, ")
    assert 'aria-label="2 runs, 1 failed"' in shown
    assert ">failing<" in shown
    newest = (await live.get(f"/v1/cron/runs/list/{made['id']}")).data["items"][0]["id"]
    assert f'/console/runs/{newest}"' in shown


async def test_names_and_targets_of_others_play_no_tricks(visitor: Visitor) -> None:
    live = visitor.live
    await live.cron(name=HOSTILE, task="https://a.example/%3Cscript%3E?a='\"><script>")
    page = await visitor.page(LIST)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; ⟨U+202E⟩gnp ␇" in page
    assert "\u202e" not in page
    searched = await visitor.page(f"{LIST}?q=%3Cscript%3E%22%3E")
    assert '"><script>' not in searched
    assert "Nothing matches these filters." in searched


@pytest.mark.parametrize("order", ["newest", "due", "name"])
async def test_pages_follow_each_other_in_every_order(visitor_of_both: Visitor, order: str) -> None:
    live = visitor_of_both.live
    for number in range(103):
        await live.cron(
            name=f"job {number * 7 % 103:03}", cron_expr=f"{number % 60} 3 * * *", task="https://a.example/x"
        )
    seen: list[str] = []
    path = f"{LIST}?order={order}"
    for _ in range(3):
        page = await visitor_of_both.page(path)
        assert count(page) == "103 schedules"
        seen += names(page)
        found = re.search(r'href="([^"]*)" rel="next"', page)
        path = "" if found is None else found[1].replace("&amp;", "&")
    assert path == ""
    assert len(seen) == len(set(seen)) == 103
    if order == "name":
        assert seen == sorted(seen)
    if order == "newest":
        assert seen[0] == f"job {102 * 7 % 103:03}"


@pytest.mark.parametrize("cursor", ["x", "1.2.3", "-1", "9" * 30, "1.x", "1.%00", "%F0%9F"])
@pytest.mark.parametrize("order", ["newest", "due"])
async def test_a_cursor_that_is_none_is_refused(visitor: Visitor, order: str, cursor: str) -> None:
    assert (await visitor.get(f"{LIST}?order={order}&cursor={cursor}")).status == 422


async def test_filters_stay_in_the_address_and_choose(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    first = await live.cron(name="Report", task="https://a.example/r")
    await live.cron(name="other", task="https://b.example/REPORTS")
    await live.cron(name="third", task="jobs", task_type="queue")
    await live.post(f"/v1/cron/pause/{first['id']}")

    async def chosen(query: str) -> list[str]:
        return names(await visitor_of_both.page(f"{LIST}?{query}"))

    assert await chosen("q=report") == ["other", "Report"]
    assert await chosen("q=report&state=paused") == ["Report"]
    assert await chosen("state=active") == ["third", "other"]
    assert await chosen("target=queue") == ["third"]
    assert await chosen("target=http&order=name&q=a.example") == ["Report"]
    assert await chosen("state=nonsense&target=nonsense&order=nonsense") == ["third", "other", "Report"]
    page = await visitor_of_both.page(f"{LIST}?q=report&state=paused&order=due")
    assert 'name="q" value="report"' in page
    assert '<option value="paused" selected>' in page
    assert '<option value="due" selected>' in page


async def test_one_shot_tasks_have_a_list_of_their_own(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    await live.cron(name="again and again")
    task = {"run_at": "2199-01-01T00:00:00Z", "task": "http://127.0.0.1:9/x", "name": "once"}
    made = (await live.post("/v1/scheduling/task/schedule", task)).data
    page = await visitor_of_both.page(f"{LIST}?once=1")
    assert names(page) == ["once"]
    assert names(await visitor_of_both.page(LIST)) == ["again and again"]
    assert ">scheduled<" in row(page, made["id"])
    await visitor_of_both.submit(f"{LIST}?once=1", f"{LIST}/{made['id']}/cancel")
    assert await visitor_of_both.told(f"{LIST}?once=1") == "Cancelled once."
    assert names(await visitor_of_both.page(f"{LIST}?once=1&state=cancelled")) == ["once"]


async def test_schedules_for_the_server_are_found_by_their_kind(visitor: Visitor) -> None:
    live = visitor.live
    params = {
        "token": SUPER,
        "name": "tidy",
        "cron_expression": "0 0 3 * * *",
        "cron_type": {"server": "clean_up_database"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "crontab_create", "params": params}
    assert "error" not in (await live.call("POST", "/", body)).json
    assert names(await visitor.page(f"{LIST}?target=server")) == ["tidy"]
    assert names(await visitor.page(f"{LIST}?target=http")) == []


async def test_pause_resume_and_run_now_do_what_they_say(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    public = (await live.cron(name="mine"))["id"]
    back = f"{LIST}?q=mine"
    answer = await visitor_of_both.submit(back, f"{LIST}/{public}/pause")
    assert (answer.status, answer.headers["location"]) == (303, back)
    assert await visitor_of_both.told(back) == "Paused mine."
    assert (await live.get(f"/v1/cron/get/{public}")).data["enabled"] is False
    assert ">Resume<" in row(await visitor_of_both.page(LIST), public)
    await visitor_of_both.submit(back, f"{LIST}/{public}/resume")
    assert (await live.get(f"/v1/cron/get/{public}")).data["enabled"] is True
    await visitor_of_both.submit(back, f"{LIST}/{public}/run")
    [run] = (await live.get(f"/v1/cron/runs/list/{public}")).data["items"]
    assert run["trigger"] == "manual"
    assert await visitor_of_both.told(back) == f"Started the run {run['id']}."
    await visitor_of_both.submit(back, f"{LIST}/{public}/run")
    assert (await visitor_of_both.told(back)).startswith("Not possible now: ")


@pytest.mark.parametrize("action", ["pause", "resume", "run", "delete", "edit"])
async def test_who_may_only_read_sees_no_buttons_and_is_refused(live: Live, action: str) -> None:
    public = (await live.cron(name="mine"))["id"]
    somebody = await reader(live, "cron:read")
    for path in (LIST, f"{LIST}/{public}"):
        page = await somebody.page(path)
        assert "Run now" not in page
        assert "New schedule" not in page
        assert 'name="pick"' not in page
    answer = await somebody.send(
        f"{LIST}/{public}/{action}", csrf=csrf_of(somebody), back=LIST, name="changed", marks="{}"
    )
    assert answer.status == 303
    assert "This key may not do that" in await somebody.told(LIST)
    record = (await live.get(f"/v1/cron/get/{public}")).data
    assert (record["enabled"], record["name"]) == (True, "mine")
    assert (await live.get(f"/v1/cron/runs/list/{public}")).data["items"] == []


async def test_who_may_not_read_schedules_sees_none(live: Live) -> None:
    public = (await live.cron(name="mine"))["id"]
    somebody = await reader(live, "queue:publish")
    for path in (LIST, f"{LIST}/{public}", f"{LIST}/new", f"{LIST}/{public}/edit", f"{LIST}/preview?cron_expr=*"):
        answer = await somebody.get(path)
        assert answer.status == 403
        assert "mine" not in answer.raw.decode()


async def test_schedules_of_another_project_are_not_there(visitor: Visitor) -> None:
    live = visitor.live
    key = await live.key("cron:read", "cron:write", project="other")
    body = {"cron_expr": "* * * * *", "task": "http://127.0.0.1:9/x", "name": "foreign"}
    public = (await live.post("/v1/cron/create", body, key=key)).data["id"]
    assert "foreign" not in await visitor.page(LIST)
    for path in ("", "/edit", "/copy"):
        assert (await visitor.get(f"{LIST}/{public}{path}")).status == 404
    await live.cron(name="mine")
    await visitor.submit(LIST, f"{LIST}/{public}/delete")
    assert (await visitor.told(LIST)).startswith("Not found")
    await visitor.submit_all(LIST, f"{LIST}/bulk", [("do", "delete"), ("pick", public)])
    assert (await visitor.told(LIST)).startswith("Deleted: 0. Refused: 1.")
    await visitor.submit_all(LIST, f"{LIST}/bulk", [("all", "delete"), ("q", "foreign")])
    assert (await live.get(f"/v1/cron/get/{public}", key=key)).status == 200
