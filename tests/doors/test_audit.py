from __future__ import annotations

import asyncio
from typing import Any

import pytest

from doors.live import KEY, Live
from mainspring.core.ids import key_of
from mainspring.core.instants import iso
from mainspring.core.limits import HOUR
from mainspring.doors.rest.operations import OPERATIONS

JOB = {"cron_expr": "* * * * *", "task": "http://127.0.0.1:9/hook"}

# Writes that move work and change no setting and no right. Every other one is audited.
WORK = {
    "cron.trigger",
    "task.schedule",
    "task.cancel",
    "run.replay",
    "queue.publish",
    "queue.publish_batch",
    "queue.consume",
    "queue.ack",
    "queue.ack_batch",
    "queue.nack",
    "queue.release",
    "queue.extend",
    "queue.dlq.redrive",
    "webhook.send",
    "webhook.emit",
    "webhook.cancel",
    "webhook.replay",
    "webhook.replay_many",
    "account.webhooks.test",
    "account.webhooks.recover",
    "account.topup",
    "activate",
}


async def log(live: Live, query: str = "", **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await live.get(f"/v1/account/audit/list{query}", **options)).data["items"]
    return found


def test_every_write_is_audited_or_known_to_change_no_setting() -> None:
    for operation in OPERATIONS:
        assert operation.audited is (operation.method != "GET" and operation.id not in WORK), operation.id


async def test_an_entry_says_who_did_what_from_where_and_nothing_that_is_secret(both: Live) -> None:
    secret = await both.key("cron:write", "cron:read")
    told = {"secret": "canary-of-the-job", "headers": {"X-Token": "canary-of-a-header"}}
    made = await both.post("/v1/cron/create", JOB | told, key=secret)
    keys = {item["shown"]: item["id"] for item in (await both.get("/v1/account/keys/list")).data["items"]}
    answer = await both.get("/v1/account/audit/list")
    [entry] = answer.data["items"]
    shown = "msk_…" + secret[-4:]
    assert entry == {
        "id": entry["id"],
        "at": entry["at"],
        "project_id": "default",
        "operation": "cron.create",
        "object": made.data["id"],
        "fields": entry["fields"],
        "key_id": keys[shown],
        "key_shown": shown,
        "ip": "127.0.0.1",
        "request_id": made.headers["x-request-id"],
        "hash": entry["hash"],
    }
    assert set(entry["fields"]) == {"cron_expr", "task", "secret", "headers"}
    assert key_of("aud", entry["id"]) == 1
    assert iso(both.clock() - HOUR) < entry["at"] < iso(both.clock() + HOUR)
    for canary in (secret, "canary"):
        assert canary.encode() not in answer.raw


async def test_each_change_is_an_entry_named_after_its_object(both: Live) -> None:
    job = (await both.post("/v1/cron/create", JOB)).data["id"]
    for method, path, body in (
        ("PATCH", f"update/{job}", {"name": "x"}),
        ("POST", f"pause/{job}", None),
        ("POST", f"resume/{job}", None),
        ("PUT", f"retention/set/{job}", {"retention_days": 3}),
        ("POST", f"trigger/{job}", None),
        ("DELETE", f"delete/{job}", None),
    ):
        assert (await both.call(method, f"/v1/cron/{path}", body)).status == 200
    await both.post("/v1/queue/create", {"name": "q"})
    await both.post("/v1/queue/publish", {"queue": "q", "payload": 1})
    await both.post("/v1/queue/purge/q")
    pushed = (await both.post("/v1/queue/push_subscribe/q", {"url": "http://127.0.0.1:9/"})).data["subscription_id"]
    await both.call("DELETE", f"/v1/queue/push_unsubscribe/q/{pushed}")
    await both.call("DELETE", "/v1/queue/delete/q")
    assert [(entry["operation"], entry["object"], entry["fields"]) for entry in (await log(both))[::-1]] == [
        ("cron.create", job, ["cron_expr", "task"]),
        ("cron.update", job, ["name"]),
        ("cron.pause", job, []),
        ("cron.resume", job, []),
        ("cron.retention.set", job, ["retention_days"]),
        ("cron.delete", job, []),
        ("queue.create", "q", ["name"]),
        ("queue.purge", "q", []),
        ("queue.push_subscribe", f"q/{pushed}", ["url"]),
        ("queue.push_unsubscribe", f"q/{pushed}", []),
        ("queue.delete", "q", []),
    ]


