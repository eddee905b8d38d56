from __future__ import annotations

from typing import Any

import pytest

from doors.live import Live

SPELLINGS = {
    "reference": {"name": "weekly", "schedule": "0 9 * * 1", "url": "https://example.com/weekly", "retries": 2},
    "signature": {"cron_expr": "0 9 * * 1", "task": "https://example.com/weekly", "retry": 2},
    "example": {
        "cron_expr": "0 9 * * 1",
        "task_type": "http_url",
        "task_url": "https://example.com/weekly",
        "retries": 2,
    },
    "short": {"schedule": "0 9 * * 1", "http_url": "https://example.com/weekly", "retry": 2},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_every_spelling_makes_the_same_job_and_is_answered_with_every_name(live: Live, spelling: str) -> None:
    record = (await live.post("/v1/cron/create", SPELLINGS[spelling])).data
    assert record["id"] == record["cron_id"] == record["job_id"]
    assert record["id"].startswith("cron_")
    assert record["cron_expr"] == record["schedule"] == "0 9 * * 1"
    assert record["task"] == record["url"] == record["task_url"] == "https://example.com/weekly"
    assert record["task_type"] == "http_url"
    assert record["retry"] == record["retries"] == 2
    assert record["enabled"] is True
    assert record["next_run_at"].endswith("T09:00:00.000Z")
    assert (await live.get(f"/v1/cron/get/{record['id']}")).data == record


async def test_what_is_left_out_or_null_has_its_default(live: Live) -> None:
    given: dict[str, Any] = {"cron_expr": "0 9 * * 1", "task": "https://example.com/a/b/"}
    plain = (await live.post("/v1/cron/create", given)).data
    assert {
        "name": "example.com/a/b",
        "method": "POST",
        "timezone": "UTC",
        "dialect": "standard",
        "retry": 3,
        "retry_delays": None,
        "timeout_seconds": 300,
        "overlap_policy": "skip",
        "catchup": "latest",
        "catchup_window_seconds": 86_400,
        "max_runs": None,
        "run_count": 0,
        "payload": None,
        "headers": None,
        "on_failure_webhook": None,
        "expect": None,
        "run_at": None,
        "last_run_at": None,
        "last_state": None,
        "completed_at": None,
        "retention_days": 30,
        "retention_runs": 10_000,
    }.items() <= plain.items()
    nulls = dict.fromkeys(
        ["name", "method", "timezone", "dialect", "retry", "retries", "retry_delays", "timeout_seconds",
         "overlap_policy", "catchup", "catchup_window_seconds", "max_runs", "payload", "headers", "secret",
         "signature_style", "on_failure_webhook", "expect", "retention_days", "retention_runs", "run_at",
         "schedule", "url", "idempotency_key"]
    )  # fmt: skip
    same = (await live.post("/v1/cron/create", given | nulls)).data
    different = {"id", "cron_id", "job_id", "created_at", "updated_at"}
    assert {k: v for k, v in same.items() if k not in different} == {
        k: v for k, v in plain.items() if k not in different
    }


FULL: dict[str, Any] = {
    "cron_expr": "*/5 * * * *",
    "task": "https://example.com/hook?a=1",
    "method": "PUT",
    "name": "mine",
    "timezone": "Europe/Berlin",
    "dialect": "standard",
    "retry": 5,
    "retry_delays": [1, 2.5],
    "timeout_seconds": 12.5,
    "overlap_policy": "queue",
    "catchup": "all",
    "catchup_window_seconds": 3600,
    "max_runs": 7,
    "payload": {"a": [1, {"b": None}]},
    "headers": {"X-Token": "hidden", "User-Agent": "mine"},
    "secret": "a signing secret",
    "signature_style": "timestamp.body",
    "on_failure_webhook": "https://example.com/failed",
    "expect": {"status": [200, 204], "body_regexp": "ok"},
    "retention_days": 3,
    "retention_runs": 4,
}


async def test_every_field_is_kept_and_a_record_sent_back_changes_nothing(live: Live) -> None:
    record = (await live.post("/v1/cron/create", FULL)).data
    shown = {**FULL, "headers": {"X-Token": "***", "User-Agent": "***"}}
    del shown["secret"]
    assert shown.items() <= record.items()
    assert record["signed"] is True
    answer = await live.call("PATCH", f"/v1/cron/update/{record['id']}", record)
    assert {**answer.data, "updated_at": None} == {**record, "updated_at": None}
    entry = await live.store.schedules.get("default", "cron", int_of(record["id"]))
    assert entry is not None
    assert entry.target.id == entry.schedule.target_id
    opened = live.core.vault.unseal(entry.target.headers or b"", "headers")
    assert b"hidden" in opened
    assert live.core.vault.unseal(entry.target.secret or b"", "secret") == b"a signing secret"


def int_of(public: str) -> int:
    from mainspring.core import ids

    key = ids.key_of(public.partition("_")[0], public)
    assert key is not None
    return key


async def test_a_payload_is_kept_byte_for_byte(live: Live) -> None:
    payload = b'{ "z":1,  "a" : [1.0, 1e400, 12345678901234567890123456789012345678901234567890, "\\u00e9\xc3\xa9"] }'
    raw = b'{"cron_expr":"0 9 * * 1","task":"https://example.com/","payload":' + payload + b"}"
    answer = await live.post("/v1/cron/create", raw=raw)
    assert payload in answer.raw
    entry = await live.store.schedules.get("default", "cron", int_of(answer.json["data"]["id"]))
    assert entry is not None
    assert entry.target.payload == payload


@pytest.mark.parametrize(
    ("expect", "shown"),
    [
        ({"status": "2xx"}, None),
        ({"status": 204}, {"status": [204], "body_regexp": None}),
        ({"body_regexp": "done"}, {"status": "2xx", "body_regexp": "done"}),
        ({"status": "2xx", "body_regexp": "done"}, {"status": "2xx", "body_regexp": "done"}),
        ({}, None),
    ],
)
async def test_expect_is_shown_as_it_works(live: Live, expect: dict[str, Any], shown: Any) -> None:
    assert (await live.cron(expect=expect))["expect"] == shown


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"cron_expr": None}, "VALIDATION_FAILED", "cron_expr"),
    ({"task": None}, "VALIDATION_FAILED", "task"),
    ({"cron_expr": "61 * * * *"}, "VALIDATION_FAILED", "cron_expr"),
    ({"cron_expr": ""}, "VALIDATION_FAILED", "cron_expr"),
    ({"cron_expr": 5}, "VALIDATION_FAILED", "cron_expr"),
    ({"cron_expr": "0 0 30 2 *"}, "NEVER_FIRES", "cron_expr"),
    ({"run_at": "2030-01-01T00:00:00Z"}, "VALIDATION_FAILED", "cron_expr"),
    ({"cron_expr": None, "run_at": "tomorrow"}, "VALIDATION_FAILED", "run_at"),
    ({"cron_expr": None, "run_at": 1_800_000_000}, "VALIDATION_FAILED", "run_at"),
    ({"schedule": "1 1 1 1 *"}, "VALIDATION_FAILED", "schedule"),
    ({"url": "https://other.example/"}, "VALIDATION_FAILED", "url"),
    ({"retry": 3, "retries": 4}, "VALIDATION_FAILED", "retries"),
    ({"task": "ftp://example.com/"}, "VALIDATION_FAILED", "task"),
    ({"task": "example.com"}, "VALIDATION_FAILED", "task"),
    ({"task": "https://example.com/", "task_type": "queue"}, "VALIDATION_FAILED", "task"),
    ({"task": "emails", "headers": {"A": "b"}}, "VALIDATION_FAILED", "headers"),
    ({"task": "emails", "secret": "s"}, "VALIDATION_FAILED", "secret"),
    ({"task": "emails", "expect": {"status": 200}}, "VALIDATION_FAILED", "expect"),
    ({"task": "emails", "task_type": "http_url"}, "VALIDATION_FAILED", "task"),
    ({"task_type": "carrier-pigeon"}, "VALIDATION_FAILED", "task_type"),
    ({"task": "http://10.0.0.1/"}, "TARGET_FORBIDDEN", "task"),
    ({"task": "http://2852039166/"}, "TARGET_FORBIDDEN", "task"),
    ({"task": "http://[::ffff:169.254.169.254]/"}, "TARGET_FORBIDDEN", "task"),
    ({"on_failure_webhook": "http://192.168.1.1/"}, "TARGET_FORBIDDEN", "on_failure_webhook"),
    ({"method": "TRACE"}, "VALIDATION_FAILED", "method"),
    ({"name": ""}, "VALIDATION_FAILED", "name"),
    ({"name": "x" * 256}, "VALIDATION_FAILED", "name"),
    ({"name": "a\x00b"}, "VALIDATION_FAILED", "name"),
    ({"timezone": "Mars/Olympus"}, "VALIDATION_FAILED", "timezone"),
    ({"timezone": "../../etc/passwd"}, "VALIDATION_FAILED", "timezone"),
    ({"timezone": "UTC\x00"}, "VALIDATION_FAILED", "timezone"),
    ({"timezone": "x" * 65}, "VALIDATION_FAILED", "timezone"),
    ({"cron_expr": "* * * * *\x00"}, "VALIDATION_FAILED", "cron_expr"),
    ({"task": "https://example.com/\x00"}, "VALIDATION_FAILED", "task"),
    ({"task": "https://example.com/" + "x" * 2048}, "VALIDATION_FAILED", "task"),
    ({"task": "https://user:pass@example.com/"}, "VALIDATION_FAILED", "task"),
    ({"cron_expr": "CRON_TZ=Asia/Tokyo 0 9 * * *", "timezone": "UTC"}, "VALIDATION_FAILED", "timezone"),
    ({"dialect": "vixie"}, "VALIDATION_FAILED", "dialect"),
    ({"retry": 11}, "VALIDATION_FAILED", "retry"),
    ({"retry": -1}, "VALIDATION_FAILED", "retry"),
    ({"retry": "3"}, "VALIDATION_FAILED", "retry"),
    ({"retry": True}, "VALIDATION_FAILED", "retry"),
    ({"retry": 1.5}, "VALIDATION_FAILED", "retry"),
    ({"retry_delays": [1] * 51}, "VALIDATION_FAILED", "retry_delays"),
    ({"retry_delays": [-1]}, "VALIDATION_FAILED", "retry_delays[0]"),
    ({"timeout_seconds": 0}, "VALIDATION_FAILED", "timeout_seconds"),
    ({"timeout_seconds": 901}, "VALIDATION_FAILED", "timeout_seconds"),
    ({"overlap_policy": "maybe"}, "VALIDATION_FAILED", "overlap_policy"),
    ({"catchup": "some"}, "VALIDATION_FAILED", "catchup"),
    ({"catchup_window_seconds": -1}, "VALIDATION_FAILED", "catchup_window_seconds"),
    ({"max_runs": 0}, "VALIDATION_FAILED", "max_runs"),
    ({"headers": {"Host": "x"}}, "VALIDATION_FAILED", "headers.Host"),
    ({"headers": {"webhook-id": "x"}}, "VALIDATION_FAILED", "headers.webhook-id"),
    ({"headers": {"X": "a\r\nb: c"}}, "VALIDATION_FAILED", "headers.X"),
    ({"headers": {"X": 1}}, "VALIDATION_FAILED", "headers"),
    ({"headers": {f"X-{n}": "" for n in range(51)}}, "VALIDATION_FAILED", "headers"),
    ({"headers": {"X": "x" * 8192}}, "VALIDATION_FAILED", "headers"),
    ({"headers": {"X": "***"}}, "VALIDATION_FAILED", "headers.X"),
    ({"secret": ""}, "VALIDATION_FAILED", "secret"),
    ({"secret": "whsec_short"}, "VALIDATION_FAILED", "secret"),
    ({"signature_style": "none"}, "VALIDATION_FAILED", "signature_style"),
    ({"expect": {"status": "3xx"}}, "VALIDATION_FAILED", "expect.status"),
    ({"expect": {"status": [99]}}, "VALIDATION_FAILED", "expect.status[0]"),
    ({"expect": {"body_regexp": "("}}, "VALIDATION_FAILED", "expect.body_regexp"),
    ({"expect": {"body_regexp": "(?=x)"}}, "VALIDATION_FAILED", "expect.body_regexp"),
    ({"expect": "2xx"}, "VALIDATION_FAILED", "expect"),
    ({"retention_days": 3651}, "VALIDATION_FAILED", "retention_days"),
    ({"idempotency_key": 5}, "VALIDATION_FAILED", "idempotency_key"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code", "field"), REFUSED, ids=[f"{field}-{n}" for n, (_, _, field) in enumerate(REFUSED)]
)
async def test_what_cannot_be_is_refused_by_name(live: Live, change: dict[str, Any], code: str, field: str) -> None:
    answer = await live.post("/v1/cron/create", {"cron_expr": "* * * * *", "task": "https://example.com/"} | change)
    assert answer.code == (422, code)
    assert answer.error["field"] == field
    assert (await live.get("/v1/cron/list")).data["items"] == []


