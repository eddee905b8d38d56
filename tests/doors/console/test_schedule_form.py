from __future__ import annotations

from html import unescape
from typing import Any

import pytest

from doors.console.scheduling import LIST, Form
from doors.console.visitor import Visitor
from doors.live import SUPER, Answer
from mainspring.core.views.schedules import Filters
from mainspring.doors.console.schedule_fields import DEFAULTS

NEW = f"{LIST}/new"
URL = "http://127.0.0.1:9/hook"
EVERYTHING: dict[str, Any] = {
    "name": "all of it",
    "cron_expr": "30 2 * * 1-5",
    "timezone": "Europe/Berlin",
    "dialect": "quartz",
    "task": URL,
    "method": "PUT",
    "payload": {"a": [1, 2]},
    "headers": {"X-Token": "hidden-value", "X-Other": "hidden-too"},
    "retry_delays": [1, 2.5],
    "timeout_seconds": 12.5,
    "overlap_policy": "queue",
    "catchup": "all",
    "catchup_window_seconds": 60,
    "max_runs": 5,
    "expect": {"status": [200, 204], "body_regexp": "ok\\n"},
    "on_failure_webhook": "http://127.0.0.1:9/alarm",
    "secret": "hidden-secret",
    "signature_style": "timestamp.body",
    "retention_days": 3,
    "retention_runs": 30,
}
VARIANTS: list[dict[str, Any]] = [
    EVERYTHING | {"cron_expr": "0 30 2 ? * MON-FRI"},
    {"cron_expr": "@every 90s"},
    {"cron_expr": "@every 1h30m"},
    {"cron_expr": "@every 1.5s"},
    {"cron_expr": "CRON_TZ=Asia/Tokyo 0 9 * * *"},
    {"cron_expr": "0 */5 * * * *", "dialect": "go-crontab"},
    {"run_at": "2199-07-01T12:34:56.789Z", "timezone": "America/New_York"},
    {"task": "jobs", "task_type": "queue", "payload": None},
    {"task": "odd.name", "task_type": "queue", "payload": "text"},
    {"expect": {"status": "2xx", "body_regexp": "x"}, "retry": 0},
    {"name": "  spaces \n and lines  ", "payload": "\n\n leading"},
]


async def form_at(visitor: Visitor, path: str) -> Form:
    return Form(await visitor.page(path), path)


async def save(visitor: Visitor, path: str, fields: dict[str, str]) -> Answer:
    return await visitor.send(path, **fields)


async def get(visitor: Visitor, public: str) -> dict[str, Any]:
    record: dict[str, Any] = (await visitor.live.get(f"/v1/cron/get/{public}")).data
    return record


def made_at(answer: Answer) -> str:
    assert answer.status == 303, answer.raw.decode()
    return answer.headers["location"].rpartition("/")[2]


async def test_a_new_schedule_is_what_was_typed(visitor_of_both: Visitor) -> None:
    typed = {
        "when": "cron",
        "cron_expr": "30 2 * * 1-5",
        "timezone": "Europe/Berlin",
        "name": "nightly",
        "url": URL,
        "method": "PUT",
        "payload": '{"n": 1.0,\n "big": 12345678901234567890}',
        "headers": "X-One: 1\n\n X-Two :  two: 2 ",
        "retry": "5",
        "timeout": "2.5",
        "max_runs": "9",
        "secret": "a secret",
        "expect_status": "200, 204",
        "overlap": "allow",
    }
    fields = (await form_at(visitor_of_both, NEW)).fields | typed
    public = made_at(await save(visitor_of_both, NEW, fields))
    assert await visitor_of_both.told(f"{LIST}/{public}") == "Made the schedule nightly."
    record = await get(visitor_of_both, public)
    assert (record["cron_expr"], record["timezone"], record["name"]) == ("30 2 * * 1-5", "Europe/Berlin", "nightly")
    assert (record["task"], record["method"], record["signed"]) == (URL, "PUT", True)
    assert record["headers"] == {"X-One": "***", "X-Two": "***"}
    assert (record["retry"], record["timeout_seconds"], record["max_runs"]) == (5, 2.5, 9)
    assert record["expect"] == {"status": [200, 204], "body_regexp": None}
    assert (record["overlap_policy"], record["catchup"]) == ("allow", "latest")
    [entry] = (await visitor_of_both.live.store.views.schedules.page("default", Filters(), "newest", None, 9)).rows
    kept = await visitor_of_both.live.store.schedules.get("default", "cron", entry.id)
    assert kept is not None
    assert kept.target.payload == typed["payload"].encode()


