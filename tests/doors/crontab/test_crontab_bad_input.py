"""What cannot be done is said in one sentence per item; the rest of the batch is done, and nothing is half kept."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from doors.crontab.rig import add, entry, refusal, results, send, task
from doors.live import Live
from store.making import driver

# what is changed in a good item, the code, and how the sentence begins
BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"name": ...}, 1, "name is missing"),
    ({"name": ""}, 1, "name is missing"),
    ({"name": None}, 1, "name is missing"),
    ({"name": ["a"]}, 1, "name is not a text"),
    ({"name": "a\x00b"}, 1, "name holds a NUL character"),
    ({"name": "x" * 256}, 1, "name has 256 characters"),
    ({"enable": ...}, 1, "enable is missing"),
    ({"enable": 0}, 1, "enable is missing"),
    ({"enable": -1}, 1, "enable is -1; use 1 for on or 2 for off"),
    ({"enable": True}, 1, "enable is not a whole number"),
    ({"enable": "on"}, 1, "enable is not a whole number"),
    ({"module": 1.5}, 1, "module is not a whole number"),
    ({"module": 10**15 * 100}, 1, "module is out of range"),
    ({"module": 10**400}, 1, "module is out of range"),
    ({"module": 1e308}, 1, "module is out of range"),
    ({"type": ...}, 2, "type is missing"),
    ({"type": 8}, 2, "type is 8; use 1 to 7"),
    ({"type": 100}, 2, "type is 100; use 1 to 7"),
    ({"type": "daily"}, 2, "type is not a whole number"),
    ({"start_time": ...}, 3, "start_time is missing"),
    ({"start_time": "tomorrow"}, 3, "start_time is not valid at position"),
    ({"start_time": "0,30,2,*,*,*"}, 3, "start_time is not valid at position"),
    ({"start_time": "0 0 0 31 2 *"}, 3, "start_time never fires"),
    ({"start_time": "-5"}, 3, "start_time is not valid at position"),
    ({"start_time": {}}, 3, "start_time is not a text"),
    ({"start_time": "* " * 5_000}, 3, "start_time"),
    (
        {"type": 1, "start_time": "1763629200000"},
        3,
        "start_time is not before the year 2200; Unix time is given",
    ),
    ({"type": 1, "start_time": "9" * 19}, 3, "start_time is not before the year 2200"),
    ({"type": 1, "start_time": "9" * 20}, 3, "start_time is not valid at position"),
    ({"type": 2, "start_time": "1763629200"}, 3, "start_time is an instant, which says no interval"),
    ({"url": ...}, 4, "url is missing"),
    ({"url": "example.com"}, 4, "url is not an http or https URL"),
    ({"url": "http://"}, 4, "url has no valid host"),
    ({"url": "http://user:pw@example.com/"}, 4, "url carries a user name"),
    ({"url": "http://169.254.169.254/"}, 4, "url is not a permitted target"),
    ({"url": "http://example.com/" + "x" * 2_048}, 4, "url has"),
    ({"method": ...}, 4, "method is missing"),
    ({"method": "fetch"}, 4, "method is 'FETCH'"),
    ({"method": 5}, 4, "method is '5'"),
    ({"body_type": 3}, 4, "body_type is 3; use 1 for JSON or 2 for a form"),
    ({"body": "x" * 300_000}, 4, "body has 300000 bytes"),
    ({"resp_regexp": "("}, 4, "resp_regexp is not an RE2 pattern"),
    ({"resp_regexp": "x" * 1_001}, 4, "resp_regexp has 1001 characters"),
    ({"redo_param": "2,4,8"}, 4, "redo_param is not a list of seconds"),
    ({"redo_param": "-1"}, 4, "redo_param is not a list of seconds"),
    ({"redo_param": "1e3"}, 4, "redo_param is not a list of seconds"),
    ({"redo_param": "999999999"}, 4, "redo_param is 1e+09"),
    ({"redo_param": "1 " * 51}, 4, "redo_param has 51 values"),
]


def rows(live: Live) -> list[Any]:
    """All rows that a task is made of."""
    tables = ("schedules", "progress", "targets", "crontab_tasks", "runs")
    return [list(driver(live.store).execute(f"SELECT * FROM {table}")) for table in tables]  # names above


@pytest.mark.parametrize(("change", "code", "said"), BAD, ids=range(len(BAD)))
async def test_a_bad_value_is_named_and_nothing_is_kept(
    live: Live, change: dict[str, Any], code: int, said: str
) -> None:
    before = rows(live)
    refused = await refusal(live, "add_task", task(**change))
    assert refused[0] == code
    assert refused[1].startswith(said), refused
    assert rows(live) == before


# In an update, what is left out or zero means no change, and the name says only who is meant.
CHANGES = [
    (change | ({"type": 2} if "start_time" in change else {}), code, said)
    if "type" not in change
    else (change, code, said)
    for change, code, said in BAD
    if "name" not in change and not any(value is ... or value == 0 for value in change.values())
]


@pytest.mark.parametrize(("change", "code", "said"), CHANGES, ids=range(len(CHANGES)))
async def test_a_bad_value_changes_nothing_of_a_task(live: Live, change: dict[str, Any], code: int, said: str) -> None:
    """Nor does what is good beside it."""
    number = await add(live, name="one", body="{}")
    before = rows(live)
    refused = await refusal(live, "update_task", {"task_id": number, "module": 7, **change})
    assert refused[0] == code
    assert refused[1].startswith(said), refused
    assert rows(live) == before


async def test_10_000_items_get_a_result_each(live: Live) -> None:
    items: list[Any] = [task(name=f"n{at}") if at % 4 else {"name": f"n{at}", "type": 99} for at in range(10_000)]
    answer = await send(live, "add_task", *items)
    assert (answer.status, answer.json["state"]) == (200, 0)
    found = answer.json["data"]["task_result"]
    assert [one["name"] for one in found] == [f"n{at}" for at in range(10_000)]
    assert all((one["err"] == "") == (at % 4 > 0) for at, one in enumerate(found))
    assert {one["err"] for one in found} == {"", "type is 99; use 1 to 7"}
    assert len(list(driver(live.store).execute("SELECT 1 FROM crontab_tasks"))) == 7_500
    again = await results(live, "run_again_task", *({"name": f"n{at}"} for at in range(10_000)))
    assert sum(one["err"] == "" for one in again) == 7_500
    off = await results(live, "update_task", *({"name": f"n{at}", "enable": 2} for at in range(10_000)))
    assert sum(one["err"] == "" for one in off) == 7_500
    asked = await send(live, "query_task_status", *({"name": f"n{at}"} for at in range(10_000)))
    assert len(asked.json["data"]["task_result"]) == 10_000


async def test_more_than_10_000_items_are_refused_as_a_whole(live: Live) -> None:
    answer = await live.post("/crontab/add_task", raw=b'{"task_list":[' + b"{}," * 10_000 + b"{}]}")
    assert (answer.status, answer.json["state"], answer.json["data"]) == (200, 1, None)
    assert answer.json["msg"] == "task_list has 10001 items; send at most 10000 at a time"


async def test_others_are_answered_while_a_large_batch_is_worked_on(live: Live) -> None:
    """The longest wait of a small call is that for one slice, not that for the batch."""
    answered = 0
    async with asyncio.TaskGroup() as group:
        batch = group.create_task(send(live, "add_task", *(task() for _ in range(5_000))))
        while not batch.done():
            assert (await live.get("/healthz", key=None)).status == 200
            answered += 1
    assert batch.result().json["state"] == 0
    assert answered >= 10


@pytest.mark.parametrize("body", [b"", b"{}", b'{"task_list": []}', b'{"task_list": null}', b'{"other": 1}'])
@pytest.mark.parametrize("call", ["add_task", "update_task", "query_task_status", "run_again_task"])
async def test_nothing_asked_is_nothing_done(live: Live, call: str, body: bytes) -> None:
    answer = await live.post(f"/crontab/{call}", raw=body)
    if body == b"":
        assert (answer.status, answer.json["state"]) == (200, 1)
    else:
        assert (answer.status, answer.json["state"], answer.json["data"]["task_result"]) == (200, 0, [])


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b"{",
        b'{"task_list": {}}',
        b'{"task_list": "x"}',
        b'{"task_list": [}',
        b"\xff",
        b"name=x",
        b'{"task_list": ' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    ],
    ids=range(9),
)
async def test_what_is_no_batch_is_an_invalid_parameter(live: Live, body: bytes) -> None:
    for call in ("add_task", "query_task_status"):
        answer = await live.post(f"/crontab/{call}", raw=body)
        assert (answer.status, answer.json["state"], answer.json["data"]) == (200, 1, None)
        assert answer.json["msg"]


@pytest.mark.parametrize("item", [None, 1, "x", [], [{}], True])
@pytest.mark.parametrize("call", ["add_task", "update_task", "query_task_status", "run_again_task"])
async def test_an_item_that_is_no_object_is_one_bad_result(live: Live, call: str, item: Any) -> None:
    number = await add(live, name="one")
    good = task() if call == "add_task" else {"task_id": number, "enable": 1}
    found = await results(live, call, item, good)
    assert found[0] == {"task_id": 0, "name": "", "err": "the item is not a JSON object", "state": 1}
    assert found[1]["err"] == ""


@pytest.mark.parametrize("call", ["update_task", "query_task_status", "run_again_task"])
async def test_who_is_meant_must_be_said_and_be_there(live: Live, call: str) -> None:
    found = await results(
        live,
        call,
        {},
        {"task_id": 0, "name": ""},
        {"task_id": 77},
        {"name": "nobody"},
        {"task_id": -1},
        {"task_id": 2**60},
        {"task_id": "many"},
    )
    assert {one["state"] for one in found} == {5}
    assert [one["err"] for one in found[:4]] == [
        "task_id and name are missing: give one of them",
        "task_id and name are missing: give one of them",
        "there is no task with task_id 77",
        "there is no task with this name",
    ]
    assert found[2]["task_id"] == 77


async def test_neither_id_nor_name_does_not_mean_the_item_before(live: Live) -> None:
    """The original ran the one before it again."""
    number = await add(live)
    found = await results(live, "run_again_task", {"task_id": number}, {})
    assert [one["err"] == "" for one in found] == [True, False]
    assert len(await live.store.runs.page("default", None, 0, 1 << 62, 10)) == 1


@pytest.mark.parametrize("more", [{"limit": 1_001}, {"limit": -1}, {"limit": "x"}, {"before_id": []}])
async def test_a_page_that_cannot_be_is_an_invalid_parameter(live: Live, more: dict[str, Any]) -> None:
    answer = await send(live, "query_task_status", **more)
    assert (answer.status, answer.json["state"]) == (200, 1)


async def test_ways_to_write_that_clients_of_all_languages_have(live: Live) -> None:
    """Names in any case, numbers as texts, zero and the empty text for nothing, what is unknown besides."""
    item = {
        "Name": "one",
        "ENABLE": "1",
        "Module": "2",
        "type": "4",
        "start_time": " 0 0 9 * * * ",
        "Url": "http://127.0.0.1:9/",
        "method": "Post",
        "task_id": 999,
        "status": 3,
        "body_type": 0,
        "resp_regexp": "",
        "redo_param": "",
        "body": "",
    }
    answer = await live.post("/crontab/add_task", raw=json.dumps({"Task_List": [item]}).encode())
    [result] = answer.json["data"]["task_result"]
    assert result["err"] == ""
    made = await entry(live, result["task_id"])
    assert (made.progress.enabled, made.target.payload, made.target.retry) == (True, None, 0)
    [found] = await results(
        live, "update_task", {"TASK_ID": str(result["task_id"]), "enable": 2.0, "url": "", "type": 0}
    )
    assert found["err"] == ""
    assert not (await entry(live, result["task_id"])).progress.enabled


async def test_a_body_that_is_an_object_is_sent_as_its_json(live: Live) -> None:
    number = await add(live, body={"a": [1]})
    assert (await entry(live, number)).target.payload == b'{"a": [1]}'