async def test_a_forbidden_target_is_answered_with_the_setting_that_allows_it(live: Live) -> None:
    answer = await live.post("/v1/cron/create", {"cron_expr": "* * * * *", "task": "http://10.1.2.3/"})
    assert "MAINSPRING_ALLOW_TARGETS=127.0.0.0/8,10.1.2.3" in answer.error["hint"]


async def test_an_expression_that_does_not_parse_is_refused_with_the_position(live: Live) -> None:
    answer = await live.post("/v1/cron/create", {"cron_expr": "0 99 * * *", "task": "https://example.com/"})
    assert "position 2" in answer.error["message"]


async def test_a_payload_over_its_limit_is_too_large(live: Live) -> None:
    most = 256 * 1024
    await live.cron(payload="x" * (most - 2))
    answer = await live.post(
        "/v1/cron/create", {"cron_expr": "* * * * *", "task": "https://example.com/", "payload": "x" * (most - 1)}
    )
    assert answer.code == (413, "PAYLOAD_TOO_LARGE")
    assert answer.error["field"] == "payload"


async def test_update_changes_what_it_names_and_nothing_else(live: Live) -> None:
    before = (await live.post("/v1/cron/create", FULL)).data
    path = f"/v1/cron/update/{before['id']}"
    assert (await live.call("PATCH", path, {})).data | {"updated_at": 0} == before | {"updated_at": 0}
    after = (await live.call("PATCH", path, {"url": "https://example.com/new", "retries": 0, "payload": None})).data
    changed = {name for name in before if before[name] != after[name]}
    assert changed - {"updated_at"} == {"task", "url", "task_url", "retry", "retries", "payload"}
    once = (await live.call("PATCH", path, {"run_at": "2031-05-06T07:08:09.5+02:00"})).data
    assert once["run_at"] == once["next_run_at"] == "2031-05-06T05:08:09.500Z"
    assert once["cron_expr"] is once["schedule"] is None
    again = (await live.call("PATCH", path, {"schedule": "0 0 1 1 *", "timezone": None})).data
    assert again["run_at"] is None
    assert again["timezone"] == "UTC"
    assert again["next_run_at"].endswith("-01-01T00:00:00.000Z")


