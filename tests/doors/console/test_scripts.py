from __future__ import annotations

from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest
import pytest_asyncio

from doors.conftest import BACKENDS
from doors.console.visitor import Visitor
from doors.jsonrpc.scripting import Scripted, scripted
from doors.live import Clock
from mainspring.core import script_trials

SOURCE = 'export default { onCall(params, env) { console.log("got", params); return { params, env }; } }'
BOOM = 'export default { onCall() { throw new Error("boom <b>"); } }'
ODD = "odd / name?#%2F"
ODD_PAGE = "/console/scripts/odd%20%2F%20name%3F%23%252F"


@pytest_asyncio.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scripted]:
    """A server that runs scripts, on each database."""
    clock = Clock()
    async with scripted(tmp_path, clock=clock, store=await BACKENDS[request.param](request, clock)) as started:
        yield started


@pytest_asyncio.fixture
async def visitor(server: Scripted) -> Visitor:
    """Signed in with every scope."""
    somebody = Visitor(server.live)
    assert (await somebody.sign_in()).status == 303
    return somebody


async def test_the_first_script_starts_from_an_example_that_runs(visitor: Visitor, server: Scripted) -> None:
    assert "There is no script yet" in await visitor.page("/console/scripts")
    new = unescape(await visitor.page("/console/scripts/-/new"))
    source = new.partition('name="source"')[2].partition(">\n")[2].partition("</textarea>")[0]
    made = await visitor.submit(
        "/console/scripts/-/new", "/console/scripts/-/new", do="save", name="first", source=source
    )
    assert (made.status, made.headers["location"]) == (303, "/console/scripts/first")
    assert "The script first is saved" in await visitor.told("/console/scripts/first")
    assert (await server.run("first", {"name": "you"}))["result"] == {"hello": "you", "script": "first"}


async def test_scripts_are_listed_searched_and_paged(visitor: Visitor, server: Scripted) -> None:
    for number in range(52):
        await server.create(f"script-{number:02}", route_name=f"way-{number:02}", description=f"about <{number}>")
    await server.run("script-03")
    first = await visitor.page("/console/scripts")
    assert ">script-49<" in first
    assert ">script-50<" not in first
    assert "about &lt;3&gt;" in first
    assert first.count("/console/scripts/-/results/") == 1
    assert ">script-50<" in await visitor.page("/console/scripts?cursor=script-49")
    found = await visitor.page("/console/scripts?q=WAY-51")
    assert "script-51" in found
    assert "script-49" not in found
    assert "No script fits" in await visitor.page("/console/scripts?q=%25")


async def test_every_field_is_saved_and_shown_again(visitor: Visitor, server: Scripted) -> None:
    fields = {
        "description": "says <it>",
        "route": "way",
        "env": '{"KEY": "value"}',
        "run": "2.5",
        "heap": "16",
        "stack": "0.5",
        "clean": "",
    }
    await visitor.submit("/console/scripts/-/new", "/console/scripts/-/new", name=ODD, source=SOURCE, **fields)
    shown = await server.ask("js-worker_read", name=ODD)
    assert (shown["max_run_time"], shown["max_heap_size"], shown["max_stack_size"]) == (2_500, 16 << 20, 1 << 19)
    assert (shown["route_name"], shown["description"], shown["env"]) == ("way", "says <it>", {"KEY": "value"})
    page = unescape(await visitor.page(ODD_PAGE))
    for text in (
        SOURCE,
        'value="says <it>"',
        'value="way"',
        'value="2.5"',
        'value="16"',
        'value="0.5"',
        '{"KEY": "value"}',
    ):
        assert text in page
    changed = fields | {"route": "", "run": "", "source": BOOM}
    answer = await visitor.submit(ODD_PAGE, ODD_PAGE, do="save", **changed)
    assert (answer.status, answer.headers["location"]) == (303, ODD_PAGE)
    shown = await server.ask("js-worker_read", name=ODD)
    assert (shown["route_name"], shown["max_run_time"], shown["env"]) == (None, None, {"KEY": "value"})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"source": "export default {"}, "source"),
        ({"name": ""}, "name"),
        ({"name": "taken"}, "name"),
        ({"route": "a/b"}, "route"),
        ({"route": "taken"}, "route"),
        ({"env": "[]"}, "env"),
        ({"env": "{"}, "env"),
        ({"run": "soon"}, "run"),
        ({"run": "100000"}, "run"),
        ({"heap": "1"}, "heap"),
        ({"stack": "99"}, "stack"),
        ({"run": "inf"}, "run"),
    ],
)
async def test_a_bad_script_is_shown_again_with_its_fault(
    visitor: Visitor, server: Scripted, fields: dict[str, str], field: str
) -> None:
    await server.create("taken", route_name="taken")
    sent = {"name": "new", "source": "/* typed <here> */ " + SOURCE} | fields
    answer = await visitor.submit("/console/scripts/-/new", "/console/scripts/-/new", **sent)
    assert answer.status == 422
    page = answer.raw.decode()
    assert f'id="fault-{field}"' in page
    assert sent["source"] in unescape(page)
    assert await server.ask("js-worker_list_all_js_worker") == ["taken"]


