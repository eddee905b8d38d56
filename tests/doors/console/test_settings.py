from __future__ import annotations

import re
from html import unescape

import pytest

from doors.console.visitor import Visitor
from doors.jsonrpc.rig import ONE, SUPER, error, result
from doors.live import KEY, Live
from mainspring import __version__
from mainspring.core import zone_data
from mainspring.store.sqlite import SqliteDb

KEYS, TOKENS, AUDIT = "/console/settings/keys", "/console/settings/tokens", "/console/settings/audit"


def shown_secret(page: str) -> str:
    found = re.search(r'<pre id="secret"[^>]*>([^<]+)</pre>', page)
    assert found is not None, page
    return unescape(found[1])


async def key_ids(visitor: Visitor) -> list[str]:
    return re.findall(r'<tr id="(key_\w+)"', await visitor.page(KEYS))


async def test_settings_say_what_this_server_is(visitor_of_both: Visitor) -> None:
    page = await visitor_of_both.page("/console/settings")
    database = "SQLite" if isinstance(visitor_of_both.live.store.db, SqliteDb) else "PostgreSQL"
    for text in (
        f"Mainspring {__version__}",
        database,
        zone_data.version(),
        "/openapi.json",
        "/metrics",
        "0BSD",
        "MIT",
    ):
        assert text in page
    licence = re.search(r'href="(/console/static/licenses/htmx\.txt[^"]*)"', page)
    assert licence is not None
    assert b"Permission to use" in (await visitor_of_both.get(licence[1])).raw
    assert ("Nodes" in page) == (database == "PostgreSQL")


async def test_a_new_key_is_shown_once_and_works(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    sent = [("name", "for <me>"), ("days", "30"), ("scope", "cron:read"), ("scope", "queue:publish")]
    answer = await visitor_of_both.submit_all(KEYS, KEYS, sent)
    assert answer.status == 200
    secret = shown_secret(answer.raw.decode())
    assert (await live.get("/v1/cron/list", key=secret)).status == 200
    assert (await live.post("/v1/cron/create", {}, key=secret)).status == 403
    page = await visitor_of_both.page(KEYS)
    assert secret not in page
    assert "for &lt;me&gt;" in page
    [made] = [one for one in (await live.get("/v1/account/keys/list")).data["items"] if one["name"] == "for <me>"]
    assert made["scopes"] == ["cron:read", "queue:publish"]
    assert made["expires_at"] is not None
    assert "account.keys.create" in await visitor_of_both.page(AUDIT)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ([("name", ""), ("scope", "admin")], "name"),
        ([("name", "typed <it>")], "scopes"),
        ([("name", "typed <it>"), ("scope", "root")], "scopes"),
        ([("name", "typed <it>"), ("scope", "admin"), ("days", "0")], "days"),
        ([("name", "typed <it>"), ("scope", "admin"), ("days", "x")], "days"),
        ([("name", "typed <it>"), ("scope", "admin"), ("days", "9" * 40)], "days"),
    ],
)
async def test_a_bad_key_is_shown_again_with_its_fault(
    visitor: Visitor, sent: list[tuple[str, str]], field: str
) -> None:
    before = await key_ids(visitor)
    answer = await visitor.submit_all(KEYS, KEYS, sent)
    assert answer.status == 422
    page = answer.raw.decode()
    assert f'id="fault-{field}"' in page
    assert dict(sent)["name"] in unescape(page)
    assert await key_ids(visitor) == before


async def test_a_key_is_replaced_and_the_old_one_ends(visitor: Visitor, live: Live) -> None:
    old = await live.key("cron:read")
    [public] = [one["id"] for one in (await live.get("/v1/account/keys/list")).data["items"] if one["name"] == "a key"]
    answer = await visitor.submit(KEYS, f"{KEYS}/{public}/rotate", grace_hours="1")
    secret = shown_secret(answer.raw.decode())
    assert "stays valid for 1.0 hours" in answer.raw.decode()
    for key in (old, secret):
        assert (await live.get("/v1/cron/list", key=key)).status == 200
    live.clock.ahead += 3_600_001
    assert (await live.get("/v1/cron/list", key=old)).status == 401
    assert (await live.get("/v1/cron/list", key=secret)).status == 200
    assert "expired" in await visitor.page(KEYS)
    assert "grace_hours" in await _refused(visitor, f"{KEYS}/{public}/rotate", grace_hours="x")