@pytest.mark.parametrize(
    ("typed", "member", "stored"),
    [
        ({"when": "every", "every": "90", "every_unit": "s"}, "cron_expr", "@every 90s"),
        ({"when": "every", "every": "2", "every_unit": "h"}, "cron_expr", "@every 2h"),
        (
            {"when": "once", "once_at": "2199-07-01T09:00", "timezone": "Europe/Berlin"},
            "run_at",
            "2199-07-01T07:00:00.000Z",
        ),
        ({"when": "once", "once_at": "2198-12-01T09:00:30"}, "run_at", "2198-12-01T09:00:30.000Z"),
        ({"cron_expr": "0 0 12 ? * MON", "dialect": "quartz"}, "dialect", "quartz"),
        ({"cron_expr": "CRON_TZ=Asia/Tokyo 0 9 * * *"}, "timezone", "Asia/Tokyo"),
        ({"cron_expr": "* * * * *", "target": "queue", "queue": "jobs.x"}, "task_type", "queue"),
        ({"cron_expr": "* * * * *", "retry_delays": "1, 2.5 30"}, "retry_delays", [1, 2.5, 30]),
        ({"cron_expr": "* * * * *", "retention_days": "0"}, "retention_days", 0),
    ],
)
async def test_each_way_to_say_it_is_kept(visitor: Visitor, typed: dict[str, str], member: str, stored: Any) -> None:
    fields = (await form_at(visitor, NEW)).fields | {"url": URL} | typed
    record = await get(visitor, made_at(await save(visitor, NEW, fields)))
    assert record[member] == stored


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"cron_expr": ""}, "cron_expr"),
        ({"cron_expr": "0 9 * 13 *"}, "cron_expr"),
        ({"cron_expr": "0 0 31 2 *"}, "cron_expr"),
        ({"when": "every", "every": "<often>"}, "every"),
        ({"when": "once", "once_at": "tomorrow"}, "once_at"),
        ({"when": "once", "once_at": "0001-01-01T00:00", "timezone": "Asia/Tokyo"}, "once_at"),
        ({"when": "once", "once_at": "9999-12-31T23:59", "timezone": "America/New_York"}, "once_at"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"dialect": "klingon"}, "dialect"),
        ({"url": ""}, "url"),
        ({"url": "ftp://a.example/"}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"target": "queue", "queue": "no such name!"}, "queue"),
        ({"payload": "{'a': 1}"}, "payload"),
        ({"payload": "NaN"}, "payload"),
        ({"payload": "[" * 5000}, "payload"),
        ({"headers": "no colon"}, "headers"),
        ({"headers": "X-A: ***"}, "headers"),
        ({"headers": "Host: other"}, "headers"),
        ({"headers": "X-A: 1\nx-a: 2"}, "headers"),
        ({"retry": "many"}, "retry"),
        ({"retry": "11"}, "retry"),
        ({"retry": "1e400"}, "retry"),
        ({"retry_delays": "1, soon"}, "retry_delays"),
        ({"timeout": "0"}, "timeout"),
        ({"max_runs": "0"}, "max_runs"),
        ({"expect_status": "99"}, "expect_status"),
        ({"expect_status": "ok"}, "expect_status"),
        ({"expect_body": "(?=x)"}, "expect_body"),
        ({"on_failure": "nowhere"}, "on_failure"),
        ({"secret": "whsec_!"}, "secret"),
        ({"retention_days": "-1"}, "retention_days"),
        ({"name": "x" * 256}, "name"),
        ({"name": "a\x00b"}, "name"),
    ],
)
async def test_a_fault_stands_beside_its_field_and_the_rest_is_kept(
    visitor: Visitor, typed: dict[str, str], field: str
) -> None:
    given = {"cron_expr": "* * * * *", "url": URL, "on_failure": "http://127.0.0.1:9/<kept>", "name": "kept"}
    given |= {"secret": "typed just now"}
    fields = (await form_at(visitor, NEW)).fields | given | typed
    answer = await save(visitor, NEW, fields)
    assert answer.status == 422
    again = Form(answer.raw.decode(), NEW)
    assert again.invalid == [field]
    # A list of choices shows none that it does not have.
    for name in {*DEFAULTS} - {"unsigned", "dialect"}:
        assert again.fields[name] == ("" if name == field == "secret" else fields[name])
    assert (await visitor.live.get("/v1/cron/list")).data["items"] == []


