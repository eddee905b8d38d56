from __future__ import annotations

from pathlib import Path

import pytest

from doors.live import KEY, Live, serving
from mainspring.core.instants import iso
from mainspring.core.limits import DAY, HOUR, SECOND
from mainspring.core.tokens import SCOPES


async def test_a_key_is_shown_once_and_opens_what_its_scopes_say(live: Live) -> None:
    made = (await live.post("/v1/account/keys/create", {"name": "reader", "scopes": ["cron:read"]})).data
    assert made["id"] == made["key_id"]
    assert made["id"].startswith("key_")
    assert (made["name"], made["scopes"], made["project_id"]) == ("reader", ["cron:read"], "default")
    secret = made.pop("key")
    listed = await live.get("/v1/account/keys/list")
    assert made in listed.data["items"]
    assert secret.encode() not in listed.raw
    assert (await live.get("/v1/cron/list", key=secret)).status == 200
    assert (await live.get("/v1/account/balance", key=secret)).status == 200
    for method, path in [("POST", "/v1/cron/create"), ("GET", "/v1/account/keys/list"),
                         ("POST", "/v1/scheduling/task/schedule"), ("POST", "/v1/account/keys/create")]:  # fmt: skip
        answer = await live.call(method, path, key=secret)
        assert answer.code == (403, "FORBIDDEN")
    writer = await live.key("cron:write")
    assert (await live.post("/v1/cron/create", {}, key=writer)).status == 422
    assert (await live.get("/v1/cron/list", key=writer)).status == 403


async def test_a_key_without_named_scopes_has_all_but_admin(live: Live) -> None:
    made = (await live.post("/v1/account/keys/create", {"name": "x"})).data
    assert set(made["scopes"]) == set(SCOPES) - {"admin"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"name": "x", "scopes": ["everything"]}, "scopes"),
        ({"name": "x", "scopes": "admin"}, "scopes"),
        ({"name": "x", "project_id": "a b"}, "project_id"),
        ({"name": "x", "project_id": "a\n"}, "project_id"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "expires_at": "soon"}, "expires_at"),
    ],
)
async def test_a_key_that_cannot_be_is_refused(live: Live, body: dict[str, str], field: str) -> None:
    answer = await live.post("/v1/account/keys/create", body)
    assert (answer.code, answer.error["field"]) == ((422, "VALIDATION_FAILED"), field)


async def test_a_key_ends_when_it_expires(live: Live) -> None:
    expires_at = iso(live.clock() + HOUR)
    made = (await live.post("/v1/account/keys/create", {"name": "x", "expires_at": expires_at})).data
    assert made["expires_at"] == expires_at
    assert (await live.get("/v1/cron/list", key=made["key"])).status == 200
    live.clock.ahead += HOUR + 2 * SECOND
    assert (await live.get("/v1/cron/list", key=made["key"])).status == 401


async def test_a_rotated_key_stays_valid_for_its_grace_only(live: Live) -> None:
    old = (await live.post("/v1/account/keys/create", {"name": "x", "scopes": ["cron:read"]})).data
    new = (await live.post(f"/v1/account/keys/rotate/{old['id']}", {"grace_hours": 2})).data
    assert new["id"] != old["id"]
    assert (new["name"], new["scopes"]) == ("x", ["cron:read"])
    for ahead, expected in ((0, 200), (HOUR, 200), (HOUR + 2 * SECOND, 401)):
        live.clock.ahead += ahead
        assert (await live.get("/v1/cron/list", key=old["key"])).status == expected
        assert (await live.get("/v1/cron/list", key=new["key"])).status == 200
    assert (await live.post(f"/v1/account/keys/rotate/{old['id']}")).code == (404, "NOT_FOUND")
    at_once = (await live.post(f"/v1/account/keys/rotate/{new['id']}", {"grace_hours": 0})).data
    live.clock.ahead += 1
    assert (await live.get("/v1/cron/list", key=new["key"])).status == 401
    assert (await live.get("/v1/cron/list", key=at_once["key"])).status == 200
    for hours in (-1, 169):
        answer = await live.post(f"/v1/account/keys/rotate/{at_once['id']}", {"grace_hours": hours})
        assert answer.error["field"] == "grace_hours"