async def test_what_has_no_default_stays_when_it_is_null(live: Live) -> None:
    job = await live.cron()
    answer = await live.call("PATCH", f"/v1/cron/update/{job['id']}", {"task": None, "schedule": None, "run_at": None})
    assert answer.data | {"updated_at": 0} == job | {"updated_at": 0}


async def test_update_is_refused_as_creation_is(live: Live) -> None:
    job = await live.cron()
    path = f"/v1/cron/update/{job['id']}"
    assert (await live.call("PATCH", path, {"cron_expr": "x"})).code == (422, "VALIDATION_FAILED")
    assert (await live.call("PATCH", path, {"task": "http://10.0.0.1/"})).code == (422, "TARGET_FORBIDDEN")
    assert (await live.call("PATCH", path, {"cron_expr": "0 0 31 2 *"})).code == (422, "NEVER_FIRES")
    assert (await live.get(f"/v1/cron/get/{job['id']}")).data == job


async def test_pause_resume_and_what_the_record_says(live: Live) -> None:
    job = await live.cron()
    paused = (await live.post(f"/v1/cron/pause/{job['id']}", {"cron_id": "..."})).data
    assert (paused["cron_id"], paused["enabled"], paused["next_run_at"]) == (job["id"], False, None)
    assert paused["paused_at"] is not None
    resumed = (await live.post(f"/v1/cron/resume/{job['id']}")).data
    assert (resumed["enabled"], resumed["paused_at"]) == (True, None)
    assert resumed["next_run_at"] is not None