async def test_a_change_that_does_not_compile_leaves_the_script_as_it_was(visitor: Visitor, server: Scripted) -> None:
    await server.create("kept", SOURCE)
    answer = await visitor.submit(
        "/console/scripts/kept", "/console/scripts/kept", do="save", source="export default {{"
    )
    assert answer.status == 422
    assert 'id="fault-source"' in answer.raw.decode()
    assert (await server.run("kept", 1))["result"]["params"] == 1


async def test_a_test_call_shows_result_console_and_time_and_is_on_record(visitor: Visitor, server: Scripted) -> None:
    await server.create("one", SOURCE, env={"A": 1})
    answer = await visitor.submit("/console/scripts/one", "/console/scripts/one", do="call", params='{"x": [1]}')
    assert answer.status == 200
    page = unescape(answer.raw.decode())
    for text in ("Test call", "info  got", '"A": 1', "It took", '{"x": [1]}</textarea>'):
        assert text in page
    [record] = await server.results()
    assert (record["run_type"], record["param"], record["error_message"]) == ("call", {"x": [1]}, None)
    assert record["result"] == {"params": {"x": [1]}, "env": {"A": 1}}
    assert record["finish_time"] >= record["start_time"]
    assert f"/console/scripts/-/results/{record['id']}" in page


async def test_a_failing_test_call_shows_the_error(visitor: Visitor, server: Scripted) -> None:
    await server.create("bad", BOOM)
    page = (await visitor.submit("/console/scripts/bad", "/console/scripts/bad", do="call")).raw.decode()
    assert "boom &lt;b&gt;" in page
    assert "It printed nothing." in page
    [record] = await server.results("is_failure")
    assert "boom" in record["error_message"]


async def test_parameters_that_are_no_json_run_nothing(visitor: Visitor, server: Scripted) -> None:
    await server.create("one", SOURCE)
    answer = await visitor.submit("/console/scripts/one", "/console/scripts/one", do="call", params="{x}")
    assert answer.status == 422
    assert 'id="fault-params"' in answer.raw.decode()
    assert await server.results() == []


