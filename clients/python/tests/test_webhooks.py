"""Webhooks, endpoints and discovery on a real server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mainspring_client import Client, operations, verify_webhook

if TYPE_CHECKING:
    from conftest import Peer


def test_an_event_reaches_its_endpoint_signed(client: Client, peer: Peer, until: Callable[..., Any]) -> None:
    endpoint = client.account.webhooks.register(peer.url, ["order.*"], description="orders")
    secret = endpoint["secret"]
    assert secret is not None
    assert client.webhook.emit("order.paid", {"order": 7})["deliveries"] == 1
    until("the delivery", lambda: peer.seen)
    event = verify_webhook(peer.seen[0].body, peer.seen[0].headers, secret)
    assert (event["event"], event["data"]) == ("order.paid", {"order": 7})
    log = until("the log", lambda: client.account.webhooks.deliveries(endpoint["id"], state="delivered")["items"])
    assert client.webhook.get(log[0]["delivery_id"])["attempts"][0]["response_status"] == 200
    assert client.account.webhooks.delete(endpoint["id"])["deleted"] is True


def test_a_delivery_is_sent_and_replayed(client: Client, peer: Peer, until: Callable[..., Any]) -> None:
    sent = client.webhook.send(peer.url, {"n": 1}, retry=0)
    until("the end", lambda: client.webhook.get(sent["delivery_id"])["state"] == "delivered")
    client.webhook.replay(sent["delivery_id"])
    until("the replay", lambda: len(peer.seen) == 2)
    assert peer.seen[0].body == peer.seen[1].body == b'{"n":1}'


def test_the_server_describes_what_the_client_can_do(client: Client) -> None:
    with Client("", client._session.address.url) as stranger:
        found = stranger.call("discovery.list")
        assert "cron.create" in str(found)
        assert stranger.discovery.get("queue.publish")["idempotent"] is operations.QUEUE_PUBLISH.idempotent