@pytest.mark.parametrize("given", VARIANTS)
async def test_saving_an_untouched_form_changes_nothing(visitor: Visitor, given: dict[str, Any]) -> None:
    before = await visitor.live.cron(**given)
    path = f"{LIST}/{before['id']}/edit"
    answer = await save(visitor, path, (await form_at(visitor, path)).fields)
    assert made_at(answer) == before["id"]
    assert await visitor.told(f"{LIST}/{before['id']}") == "Nothing was changed."
    assert await get(visitor, before["id"]) == before


async def test_a_secret_never_comes_back(visitor: Visitor) -> None:
    made = await visitor.live.cron(**EVERYTHING | {"cron_expr": "0 30 2 ? * MON-FRI"})
    for way in ("edit", "copy"):
        page = await visitor.page(f"{LIST}/{made['id']}/{way}")
        assert [secret for secret in ("hidden-value", "hidden-too", "hidden-secret") if secret in page] == []


async def test_only_what_was_changed_is_changed(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    before = await live.cron(**EVERYTHING | {"cron_expr": "0 30 2 ? * MON-FRI"})
    path = f"{LIST}/{before['id']}/edit"
    fields = (await form_at(visitor_of_both, path)).fields
    await save(visitor_of_both, path, fields | {"name": "renamed", "headers": "X-Token: ***\nX-New: 1", "retry": "6"})
    assert await visitor_of_both.told(f"{LIST}/{before['id']}") == "Saved renamed."
    after = await get(visitor_of_both, before["id"])
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"name", "headers", "retry", "retries", "updated_at"}
    assert after["headers"] == {"X-New": "***", "X-Token": "***"}
    assert after["signed"] is True
    audit = (await live.get("/v1/account/audit/list?operation=cron.update")).data["items"][0]
    assert set(audit["fields"]) == {"name", "headers", "retry"}


async def test_signing_can_be_ended_and_begun(visitor: Visitor) -> None:
    public = (await visitor.live.cron(secret="old"))["id"]
    path = f"{LIST}/{public}/edit"
    await save(visitor, path, (await form_at(visitor, path)).fields | {"unsigned": "1"})
    assert (await get(visitor, public))["signed"] is False
    await save(visitor, path, (await form_at(visitor, path)).fields | {"secret": "new"})
    assert (await get(visitor, public))["signed"] is True


async def test_a_url_and_a_queue_give_way_to_each_other(visitor: Visitor) -> None:
    public = (await visitor.live.cron(headers={"X-A": "1"}, secret="s", expect={"status": [200]}))["id"]
    path = f"{LIST}/{public}/edit"
    await save(visitor, path, (await form_at(visitor, path)).fields | {"target": "queue", "queue": "jobs"})
    record = await get(visitor, public)
    assert (record["task_type"], record["task"], record["headers"]) == ("queue", "jobs", None)
    await save(
        visitor, path, (await form_at(visitor, path)).fields | {"target": "url", "url": URL, "headers": "X-B: 2"}
    )
    record = await get(visitor, public)
    assert (record["task_type"], record["task"], record["headers"]) == ("http_url", URL, {"X-B": "***"})


