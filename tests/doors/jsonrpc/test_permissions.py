"""Rights, in all combinations, against an oracle of a few lines; and that each method of the table asks for its own."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doors.jsonrpc.rig import ONE, TWO, error, result, token
from doors.live import SUPER, Live
from mainspring.core import cron_types, permissions
from mainspring.core.permissions import PERMISSIONS, Limit, Permission, Scope
from mainspring.doors.jsonrpc.methods import METHODS

WILD_SCOPES = {"js_worker", "static_bucket", "db"}
WILD_GROUPS = {"task", "kv", "crontab_result", "js_result"}


def oracle(limits: list[dict[str, Any]], scopes: list[Any], rights: list[Any]) -> bool:
    """The rule, from the JSON of the limits."""

    def fits(granted: Any, asked: Any, wild: set[str]) -> bool:
        if granted == asked:
            return True
        if isinstance(granted, str) or isinstance(asked, str):
            return False
        [(kind, one)], [(other, two)] = granted.items(), asked.items()
        if kind != other:
            return False
        if isinstance(one, dict) and isinstance(two, dict):
            return kind in wild and fits(one, two, set(one))
        return kind in wild and isinstance(one, str) and one[-1:] == "*" and str(two)[: len(one) - 1] == one[:-1]

    def covers(limit: dict[str, Any], scope: Any, right: Any) -> bool:
        place = any(one == "global" or fits(one, scope, WILD_SCOPES) for one in limit["scopes"])
        return place and any(fits(one, right, WILD_GROUPS) for one in limit["permissions"])

    return all(any(covers(limit, scope, right) for limit in limits) for scope in scopes for right in rights)


def every_permission() -> list[Any]:
    found: list[Any] = []
    for group, actions in PERMISSIONS.items():
        for action, subject in actions.items():
            if subject is None:
                found.append({group: action})
            elif isinstance(subject, tuple):
                found += [{group: {action: one}} for one in subject]
            else:
                found += [{group: {action: one}} for one in ("a", "ab", "a*", "*", "", "a*b")]
    return found


ALL_SCOPES: list[Any] = ["global", {"agent_uuid": ONE}, {"agent_uuid": TWO}] + [
    {kind: name} for kind in ("kv_namespace", "js_worker", "static_bucket", "db") for name in ("a", "ab", "a*", "*")
]
ALL_PERMISSIONS = every_permission()


def decided(limits: list[dict[str, Any]], scopes: list[Any], rights: list[Any]) -> bool:
    asked = permissions.limits_of([{"scopes": scopes, "permissions": rights}])[0]
    return permissions.allows(permissions.limits_of(limits), asked.scopes, asked.permissions)


def test_every_pair_of_scopes_and_of_permissions() -> None:
    for granted, asked in itertools.product(ALL_SCOPES, ALL_SCOPES):
        limits = [{"scopes": [granted], "permissions": [{"crontab": "read"}]}]
        assert decided(limits, [asked], [{"crontab": "read"}]) is oracle(limits, [asked], [{"crontab": "read"}])
    for granted, asked in itertools.product(ALL_PERMISSIONS, ALL_PERMISSIONS):
        limits = [{"scopes": ["global"], "permissions": [granted]}]
        assert decided(limits, ["global"], [asked]) is oracle(limits, ["global"], [asked]), (granted, asked)


some_scopes, some_rights = st.sampled_from(ALL_SCOPES), st.sampled_from(ALL_PERMISSIONS)
a_limit = st.fixed_dictionaries(
    {"scopes": st.lists(some_scopes, max_size=3), "permissions": st.lists(some_rights, max_size=4)}
)


@settings(max_examples=500, deadline=None)
@given(st.lists(a_limit, max_size=3), st.lists(some_scopes, max_size=3), st.lists(some_rights, max_size=3))
def test_limits_together(limits: list[Any], scopes: list[Any], rights: list[Any]) -> None:
    assert decided(limits, scopes, rights) is oracle(limits, scopes, rights)


def test_each_pair_may_be_within_another_limit_but_within_one_as_a_whole() -> None:
    read, write = Permission("crontab", "read"), Permission("crontab", "write")
    one, two = permissions.agent(ONE), permissions.agent(TWO)
    split = (Limit((one,), (read, write)), Limit((two,), (read,)))
    assert permissions.allows(split, (one, two), (read,))
    assert not permissions.allows(split, (one, two), (read, write))
    assert not permissions.allows((Limit((one,), ()), Limit((), (read,))), (one,), (read,))


@settings(max_examples=200, deadline=None)
@given(st.lists(a_limit, max_size=3))
def test_limits_are_kept_as_they_were(limits: list[Any]) -> None:
    read = permissions.limits_of(limits)
    assert permissions.from_stored(permissions.stored(read)) == read
    assert [permissions.shown(one) for one in read] == limits


def test_what_this_version_does_not_know_is_left_out() -> None:
    kept = b'[{"scopes":["global",{"moon":"x"}],"permissions":[{"crontab":"read"},{"crontab":"fly"},{"new":"x"}]}]'
    assert permissions.from_stored(kept) == (Limit((Scope("global"),), (Permission("crontab", "read"),)),)


# Per method, parameters that nothing is wrong with but the token, and what is needed: (scopes, permissions) pairs, None
# for the super token alone. A method that is not here needs no token, or is looked at in its own test.
DEFINITION = {"name": "new", "cron_expression": "0 * * * * *"}
ON_ONE = {"agent": [[ONE], {"task": {"ping": "x"}}]}
SCRIPT = {"server": {"js_worker": ["demo", 1]}}
G = "global"
Needs = list[tuple[list[Any], list[Any]]] | None
AGENT_ONE, AGENTS = [{"agent_uuid": ONE}], [{"agent_uuid": ONE}, {"agent_uuid": TWO}]
NS, KEY = [{"kv_namespace": "ns"}], {"namespace": "ns", "key": "ab"}
WRITE, PING_IT = {"crontab": "write"}, {"task": {"create": "ping"}}
RUN_IT = ([{"js_worker": "demo"}], [{"js_worker": "run_defined_js_worker"}])
CLEAN_UP = {"server": "clean_up_database"}
ABOUT_AB = {"query": {"condition": [{"cron_name": "ab"}]}}
CASES: list[tuple[str, dict[str, Any], Needs]] = [
    ("crontab_create", {**DEFINITION, "cron_type": ON_ONE}, [(AGENT_ONE, [WRITE, PING_IT])]),
    ("crontab_create", {**DEFINITION, "cron_type": CLEAN_UP}, [([G], [WRITE])]),
    ("crontab_create", {**DEFINITION, "cron_type": SCRIPT}, [([G], [WRITE]), RUN_IT]),
    (
        "crontab_edit",
        {**DEFINITION, "name": "old", "cron_type": ON_ONE},
        [(AGENTS, [WRITE]), (AGENT_ONE, [WRITE, PING_IT])],
    ),
    ("crontab_delete", {"name": "old"}, [(AGENTS, [{"crontab": "delete"}])]),
    ("crontab_set_enable", {"name": "old", "enable": True}, [(AGENTS, [WRITE])]),
    ("crontab-result_query", {"query": {"condition": []}}, [([G], [{"crontab_result": {"read": "*"}}])]),
    ("crontab-result_query", ABOUT_AB, [([G], [{"crontab_result": {"read": "ab"}}])]),
    ("crontab-result_delete", {"query": {"condition": []}}, [([G], [{"crontab_result": {"delete": "*"}}])]),
    ("kv_create", {"namespace": "new"}, [([{"kv_namespace": "new"}], [{"kv": {"write": "*"}}])]),
    ("kv_set_value", {**KEY, "value": 1}, [(NS, [{"kv": {"write": "ab"}}])]),
    ("kv_get_value", KEY, [(NS, [{"kv": {"read": "ab"}}])]),
    ("kv_get_multi_value", {"namespace_key": [{**KEY, "key": "a*"}]}, [(NS, [{"kv": {"read": "a*"}}])]),
    ("kv_delete_key", {"namespace": "ns", "key": "k"}, [(NS, [{"kv": {"delete": "k"}}])]),
    ("kv_delete_namespace", {"namespace": "ns"}, [(NS, [{"kv": {"delete": "*"}}])]),
    ("kv_get_all_keys", {"namespace": "ns"}, [(NS, [{"kv": "list_all_keys"}])]),
    ("token_edit", {"target_token": "x", "limit": []}, None),
    ("token_delete", {"target_token": "x"}, None),
    ("token_list_all_tokens", {}, None),
    ("token_change_password", {"target_token": "x", "new_password": "long enough"}, None),
    ("token_roll_token_secret", {"target_token": "x"}, None),
]
# These answer with what may be seen, or need no more than a token; tests of their own look at them.
APART = {"crontab_get", "token_get", "token_create", "kv_list_all_namespace", "nodeget-server_list_all_agent_uuid"}


def grants(needs: Needs, chooser: random.Random) -> list[list[Any]]:
    """Limits that are enough, those that lack one thing each, and some by chance."""
    if needs is None:
        return [[{"scopes": [G], "permissions": [{"crontab": "write"}, {"kv": {"read": "*"}}]}]]
    enough = [{"scopes": scopes, "permissions": rights} for scopes, rights in needs]
    everywhere = [{"scopes": [G], "permissions": [one for _, rights in needs for one in rights]}]
    found = [enough, everywhere, []]
    for at, limit in enumerate(enough):
        others = [one for number, one in enumerate(enough) if number != at]
        found.append(others)
        for part in ("scopes", "permissions"):
            for left_out in limit[part]:
                less = {**limit, part: [one for one in limit[part] if one != left_out]}
                found.append([*others, less])
    by_chance = (
        [
            {"scopes": chooser.sample(ALL_SCOPES, 2), "permissions": chooser.sample(ALL_PERMISSIONS, 8)},
            {"scopes": chooser.sample(ALL_SCOPES, 1), "permissions": chooser.choice(enough)["permissions"]},
        ]
        for _ in range(6)
    )
    return [*found, *by_chance]


@pytest.mark.parametrize(("method", "params", "needs"), CASES, ids=[f"{case[0]}-{at}" for at, case in enumerate(CASES)])
async def test_a_method_asks_for_what_it_needs_and_nothing_else(
    live: Live, method: str, params: dict[str, Any], needs: Needs
) -> None:
    chooser = random.Random(method)  # the same each time
    both = {"agent": [[ONE, TWO], {"task": {"ping": "x"}}]}
    seen = set()
    for limits in grants(needs, chooser):
        for name in ("old", "new"):
            if await _there(live, name):
                await result(live, "crontab_delete", token=SUPER, name=name)
        old = {"name": "old", "cron_expression": "0 * * * * *", "cron_type": both}
        await result(live, "crontab_create", token=SUPER, **old)
        for namespace in await result(live, "kv_list_all_namespace", token=SUPER):
            await result(live, "kv_delete_namespace", token=SUPER, namespace=namespace)
        await result(live, "kv_create", token=SUPER, namespace="ns")
        await result(live, "kv_set_value", token=SUPER, namespace="ns", key="k", value=1)
        credential = await token(live, *limits)
        allowed = needs is not None and all(oracle(limits, scopes, rights) for scopes, rights in needs)
        seen.add(allowed)
        if allowed:
            await result(live, method, token=credential, **params)
        else:
            assert (await error(live, method, token=credential, **params))["code"] == 102, limits
    assert seen == ({False} if needs is None else {True, False})


async def _there(live: Live, name: str) -> bool:
    return any(one["name"] == name for one in await result(live, "crontab_get", token=SUPER))


def test_every_method_of_these_nouns_that_takes_a_token_has_a_case() -> None:
    nouns = ("crontab_", "crontab-result_", "token_", "kv_", "nodeget-server_")
    with_token = {row.name for row in METHODS if row.permission is not None and row.name.startswith(nouns)}
    assert with_token == {case[0] for case in CASES} | APART
    assert all(row.permission for row in METHODS if {"token", "father_token"} & set(row.params.__struct_fields__))


def test_a_crontab_of_another_door_belongs_everywhere() -> None:
    assert cron_types.scopes_of(None) == (permissions.EVERYWHERE,)