async def _refused(visitor: Visitor, path: str, **fields: str) -> str:
    answer = await visitor.submit(KEYS, path, **fields)
    assert answer.status == 303
    return await visitor.told(KEYS)


async def test_a_key_is_revoked_at_once(visitor: Visitor, live: Live) -> None:
    old = await live.key("cron:read")
    [public] = [one["id"] for one in (await live.get("/v1/account/keys/list")).data["items"] if one["name"] == "a key"]
    await visitor.submit(KEYS, f"{KEYS}/{public}/revoke")
    assert "The key is revoked" in await visitor.told(KEYS)
    assert (await live.get("/v1/cron/list", key=old)).status == 401
    assert "revoked" in await visitor.page(KEYS)


async def test_the_key_that_one_is_signed_in_with_is_marked(live: Live) -> None:
    await live.key("cron:read")
    visitor = Visitor(live)
    await visitor.sign_in(KEY)
    rows = (await visitor.page(KEYS)).split('<tr id="key_')[1:]
    assert [row.count(">you<") for row in rows if "bootstrap" in row] == [1]
    assert [row.count(">you<") for row in rows if "bootstrap" not in row] == [0]


async def test_keys_are_shown_page_by_page(visitor: Visitor, live: Live) -> None:
    for _ in range(51):
        await live.key("cron:read")
    first = await visitor.page(KEYS)
    following = unescape(first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0])
    second = await visitor.page(following)
    both = re.findall(r'<tr id="(key_\w+)"', first) + re.findall(r'<tr id="(key_\w+)"', second)
    assert len(both) == len(set(both)) == 52


async def test_a_new_token_may_do_what_was_ticked(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    sent = [
        ("scopes", f"agent_uuid {ONE}\nglobal"),
        ("permission", "crontab:read"),
        ("permission", "task:create"),
        ("for:task:create", "ping"),
        ("permission", "task:read"),
        ("permission", "static_monitoring:read:cpu"),
        ("more", '[{"scopes": ["global"], "permissions": [{"kv": {"read": "a*"}}]}]'),
        ("until", "2199-01-01T00:00"),
    ]
    answer = await visitor_of_both.submit_all(TOKENS, TOKENS, sent)
    assert answer.status == 200, answer.raw
    secret = shown_secret(answer.raw.decode())
    found = await result(live, "token_get", token=secret)
    assert found["token_limit"] == [
        {
            "scopes": [{"agent_uuid": ONE}, "global"],
            "permissions": [
                {"crontab": "read"},
                {"task": {"create": "ping"}},
                {"task": {"read": "*"}},
                {"static_monitoring": {"read": "cpu"}},
            ],
        },
        {"scopes": ["global"], "permissions": [{"kv": {"read": "a*"}}]},
    ]
    assert (found["timestamp_from"], found["timestamp_to"]) == (None, 7_226_582_400_000)
    page = await visitor_of_both.page(TOKENS)
    assert found["token_key"] in page
    assert secret not in page
    assert "rpc.token_create" in await visitor_of_both.page(AUDIT)
    await visitor_of_both.submit(TOKENS, f"{TOKENS}/delete", target=found["token_key"])
    assert "is deleted" in await visitor_of_both.told(TOKENS)
    live.clock.ahead += 1_001
    assert (await error(live, "token_get", token=secret))["code"] == 102
    assert "rpc.token_delete" in await visitor_of_both.page(AUDIT)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ([("scopes", "global")], "permission"),
        ([("scopes", ""), ("permission", "crontab:read")], "scopes"),
        ([("scopes", "moon base"), ("permission", "crontab:read")], "scopes"),
        ([("scopes", "agent_uuid x"), ("permission", "crontab:read")], "scopes"),
        ([("scopes", "global"), ("permission", "crontab:fly")], "scopes"),
        ([("more", "{")], "more"),
        ([("more", "{}")], "more"),
        ([("scopes", "global"), ("permission", "crontab:read"), ("until", "soon")], "until"),
        ([("scopes", "global"), ("permission", "crontab:read"), ("until", "2001-01-01")], "until"),
        ([("scopes", "global"), ("permission", "crontab:read"), ("from", "x")], "from"),
    ],
)
async def test_a_bad_token_is_shown_again_with_its_fault(
    visitor: Visitor, live: Live, sent: list[tuple[str, str]], field: str
) -> None:
    answer = await visitor.submit_all(TOKENS, TOKENS, sent)
    assert answer.status == 422
    assert f'id="fault-{field}"' in answer.raw.decode()
    assert len((await result(live, "token_list_all_tokens", token=SUPER))["tokens"]) == 1


