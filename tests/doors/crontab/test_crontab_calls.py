"""What is called back, and how: requests, forms, functions; what counts as success; when it is tried again."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from doors.crontab.rig import GoServer, HttpTarget, add, dispatch, entry, listening, log, refusal, results, task, work
from doors.live import Live
from mainspring.core.limits import SECOND

ONCE = {"type": 1, "start_time": "1"}
Target = tuple[HttpTarget, str]


@pytest.mark.parametrize("method", ["post", "POST", "get", "put"])
async def test_methods_in_any_case_carry_the_body(live: Live, target: Target, method: str) -> None:
    received, url = target
    number = await add(live, url=url + "/a?b=c", method=method, body="passed on as it is", **ONCE)
    await work(live)
    [(seen, path, headers, body)] = received.received
    assert (seen, path, body) == (method.upper(), "/a?b=c", b"passed on as it is")
    assert headers["content-type"] == "application/json"
    assert (await log(live, {"task_id": number}))[0]["body"] == "passed on as it is"


async def test_a_form_is_sent_url_encoded(live: Live, target: Target) -> None:
    received, url = target
    body = '{"name": "a b&c", "n": 1.50, "yes": true, "none": null, "many": [1, "zwei"], "in": {"a": 1}, "字": "é"}'
    number = await add(live, url=url, body=body, body_type=2, **ONCE)
    await work(live)
    [(_, _, headers, sent)] = received.received
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(sent.decode(), keep_blank_values=True) == {
        "name": ["a b&c"],
        "n": ["1.5"],
        "yes": ["true"],
        "none": [""],
        "many": ["1", "zwei"],
        "in": ['{"a":1}'],
        "字": ["é"],
    }
    assert (await log(live, {"task_id": number}))[0]["body"] == body


@pytest.mark.parametrize("body", ["[1]", "a=b", '"text"', "{"])
async def test_a_form_that_is_no_object_is_refused(live: Live, body: str) -> None:
    code, said = await refusal(live, "add_task", task(body=body, body_type=2))
    assert code == 4
    assert said.startswith("body is not a JSON object")


@pytest.mark.parametrize(("status", "ends"), [(200, 2), (201, 3), (204, 3), (302, 3), (404, 3), (500, 3)])
async def test_success_is_the_status_200_exactly(live: Live, target: Target, status: int, ends: int) -> None:
    received, url = target
    received.plans["/x"] = [(status, b"" if status == 204 else b"said")]
    number = await add(live, url=url + "/x", **ONCE)
    await work(live)
    assert (await log(live, {"task_id": number}))[0]["status"] == ends


@pytest.mark.parametrize(
    ("pattern", "ends"), [("ok", 2), ("^ok$", 3), (r"\d+", 2), ("*", 2), ("nothing", 3), ("^all", 2)]
)
async def test_the_pattern_is_searched_in_the_whole_body(live: Live, target: Target, pattern: str, ends: int) -> None:
    received, url = target
    received.plans["/x"] = [(200, b"all is " + b"." * 10_000 + b" ok 17")]
    number = await add(live, url=url + "/x", resp_regexp=pattern, **ONCE)
    await work(live)
    assert (await log(live, {"task_id": number}))[0]["status"] == ends


async def test_of_a_failure_the_answer_is_kept(live: Live, target: Target) -> None:
    """The original wrote the error over what had come back."""
    received, url = target
    received.plans["/x"] = [(500, b"out of paper")]
    number = await add(live, url=url + "/x", **ONCE)
    await work(live)
    [row] = await log(live, {"task_id": number})
    assert (row["resp"], row["err"]) == ("out of paper", "HTTP status 500")


async def test_what_nobody_answers_ends_after_10_seconds(live: Live, target: Target) -> None:
    received, url = target
    received.never.add("/x")
    number = await add(live, url=url + "/x", **ONCE)
    await work(live)
    [row] = await log(live, {"task_id": number})
    assert (row["status"], row["resp"], row["err"]) == (3, "no complete response within 10 s", row["resp"])


async def test_retries_come_exactly_after_the_listed_delays(both: Live, target: Target) -> None:
    received, url = target
    received.plans["/x"] = [(500, b"")]
    number = await add(both, url=url + "/x", redo_param="2 4  8", **ONCE)
    await work(both)
    for delay in (2, 4, 8):
        [run] = await both.store.runs.page("default", "retrying", 0, 1 << 62, 10)
        _, tried = await both.store.runs.get("default", run.id) or (None, [])
        assert run.due_at == tried[-1].ended_at + delay * SECOND
        both.clock.ahead += run.due_at - both.clock() - 1_500
        await dispatch(both)
        assert len(tried) == len(received.received)
        await work(both, ahead=1_500)
    rows = await log(both, {"task_id": number})
    assert [(row["run_type"], row["status"]) for row in rows] == [(2, 3), (2, 3), (2, 3), (1, 3)]
    assert await both.store.runs.page("default", "retrying", 0, 1 << 62, 10) == []


async def test_without_redo_param_there_is_no_retry(live: Live, target: Target) -> None:
    received, url = target
    received.plans["/x"] = [(500, b"")]
    await add(live, url=url + "/x", **ONCE)
    await work(live)
    assert [run.state for run in await live.store.runs.page("default", None, 0, 1 << 62, 10)] == ["failed"]


async def test_switching_a_task_off_stops_its_retries(both: Live, target: Target) -> None:
    received, url = target
    received.plans["/x"] = [(500, b"")]
    number = await add(both, url=url + "/x", redo_param="60", **ONCE)
    await work(both)
    await results(both, "update_task", {"task_id": number, "enable": 2})
    await work(both, ahead=100_000)
    assert len(received.received) == 1


async def test_a_run_asked_for_by_hand_retries_too(live: Live, target: Target) -> None:
    received, url = target
    received.plans["/x"] = [(500, b""), (200, b"")]
    number = await add(live, url=url + "/x", redo_param="3", enable=2)
    await results(live, "run_again_task", {"task_id": number})
    await work(live)
    await work(live, ahead=3_100)
    assert [(row["run_type"], row["status"]) for row in await log(live, {"task_id": number})] == [(2, 2), (3, 3)]
    assert not (await entry(live, number)).progress.enabled


async def test_a_function_that_refuses_and_one_that_is_not_there_are_failures(live: Live) -> None:
    go = GoServer(Arith__Divide=lambda given: given["a"] // given["b"])
    async with listening(go.answer) as address:
        url = f"{address}/Arith.Divide"
        fails = await add(live, method="RPC", url=url, body='{"a": 1, "b": 0}', redo_param="0", **ONCE)
        unknown = await add(live, method="rpc", url=f"{address}/Arith.Root", **ONCE)
        await work(live)
        await dispatch(live)
    rows = await log(live, {"task_id": fails})
    assert [(row["run_type"], row["status"]) for row in rows] == [(2, 3), (1, 3)]
    assert rows[0]["resp"] == '"rpc: integer division or modulo by zero"'
    assert (await log(live, {"task_id": unknown}))[0]["status"] == 3
    assert [call["params"] for call in go.calls if call["method"] == "Arith.Root"] == [[{}]]


@pytest.mark.parametrize(("pattern", "ends"), [('"state":\\s*1', 2), ("nothing", 3)])
async def test_the_pattern_is_searched_in_the_result_of_a_function(live: Live, pattern: str, ends: int) -> None:
    go = GoServer(Jobs__Start=lambda _: {"state": 1})
    async with listening(go.answer) as address:
        url = f"{address}/Jobs.Start"
        number = await add(live, method="rpc", url=url, body="[]", resp_regexp=pattern, **ONCE)
        await work(live)
    assert (await log(live, {"task_id": number}))[0]["status"] == ends


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1/Arith.Add",
        "127.0.0.1:80",
        "127.0.0.1:80/Add",
        "http://127.0.0.1:80/Arith.Add",
        "a:80/b/c.d",
        ":80/a.b",
    ],
)
async def test_what_is_no_address_of_a_function_is_refused(live: Live, url: str) -> None:
    code, said = await refusal(live, "add_task", task(method="rpc", url=url))
    assert code == 4
    assert said.startswith("url ")


async def test_functions_pass_the_same_guard_as_urls(live: Live) -> None:
    code, said = await refusal(live, "add_task", task(method="rpc", url="10.0.0.1:80/Arith.Add"))
    assert code == 4
    assert "MAINSPRING_ALLOW_TARGETS=" in said
    assert await refusal(live, "add_task", task(url="http://10.0.0.1/")) == (4, said)


async def test_a_parameter_that_is_no_json_is_refused(live: Live) -> None:
    code, said = await refusal(live, "add_task", task(method="rpc", url="127.0.0.1:80/Arith.Add", body="1 2"))
    assert (code, said[:16]) == (4, "body is not JSON")
