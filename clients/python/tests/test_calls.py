"""Calls to a real server."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mainspring_client import (
    NULL,
    AsyncClient,
    Client,
    Conflict,
    IdempotencyMismatch,
    NoKey,
    NotFound,
    Unauthorized,
    ValidationFailed,
    infra,
    operations,
)

if TYPE_CHECKING:
    from conftest import Server

TARGET = "http://127.0.0.1:9/hook"


def test_a_cron_job_lives_its_life(client: Client) -> None:
    job = client.cron.create("0 9 * * *", TARGET, name="digest", retries=2, payload={"a": 1})
    assert job["cron_id"] == job["id"] == job.get("job_id")
    assert job["schedule"] == "0 9 * * *"
    assert job["retry"] == 2
    assert job["_metadata"]["vendor"] == "mainspring"
    assert client.cron.get(job["id"])["name"] == "digest"
    assert client.cron.update(job["id"], max_runs=3)["max_runs"] == 3
    assert client.cron.update(job["id"], name="other")["max_runs"] == 3
    assert client.cron.update(job["id"], max_runs=NULL)["max_runs"] is None
    assert client.cron.retention.set(job["id"], retention_days=2)["retention_days"] == 2
    run = client.cron.trigger(job["id"], payload={"by": "hand"})
    assert client.cron.runs.get(job["id"], run["run_id"])["attempts"] is not None
    assert [each["run_id"] for each in client.cron.runs.list(job["id"])["items"]] == [run["run_id"]]
    assert client.run.get(run["run_id"])["cron_id"] == job["id"]
    with pytest.raises(NotFound):
        client.run.replay("run_0000000000000")
    assert client.cron.delete(job["id"])["deleted"] is True
    with pytest.raises(NotFound) as caught:
        client.cron.get(job["id"])
    assert caught.value.request_id
    assert caught.value.hint


def test_the_other_spellings_do_too(client: Client) -> None:
    job = client.cron.create(schedule="*/5 * * * *", url=TARGET, name="x")
    assert (job["cron_expr"], job["task"]) == ("*/5 * * * *", TARGET)


def test_a_task_takes_a_datetime(client: Client) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    task = client.task.schedule(TARGET, at)
    assert datetime.fromisoformat(task["run_at"]) == at.replace(microsecond=at.microsecond // 1000 * 1000)
    assert client.task.cancel(task["task_id"])["state"] == "cancelled"


def test_one_key_is_one_effect(client: Client) -> None:
    first = client.queue.publish("once", {"n": 1}, idempotency_key="the-key")
    assert client.queue.publish("once", {"n": 1}, idempotency_key="the-key")["id"] == first["id"]
    assert client.queue.stats("once")["available"] == 1
    with pytest.raises(IdempotencyMismatch):
        client.queue.publish("once", {"n": 2}, idempotency_key="the-key")
    client.queue.publish("once", {"n": 1})
    client.queue.publish("once", {"n": 1})
    assert client.queue.stats("once")["available"] == 3


def test_a_wrong_argument_names_its_field(client: Client) -> None:
    with pytest.raises(ValidationFailed) as caught:
        client.cron.create("0 25 * * *", TARGET)
    assert caught.value.field == "cron_expr"
    client.queue.create("one-of-two")
    with pytest.raises(Conflict):
        client.queue.create("one-of-two", max_retries=9)


@pytest.mark.parametrize("payload", [None, 0, "text", [], {"ü": [1, None, {"deep": "✓"}]}])
def test_any_json_goes_through_a_queue(client: Client, payload: object) -> None:
    sent = client.queue.publish("anything", payload)
    [message] = client.queue.consume("anything")["messages"]
    assert (message["message_id"], message["payload"]) == (sent["message_id"], payload)
    assert client.queue.ack("anything", message["message_id"], receipt=message["receipt"])["acked"] is True


def test_queues_may_be_named_with_dots_alone(client: Client) -> None:
    assert client.queue.create("..")["name"] == ".."
    assert client.queue.get("..")["name"] == ".."
    client.queue.delete("..")


def test_listings_go_on_over_pages(client: Client) -> None:
    names = {f"page-{number}" for number in range(7)}
    for name in names:
        client.queue.create(name)
    found = [queue["name"] for queue in client.each(client.queue.list, limit=2)]
    assert len(found) == len(set(found))
    assert names <= set(found)


async def test_listings_go_on_when_awaited(async_client: AsyncClient) -> None:
    for number in range(3):
        await async_client.queue.create(f"awaited-{number}")
    found = [queue["name"] async for queue in async_client.each(async_client.queue.list, limit=2)]
    assert {"awaited-0", "awaited-1", "awaited-2"} <= set(found)


async def test_calls_may_be_awaited(async_client: AsyncClient) -> None:
    job = await async_client.cron.create("0 9 * * *", TARGET)
    assert (await async_client.cron.get(job["id"]))["id"] == job["id"]
    with pytest.raises(NotFound):
        await async_client.cron.get("cron_0000000000000")


def test_any_operation_may_be_called_by_its_id(client: Client) -> None:
    assert client.call("cron.preview", {"cron_expr": "0 9 * * *", "count": 2})["next"][1]
    with pytest.raises(KeyError):
        client.call("cron.dance")


def test_ignored_fields_are_told(client: Client) -> None:
    result = client.call("queue.create", {"name": "warned", "colour": "red"})
    assert "colour" in str(result._metadata["warnings"])


def test_a_wrong_key_and_none_are_told_apart(
    server: Server, tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client("not-a-key", server.url) as client, pytest.raises(Unauthorized):
        client.cron.list()
    monkeypatch.chdir(tmp_path)
    for name, value in {"HOME": str(tmp_path), "MAINSPRING_API_KEY": "", "INFRAI_API_KEY": ""}.items():
        monkeypatch.setenv(name, value)
    with Client(base_url=server.url) as client, pytest.raises(NoKey, match="MAINSPRING_API_KEY"):
        client.cron.list()


def test_a_client_may_be_closed_and_used_again(client: Client) -> None:
    client.account.balance()
    client.close()
    assert client.account.balance()["balance_usd"] == 0


def test_every_operation_has_an_id_of_its_own() -> None:
    assert len(operations.BY_ID) >= 50
    assert infra.cron is not None
