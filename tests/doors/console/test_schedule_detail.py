from __future__ import annotations

import ast
import json
import re
from html import unescape
from typing import Any

import pytest

from doors.console.scheduling import LIST
from doors.console.visitor import Visitor
from doors.live import SUPER, Live
from mainspring.core.instants import iso, parse_iso
from mainspring.core.limits import DAY, HOUR, MINUTE
from mainspring.core.seats import Seats


def section(page: str, heading: str) -> str:
    """What stands under a heading, as text."""
    found = re.search(rf"<h2>{heading}.*?</h2>(.*?)(?=<h2>|</main>)", page, re.DOTALL)
    assert found is not None, page
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found[1])).split())


async def crontab(live: Live, kind: dict[str, Any]) -> str:
    """The id of a schedule made at another door."""
    params = {"token": SUPER, "name": "theirs", "cron_expression": "0 0 3 * * *", "cron_type": kind}
    body = {"jsonrpc": "2.0", "id": 1, "method": "crontab_create", "params": params}
    assert "error" not in (await live.call("POST", "/", body)).json
    return str((await live.get("/v1/cron/list")).data["items"][0]["id"])


async def test_the_page_of_a_schedule_shows_what_it_is(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    made = await live.cron(
        name="nightly",
        cron_expr="30 2 * * *",
        timezone="Europe/Berlin",
        payload={"big": 12345678901234567890},
        headers={"X-Token": "hidden-value"},
        secret="hidden-secret",
        retry_delays=[1, 2.5],
        expect={"status": [200, 204], "body_regexp": "ok"},
        on_failure_webhook="http://127.0.0.1:9/alarm",
        overlap_policy="queue",
        catchup="all",
        max_runs=1000,
        retention_days=7,
        retention_runs=50,
    )
    page = await visitor_of_both.page(f"{LIST}/{made['id']}")
    what, rules = section(page, "What it is"), section(page, "Rules")
    for shown in (
        "30 2 * * *",
        "Europe/Berlin",
        made["id"],
        "0 of 1,000",
        "X-Token: ***",
        "yes, over the body",
        "200, 204 ok",
    ):
        assert shown in what
    for shown in ("2, after 1, 2.5 s", "5 min", "wait, then run", "run all of them", "/alarm", "7 days, at most 50"):
        assert shown in rules
    assert '"big": 12345678901234567890' in rules
    assert "hidden-" not in page


async def test_the_next_runs_are_those_of_the_clock_with_its_changes(visitor: Visitor) -> None:
    live = visitor.live
    made = await live.cron(cron_expr="30 2 * 3 0L", timezone="Europe/Berlin", task="http://127.0.0.1:9/x")
    preview = (await live.get("/v1/cron/preview?cron_expr=30+2+*+3+0L&timezone=Europe/Berlin&count=10")).data
    shown = section(await visitor.page(f"{LIST}/{made['id']}"), "Next runs")
    for fire in preview["next"]:
        assert f"{fire['utc'][:10]} {fire['utc'][11:19]}" in shown
        assert fire["local"][:10] in shown
        assert fire["note"] is None or fire["note"] in shown
    assert any(fire["note"] for fire in preview["next"])


async def test_the_next_runs_of_an_interval_follow_its_own_beat(visitor: Visitor) -> None:
    live = visitor.live
    made = await live.cron(cron_expr="@every 7m")
    live.clock.ahead += 3 * MINUTE
    shown = section(await visitor.page(f"{LIST}/{made['id']}"), "Next runs")
    first = parse_iso(made["next_run_at"], "next_run_at")
    for number in range(10):
        at = iso(first + number * 7 * MINUTE)
        assert f"{at[:10]} {at[11:19]}" in shown


async def test_what_is_paused_completed_or_due_once_says_so(visitor: Visitor) -> None:
    live = visitor.live
    paused = (await live.cron())["id"]
    await live.post(f"/v1/cron/pause/{paused}")
    page = await visitor.page(f"{LIST}/{paused}")
    assert "None: it has been paused since" in page
    assert "if it were resumed now" in page
    once = (await live.cron(run_at="2199-01-01T00:00:00Z"))["id"]
    assert "2199-01-01" in section(await visitor.page(f"{LIST}/{once}"), "Next runs")
    over = (await live.cron(run_at="2020-01-01T00:00:00Z", retry=0))["id"]
    await live.work()
    page = await visitor.page(f"{LIST}/{over}")
    assert "None: it has completed" in page
    assert section(page, "Next runs").startswith("Nothing is coming.")


async def test_the_ledger_shows_each_day_with_what_became_of_it(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    made = await live.cron(cron_expr="0 * * * *", task="http://127.0.0.1:9/refused", retry=0, catchup="skip")
    noon = live.clock() // DAY * DAY + DAY + 12 * HOUR + MINUTE
    live.clock.ahead += noon - live.clock()
    await live.work()
    live.clock.ahead += 59 * MINUTE
    await live.work()
    page = await visitor_of_both.page(f"{LIST}/{made['id']}")
    days = re.findall(r"<title>(\d{4}-\d\d-\d\d: [^<]*)</title><rect class=\"(\w+)\"", page)
    today = iso(noon)[:10]
    [(told, tone)] = [(title, tone) for title, tone in days if title.startswith(today)]
    assert (tone, "1 failed" in told, "missed" in told) == ("bad", True, True)
    assert all(tone == "soft" for title, tone in days[:-3])
    assert 12 * 7 - 7 < len(days) <= 12 * 7
    entries = section(page, "Newest ledger entries")
    assert "missed" in entries
    assert "no server was running" in entries
    ledger = (await live.get(f"/v1/cron/occurrences/list/{made['id']}")).data["items"]
    assert ledger[0]["run_id"] in entries


async def test_a_stretch_over_days_is_told_on_each_of_them(visitor: Visitor) -> None:
    live = visitor.live
    made = await live.cron(cron_expr="0 */6 * * *", catchup="skip")
    live.clock.ahead += 4 * DAY
    await live.work()
    page = await visitor.page(f"{LIST}/{made['id']}")
    [gap] = (await live.get(f"/v1/cron/occurrences/list/{made['id']}")).data["items"]
    told = f"some of {gap['count']} missed from {gap['from'][:10]} to {gap['to'][:10]}"
    days = re.findall(r"<title>(\d{4}-\d\d-\d\d): ([^<]*)</title><rect class=\"bad\"", page)
    assert [day for day, title in days if title == told] == [
        iso(at)[:10] for at in range(parse_iso(gap["from"], "x") // DAY * DAY, parse_iso(gap["to"], "x") + 1, DAY)
    ]
    assert len(days) >= 4


async def test_the_last_runs_show_the_errors_of_their_attempts(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    made = await live.cron(task="http://127.0.0.1:9/refused", retry_delays=[0], name="x")
    await live.post(f"/v1/cron/trigger/{made['id']}")
    await live.work()
    await live.work(ahead=1000)
    page = await visitor_of_both.page(f"{LIST}/{made['id']}")
    run = (await live.get(f"/v1/cron/runs/list/{made['id']}")).data["items"][0]
    assert run["state"] == "failed"
    shown = section(page, "Last runs")
    assert shown.count(run["error"]) == 3
    assert "Earlier attempts" in shown
    assert f'/console/runs/{run["id"]}"' in page
    assert f'/console/runs?cron_id={made["id"]}"' in page
    spec = re.search(r'data-chart="([^"]*)"', page)
    assert spec is not None
    chart = json.loads(unescape(spec[1]))
    assert chart["x"] == [parse_iso(run["scheduled_for"], "x") / 1000]
    assert [one["tone"] for one in chart["series"]] == ["bad"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"cron_expr": "@every 90s", "name": "with 'quotes' and \\ and \"", "payload": {"text": "it's\n", "none": None}},
        {"run_at": "2199-01-01T12:34:56.789Z", "timezone": "Asia/Tokyo"},
        {"task": "jobs", "task_type": "queue", "payload": [1.5, True]},
        {
            "retry_delays": [1, 2],
            "expect": {"status": "2xx", "body_regexp": "a+"},
            "retention_days": 0,
            "method": "PUT",
        },
    ],
)
async def test_a_snippet_makes_the_same_schedule_again(visitor: Visitor, fields: dict[str, Any]) -> None:
    live = visitor.live
    made = await live.cron(**fields)
    page = unescape(await visitor.page(f"{LIST}/{made['id']}"))
    curl = re.search(r"<<'END_OF_JSON'\n(.*?)\nEND_OF_JSON", page, re.DOTALL)
    python = re.search(r'client\.call\("cron\.create", (.*?)\)</pre>', page, re.DOTALL)
    typescript = re.search(r"client\.job\.cron\.create\((.*?)\);</pre>", page, re.DOTALL)
    assert curl is not None
    assert python is not None
    assert typescript is not None
    body = json.loads(curl[1])
    assert body == json.loads(typescript[1])
    assert body == ast.literal_eval(python[1])
    again = (await live.post("/v1/cron/create", body)).data
    differ = {name for name in made if made[name] != again[name]}
    assert differ <= {"id", "cron_id", "job_id", "created_at", "updated_at", "next_run_at"}


async def test_a_snippet_holds_no_secret(visitor: Visitor) -> None:
    made = await visitor.live.cron(headers={"X-Token": "hidden-value"}, secret="hidden-secret")
    page = unescape(await visitor.page(f"{LIST}/{made['id']}"))
    assert "hidden-" not in page
    assert page.count('"secret": "***"') == 2
    assert page.count('"X-Token": "***"') == 2


async def test_run_now_takes_another_payload(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    public = (await live.cron(overlap_policy="allow", task="http://127.0.0.1:9/x"))["id"]
    path = f"{LIST}/{public}"
    answer = await visitor_of_both.submit(path, f"{path}/run", payload='{"n": 1.0}')
    assert (answer.status, answer.headers["location"]) == (303, path)
    [claim] = await live.store.runs.claim(live.clock(), lane="http", node=0, lease_until=live.clock(), seats=Seats())
    assert claim.payload == b'{"n": 1.0}'


async def test_a_payload_that_is_no_json_is_shown_again_with_what_is_wrong(visitor: Visitor) -> None:
    public = (await visitor.live.cron())["id"]
    path = f"{LIST}/{public}"
    answer = await visitor.submit(path, f"{path}/run", payload="{'single': <quotes>}")
    page = answer.raw.decode()
    assert answer.status == 422
    assert "{&#39;single&#39;: &lt;quotes&gt;}</textarea>" in page
    assert 'aria-invalid="true" aria-describedby="payload-fault"' in page
    assert "payload is not JSON" in page
    assert (await visitor.live.get(f"/v1/cron/runs/list/{public}")).data["items"] == []


async def test_delete_leads_back_to_the_list(visitor_of_both: Visitor) -> None:
    public = (await visitor_of_both.live.cron(name="gone"))["id"]
    answer = await visitor_of_both.submit(f"{LIST}/{public}", f"{LIST}/{public}/delete")
    assert (answer.status, answer.headers["location"]) == (303, LIST)
    assert await visitor_of_both.told(LIST) == "Deleted gone."
    assert (await visitor_of_both.get(f"{LIST}/{public}")).status == 404


async def test_a_schedule_for_the_server_offers_what_can_be_changed_on_it(visitor: Visitor) -> None:
    public = await crontab(visitor.live, {"server": "clean_up_database"})
    page = await visitor.page(f"{LIST}/{public}")
    assert "mainspring:server/clean_up_database (server)" in page
    assert "with another payload" not in page
    assert "The same by API" not in page
    assert f"{LIST}/{public}/copy" not in page
    assert (await visitor.get(f"{LIST}/{public}/copy")).status == 409
    form = await visitor.page(f"{LIST}/{public}/edit")
    for field in ("url", "queue", "payload", "method", "headers", "secret"):
        assert f'name="{field}"' not in form
    await visitor.submit(f"{LIST}/{public}", f"{LIST}/{public}/pause")
    assert await visitor.told(f"{LIST}/{public}") == "Paused theirs."


async def test_the_page_of_a_task_shows_its_run(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    body = {
        "run_at": "2020-01-01T00:00:00Z",
        "task": "http://127.0.0.1:9/x",
        "name": "once",
        "retry": 0,
        "payload": [1],
    }
    public = (await live.post("/v1/scheduling/task/schedule", body)).data["id"]
    path = f"{LIST}/{public}"
    assert "It has not run yet." in await visitor_of_both.page(path)
    await live.work()
    page = await visitor_of_both.page(path)
    run = (await live.get(f"/v1/scheduling/task/get/{public}")).data["run"]
    assert f'/console/runs/{run["id"]}"' in page
    assert run["error"] in unescape(page)
    assert f"{path}/cancel" not in page


@pytest.mark.parametrize("public", ["cron_0000000000000", "task_0000000000000", "nonsense", "%00", "cron_" + "z" * 300])
async def test_what_is_not_there_is_404(visitor: Visitor, public: str) -> None:
    assert (await visitor.get(f"{LIST}/{public}")).status == 404
