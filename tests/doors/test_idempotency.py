from __future__ import annotations

import asyncio
from typing import Any

import pytest

from doors.live import Answer, Live
from mainspring.core.limits import HOUR, MINUTE

CREATE = "/v1/cron/create"
BODY: dict[str, Any] = {"cron_expr": "* * * * *", "task": "https://example.com/", "payload": {"a": 1, "b": [2, 3]}}


def replayed(answer: Answer) -> bool:
    return answer.headers.get("idempotency-replayed") == "true"


async def ids_of(live: Live) -> list[str]:
    return [item["id"] for item in (await live.get("/v1/cron/list")).data["items"]]


async def test_the_same_request_again_gets_the_first_answer_and_has_no_effect(live: Live) -> None:
    first = await live.post(CREATE, BODY, headers={"Idempotency-Key": "one"})
    assert not replayed(first)
    await live.call("PATCH", f"/v1/cron/update/{first.data['id']}", {"name": "changed meanwhile"})
    again = await live.post(CREATE, BODY, headers={"Idempotency-Key": "one"})
    assert replayed(again)
    assert again.data == first.data
    assert again.json["metadata"]["request_id"] != first.json["metadata"]["request_id"]
    assert await ids_of(live) == [first.data["id"]]


async def test_the_key_is_taken_from_header_then_body_then_query(live: Live) -> None:
    by_header = await live.post(
        f"{CREATE}?idempotency_key=q", BODY | {"idempotency_key": "b"}, headers={"Idempotency-Key": "h"}
    )
    by_body = await live.post(f"{CREATE}?idempotency_key=q", BODY | {"idempotency_key": "b"})
    by_query = await live.post(f"{CREATE}?idempotency_key=q", BODY | {"idempotency_key": None})
    assert not any(map(replayed, (by_header, by_body, by_query)))
    for first, options in [
        (by_header, {"headers": {"Idempotency-Key": "h"}}),
        (by_body, {"headers": {"Idempotency-Key": "b"}}),
        (by_query, {"headers": {"Idempotency-Key": "q"}}),
    ]:
        again = await live.post(CREATE, BODY, **options)
        assert (replayed(again), again.data["id"]) == (True, first.data["id"])
    assert len(await ids_of(live)) == 3


async def test_bodies_are_compared_by_what_they_say(live: Live) -> None:
    raw = b'{"task":"https:\\/\\/example.com/",\n "payload":{"b":[2,3], "a":1.0}, "cron_expr":"* * * * *"}'
    first = await live.post(CREATE, BODY | {"payload": {"a": 1.0, "b": [2, 3]}}, headers={"Idempotency-Key": "k"})
    assert replayed(await live.post(CREATE, raw=raw, headers={"Idempotency-Key": "k"}))
    for other in ({"payload": {"a": 1.0, "b": [3, 2]}}, {"name": "x"}, {"cron_expr": "0 * * * *"}, {"unknown": 1}):
        answer = await live.post(
            CREATE, BODY | {"payload": {"a": 1.0, "b": [2, 3]}} | other, headers={"Idempotency-Key": "k"}
        )
        assert answer.code == (422, "IDEMPOTENCY_MISMATCH")
    assert await ids_of(live) == [first.data["id"]]


async def test_ten_at_once_have_one_effect(live: Live) -> None:
    answers = await asyncio.gather(*(live.post(CREATE, BODY, headers={"Idempotency-Key": "race"}) for _ in range(10)))
    assert len({answer.data["id"] for answer in answers}) == 1
    assert sum(replayed(answer) for answer in answers) == 9
    assert len(await ids_of(live)) == 1


async def test_of_two_different_bodies_at_once_one_wins(live: Live) -> None:
    answers = await asyncio.gather(
        *(live.post(CREATE, BODY | {"name": f"n{n}"}, headers={"Idempotency-Key": "race"}) for n in range(6))
    )
    assert sorted(answer.status for answer in answers) == [200, 422, 422, 422, 422, 422]
    assert {a.error["code"] for a in answers if a.status == 422} == {"IDEMPOTENCY_MISMATCH"}


async def test_a_key_belongs_to_its_operation_its_path_and_its_project(live: Live) -> None:
    headers = {"Idempotency-Key": "shared"}
    first, second = await live.cron(), await live.cron()
    for job in (first, second):
        for verb in ("pause", "resume"):
            answer = await live.post(f"/v1/cron/{verb}/{job['id']}", headers=headers)
            assert (answer.data["id"], replayed(answer)) == (job["id"], False)
    assert replayed(await live.post(f"/v1/scheduling/cron/pause/{first['id']}", headers=headers))
    theirs = await live.key("cron:write", project="acme")
    ours = await live.post(CREATE, BODY, headers=headers)
    other = await live.post(CREATE, BODY, headers=headers, key=theirs)
    assert not replayed(other)
    assert other.data["id"] != ours.data["id"]


async def test_without_a_key_nothing_is_ever_taken_for_a_repeat(live: Live) -> None:
    for _ in range(3):
        await live.post(CREATE, BODY)
    assert len(await ids_of(live)) == 3