async def test_keys_are_noted_in_their_project_with_the_one_that_takes_their_place(both: Live) -> None:
    made = (await both.post("/v1/account/keys/create", {"name": "x", "project_id": "acme", "scopes": ["admin"]})).data
    theirs = {"project_id": "acme"}
    other = (await both.post(f"/v1/account/keys/rotate/{made['id']}", theirs)).data
    for _ in range(2):
        await both.call("DELETE", f"/v1/account/keys/revoke/{made['id']}", theirs)
    assert await log(both) == []
    for part, count in ((made["id"], 3), (other["id"], 1), (made["id"][:-1], 0), ("KEY" + made["id"][3:], 0)):
        assert len(await log(both, f"?project_id=acme&object={part}")) == count
    entries = await log(both, "?project_id=acme")
    assert [(entry["operation"], entry["object"]) for entry in entries] == [
        ("account.keys.revoke", made["id"]),
        ("account.keys.rotate", f"{made['id']}/{other['id']}"),
        ("account.keys.create", made["id"]),
    ]
    assert await log(both, key=other["key"]) == entries
    assert (await both.get("/v1/account/audit/list?project_id=default", key=other["key"])).code == (403, "FORBIDDEN")
    for secret in (made["key"], other["key"], KEY):
        assert secret.encode() not in (await both.get("/v1/account/audit/list?project_id=acme")).raw


async def test_what_is_refused_or_repeated_is_not_noted(both: Live) -> None:
    for _ in range(2):
        await both.post("/v1/cron/create", JOB, headers={"Idempotency-Key": "k"})
    assert (await both.post("/v1/cron/create", JOB | {"cron_expr": "never"})).status == 422
    assert (await both.post("/v1/cron/create", JOB | {"name": "x"}, headers={"Idempotency-Key": "k"})).status == 422
    assert (await both.post("/v1/cron/pause/cron_0000000000000")).status == 404
    assert (await both.post("/v1/cron/create", JOB, key=await both.key("cron:read"))).status == 403
    assert len(await log(both)) == 1


async def test_the_log_is_read_page_by_page_and_asked_for_some_of_it(live: Live) -> None:
    jobs = [(await live.post("/v1/cron/create", JOB)).data["id"] for _ in range(3)]
    await live.post(f"/v1/cron/pause/{jobs[0]}")
    first = (await live.get("/v1/account/audit/list?limit=3")).data
    rest = (await live.get(f"/v1/account/audit/list?limit=3&cursor={first['next_cursor']}")).data
    assert [entry["object"] for entry in first["items"] + rest["items"]] == [jobs[0], *jobs[::-1]]
    assert rest["next_cursor"] is None
    assert [entry["operation"] for entry in await log(live, f"?object={jobs[0]}")] == ["cron.pause", "cron.create"]
    assert len(await log(live, "?operation=cron.create")) == 3
    key_id = first["items"][0]["key_id"]
    assert len(await log(live, f"?key_id={key_id}")) == 4
    assert await log(live, "?key_id=key_0000000000000") == []
    assert await log(live, f"?since={iso(live.clock() + HOUR)}") == []
    assert (await live.get("/v1/account/audit/list?since=yesterday")).error["field"] == "since"
    assert (await live.get(f"/v1/account/keys/list?cursor={first['next_cursor']}")).status == 422


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "PUT"])
async def test_nobody_writes_in_it(live: Live, method: str) -> None:
    assert (await live.call(method, "/v1/account/audit/list")).status == 405


async def test_many_at_once_are_all_there(both: Live) -> None:
    made = await asyncio.gather(*(both.post("/v1/cron/create", JOB) for _ in range(60)))
    entries = await log(both, "?limit=100")
    assert sorted(entry["object"] for entry in entries) == sorted(answer.data["id"] for answer in made)
    assert [key_of("aud", entry["id"]) for entry in entries] == list(range(60, 0, -1))


async def test_tasks_of_the_crontab_door_are_noted_too(live: Live) -> None:
    task = {"name": "t", "enable": 1, "module": 2, "type": 2, "start_time": "0 * * * * *",
            "url": "http://127.0.0.1:9/", "method": "post"}  # fmt: skip
    await live.post("/crontab/add_task", {"task_list": [task]})
    await live.post("/crontab/update_task", {"task_list": [{"name": "t", "enable": 0}]})
    entries = await log(live)
    assert [entry["operation"] for entry in entries] == ["crontab.update_task", "crontab.add_task"]
    [job] = (await live.get("/v1/cron/list")).data["items"]
    assert {entry["object"] for entry in entries} == {job["id"]}
    assert entries[0]["key_shown"].endswith(KEY[-4:])


async def test_webhook_endpoints_are_noted_and_their_secrets_are_not(live: Live) -> None:
    register = {"url": "http://127.0.0.1:9/", "secret": "canary-of-the-endpoint"}
    made = (await live.post("/v1/account/webhooks/register", register)).data["id"]
    rotated = (await live.post(f"/v1/account/webhooks/rotate/{made}")).data["secret"]
    assert (await live.call("PATCH", f"/v1/account/webhooks/update/{made}", {"description": "x"})).status == 200
    assert (await live.call("DELETE", f"/v1/account/webhooks/delete/{made}")).status == 200
    answer = await live.get("/v1/account/audit/list")
    assert [(entry["operation"].rpartition(".")[2], entry["object"]) for entry in answer.data["items"]] == [
        ("delete", made), ("update", made), ("rotate", made), ("register", made),
    ]  # fmt: skip
    assert b"canary" not in answer.raw
    assert rotated.encode() not in answer.raw