async def test_the_default_grace_is_a_day(live: Live) -> None:
    old = (await live.post("/v1/account/keys/create", {"name": "x"})).data
    await live.post(f"/v1/account/keys/rotate/{old['id']}")
    live.clock.ahead += DAY - HOUR
    assert (await live.get("/v1/cron/list", key=old["key"])).status == 200
    live.clock.ahead += 2 * HOUR
    assert (await live.get("/v1/cron/list", key=old["key"])).status == 401


async def test_a_revoked_key_opens_nothing_from_the_next_request_on(live: Live) -> None:
    made = (await live.post("/v1/account/keys/create", {"name": "x"})).data
    assert (await live.get("/v1/cron/list", key=made["key"])).status == 200
    for _ in range(2):
        answer = await live.call("DELETE", f"/v1/account/keys/revoke/{made['id']}")
        assert answer.data == {"id": made["id"], "key_id": made["id"], "revoked": True, "deleted": True}
        assert (await live.get("/v1/cron/list", key=made["key"])).status == 401
    [item] = [k for k in (await live.get("/v1/account/keys/list")).data["items"] if k["id"] == made["id"]]
    assert item["revoked_at"] is not None
    for key_id in ("key_0000000000000", "x", made["id"][:-1]):
        assert (await live.call("DELETE", f"/v1/account/keys/revoke/{key_id}")).code == (404, "NOT_FOUND")


async def test_keys_are_listed_page_by_page(live: Live) -> None:
    made = [(await live.post("/v1/account/keys/create", {"name": f"k{n}"})).data["id"] for n in range(3)]
    first = (await live.get("/v1/account/keys/list?limit=2")).data
    second = (await live.get(f"/v1/account/keys/list?limit=2&cursor={first['next_cursor']}")).data
    names = [item["id"] for item in first["items"] + second["items"]]
    assert names[:3] == made[::-1]
    assert len(names) == 4
    assert second["next_cursor"] is None


async def test_an_admin_of_the_first_project_makes_keys_of_others_and_no_one_else_does(live: Live) -> None:
    made = (await live.post("/v1/account/keys/create", {"name": "x", "project_id": "acme", "scopes": ["admin"]})).data
    assert made["project_id"] == "acme"
    theirs = made["key"]
    listed = (await live.get("/v1/account/keys/list", key=theirs)).data["items"]
    assert [item["id"] for item in listed] == [made["id"]]
    assert made["id"] not in [i["id"] for i in (await live.get("/v1/account/keys/list")).data["items"]]
    there = (await live.get("/v1/account/keys/list?project_id=acme")).data["items"]
    assert [item["id"] for item in there] == [made["id"]]
    ours = (await live.get("/v1/account/keys/list")).data["items"][0]["id"]
    assert (await live.get("/v1/account/keys/list?project_id=default", key=theirs)).code == (403, "FORBIDDEN")
    body = {"name": "y", "project_id": "default"}
    assert (await live.post("/v1/account/keys/create", body, key=theirs)).code == (403, "FORBIDDEN")
    for method, path in (("DELETE", "revoke"), ("POST", "rotate")):
        assert (await live.call(method, f"/v1/account/keys/{path}/{ours}", key=theirs)).code == (404, "NOT_FOUND")
        assert (await live.call(method, f"/v1/account/keys/{path}/{made['id']}")).code == (404, "NOT_FOUND")
        named = {"project_id": "default"}
        answer = await live.call(method, f"/v1/account/keys/{path}/{ours}", named, key=theirs)
        assert answer.code == (403, "FORBIDDEN")
    answer = await live.call("DELETE", f"/v1/account/keys/revoke/{made['id']}", {"project_id": "acme"})
    assert answer.status == 200
    assert (await live.get("/v1/cron/list", key=theirs)).status == 401
    assert (await live.get("/v1/cron/list")).status == 200