async def test_a_key_ends_after_24_hours(live: Live) -> None:
    first = await live.post(CREATE, BODY, headers={"Idempotency-Key": "k"})
    live.clock.ahead += 23 * HOUR
    assert replayed(await live.post(CREATE, BODY, headers={"Idempotency-Key": "k"}))
    live.clock.ahead += 2 * HOUR
    late = await live.post(CREATE, BODY, headers={"Idempotency-Key": "k"})
    assert not replayed(late)
    assert late.data["id"] != first.data["id"]


async def test_a_refusal_is_not_kept(live: Live) -> None:
    job = await live.cron()
    headers = {"Idempotency-Key": "k"}
    await live.post(f"/v1/cron/trigger/{job['id']}")
    assert (await live.post(f"/v1/cron/trigger/{job['id']}", headers=headers)).status == 409
    await live.call("PATCH", f"/v1/cron/update/{job['id']}", {"overlap_policy": "allow"})
    run = await live.post(f"/v1/cron/trigger/{job['id']}", headers=headers)
    assert not replayed(run)
    again = await live.post(f"/v1/cron/trigger/{job['id']}", headers=headers)
    assert (replayed(again), again.data) == (True, run.data)


WRITES = ["pause", "resume", "trigger", "update", "retention", "delete"]


@pytest.mark.parametrize("write", WRITES)
async def test_every_write_answers_its_repeat_also_when_the_job_is_gone(live: Live, write: str) -> None:
    job = await live.cron()
    method, path, body = {
        "update": ("PATCH", "update", {"name": "z"}),
        "retention": ("PUT", "retention/set", {"retention_days": 5}),
        "delete": ("DELETE", "delete", {}),
    }.get(write, ("POST", write, {}))
    headers = {"Idempotency-Key": "k"}
    first = await live.call(method, f"/v1/cron/{path}/{job['id']}", body, headers=headers)
    await live.call("DELETE", f"/v1/cron/delete/{job['id']}")
    again = await live.call(method, f"/v1/cron/{path}/{job['id']}", body, headers=headers)
    assert (replayed(again), again.data) == (True, first.data)
    other = await live.call(method, f"/v1/cron/{path}/{job['id']}", {**body, "more": 1}, headers=headers)
    assert other.code == (422, "IDEMPOTENCY_MISMATCH")
    without = await live.call(method, f"/v1/cron/{path}/{job['id']}", body)
    assert without.status == (200 if write == "delete" else 404)


async def test_a_task_is_scheduled_and_cancelled_once(live: Live) -> None:
    body = {"task": "https://example.com/", "run_at": "2100-01-01T00:00:00Z", "idempotency_key": "k"}
    first, again = [await live.post("/v1/scheduling/task/schedule", body) for _ in range(2)]
    assert (replayed(again), again.data) == (True, first.data)
    path = f"/v1/scheduling/task/cancel/{first.data['id']}?idempotency_key=c"
    first, again = [await live.call("DELETE", path) for _ in range(2)]
    assert (replayed(again), again.data) == (True, first.data)


async def test_a_secret_is_replayed_for_ten_minutes_and_then_left_out(live: Live) -> None:
    made = (await live.post("/v1/account/keys/create", {"name": "old"})).data
    for path, body in (
        ("/v1/account/keys/create", {"name": "x"}),
        (f"/v1/account/keys/rotate/{made['id']}", {"grace_hours": 0}),
    ):
        first = await live.post(path, body, headers={"Idempotency-Key": "k"})
        live.clock.ahead += 9 * MINUTE
        again = await live.post(path, body, headers={"Idempotency-Key": "k"})
        assert (replayed(again), again.data) == (True, first.data)
        live.clock.ahead += 2 * MINUTE
        late = await live.post(path, body, headers={"Idempotency-Key": "k"})
        assert (replayed(late), late.data) == (True, {**first.data, "key": None})
        assert (await live.get("/v1/cron/list", key=first.data["key"])).status == 200


@pytest.mark.parametrize("length", [1, 512])
async def test_keys_may_be_long(live: Live, length: int) -> None:
    for options in ({"headers": {"Idempotency-Key": "k" * length}}, {"body": BODY | {"idempotency_key": "ü" * length}}):
        first, again = [await live.post(CREATE, **{"body": BODY, **options}) for _ in range(2)]
        assert (replayed(first), replayed(again)) == (False, True)


@pytest.mark.parametrize("key", ["", "k" * 513, "a\x00b", 5, ["k"], {"k": 1}])
async def test_what_is_no_key_is_refused(live: Live, key: Any) -> None:
    answer = await live.post(CREATE, BODY | {"idempotency_key": key})
    assert (answer.code, answer.error["field"]) == ((422, "VALIDATION_FAILED"), "idempotency_key")
    assert await ids_of(live) == []
    if isinstance(key, str) and "\x00" not in key:
        by_header = await live.post(CREATE, BODY, headers={"Idempotency-Key": key})
        assert by_header.error["field"] == "idempotency_key"


async def test_reads_do_not_look_at_keys(live: Live) -> None:
    job = await live.cron()
    for name in ("before", "after"):
        await live.call("PATCH", f"/v1/cron/update/{job['id']}", {"name": name})
        answer = await live.get(f"/v1/cron/get/{job['id']}?idempotency_key=k", headers={"Idempotency-Key": "k"})
        assert (answer.data["name"], replayed(answer)) == (name, False)
