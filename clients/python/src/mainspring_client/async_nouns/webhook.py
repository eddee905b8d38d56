"""Webhooks: what is sent, and what became of it."""

# Written by tools/twins.py from nouns/webhook.py: edit that one, then run the tool.

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring_client import operations
from mainspring_client.async_nouns.noun import AsyncNoun
from mainspring_client.values import DeliveryEnd, DeliveryState, Json, SignatureStyle, When
from mainspring_client.webhook_records import (
    DeliveryAccepted,
    DeliveryAttempts,
    DeliveryPage,
    DeliveryWithAttempts,
    EventEmitted,
    Replays,
    RetryPolicy,
)


class AsyncWebhook(AsyncNoun):
    """Webhooks and their deliveries."""

    async def send(
        self,
        url: str,
        payload: Json,
        *,
        event: str | None = None,
        secret: str | None = None,
        signature_style: SignatureStyle | None = None,
        headers: Mapping[str, str] | None = None,
        retry: int | Sequence[float] | RetryPolicy | None = None,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> DeliveryAccepted:
        """Send a payload to a URL, signed and with retries."""
        return await self._call(operations.WEBHOOK_SEND, locals())

    async def emit(self, event: str, payload: Json, *, idempotency_key: str | None = None) -> EventEmitted:
        """Send an event to every endpoint that listens for it."""
        return await self._call(operations.WEBHOOK_EMIT, locals())

    async def get(self, delivery_id: str) -> DeliveryWithAttempts:
        """Get a delivery with its attempts."""
        return await self._call(operations.WEBHOOK_GET, locals())

    async def list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        state: DeliveryState | None = None,
        event: str | None = None,
        since: When | None = None,
        until: When | None = None,
        endpoint_id: str | None = None,
    ) -> DeliveryPage:
        """List deliveries, newest first."""
        return await self._call(operations.WEBHOOK_LIST, locals())

    async def attempts(self, delivery_id: str) -> DeliveryAttempts:
        """List the attempts of a delivery, in order."""
        return await self._call(operations.WEBHOOK_ATTEMPTS, locals())

    async def replay(
        self, delivery_id: str, *, new_id: bool | None = None, idempotency_key: str | None = None
    ) -> DeliveryAccepted:
        """Send a delivery that is over once more."""
        return await self._call(operations.WEBHOOK_REPLAY, locals())

    async def replay_many(
        self,
        *,
        status: DeliveryEnd | None = None,
        since: When | None = None,
        until: When | None = None,
        endpoint_id: str | None = None,
        event: str | None = None,
        dry_run: bool | None = None,
        limit: int | None = None,
        new_id: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Replays:
        """Send the deliveries that ended in a way and a time once more, or count them."""
        return await self._call(operations.WEBHOOK_REPLAY_MANY, locals())

    async def cancel(self, delivery_id: str, *, idempotency_key: str | None = None) -> DeliveryAccepted:
        """Try a delivery no more; what is being sent ends by itself."""
        return await self._call(operations.WEBHOOK_CANCEL, locals())
