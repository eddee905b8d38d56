"""Paths, methods, keys, and who is let in without one."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from doors.crontab.rig import send, task
from doors.live import KEY, Live, serving
from mainspring.core.errors import Invalid
from mainspring.settings import check_to_serve, read

CALLS = ("add_task", "update_task", "query_task_status", "run_again_task")


@pytest.mark.parametrize(
    "path", ["/crontab", "/crontab/", "/crontab/delete_task", "/crontab/add_task/", "/crontab/add_task/x"]
)
async def test_the_prefix_is_this_door_s_and_unknown_there_is_404(live: Live, path: str) -> None:
    for method in ("POST", "GET"):
        answer = await live.call(method, "/crontab" + path)
        assert (answer.status, answer.json["state"], answer.json["data"]) == (404, 1, None)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_the_calls_are_posted(live: Live, method: str) -> None:
    answer = await live.call(method, "/crontab/add_task")
    assert (answer.status, answer.headers["allow"], answer.json["state"]) == (405, "POST", 1)
    assert (await live.call("HEAD", "/crontab/add_task")).raw == b""


async def test_a_body_over_8_mib_is_refused(live: Live) -> None:
    answer = await live.post("/crontab/add_task", raw=b" " * (8 * 1024 * 1024 + 1))
    assert (answer.status, answer.json["state"]) == (413, 1)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"])
async def test_whatever_the_content_type_says_the_body_is_read_as_json(live: Live, kind: str) -> None:
    answer = await live.post("/crontab/add_task", {"task_list": [task()]}, headers={"Content-Type": kind})
    assert answer.json["data"]["task_result"][0]["err"] == ""


async def test_scopes_are_those_of_cron(live: Live) -> None:
    reader, writer = await live.key("cron:read"), await live.key("cron:write")
    for call in CALLS:
        may = reader if call == "query_task_status" else writer
        for key in (reader, writer):
            answer = await live.post(f"/crontab/{call}", {"task_list": []}, key=key)
            assert answer.status == (200 if key == may else 403)
            assert answer.json["state"] == (0 if key == may else 1)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {KEY}", 200),
        (f"bearer  {KEY} ", 200),
        (basic("x", KEY), 200),
        (basic("", KEY), 200),
        (basic(KEY, ""), 401),
        (basic("x", KEY + "x"), 401),
        ("Basic !!!", 401),
        ("Basic", 401),
        ("", 401),
        (f"Digest {KEY}", 401),
        (KEY, 401),
    ],
)
async def test_the_key_comes_as_a_bearer_or_as_a_password(live: Live, header: str, status: int) -> None:
    answer = await live.post("/crontab/add_task", {}, key=None, headers={"Authorization": header})
    assert answer.status == status
    assert (answer.json["state"] == 0) is (status == 200)


async def test_a_request_is_counted_under_its_call(live: Live) -> None:
    await send(live, "add_task", task())
    await live.post("/crontab/nothing")
    assert [seen[:2] for seen in live.observed] == [("crontab.add_task", 200), ("unknown", 404)]


async def test_under_a_root_path(tmp_path: Path) -> None:
    async with serving(tmp_path, root_path="/jobs") as live:
        assert (await live.post("/jobs/crontab/add_task", {"task_list": []})).json["state"] == 0


async def test_without_keys_only_programs_on_this_machine_are_let_in(tmp_path: Path) -> None:
    async with serving(tmp_path, crontab_key=False) as live:

        async def status(**headers: str) -> int:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            return (await live.post("/crontab/add_task", {"task_list": [task()]}, key=None, headers=given)).status

        assert await status() == 200
        assert await status(Authorization="Bearer whatever") == 200
        assert await status(Origin="https://example.com") == 401, "a page in a browser"
        assert await status(Host="rebound.example.com") == 401, "a name that was made to mean this machine"
        assert await status(X_Forwarded_For="203.0.113.1") == 401, "a proxy that speaks for others"
        assert (await live.get("/v1/cron/list", key=None)).status == 401, "the other doors stay shut"
        [made] = (await live.get("/v1/cron/list")).data["items"][:1]
        assert made["enabled"] is True


# ------------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("bind", ["0.0.0.0:80", "[::]:80", "127.0.0.1:80,192.0.2.1:80", "example.com:80"])
def test_auth_off_is_refused_unless_every_address_is_loopback(bind: str) -> None:
    settings = read({"BIND": bind, "CRONTAB_AUTH": "off"}, {})
    with pytest.raises(Invalid) as refused:
        check_to_serve(settings)
    assert refused.value.field == "MAINSPRING_CRONTAB_AUTH"
    check_to_serve(read({"BIND": bind}, {}))
    check_to_serve(read({"BIND": "127.0.0.1:80,[::1]:80", "CRONTAB_AUTH": "off"}, {}))


@pytest.mark.parametrize(("name", "value"), [("AUTH", "none"), ("DATA", "text"), ("TIMEZONE", "Mars/Olympus")])
def test_settings_out_of_bounds_are_refused(name: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        read({}, {f"MAINSPRING_CRONTAB_{name}": value})
    assert refused.value.field == f"MAINSPRING_CRONTAB_{name}"


def test_the_zone_is_the_one_set_else_the_host_s_else_utc() -> None:
    assert (
        read({}, {"MAINSPRING_CRONTAB_TIMEZONE": "Asia/Tokyo", "TZ": "Europe/Berlin"}).crontab_timezone == "Asia/Tokyo"
    )
    assert read({}, {"TZ": "Europe/Berlin"}).crontab_timezone == "Europe/Berlin"
    assert read({}, {"TZ": ":America/Lima"}).crontab_timezone == "America/Lima"
    of_the_machine = read({}, {}).crontab_timezone
    assert read({}, {"TZ": "CET-1CEST"}).crontab_timezone == of_the_machine, "no name of a zone"
