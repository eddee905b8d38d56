"""Receivers that check deliveries with the `svix` package, which reads Standard Webhooks headers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from svix.webhooks import Webhook, WebhookVerificationError

from doors.hooking import SECRET, emit, only, register, send, settle
from doors.live import Live
from doors.receiving import Receiver, receiving


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


async def test_what_is_sent_passes(live: Live, receiver: Receiver) -> None:
    await send(live, receiver.url + "/a", {"ä": [1.50, None]}, secret=SECRET)
    await settle(live)
    post = only(receiver, "/a")
    Webhook(SECRET).verify(post.body, post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(post.body + b" ", post.headers)


async def test_both_secrets_pass_while_a_rotation_lasts(live: Live, receiver: Receiver) -> None:
    made = await register(live, receiver.url + "/a")
    rotated = (await live.post(f"/v1/account/webhooks/rotate/{made['id']}")).data
    await emit(live)
    await settle(live)
    post = only(receiver, "/a")
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(post.body, post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(post.body, post.headers)
