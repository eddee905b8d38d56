"""Each row of what clients of the original may rely on, and where this door differs from it on purpose."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import aiohttp
import trustme

from doors.crontab.rig import (
    EVERY_MINUTE,
    GoServer,
    HttpTarget,
    add,
    dispatch,
    entry,
    fire,
    listening,
    log,
    refusal,
    results,
    send,
    task,
    work,
)
from doors.live import KEY, Live, serving
from mainspring.core.limits import DAY, SECOND
from mainspring.doors.crontab.translate import moment_in
from store.making import driver


async def test_data_is_an_object(live: Live) -> None:
    answer = await send(live, "add_task", task())
    assert isinstance(answer.json["data"]["task_result"][0]["task_id"], int)


async def test_data_is_a_string_where_the_setting_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path, crontab_string=True) as old:
        answer = await send(old, "add_task", task(name="one"))
        assert json.loads(answer.json["data"])["task_result"][0]["name"] == "one"


async def test_results_have_the_documented_keys_and_err_is_a_text(live: Live) -> None:
    good, bad = await results(live, "add_task", task(name="one"), task(name="two", type=8))
    assert good == {"task_id": 1, "name": "one", "err": "", "state": 0}
    assert (bad["task_id"], bad["name"], bad["state"]) == (0, "two", 2)
    assert bad["err"] == "type is 8; use 1 to 7"


async def test_an_invalid_item_and_a_taken_name_cost_nobody_else(both: Live) -> None:
    await add(both, name="taken")
    found = await results(
        both,
        "add_task",
        task(name="a"),
        task(name="taken"),
        task(name="b", url=...),
        "no object",
        task(name="a"),
        task(name="c"),
    )
    assert [one["err"] == "" for one in found] == [True, False, False, False, False, True]
    assert found[1]["err"].startswith("name is taken by task 1")
    assert found[2]["err"] == "url is missing"
    assert found[3]["err"] == "the item is not a JSON object"
    assert found[4]["err"].startswith("name is taken by an item before it")
    kept = await both.store.schedules.crontab("default", [], ["a", "b", "c", "taken"])
    assert sorted(one.schedule.name for one in kept) == ["a", "c", "taken"]


async def test_type_1_with_a_cron_text_runs_once_at_the_next_match(both: Live) -> None:
    number = await add(both, type=1, start_time=EVERY_MINUTE)
    due = (await entry(both, number)).progress.next_due_at
    assert due is not None
    assert due % 60_000 == 0
    assert 0 < due - both.clock() <= 60_000
    assert await fire(both, due + DAY) == [due]
    assert (await entry(both, number)).progress.completed_at is not None


async def test_type_1_with_a_cron_text_is_late_rather_than_missed(live: Live) -> None:
    """By more than the day within which others are caught up."""
    tomorrow = moment_in(live.clock() + DAY, "UTC")
    number = await add(live, type=1, start_time=f"0 0 0 {tomorrow.day} {tomorrow.month} *")
    await work(live, ahead=60 * DAY)
    assert [row["run_type"] for row in await log(live, {"task_id": number})] == [1]
    assert not (await entry(live, number)).progress.enabled


async def test_type_1_in_the_past_fires_now_and_is_recorded_as_caught_up(both: Live) -> None:
    stamp = both.clock() // SECOND - 3600
    number = await add(both, type=1, start_time=str(stamp))
    await work(both)
    [row] = await log(both, {"task_id": number})
    assert row["run_type"] == 1
    key = (await entry(both, number)).schedule.id
    assert [kind for _, kind, _ in await both.store.schedules.occurrences(key, 1 << 62, 10)] == ["catchup"]
    assert await fire(both, both.clock() + DAY) == []


async def test_type_1_in_the_future_fires_at_its_second(both: Live) -> None:
    stamp = both.clock() // SECOND + 3600
    await add(both, type=1, start_time=stamp)
    assert await fire(both, both.clock() + DAY) == [stamp * SECOND]


async def test_after_its_success_a_type_1_gives_its_name_up_and_its_log_stays(
    both: Live, target: tuple[HttpTarget, str]
) -> None:
    _, url = target
    past = {"name": "daily mail", "type": 1, "start_time": "1", "url": url}
    first = await add(both, **past)
    assert (await refusal(both, "add_task", task(**past)))[1].startswith("name is taken")
    await work(both)
    assert not (await entry(both, first)).progress.enabled
    second = await add(both, **past)
    await work(both)
    assert first != second
    assert {row["task_id"] for row in await log(both, {"name": "daily mail"})} == {first, second}
    assert [row["task_id"] for row in await log(both, {"task_id": first})] == [first]
    [again] = await results(both, "run_again_task", {"name": "daily mail"})
    assert again["task_id"] == second


async def test_a_type_1_that_failed_keeps_its_name(both: Live) -> None:
    past = {"name": "fails", "type": 1, "start_time": "1"}
    await add(both, **past)
    await work(both)
    assert (await log(both, {"name": "fails"}))[0]["status"] == 3
    assert (await refusal(both, "add_task", task(**past)))[1].startswith("name is taken")


async def test_the_name_of_a_task_that_was_deleted_is_free(both: Live) -> None:
    number = await add(both, name="gone")
    [record] = (await both.get("/v1/cron/list")).data["items"]
    await both.call("DELETE", f"/v1/cron/delete/{record['id']}")
    assert await add(both, name="gone") != number


async def test_type_and_module_can_be_updated_and_the_number_stays(both: Live) -> None:
    number = await add(both, name="one", type=4, module=2)
    [result] = await results(
        both, "update_task", {"task_id": number, "type": 1, "module": 9, "start_time": "0 0 9 * * *"}
    )
    assert (result["task_id"], result["name"], result["err"]) == (number, "one", "")
    kept = await entry(both, number)
    assert kept.crontab is not None
    assert (kept.crontab.type, kept.crontab.module, kept.schedule.cron_expr) == (1, 9, "0 0 9 * * *")
    assert kept.schedule.max_runs == 1
    await results(both, "update_task", {"name": "one", "enable": 2}, {"name": "one", "enable": 1})
    assert (await entry(both, number)).schedule.id == kept.schedule.id


async def test_without_a_body_type_the_body_is_json(live: Live, target: tuple[HttpTarget, str]) -> None:
    received, url = target
    await add(live, url=url, body='{"a": 1}', type=1, start_time="1")
    await work(live)
    [(_, _, headers, body)] = received.received
    assert (headers["content-type"], body) == ("application/json", b'{"a": 1}')


async def test_the_pattern_of_the_document_means_anything(live: Live, target: tuple[HttpTarget, str]) -> None:
    number = await add(live, url=target[1], resp_regexp="*", type=1, start_time="1")
    await work(live)
    assert (await log(live, {"task_id": number}))[0]["status"] == 2


async def test_other_patterns_that_are_none_are_refused(live: Live) -> None:
    for pattern in ("**", "(", "a(?=b)", r"(a)\1", "x" * 1_001):
        code, said = await refusal(live, "add_task", task(resp_regexp=pattern))
        assert code == 4
        assert said.startswith("resp_regexp")


async def test_a_pattern_takes_time_in_proportion_to_the_body(live: Live, target: tuple[HttpTarget, str]) -> None:
    """A search that backtracks would take longer than the universe is old."""
    received, url = target
    received.plans["/"] = [(200, b"a" * 20_000)]
    number = await add(live, url=url + "/", resp_regexp="(a*)*$x", type=1, start_time="1")
    await work(live)
    assert (await log(live, {"task_id": number}))[0]["status"] == 3


async def test_run_types_1_2_and_3(both: Live, target: tuple[HttpTarget, str]) -> None:
    received, url = target
    received.plans["/flaky"] = [(500, b"no"), (200, b"yes"), (200, b"again")]
    number = await add(both, url=url + "/flaky", redo_param="0", type=1, start_time="1")
    await work(both)
    await dispatch(both)
    await results(both, "run_again_task", {"task_id": number})
    await dispatch(both)
    rows = await log(both, {"task_id": number})
    assert [(row["run_type"], row["status"], row["resp"]) for row in rows] == [
        (3, 2, "again"),
        (2, 2, "yes"),
        (1, 3, "no"),
    ]


async def test_all_declared_codes_are_used(live: Live) -> None:
    codes = [
        (await refusal(live, "add_task", item))[0]
        for item in (
            task(enable=3),
            task(type=9),
            task(start_time="often"),
            task(url="ftp://example.com/"),
        )
    ]
    codes.append((await refusal(live, "update_task", {"enable": 1}))[0])
    assert codes == [1, 2, 3, 4, 5]
    driver(live.store).execute("PRAGMA max_page_count = 1")  # of what the file has already, so it is full
    full = await send(live, "add_task", *(task(body="x" * 100_000) for _ in range(3)))
    driver(live.store).execute("PRAGMA max_page_count = 1000000")
    assert (full.status, full.json["state"], full.json["data"]) == (503, -1, None)
    assert full.headers["retry-after"] == "1"
    await add(live)


async def test_a_store_that_goes_away_on_the_way_costs_what_is_left(live: Live) -> None:
    driver(live.store).execute("PRAGMA max_page_count = 1")
    found = await results(
        live, "add_task", *(task(type=9) for _ in range(200)), *(task(body="x" * 10_000) for _ in range(500))
    )
    driver(live.store).execute("PRAGMA max_page_count = 1000000")
    assert [one["state"] for one in found] == [2] * 200 + [-1] * 500
    assert await fire(live, live.clock() + DAY) == []


async def test_a_key_is_needed_and_both_ways_to_give_it_work(live: Live) -> None:
    refused = await live.post("/crontab/add_task", {"task_list": []}, key=None)
    assert (refused.status, refused.json["state"]) == (401, 1)
    assert "WWW-Authenticate".lower() in refused.headers
    assert (await live.post("/crontab/add_task", {"task_list": []}, key="msk_another_key_0123456789")).status == 401
    basic = aiohttp.encode_basic_auth("x", KEY)
    assert (await live.post("/crontab/add_task", {}, key=None, headers={"Authorization": basic})).status == 200


async def test_rpc_calls_a_function_over_tcp(live: Live) -> None:
    go = GoServer(Arith__Double=lambda given: given["n"] * 2)
    async with listening(go.answer) as address:
        number = await add(live, method="rpc", url=f"{address}/Arith.Double", body='{"n": 21}', type=1, start_time="1")
        await work(live)
    assert [(call["method"], call["params"]) for call in go.calls] == [("Arith.Double", [{"n": 21}])]
    [row] = await log(live, {"task_id": number})
    assert (row["status"], row["resp"], row["method"], row["url"]) == (2, "42", "rpc", f"{address}/Arith.Double")


async def test_tls_certificates_are_verified(live: Live) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    target = HttpTarget()
    async with listening(target.answer, ssl=context) as address:
        number = await add(live, url=f"https://{address}/", type=1, start_time="1")
        await work(live)
    [row] = await log(live, {"task_id": number})
    assert (row["status"], row["err"]) == (3, "TLS: certificate authority not trusted")
    assert target.received == []
