"""`kv_*`: what is set is there, byte for byte, on each database."""

from __future__ import annotations

from typing import Any

import pytest

from doors.jsonrpc.rig import ONE, ask, error, post, result, token
from doors.live import SUPER, Live


async def make(live: Live, *names: str) -> None:
    for name in names:
        assert await result(live, "kv_create", token=SUPER, namespace=name) == {"success": True}


async def put(live: Live, namespace: str, key: str, value: Any) -> None:
    params = {"namespace": namespace, "key": key, "value": value}
    assert await result(live, "kv_set_value", token=SUPER, **params) == {"success": True}


async def got(live: Live, namespace: str, key: str, credential: str = SUPER) -> Any:
    return await result(live, "kv_get_value", token=credential, namespace=namespace, key=key)


@pytest.mark.parametrize("value", [None, 0, -1.5, "text", "é\u0000", [], {"a": [1, {"b": None}]}, True, 2**60])
async def test_a_value_comes_back_as_it_was(both: Live, value: Any) -> None:
    await make(both, ONE)
    await put(both, ONE, "k", "before")
    await put(both, ONE, "k", value)
    assert await got(both, ONE, "k") == value


async def test_the_letters_of_a_number_are_kept(live: Live) -> None:
    await make(live, "a")
    body = b'{"jsonrpc":"2.0","id":1,"method":"kv_set_value","params":["%b","a","k",1.10e2]}' % SUPER.encode()
    assert (await post(live, body)).json["result"] == {"success": True}
    body = b'{"jsonrpc":"2.0","id":1,"method":"kv_get_value","params":["%b","a","k"]}' % SUPER.encode()
    assert (await post(live, body)).raw == b'{"jsonrpc":"2.0","id":1,"result":1.10e2}'


async def test_several_keys_at_once(both: Live) -> None:
    await make(both, "a", "b")
    for key in ("metadata_name", "metadata_tag", "metadatb", "other", "metadata_\U0010ffff", "%"):
        await put(both, "a", key, key.upper())

    async def several(*pairs: tuple[str, str]) -> list[tuple[str, str, Any]]:
        asked = [{"namespace": namespace, "key": key} for namespace, key in pairs]
        found = await result(both, "kv_get_multi_value", token=SUPER, namespace_key=asked)
        return [(one["namespace"], one["key"], one["value"]) for one in found]

    assert await several(("a", "other"), ("b", "other"), ("nowhere", "x")) == [
        ("a", "other", "OTHER"),
        ("b", "other", None),
        ("nowhere", "x", None),
    ]
    keys = [key for _, key, _ in await several(("a", "metadata_*"))]
    assert keys == ["metadata_name", "metadata_tag", "metadata_\U0010ffff"]
    assert len(await several(("a", "*"))) == 6
    assert await several(("a", "%*")) == [("a", "%", "%")]
    assert await several(("a", "\U0010ffff*")) == []
    assert await several() == []
    asked = {"token": SUPER, "namespaceKey": [{"namespace": "a", "key": "other"}]}
    assert (await ask(both, "kv_get_multi_value", asked))["result"][0]["value"] == "OTHER"


async def test_what_is_deleted_is_gone(both: Live) -> None:
    await make(both, "a", "b")
    for namespace in ("a", "b"):
        for key in ("x", "y"):
            await put(both, namespace, key, 1)
    assert await result(both, "kv_delete_key", token=SUPER, namespace="a", key="x") == {"success": True}
    assert (await error(both, "kv_delete_key", token=SUPER, namespace="a", key="x"))["code"] == 105
    assert await got(both, "a", "x") is None
    assert await result(both, "kv_get_all_keys", token=SUPER, namespace="a") == ["y"]
    assert await result(both, "kv_delete_namespace", token=SUPER, namespace="a") == {"success": True}
    assert (await error(both, "kv_delete_namespace", token=SUPER, namespace="a"))["code"] == 105
    assert (await error(both, "kv_get_all_keys", token=SUPER, namespace="a"))["code"] == 105
    assert (await error(both, "kv_set_value", token=SUPER, namespace="a", key="x", value=1))["code"] == 105
    await make(both, "a")
    assert await result(both, "kv_get_all_keys", token=SUPER, namespace="a") == []
    assert await result(both, "kv_get_all_keys", token=SUPER, namespace="b") == ["x", "y"]


async def test_a_namespace_is_made_once(both: Live) -> None:
    await make(both, "a")
    assert await error(both, "kv_create", token=SUPER, namespace="a") == {
        "code": 108,
        "message": "Invalid input: namespace already exists: a",
    }


async def test_who_sees_which_namespaces(live: Live) -> None:
    await make(live, "a", "b", "c")
    listing = {"permissions": [{"kv": "list_all_namespace"}]}
    some = await token(live, {"scopes": [{"kv_namespace": "a"}, {"kv_namespace": "c"}], **listing})
    everything = await token(live, {"scopes": ["global"], **listing})
    nothing = await token(live, {"scopes": ["global"], "permissions": [{"kv": {"read": "*"}}]})
    assert await result(live, "kv_list_all_namespace", token=some) == ["a", "c"]
    assert await result(live, "kv_list_all_namespace", token=everything) == ["a", "b", "c"]
    assert (await error(live, "kv_list_all_namespace", token=nothing))["code"] == 102


@pytest.mark.parametrize("bad", [{"namespace": ""}, {"namespace": "x" * 256}, {"namespace": "a\u0000"}])
async def test_unusable_namespaces_are_refused(live: Live, bad: dict[str, str]) -> None:
    assert (await error(live, "kv_create", token=SUPER, **bad))["code"] == 108


async def test_unusable_keys_and_values_are_refused(live: Live) -> None:
    await make(live, "a")
    for key, value in (("", 1), ("x" * 256, 1), ("a\u0000", 1), ("k", "x" * (1024 * 1024))):
        assert (await error(live, "kv_set_value", token=SUPER, namespace="a", key=key, value=value))["code"] == 108
    assert (await error(live, "kv_set_value", token=SUPER, namespace="a", key="k"))["code"] == -32602


async def test_agents_are_known_by_what_is_for_them(live: Live) -> None:
    two = "00000000-0000-0000-0000-000000000002"
    cron_type = {"agent": [[two, ONE, two], {"task": "ip"}]}
    assert await result(live, "nodeget-server_list_all_agent_uuid", token=SUPER) == {"uuids": []}
    params = {"name": "a", "cron_expression": "0 * * * * *", "cron_type": cron_type}
    await result(live, "crontab_create", token=SUPER, **params)
    assert await result(live, "nodeget-server_list_all_agent_uuid", token=SUPER) == {"uuids": [ONE, two]}
    right = {"permissions": [{"node_get": "list_all_agent_uuid"}]}
    some = await token(live, {"scopes": [{"agent_uuid": two}], **right})
    assert await result(live, "nodeget-server_list_all_agent_uuid", token=some) == {"uuids": [two]}
    nothing = await token(live, {"scopes": ["global"], "permissions": []})
    assert (await error(live, "nodeget-server_list_all_agent_uuid", token=nothing))["code"] == 102