async def test_a_path_parameter_wins_over_the_body_without_a_warning(live: Live) -> None:
    job = await live.cron()
    names = {"id": "x", "cron_id": "y", "job_id": 5, "queue": None}
    for path in ("pause", "resume", "trigger"):
        answer = await live.post(f"/v1/cron/{path}/{job['id']}", names)
        assert answer.status == 200
        assert answer.warnings == []
    answer = await live.call("PATCH", f"/v1/cron/update/{job['id']}", {**names, "name": "z"})
    assert (answer.data["id"], answer.data["name"], answer.warnings) == (job["id"], "z", [])


async def test_delete_answers_again_and_the_job_is_gone(live: Live) -> None:
    job = await live.cron()
    for _ in range(2):
        answer = await live.call("DELETE", f"/v1/cron/delete/{job['id']}", {})
        assert answer.data == {"id": job["id"], "cron_id": job["id"], "job_id": job["id"], "deleted": True}
    for method, path in [
        ("GET", "get"), ("PATCH", "update"), ("POST", "pause"), ("POST", "resume"), ("POST", "trigger"),
        ("GET", "runs/list"), ("GET", "retention/get"), ("GET", "occurrences/list"),
    ]:  # fmt: skip
        assert (await live.call(method, f"/v1/cron/{path}/{job['id']}")).code == (404, "NOT_FOUND")
    assert (await live.get("/v1/cron/list")).data == {"items": [], "next_cursor": None}


