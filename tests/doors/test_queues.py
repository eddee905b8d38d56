"""Queues over REST: settings, numbers, who may do what."""

from __future__ import annotations

from typing import Any

import pytest

from doors.live import Live
from doors.queueing import Desk, counts

DEFAULTS = {
    "type": "standard",
    "dead_letter_queue": None,
    "max_retries": 5,
    "message_retention_days": 14,
    "visibility_timeout_default": 30,
    "enable_priority": True,
    "paused": False,
}


@pytest.mark.parametrize("family", ["/v1/queue", "/v1/scheduling/queue"])
async def test_a_queue_has_the_defaults_and_answers_to_both_names(both: Live, family: str) -> None:
    desk = Desk(both, "orders", family=family)
    made = await desk.make()
    assert made["queue"] == made["name"] == "orders"
    assert DEFAULTS.items() <= made.items()
    assert await desk.look("get") == made
    nulls = dict.fromkeys([*DEFAULTS, "idempotency_key"])
    assert await desk.make(**{name: value for name, value in nulls.items() if name != "paused"}) == made
    assert (await both.get(f"{family}/list")).data == {"items": [made], "next_cursor": None}


async def test_creating_a_queue_at_every_start_changes_nothing_and_other_settings_are_a_conflict(both: Live) -> None:
    desk = Desk(both)
    first = await desk.make(max_retries=3)
    assert await desk.make(max_retries=3) == first
    assert (await both.post("/v1/queue/create", {"queue": "q", "max_retries": 4})).code == (409, "CONFLICT")
    assert (await desk.look("get"))["max_retries"] == 3


async def test_every_setting_is_kept_and_a_record_sent_back_changes_nothing(both: Live) -> None:
    desk = Desk(both)
    given = {
        "type": "fifo",
        "dead_letter_queue": "bin",
        "max_retries": 0,
        "message_retention_days": 1.5,
        "visibility_timeout_default": 43_200,
        "enable_priority": False,
    }
    made = await desk.make(**given)
    assert given.items() <= made.items()
    again = (await desk.to("update", "PATCH", **made)).data
    assert again | {"updated_at": None} == made | {"updated_at": None}
    assert (await desk.to("update", "PATCH")).data["max_retries"] == 0
    back = (await desk.to("update", "PATCH", dead_letter_queue=None, max_retries=None, queue="other")).data
    assert (back["queue"], back["dead_letter_queue"], back["max_retries"]) == ("q", None, 5)
    assert (await both.get("/v1/queue/get/bin")).data["type"] == "fifo"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "name"),
    ({"name": ""}, "name"),
    ({"name": "no spaces"}, "name"),
    ({"name": "a/b"}, "name"),
    ({"name": "n" * 125}, "name"),
    ({"name": "line\n"}, "name"),
    ({"name": 5}, "name"),
    ({"queue": "other"}, "queue"),
    ({"type": "lifo"}, "type"),
    ({"max_retries": -1}, "max_retries"),
    ({"max_retries": 1001}, "max_retries"),
    ({"max_retries": "3"}, "max_retries"),
    ({"message_retention_days": 0}, "message_retention_days"),
    ({"message_retention_days": 31}, "message_retention_days"),
    ({"visibility_timeout_default": 0}, "visibility_timeout_default"),
    ({"visibility_timeout_default": 43_201}, "visibility_timeout_default"),
    ({"type": "fifo", "enable_priority": True}, "enable_priority"),
    ({"dead_letter_queue": "q"}, "dead_letter_queue"),
    ({"dead_letter_queue": "no spaces"}, "dead_letter_queue"),
]


@pytest.mark.parametrize(("change", "field"), REFUSED, ids=[f"{field}-{n}" for n, (_, field) in enumerate(REFUSED)])
async def test_what_cannot_be_is_refused_by_name(live: Live, change: dict[str, Any], field: str) -> None:
    answer = await live.post("/v1/queue/create", {"name": "q"} | change)
    assert answer.code == (422, "VALIDATION_FAILED")
    assert answer.error["field"] == field
    assert (await live.get("/v1/queue/list")).data["items"] == []


async def test_the_type_of_a_queue_stays_and_dead_letters_do_not_go_in_a_circle(both: Live) -> None:
    desk = Desk(both, "a")
    await desk.make(dead_letter_queue="b")
    refused = await desk.to("update", "PATCH", type="fifo")
    assert (refused.code, refused.error["field"]) == ((409, "CONFLICT"), "type")
    refused = await Desk(both, "b").to("update", "PATCH", dead_letter_queue="a")
    assert (refused.code, refused.error["field"]) == ((422, "VALIDATION_FAILED"), "dead_letter_queue")


async def test_what_is_not_there_is_not_found_whatever_it_is_called(both: Live) -> None:
    for name in ("nothing", "%00", "a%2Fb", "%F0%9F%98%80", "n" * 200):
        desk = Desk(both, name)
        for what in ("get", "stats", "dlq/list", "peek"):
            assert (await both.get(f"/v1/queue/{what}/{name}")).code == (404, "NOT_FOUND")
        for what in ("purge", "pause", "resume", "dlq/redrive"):
            assert (await desk.to(what)).code == (404, "NOT_FOUND")
        assert (await desk.to("update", "PATCH", max_retries=1)).code == (404, "NOT_FOUND")
        assert (await desk.to("delete", "DELETE")).code == (404, "NOT_FOUND")
    for verb in ("ack", "nack", "release", "extend"):
        answer = await Desk(both, "nothing").say(verb, message_id="msg_0000000000000")
        assert answer.code == (404, "NOT_FOUND")


