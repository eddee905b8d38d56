"""Webhooks against a real server and a real receiver: what is asked for, sent, and checked by whoever gets it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from doors.live import Live
from doors.receiving import Post, Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PENDING = ("queued", "sending", "retrying")


async def register(live: Live, url: str, **fields: Any) -> dict[str, Any]:
    """An endpoint; the answer with its secret."""
    record: dict[str, Any] = (await live.post("/v1/account/webhooks/register", {"url": url, **fields})).data
    return record


async def send(live: Live, url: str, payload: Any = None, **fields: Any) -> str:
    """A delivery to a URL; its id."""
    body = {"url": url, "payload": {"n": 1} if payload is None else payload, **fields}
    return str((await live.post("/v1/webhook/send", body)).data["delivery_id"])


async def emit(live: Live, event: str = "order.paid", payload: Any = None) -> list[str]:
    """An event; the ids of its deliveries."""
    answer = await live.post("/v1/webhook/emit", {"event": event, "payload": {"n": 1} if payload is None else payload})
    return list(answer.data["delivery_ids"])


async def get(live: Live, delivery_id: str) -> dict[str, Any]:
    record: dict[str, Any] = (await live.get(f"/v1/webhook/get/{delivery_id}")).data
    return record


async def settle(live: Live) -> None:
    """Send what is due, until nothing is."""
    for _ in range(50):
        sent = len((await live.get("/v1/webhook/list?state=delivered&limit=500")).data["items"])
        await live.work(60)
        if len((await live.get("/v1/webhook/list?state=delivered&limit=500")).data["items"]) == sent:
            return


def bare_hex(secret: bytes, post: Post, *, with_timestamp: bool = False) -> bool:
    """What receivers of the old kind check: the hex HMAC-SHA256 in `X-Infrai-Signature`."""
    covered = post.body
    if with_timestamp:
        covered = post.headers["x-infrai-timestamp"].encode() + b"." + covered
    return hmac.compare_digest(
        hmac.new(secret, covered, hashlib.sha256).hexdigest(), post.headers["x-infrai-signature"]
    )


def only(receiver: Receiver, path: str) -> Post:
    [post] = receiver.on(path)
    return post