async def test_the_form_for_an_agent_names_a_new_one(visitor: Visitor, live: Live) -> None:
    page = await visitor.page(f"{TOKENS}?for=agent")
    uuid = re.search(r"agent_uuid ([0-9a-f-]{36})</textarea>", page)
    assert uuid is not None
    ticked = re.findall(r'name="permission" value="([^"]+)" checked', page)
    sent = [("scopes", f"agent_uuid {uuid[1]}"), *(("permission", one) for one in ticked)]
    secret = shown_secret((await visitor.submit_all(TOKENS, TOKENS, sent)).raw.decode())
    data = {"uuid": uuid[1], "time": 1}
    assert await result(live, "agent_report_static", token=secret, data=data) == {"status": "buffered"}
    assert (await error(live, "agent_report_static", token=secret, data=data | {"uuid": ONE}))["code"] == 102


async def test_the_super_token_stays(visitor: Visitor, live: Live) -> None:
    super_key = SUPER.partition(":")[0]
    assert "everything" in await visitor.page(TOKENS)
    for target in (super_key, "root", "", "nobody"):
        await visitor.submit(TOKENS, f"{TOKENS}/delete", target=target)
        assert 'class="note failed"' in await visitor.page(TOKENS)
    assert len((await result(live, "token_list_all_tokens", token=SUPER))["tokens"]) == 1


async def test_the_audit_log_is_filtered_and_paged(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    made = [await live.cron(name=f"n{number}") for number in range(52)]
    await live.post(f"/v1/cron/pause/{made[3]['id']}")
    first = await visitor_of_both.page(AUDIT)
    rows = re.findall(r'<tr id="(aud_\w+)"', first)
    following = unescape(first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0])
    rest = re.findall(r'<tr id="(aud_\w+)"', await visitor_of_both.page(following))
    assert len(rows) == 50
    assert not set(rows) & set(rest)
    found = await visitor_of_both.page(f"{AUDIT}?operation=cron.pause")
    assert len(re.findall(r'<tr id="aud_', found)) == 1
    assert made[3]["id"] in found
    assert len(re.findall(r'<tr id="aud_', await visitor_of_both.page(f"{AUDIT}?object={made[3]['id']}"))) == 2
    assert "No entry fits" in await visitor_of_both.page(f"{AUDIT}?since=2199-01-01")
    for bad in ("since=soon", "cursor=x"):
        answer = await visitor_of_both.get(f"{AUDIT}?{bad}")
        assert answer.status == 422
        assert 'role="alert"' in answer.raw.decode()


async def test_the_chain_of_the_audit_log_is_checked(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    for number in range(3):
        await live.cron(name=f"n{number}")
    page = await visitor_of_both.page(f"{AUDIT}/chain")
    written = await live.store.views.settings.written()
    assert f"{written} entries, each bound to the one before" in page
    async with live.store.db.transaction() as tx:
        await tx.fetch("prune_audit", number=1)
    broken = await visitor_of_both.page(f"{AUDIT}/chain")
    assert "entries 1 to 1 are missing" in broken


async def test_retention_counts_what_there_is(visitor_of_both: Visitor) -> None:
    live = visitor_of_both.live
    for number in range(3):
        made = await live.cron(name=f"n{number}")
        await live.post(f"/v1/cron/trigger/{made['id']}")
    page = await visitor_of_both.page("/console/settings/retention")
    assert re.search(r'Runs and their ledger</td><td class="number">3</td><td>30 days or 10,000 runs', page)
    assert "365 days" in page
    assert ("Free on the disk" in page) == isinstance(live.store.db, SqliteDb)


async def test_settings_of_all_are_for_admins_of_the_first_project(live: Live) -> None:
    for secret, keys in ((await live.key("cron:write"), 403), (await live.key("admin", project="other"), 200)):
        visitor = Visitor(live)
        await visitor.sign_in(secret)
        assert (await visitor.get("/console/settings")).status == 200
        assert (await visitor.get(KEYS)).status == keys
        assert "bootstrap" not in (await visitor.get(KEYS)).raw.decode()
        for path in (TOKENS, f"{AUDIT}/chain", "/console/settings/retention"):
            assert (await visitor.get(path)).status == 403