async def test_another_project_s_things_answer_as_if_they_were_not_there(live: Live) -> None:
    theirs = await live.key("admin", "cron:read", "cron:write", project="acme")
    job = await live.cron()
    run = (await live.post(f"/v1/cron/trigger/{job['id']}")).data
    task = (
        await live.post("/v1/scheduling/task/schedule", {"task": "https://example.com/", "run_at": "2100-01-01"})
    ).data
    nobody, no_run, no_task = "cron_0000000000000", "run_0000000000000", "task_0000000000000"
    for method, path, real, missing in [
        ("GET", "/v1/cron/get/{}", job["id"], nobody),
        ("PATCH", "/v1/cron/update/{}", job["id"], nobody),
        ("DELETE", "/v1/cron/delete/{}", job["id"], nobody),
        ("POST", "/v1/cron/pause/{}", job["id"], nobody),
        ("POST", "/v1/cron/resume/{}", job["id"], nobody),
        ("POST", "/v1/cron/trigger/{}", job["id"], nobody),
        ("GET", "/v1/cron/runs/list/{}", job["id"], nobody),
        ("GET", "/v1/cron/occurrences/list/{}", job["id"], nobody),
        ("GET", "/v1/cron/retention/get/{}", job["id"], nobody),
        ("PUT", "/v1/cron/retention/set/{}", job["id"], nobody),
        ("GET", f"/v1/cron/runs/get/{job['id']}/{{}}", run["run_id"], no_run),
        ("GET", "/v1/scheduling/run/get/{}", run["run_id"], no_run),
        ("GET", "/v1/scheduling/run/list?cron_id={}", job["id"], nobody),
        ("GET", "/v1/scheduling/task/get/{}", task["id"], no_task),
        ("DELETE", "/v1/scheduling/task/cancel/{}", task["id"], no_task),
    ]:
        found = await live.call(method, path.format(real), key=theirs)
        not_there = await live.call(method, path.format(missing), key=theirs)
        assert (found.code, found.error) == ((404, "NOT_FOUND"), not_there.error), path
    for path in ("/v1/cron/list", "/v1/scheduling/task/list", "/v1/scheduling/run/list"):
        assert (await live.get(path, key=theirs)).data["items"] == []
    assert (await live.get(f"/v1/cron/get/{job['id']}")).data["enabled"] is True


async def test_nothing_costs_anything(live: Live) -> None:
    assert (await live.get("/v1/account/balance")).data == {"balance_usd": 0, "currency": "USD"}
    for body in ({}, {"amount_usd": 5}, {"amount": 5, "currency": "USD", "payment_method": "card"}):
        answer = await live.post("/v1/account/topup", body)
        assert answer.data.items() >= {
            "state": "not_required", "checkout_url": None, "next_action_url": None,
        }.items()  # fmt: skip
        assert answer.warnings == []


async def test_activate_gives_the_key_away_on_a_development_server_to_this_machine_only(tmp_path: Path) -> None:
    async with serving(tmp_path, dev=True) as live:
        answer = await live.post("/v1/activate", {"region": "auto"}, key=None)
        assert answer.data == {
            "account_id": "default",
            "project_id": "default",
            "primary_api_key": KEY,
            "trial_credit_usd": 0,
            "checkout_url": None,
        }
        assert (await live.post("/v1/activate", key=None, headers={"Host": "localhost:8080"})).status == 200
        for headers in (
            {"Host": "attacker.example"},
            {"Host": "127.0.0.1.attacker.example"},
            {"Host": ""},
            {"X-Forwarded-For": "203.0.113.7"},
            {"Forwarded": "for=203.0.113.7"},
        ):
            assert (await live.post("/v1/activate", key=None, headers=headers)).code == (404, "NOT_FOUND")
        assert (await live.get("/v1/activate", key=None)).status == 405
