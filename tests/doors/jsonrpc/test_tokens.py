"""`token_*`: who may make, see, change and use tokens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from doors.jsonrpc.rig import PING, ask, error, result, token
from doors.live import SUPER, Live
from mainspring.core import access

READS = {"scopes": ["global"], "permissions": [{"crontab": "read"}]}
BY_SUPER = ("token_create", "token_edit", "token_delete", "token_list_all_tokens", "token_change_password",
            "token_roll_token_secret")  # fmt: skip
UNKNOWN = {"code": 102, "message": "Permission denied: Invalid credentials"}


def params_of(method: str, credential: str, target: str = "x") -> dict[str, Any]:
    """Parameters that nothing is wrong with but the credential."""
    if method == "token_create":
        return {"father_token": credential, "token_creation": {"token_limit": []}}
    more = {"token_edit": {"limit": []}, "token_change_password": {"new_password": "long enough"}}.get(method, {})
    targeted = {} if method == "token_list_all_tokens" else {"target_token": target}
    return {"token": credential, **targeted, **more}


async def test_a_token_describes_itself(live: Live) -> None:
    mine = await token(live, {"scopes": [{"global": None}], "permissions": [{"crontab": "read"}]}, timestamp_to=9**15)
    shown = await result(live, "token_get", token=mine)
    assert shown == {
        "version": 1,
        "token_key": mine.partition(":")[0],
        "timestamp_from": None,
        "timestamp_to": 9**15,
        "token_limit": [READS],
        "username": None,
    }
    assert await result(live, "token_get", token=mine.partition(":")[0], supertoken=SUPER) == shown
    assert await result(live, "token_get", token=mine, supertoken=SUPER) == shown
    refused = await error(live, "token_get", token="nobody", supertoken=SUPER)
    assert refused == {"code": 105, "message": "Not found in database: Token not found by key/username: nobody"}


async def test_what_is_made_has_the_documented_form(live: Live) -> None:
    made = await result(live, "token_create", father_token=SUPER, token_creation={"token_limit": [READS]})
    assert set(made) == {"key", "secret"}
    assert (len(made["key"]), len(made["secret"])) == (16, 32)
    assert (made["key"] + made["secret"]).isalnum()


@pytest.mark.parametrize("method", BY_SUPER)
async def test_all_but_reading_is_for_the_super_token(live: Live, method: str) -> None:
    everything = await token(live, {"scopes": ["global"], "permissions": [{"crontab": "write"}, {"kv": {"read": "*"}}]})
    refused = await error(live, method, **params_of(method, everything))
    assert refused["code"] == 102
    assert refused["message"].startswith("Permission denied: Permission Denied: Only Super Token can ")
    assert await error(live, method, **params_of(method, "nobody:here")) == UNKNOWN
    assert (await error(live, method, **params_of(method, "formless")))["code"] == 101


async def test_only_the_super_token_makes_tokens_word_for_word(live: Live) -> None:
    mine = await token(live, READS)
    assert (await error(live, "token_create", **params_of("token_create", mine)))["message"] == (
        "Permission denied: Permission Denied: Only Super Token can create new tokens"
    )


@pytest.mark.parametrize("given", [{"username": "u"}, {"password": "secret"}])
async def test_a_username_comes_with_a_password(live: Live, given: dict[str, str]) -> None:
    refused = await error(live, "token_create", father_token=SUPER, token_creation={"token_limit": [], **given})
    assert refused == {
        "code": 101,
        "message": "Parse error: Username and Password must be both provided or both absent",
    }


async def test_a_user_may_come_with_a_password(live: Live) -> None:
    made = await token(live, READS, username="ann", password="pass|word")
    for credential in (made, "ann|pass|word", "ann|pass|word"):
        assert await result(live, "crontab_get", token=credential) == []
    for credential in ("ann|wrong", "bob|pass|word", made.partition(":")[0] + "|pass|word", "ann|", "|", "root|"):
        assert await error(live, "crontab_get", token=credential) == UNKNOWN
    taken = {"token_limit": [], "username": "ann", "password": "x"}
    assert (await error(live, "token_create", father_token=SUPER, token_creation=taken))["code"] == 108
    change = {"target_token": "ann", "new_password": "another"}
    assert await result(live, "token_change_password", token=SUPER, **change) == {
        "success": True,
        "message": "Password changed successfully",
    }
    assert await error(live, "crontab_get", token="ann|pass|word") == UNKNOWN
    assert await result(live, "crontab_get", token="ann|another") == []
    change["new_password"] = "short"
    assert (await error(live, "token_change_password", token=SUPER, **change))["code"] == 108


async def test_the_super_token_may_get_a_password(live: Live) -> None:
    change = {"target_token": "root", "new_password": "a long password"}
    await result(live, "token_change_password", token=SUPER, **change)
    await result(live, "crontab_create", token="root|a long password", name="a", cron_expression="0 * * * * *",
                 cron_type=PING)  # fmt: skip


@pytest.mark.parametrize("credential", ["", "formless", "key;secret"])
async def test_what_has_no_form_is_told_so(live: Live, credential: str) -> None:
    assert await error(live, "token_get", token=credential) == {
        "code": 101,
        "message": "Parse error: Failed to parse token: "
        "Invalid token format: must be 'key:secret' or 'username|password'",
    }


@pytest.mark.parametrize("credential", [":", "a:", ":b", "a|b:c", SUPER + "x", SUPER.partition(":")[0] + ":"])
async def test_what_nobody_holds_is_answered_alike(live: Live, credential: str) -> None:
    assert await error(live, "token_get", token=credential) == UNKNOWN


async def test_an_edit_replaces_the_limits_alone(live: Live) -> None:
    made = await token(live, READS, username="ann", password="secret")
    key = made.partition(":")[0]
    before = await result(live, "token_get", token=made)
    for target in (key, "ann"):
        edited = await result(live, "token_edit", token=SUPER, target_token=target, limit=[])
        assert edited == {"success": True, "id": edited["id"], "token_key": key}
    assert await result(live, "token_get", token=made) == {**before, "token_limit": []}
    assert (await error(live, "crontab_get", token=made))["code"] == 102
    assert (await live.get("/v1/cron/list", key=made)).status in (200, 403)  # a second at most, elsewhere


async def test_what_was_deleted_is_gone(live: Live) -> None:
    made = await token(live, READS, username="ann", password="secret")
    assert (await error(live, "token_delete", token=SUPER, target_token=""))["code"] == 108
    assert await error(live, "token_delete", token=SUPER, target_token="root") == {
        "code": 102,
        "message": "Permission denied: SuperToken cannot be deleted",
    }
    assert (await error(live, "token_delete", token=SUPER, target_token="nobody"))["code"] == 105
    deleted = await result(live, "token_delete", token=SUPER, target_token="ann")
    assert (deleted["rows_affected"], deleted["matched_by"]) == (1, "username")
    assert isinstance(deleted["message"], str)
    assert await error(live, "token_get", token=made) == UNKNOWN
    other = await token(live, READS, username="ann", password="secret")
    deleted = await result(live, "token_delete", token=SUPER, target_token=other.partition(":")[0])
    assert deleted["matched_by"] == "token_key"


async def test_a_new_secret_ends_the_old_one(live: Live) -> None:
    made = await token(live, READS)
    pair = await result(live, "token_roll_token_secret", token=SUPER, target_token=made.partition(":")[0])
    assert pair["key"] == made.partition(":")[0]
    assert await error(live, "token_get", token=made) == UNKNOWN
    assert await result(live, "crontab_get", token=f"{pair['key']}:{pair['secret']}") == []


async def test_all_are_listed_without_their_secrets(live: Live) -> None:
    made = [await token(live, READS) for _ in range(3)]
    listed = (await result(live, "token_list_all_tokens", token=SUPER))["tokens"]
    assert [one["token_key"] for one in listed] == [one.partition(":")[0] for one in (SUPER, *made)]
    assert (listed[0]["username"], listed[0]["token_limit"]) == ("root", [])
    assert not [one for one in made if one.partition(":")[2] in str(listed)]


@pytest.mark.parametrize(
    "limit",
    [
        "global",
        {"scopes": ["global"]},
        {"scopes": ["nowhere"], "permissions": []},
        {"scopes": [{"agent_uuid": "no uuid"}], "permissions": []},
        {"scopes": [{"global": 1}], "permissions": []},
        {"scopes": [], "permissions": ["crontab"]},
        {"scopes": [], "permissions": [{"crontab": "fly"}]},
        {"scopes": [], "permissions": [{"crontab": {"read": "x"}}]},
        {"scopes": [], "permissions": [{"task": "create"}]},
        {"scopes": [], "permissions": [{"static_monitoring": {"read": "disk"}}]},
        {"scopes": [], "permissions": [{"unheard": "of"}]},
    ],
)
async def test_what_is_no_limit_is_refused(live: Live, limit: Any) -> None:
    refused = await error(live, "token_create", father_token=SUPER, token_creation={"token_limit": [limit]})
    assert (refused["code"], refused["message"]) == (-32602, "Invalid params")
    assert len((await result(live, "token_list_all_tokens", token=SUPER))["tokens"]) == 1


async def test_the_window_includes_its_ends(live: Live) -> None:
    now = live.clock()
    assert access.read("a:b") is not None
    exact = await token(live, READS, timestamp_from=now - 5_000, timestamp_to=now + 60_000)
    assert await result(live, "crontab_get", token=exact) == []


@pytest.mark.parametrize(
    ("permissions", "scope", "allowed"),
    [
        ([{"crontab": "read"}], "global", {"list"}),
        ([{"crontab": "write"}], "global", {"create"}),
        ([{"crontab": "write"}, {"crontab": "delete"}], "global", {"create", "delete"}),
        ([{"crontab": "delete"}], "global", set()),
        ([{"kv": {"read": "*"}}], "global", set()),
        ([{"crontab": "read"}, {"crontab": "write"}], {"js_worker": "*"}, set()),
    ],
)
async def test_at_other_doors_a_token_may_do_what_it_may_do_everywhere(
    live: Live, permissions: list[Any], scope: Any, allowed: set[str]
) -> None:
    mine = await token(live, {"scopes": [scope], "permissions": permissions})
    job = await live.cron()
    body = {"cron_expr": "* * * * *", "task": "http://127.0.0.1:9/hook"}
    calls = {
        "list": await live.get("/v1/cron/list", key=mine),
        "create": await live.post("/v1/cron/create", body, key=mine),
        "delete": await live.call("DELETE", f"/v1/cron/delete/{job['id']}", key=mine),
    }
    assert {name for name, answer in calls.items() if answer.status == 200} == allowed
    assert {answer.status for answer in calls.values()} <= {200, 403}
    assert (await live.post("/v1/queue/publish/q", {"payload": 1}, key=mine)).status in (403, 404)
    assert (await live.get("/v1/account/keys/list", key=mine)).status == 403


async def test_the_super_token_may_do_everything_at_other_doors(live: Live) -> None:
    assert (await live.get("/v1/account/keys/list", key=SUPER)).status == 200
    listed = (await live.get("/v1/account/keys/list", key=SUPER)).data["items"]
    assert not [one for one in listed if "superkey" in str(one)]


async def test_changes_of_tokens_are_in_the_audit_log(live: Live) -> None:
    made = await token(live, READS, username="ann", password="swordfish")
    await result(live, "token_edit", token=SUPER, target_token="ann", limit=[])
    await result(live, "token_roll_token_secret", token=SUPER, target_token="ann")
    await result(live, "token_change_password", token=SUPER, target_token="ann", new_password="another")
    await result(live, "token_delete", token=SUPER, target_token="ann")
    items = (await live.get("/v1/account/audit/list")).data["items"]
    seen = [(one["operation"], one["object"], one["ip"]) for one in items]
    verbs = ("delete", "change_password", "roll_token_secret", "edit", "create")
    assert seen == [(f"rpc.token_{verb}", "ann", "127.0.0.1") for verb in verbs]
    for secret in ("swordfish", made.partition(":")[2], SUPER.partition(":")[2]):
        assert secret not in str(items)


async def test_many_at_once_with_one_username_leave_one(both: Live) -> None:
    creation = {"token_limit": [], "username": "ann", "password": "secret"}
    asked = {"father_token": SUPER, "token_creation": creation}
    answers = await asyncio.gather(*(ask(both, "token_create", asked) for _ in range(8)))
    assert sum("result" in one for one in answers) == 1
    assert {one["error"]["code"] for one in answers if "error" in one} == {108}