async def test_retention_is_shown_and_set(live: Live) -> None:
    job = await live.cron()
    path = f"/v1/cron/retention/set/{job['id']}"
    assert (await live.get(f"/v1/cron/retention/get/{job['id']}")).data == {
        "id": job["id"], "cron_id": job["id"], "job_id": job["id"], "retention_days": 30, "retention_runs": 10_000,
    }  # fmt: skip
    assert (await live.call("PUT", path, {"retention_days": 0})).data["retention_days"] == 0
    both = (await live.call("PUT", path, {"retention_days": 3650, "retention_runs": 5})).data
    assert (both["retention_days"], both["retention_runs"]) == (3650, 5)
    assert (await live.call("PUT", path, {"retention_days": 3651})).code == (422, "VALIDATION_FAILED")
    assert (await live.get(f"/v1/cron/get/{job['id']}")).data["retention_days"] == 3650


async def test_trigger_runs_now_also_while_paused_and_obeys_the_overlap_policy(live: Live) -> None:
    skip = await live.cron(overlap_policy="skip")
    await live.post(f"/v1/cron/pause/{skip['id']}")
    run = (await live.post(f"/v1/cron/trigger/{skip['id']}", {"job_id": "cron_01HX..."})).data
    assert run["cron_id"] == run["job_id"] == skip["id"]
    assert (run["trigger"], run["state"], run["attempt"]) == ("manual", "queued", 0)
    assert run["started_at"]
    assert live.wakeups.dispatchers >= 1
    assert (await live.post(f"/v1/cron/trigger/{skip['id']}")).code == (409, "CONFLICT")
    for policy in ("queue", "allow"):
        job = await live.cron(overlap_policy=policy)
        runs = [(await live.post(f"/v1/cron/trigger/{job['id']}")).data["state"] for _ in range(3)]
        assert runs == ["queued"] * 3


async def test_a_triggered_run_carries_its_own_payload(live: Live) -> None:
    job = await live.cron(payload={"n": 1})
    run = (await live.post(f"/v1/cron/trigger/{job['id']}", raw=b'{"payload": {"n" : 2} }')).data
    stored = await live.store.runs.get("default", int_of(run["run_id"]))
    assert stored is not None
    assert stored[0].payload == b'{"n" : 2}'
    assert (await live.post(f"/v1/cron/trigger/{job['id']}", {"payload": "x" * 300_000})).status == 413


async def test_lists_go_page_by_page_newest_first(live: Live) -> None:
    made = [(await live.cron(name=f"job {n}"))["id"] for n in range(7)]
    seen: list[str] = []
    cursor, pages = "", 0
    while True:
        page = (await live.get(f"/v1/cron/list?limit=3&cursor={cursor}")).data
        seen += [item["id"] for item in page["items"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
        if pages == 1:
            await live.cron(name="made meanwhile")
    assert seen == made[::-1]
    assert pages == 3


async def test_unknown_fields_are_listed_not_refused(live: Live) -> None:
    answer = await live.post(
        "/v1/cron/create",
        {"cron_expr": "* * * * *", "task": "https://example.com/", "colour": 1, "expect": {"statuses": [200]}},
    )
    assert answer.status == 200
    assert answer.warnings == ["unknown field: colour", "unknown field: expect.statuses"]
    assert (await live.post(f"/v1/cron/pause/{answer.data['id']}", {"why": "x"})).warnings == ["unknown field: why"]