async def test_a_queue_is_deleted_with_its_messages_and_once_more_is_no_error(both: Live) -> None:
    desk = Desk(both)
    await desk.publish()
    assert (await desk.to("delete", "DELETE", idempotency_key="k")).data == {"queue": "q", "name": "q", "deleted": True}
    assert (await desk.to("delete", "DELETE")).data["deleted"] is True
    assert (await both.get("/v1/queue/get/q")).code == (404, "NOT_FOUND")
    await desk.make()
    assert await desk.stats() == counts()
    assert (await desk.to("delete", "DELETE", idempotency_key="k")).headers["idempotency-replayed"] == "true"
    assert await desk.consume() == []


async def test_a_queue_that_others_need_for_their_dead_letters_is_not_deleted(both: Live) -> None:
    await Desk(both, "orders").make(dead_letter_queue="bin")
    bin_desk = Desk(both, "bin")
    assert (await bin_desk.to("delete", "DELETE")).code == (409, "QUEUE_IN_USE")
    await Desk(both, "orders").to("delete", "DELETE")
    assert (await bin_desk.to("delete", "DELETE")).data["deleted"] is True


async def test_a_purge_says_how_many_went_and_repeats_its_answer(both: Live) -> None:
    desk = Desk(both)
    await desk.publish(1)
    await desk.publish(2, delay_seconds=60)
    await desk.consume(max_messages=1)
    first = await desk.to("purge", queue="something else", idempotency_key="k")
    assert first.data == {"queue": "q", "name": "q", "purged": 2}
    assert first.warnings == []
    await desk.publish(3)
    again = await desk.to("purge", queue="something else", idempotency_key="k")
    assert (again.data, again.headers["idempotency-replayed"]) == (first.data, "true")
    assert await desk.stats() == counts(available=1)


async def test_a_paused_queue_takes_messages_and_hands_out_none(both: Live) -> None:
    desk = Desk(both)
    await desk.publish(1)
    assert (await desk.to("pause")).data["paused"] is True
    await desk.publish(2)
    assert await desk.consume() == []
    assert await desk.stats() == counts(available=2)
    assert (await desk.to("resume")).data["paused"] is False
    assert len(await desk.consume()) == 2


async def test_the_numbers_are_exact_and_the_age_is_that_of_the_oldest(both: Live) -> None:
    desk = Desk(both)
    await desk.make()
    assert (await desk.look("stats"))["oldest_age_seconds"] is None
    for number in range(5):
        await desk.publish(number)
    await desk.publish("later", delay_seconds=60)
    [first, *_] = await desk.consume(max_messages=2)
    await desk.settle("nack", first, requeue=False)
    assert await desk.stats() == counts(available=3, delayed=1, in_flight=1, dlq=1)
    both.clock.ahead += 90_000
    stats = await desk.look("stats")
    assert (stats["available"], stats["delayed"], stats["in_flight"], stats["dlq"]) == (5, 0, 0, 1)
    assert 90 <= stats["oldest_age_seconds"] < 120


async def test_queues_are_listed_page_by_page_newest_first(both: Live) -> None:
    for number in range(5):
        await Desk(both, f"q{number}").make()
    seen, path = [], "/v1/queue/list?limit=2"
    while path:
        page = (await both.get(path)).data
        seen += [item["queue"] for item in page["items"]]
        path = f"/v1/queue/list?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert seen == ["q4", "q3", "q2", "q1", "q0"]
    assert (await both.get("/v1/queue/list?cursor=nonsense")).code == (422, "VALIDATION_FAILED")


async def test_projects_do_not_see_each_other(both: Live) -> None:
    mine = Desk(both)
    await mine.publish()
    [message] = await mine.consume()
    theirs = Desk(both, key=await both.key("queue:publish", "queue:consume", project="other"))
    assert (await both.get("/v1/queue/get/q", key=await both.key("admin", project="other"))).code == (404, "NOT_FOUND")
    assert await theirs.consume() == []
    assert (await theirs.settle("ack", message)).code == (404, "NOT_FOUND")
    assert (await theirs.to("purge")).data["purged"] == 0
    assert await mine.stats() == counts(in_flight=1)


async def test_who_may_publish_may_not_take_messages_away_nor_the_other_way_round(live: Live) -> None:
    publisher = Desk(live, key=await live.key("queue:publish"))
    consumer = Desk(live, key=await live.key("queue:consume"))
    await publisher.make()
    await publisher.publish()
    assert (await consumer.say("publish", payload=1)).code == (403, "FORBIDDEN")
    assert (await publisher.say("consume")).code == (403, "FORBIDDEN")
    for verb in ("purge", "pause", "dlq/redrive"):
        assert (await publisher.to(verb)).code == (403, "FORBIDDEN")
    assert (await publisher.to("update", "PATCH")).code == (403, "FORBIDDEN")
    assert (await publisher.to("delete", "DELETE")).code == (403, "FORBIDDEN")
    assert await publisher.stats() == await consumer.stats() == counts(available=1)
    refused = await live.get("/v1/queue/list", key=await live.key("cron:read"))
    assert "queue:publish or queue:consume" in refused.error["message"]
