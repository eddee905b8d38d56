"""Webhooks: what is sent, and what became of it."""

# Written by tools/twins.py from nouns/webhook.py: edit that one, then run the tool.

from __future__ import annotations

from collections.abc import Mapping

from mainspring_client import operations
from mainspring_client.async_nouns.noun import AsyncNoun
from mainspring_client.values import DeliveryState, Json, SignatureStyle, When
from mainspring_client.webhook_records import Delivery, DeliveryAttempts, DeliveryPage, DeliverySent, Emitted, Replayed


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
        retry: int | None = None,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> DeliverySent:
        """Send a payload to a URL, with retries, and signed when there is a secret."""
        return await self._call(operations.WEBHOOK_SEND, locals())

    async def get(self, delivery_id: str) -> Delivery:
        """Get a delivery."""
        return await self._call(operations.WEBHOOK_GET, locals())

    async def list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        state: DeliveryState | None = None,
        since: When | None = None,
        until: When | None = None,
    ) -> DeliveryPage:
        """List deliveries, newest first."""
        return await self._call(operations.WEBHOOK_LIST, locals())

    async def attempts(self, delivery_id: str) -> DeliveryAttempts:
        """List the attempts of a delivery."""
        return await self._call(operations.WEBHOOK_ATTEMPTS, locals())

    async def replay(self, delivery_id: str, *, idempotency_key: str | None = None) -> DeliverySent:
        """Send a delivery once more."""
        return await self._call(operations.WEBHOOK_REPLAY, locals())

    async def replay_many(
        self,
        *,
        status: DeliveryState | None = None,
        since: When | None = None,
        until: When | None = None,
        dry_run: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Replayed:
        """Send deliveries once more, by state and time; `dry_run` only counts them."""
        return await self._call(operations.WEBHOOK_REPLAY_MANY, locals())

    async def cancel(self, delivery_id: str, *, idempotency_key: str | None = None) -> Delivery:
        """Cancel a delivery that is not over yet."""
        return await self._call(operations.WEBHOOK_CANCEL, locals())

    async def emit(self, event: str, payload: Json, *, idempotency_key: str | None = None) -> Emitted:
        """Send an event to every endpoint whose filters match it."""
        return await self._call(operations.WEBHOOK_EMIT, locals())