async def test_who_was_first_is_not_written_over_unseen(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    public = (await live.cron(name="first", timezone="UTC", retry=3))["id"]
    path = f"{LIST}/{public}/edit"
    fields = (await form_at(visitor_of_both, path)).fields
    await live.call("PATCH", f"/v1/cron/update/{public}", {"name": "<theirs>", "retry": 7})
    answer = await save(visitor_of_both, path, fields | {"name": "mine", "timezone": "Asia/Tokyo"})
    assert answer.status == 409
    page = answer.raw.decode()
    assert "Somebody else has changed this schedule" in page
    assert "Now stored: <theirs>" in unescape(page)
    assert "<theirs>" not in page
    again = Form(page, path)
    assert again.invalid == ["name"]
    assert (again.fields["name"], again.fields["timezone"], again.fields["retry"]) == ("mine", "Asia/Tokyo", "7")
    assert (await get(visitor_of_both, public))["name"] == "<theirs>"
    made_at(await save(visitor_of_both, path, again.fields))
    record = await get(visitor_of_both, public)
    assert (record["name"], record["timezone"], record["retry"]) == ("mine", "Asia/Tokyo", 7)


async def test_a_pause_meanwhile_is_no_conflict(visitor: Visitor) -> None:
    public = (await visitor.live.cron())["id"]
    path = f"{LIST}/{public}/edit"
    fields = (await form_at(visitor, path)).fields
    await visitor.live.post(f"/v1/cron/pause/{public}")
    made_at(await save(visitor, path, fields | {"name": "mine"}))
    record = await get(visitor, public)
    assert (record["name"], record["enabled"]) == ("mine", False)


async def test_a_copy_has_everything_but_the_secrets(visitor: Visitor) -> None:
    made = await visitor.live.cron(**EVERYTHING | {"cron_expr": "0 30 2 ? * MON-FRI"})
    form = Form(await visitor.page(f"{LIST}/{made['id']}/copy"), NEW)
    answer = await save(visitor, NEW, form.fields)
    assert answer.status == 422
    again = Form(answer.raw.decode(), NEW)
    assert again.invalid == ["headers"]
    public = made_at(await save(visitor, NEW, again.fields | {"headers": "X-Token: a\nX-Other: b"}))
    copy = await get(visitor, public)
    differ = {name for name in made if made[name] != copy[name]}
    assert differ <= {"id", "cron_id", "job_id", "created_at", "updated_at", "next_run_at", "signed"}


async def test_a_schedule_for_the_server_can_be_timed_anew(visitor: Visitor) -> None:
    job = {"server": "clean_up_database"}
    params = {"token": SUPER, "name": "theirs", "cron_expression": "0 0 3 * * *", "cron_type": job}
    body = {"jsonrpc": "2.0", "id": 1, "method": "crontab_create", "params": params}
    assert "error" not in (await visitor.live.call("POST", "/", body)).json
    public = (await visitor.live.get("/v1/cron/list")).data["items"][0]["id"]
    path = f"{LIST}/{public}/edit"
    fields = (await form_at(visitor, path)).fields
    assert "url" not in fields
    made_at(await save(visitor, path, fields | {"cron_expr": "0 30 4 * * *", "retry": "1"}))
    record = await get(visitor, public)
    assert (record["cron_expr"], record["retry"], record["task_type"]) == ("0 30 4 * * *", 1, "server")


@pytest.mark.parametrize("marks", ["", "[]", "x", '{"name": 1}'])
async def test_a_form_that_was_tampered_with_is_refused(visitor: Visitor, marks: str) -> None:
    public = (await visitor.live.cron(name="kept"))["id"]
    path = f"{LIST}/{public}/edit"
    fields = (await form_at(visitor, path)).fields | {"name": "changed", "marks": marks}
    await save(visitor, path, fields)
    assert "That cannot be done" in await visitor.told(LIST)
    assert (await get(visitor, public))["name"] == "kept"