async def test_a_test_call_is_given_no_more_time_than_somebody_waits(
    visitor: Visitor, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.create("long", "export default { onCall() { for (;;); } }", max_run_time=30_000)
    monkeypatch.setattr(script_trials, "TRIAL_MAX", 300)
    page = (await visitor.submit("/console/scripts/long", "/console/scripts/long", do="call")).raw.decode()
    assert "failure" in page
    [record] = await server.results("is_failure")
    assert record["finish_time"] - record["start_time"] < 30_000


async def test_a_test_call_waits_for_nobody_when_all_seats_are_taken(
    visitor: Visitor, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.create("one", SOURCE)
    monkeypatch.setattr(script_trials, "SCRIPT_SEATS", 0)
    monkeypatch.setattr(script_trials, "SCRIPT_ROUTE_SEATS", 0)
    assert (await visitor.submit("/console/scripts/one", "/console/scripts/one", do="call")).status == 303
    assert "as many scripts as may are under way" in await visitor.told("/console/scripts/one")
    assert await server.results() == []


async def test_a_deleted_script_leaves_its_results(visitor: Visitor, server: Scripted) -> None:
    await server.create(ODD, SOURCE)
    await server.run(ODD)
    answer = await visitor.submit(ODD_PAGE, ODD_PAGE, do="delete")
    assert answer.headers["location"] == "/console/scripts"
    assert "its results stay" in await visitor.told("/console/scripts")
    assert (await visitor.get(ODD_PAGE)).status == 404
    assert "odd / name?#%2F" in await visitor.page("/console/scripts/-/results")


async def test_results_are_filtered_paged_shown_and_deleted(visitor: Visitor, server: Scripted) -> None:
    await server.create("good", SOURCE)
    await server.create("bad", BOOM)
    numbers = []
    for number in range(52):
        asked = {"js_script_name": "bad" if number == 5 else "good", "params": number}
        numbers.append((await server.ask("js-worker_run", **asked))["id"])
    await server.live.store.script_results.finish(numbers[5], server.live.clock(), None, "boom <b>")

    def there(page: str) -> set[int]:
        return {number for number in numbers if f'id="result-{number}"' in page}

    first = await visitor.page("/console/scripts/-/results")
    assert there(first) == set(numbers[2:])
    following = unescape(first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0])
    assert there(await visitor.page(following)) == set(numbers[:2])
    assert there(await visitor.page("/console/scripts/-/results?name=bad")) == {numbers[5]}
    assert there(await visitor.page("/console/scripts/-/results?state=failure")) == {numbers[5]}
    assert there(await visitor.page("/console/scripts/-/results?state=success")) == set()
    assert there(await visitor.page("/console/scripts/-/results?state=running")) == set(numbers[1:]) - {numbers[5]}
    assert there(await visitor.page("/console/scripts/-/results?run_type=cron")) == set()
    assert there(await visitor.page("/console/scripts/-/results?since=2199-01-01")) == set()
    assert (await visitor.get("/console/scripts/-/results?since=soon")).status == 422
    shown = await visitor.page(f"/console/scripts/-/results/{numbers[5]}")
    assert "boom &lt;b&gt;" in shown
    answer = await visitor.submit(
        "/console/scripts/-/results?name=bad", "/console/scripts/-/results", pick=str(numbers[5])
    )
    assert answer.headers["location"] == "/console/scripts/-/results?name=bad"
    assert "1 results deleted" in await visitor.told("/console/scripts/-/results?name=bad")
    assert (await visitor.get(f"/console/scripts/-/results/{numbers[5]}")).status == 404


@pytest.mark.parametrize("number", ["0", "x", "9" * 30, "-1"])
async def test_there_is_no_page_for_a_result_that_is_none(visitor: Visitor, number: str) -> None:
    assert (await visitor.get(f"/console/scripts/-/results/{number}")).status == 404


async def test_only_admins_of_the_first_project_see_scripts(server: Scripted) -> None:
    await server.create("secret-script", SOURCE)
    for secret in (await server.live.key("cron:write"), await server.live.key("admin", project="other")):
        visitor = Visitor(server.live)
        await visitor.sign_in(secret)
        for path in ("/console/scripts", "/console/scripts/secret-script", "/console/scripts/-/results"):
            answer = await visitor.get(path)
            assert answer.status == 403
            assert "onCall" not in answer.raw.decode()
